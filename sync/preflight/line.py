"""LINE's native coupon: one code, one period and one look for everybody.

Source: Messaging API reference, "Create a coupon", and line-openapi's
CouponCreateRequest; reference/line.md sections 1.1 to 1.3.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from campaigns.benefit import condition_words
from campaigns.models import Campaign
from coupons.moments import local
from sync.preflight.facts import Facts
from sync.preflight.lines import (
    Line,
    changed,
    count_words,
    fine,
    impossible,
    one_line_breaks,
    utf16_length,
)

# LINE's time zones and the hours east of UTC that its reference gives them. The names
# look like IANA's, but the signs of ETC_GMT are turned and some hours are out of date.
ZONES = {
    "ETC_GMT_MINUS_12": -12,
    "ETC_GMT_MINUS_11": -11,
    "PACIFIC_HONOLULU": -10,
    "AMERICA_ANCHORAGE": -9,
    "AMERICA_LOS_ANGELES": -8,
    "AMERICA_PHOENIX": -7,
    "AMERICA_CHICAGO": -6,
    "AMERICA_NEW_YORK": -5,
    "AMERICA_CARACAS": -4.5,
    "AMERICA_SANTIAGO": -4,
    "AMERICA_ST_JOHNS": -3.5,
    "AMERICA_SAO_PAULO": -3,
    "ETC_GMT_MINUS_2": -2,
    "ATLANTIC_CAPE_VERDE": -1,
    "EUROPE_LONDON": 0,
    "EUROPE_PARIS": 1,
    "EUROPE_ISTANBUL": 2,
    "EUROPE_MOSCOW": 3,
    "ASIA_TEHRAN": 3.5,
    "ASIA_TBILISI": 4,
    "ASIA_KABUL": 4.5,
    "ASIA_TASHKENT": 5,
    "ASIA_COLOMBO": 5.5,
    "ASIA_KATHMANDU": 5.75,
    "ASIA_ALMATY": 6,
    "ASIA_RANGOON": 6.5,
    "ASIA_BANGKOK": 7,
    "ASIA_TAIPEI": 8,
    "ASIA_TOKYO": 9,
    "AUSTRALIA_DARWIN": 9.5,
    "AUSTRALIA_SYDNEY": 10,
    "ASIA_VLADIVOSTOK": 11,
    "ETC_GMT_PLUS_12": 12,
    "PACIFIC_TONGATAPU": 13,
}
# LINE writes the currency of the account's country; it is never sent.
CURRENCIES = ("JPY", "TWD", "THB")
LONGEST_TITLE, LONGEST_TEXT, LONGEST_CONDITION = 60, 1000, 100  # UTF-16 units
LONGEST_CODE, LONGEST_URL = 16, 2000
CHAT_RATIO = 1.51


def check(campaign: Campaign, facts: Facts) -> list[Line]:
    """What the coupon on LINE would be."""
    return [
        _title(campaign),
        _description(campaign),
        _condition(campaign),
        *_languages(campaign, facts),
        _image(campaign, facts),
        _look(campaign),
        _code(facts),
        _barcode(campaign, facts),
        _start(campaign),
        _end(campaign, facts),
        _zone(campaign),
        _expiry(campaign),
        _per_contact(campaign),
        _total(facts),
        _reward(campaign),
        _verification(campaign),
        fine(
            _("Who can find it"),
            _("Only who gets the message, or its link from somebody else"),
            key="visibility",
            value="UNLISTED",
        ),
    ]


# --- texts and look -----------------------------------------------------------------


def _title(campaign: Campaign) -> Line:
    what, name = _("Name"), " ".join(campaign.name.split())
    over = utf16_length(name) - LONGEST_TITLE
    if over > 0:
        return impossible(
            what,
            _(
                "It is %(over)s too long for LINE, which takes %(most)s characters and "
                "counts an emoji as two. Shorten it."
            )
            % {"over": over, "most": LONGEST_TITLE},
            key="title",
            field="name",
        )
    return fine(what, f"“{name}”", key="title", value=name, field="name")


def _description(campaign: Campaign) -> Line:
    what, text = _("Instructions"), one_line_breaks(campaign.shown_instructions)
    over = utf16_length(text) - LONGEST_TEXT
    if over > 0:
        return impossible(
            what,
            _(
                "They are %(over)s too long for LINE, which takes %(most)s characters "
                "and counts an emoji as two. Shorten them."
            )
            % {"over": over, "most": count_words(LONGEST_TEXT)},
            key="description",
            field="instructions",
        )
    return fine(
        what,
        _("Shown as they are") if text else _("None"),
        key="description",
        value=text or None,
        field="instructions",
    )


def _condition(campaign: Campaign) -> Line:
    """LINE has no field for a minimum spend: it goes before the condition."""
    what = _("Usage condition")
    spend, own = condition_words(campaign), campaign.shown_condition.strip()
    text = " · ".join(part for part in (spend, own) if part)
    over = utf16_length(text) - LONGEST_CONDITION
    rest: dict[str, Any] = {"key": "usageCondition", "field": "usage_condition"}
    if over > 0:
        return impossible(
            what,
            _(
                "“%(text)s” is %(over)s too long for LINE, which takes %(most)s "
                "characters. Shorten it."
            )
            % {"text": text, "over": over, "most": LONGEST_CONDITION},
            **rest,
        )
    if spend:
        said = _("The minimum spend becomes part of it: “%(text)s”")
        return changed(what, said % {"text": text}, value=text, **rest)
    return fine(what, f"“{text}”" if text else _("None"), value=text or None, **rest)


def _languages(campaign: Campaign, facts: Facts) -> Iterator[Line]:
    others = [code for code in facts.texts if code != campaign.language]
    if others:
        yield changed(
            _("Languages"),
            _("Only the texts in %(language)s: a coupon on LINE has one language.")
            % {"language": campaign.get_language_display()},
            field="language",
        )


def _image(campaign: Campaign, facts: Facts) -> Line:
    what, rest = _("Image"), {"key": "imageUrl", "field": "image"}
    if not facts.image_url:
        return fine(what, _("None: LINE shows a picture of its own"), **rest)
    if not facts.may_fetch(facts.image_url):
        return impossible(
            what,
            _(
                "LINE fetches it from an https address only, and this house is at "
                "%(address)s. Set SITE_URL to its https address, or take the image out."
            )
            % {"address": facts.image_url.partition("/media")[0]},
            **rest,
        )
    if facts.is_image_lost:
        return impossible(what, _("Its file can't be read. Upload it again."), **rest)
    if len(facts.image_url) > LONGEST_URL:
        return impossible(what, _("Its address is too long for LINE."), **rest)
    width, height = facts.image_size or (1, 1)
    kept = _("LINE keeps a copy; a later change isn't seen.")
    if abs(width / height - CHAT_RATIO) > 0.02:
        cut = (
            _("The chat cuts its top and bottom to 1.51 : 1.")
            if width / height < CHAT_RATIO
            else _("The chat cuts its sides to 1.51 : 1.")
        )
        return changed(what, f"{cut} {kept}", value=facts.image_url, **rest)
    return fine(what, kept, value=facts.image_url, **rest)


def _look(campaign: Campaign) -> Line:
    what = _("Colours and button")
    if campaign.look()["button_url"]:
        return changed(
            what,
            _(
                "Left out: LINE draws its coupons its own way, without a link to a shop."
            ),
        )
    return changed(what, _("Left out: LINE draws its coupons its own way."))


# --- serials ------------------------------------------------------------------------


def _code(facts: Facts) -> Line:
    """One text for everybody: a serial of one's own can't be a native coupon."""
    what, rest = _("Serial"), {"key": "couponCode", "place": "serials"}
    if not facts.fixed:
        if not facts.one_time:
            return fine(what, _("None yet: the coupon shows no code"), **rest)
        return changed(
            what,
            _(
                "Left out: LINE shows the same code to everybody, and these serials "
                "differ. Send the link to our own page for those."
            ),
            **rest,
        )
    code = facts.fixed[0].codes[0]
    if len(code) > LONGEST_CODE:
        said = _("“%(code)s” is too long: LINE takes %(most)s characters.")
        return impossible(what, said % {"code": code, "most": LONGEST_CODE}, **rest)
    if len(facts.stock) > 1:
        said = _("Only “%(code)s”: LINE shows the same code to everybody.")
        return changed(what, said % {"code": code}, value=code, **rest)
    return fine(what, f"“{code}”", value=code, **rest)


def _barcode(campaign: Campaign, facts: Facts) -> Line:
    what, rest = _("Barcode"), {"key": "barcodeImageUrl", "field": "barcode"}
    if campaign.barcode == Campaign.Barcode.NONE or not facts.stock:
        return fine(what, _("None"), **rest)
    url = facts.barcode_url
    if facts.fixed and url and facts.may_fetch(url) and len(url) <= LONGEST_URL:
        return fine(what, _("As a picture that LINE keeps"), value=url, **rest)
    if facts.fixed and url:
        said = _(
            "Left out: LINE fetches it from an https address only. Set SITE_URL to one, "
            "or have the till type the code."
        )
    elif facts.fixed:
        said = _("Left out: the till has to type the code, or scan our own page.")
    else:
        said = _("Left out: LINE shows the same picture to everybody.")
    return changed(what, said, **rest)


# --- dates -----------------------------------------------------------------------------


def _start(campaign: Campaign) -> Line:
    """Whole seconds, rounded up: never usable before ours is."""
    at = campaign.use_starts_at
    value = int((at + timedelta(microseconds=999_999)).timestamp())
    shown = local(campaign, at, has_seconds=True)
    return fine(
        _("Starts"), shown, key="startTimestamp", value=value, field="use_starts_at"
    )


def _end(campaign: Campaign, facts: Facts) -> Line:
    """An end at midnight is sent as the second before, so that LINE names the right day."""
    what, rest = _("Ends"), {"key": "endTimestamp", "field": "use_ends_at"}
    ends = campaign.use_ends_at
    if facts.at >= ends:
        said = _("It was over on %(when)s, and LINE takes no coupon that has ended.")
        return impossible(
            what, said % {"when": local(campaign, ends, is_end=True)}, **rest
        )
    value = int(ends.timestamp())
    clock = ends.astimezone(campaign.zone)
    if (clock.hour, clock.minute, clock.second) != (0, 0, 0):
        shown = local(campaign, ends, has_seconds=True)
        return fine(what, shown, value=value, **rest)
    value -= 1
    last = datetime.fromtimestamp(value, UTC)
    said = _("%(when)s, one second before midnight, so that LINE names that day")
    shown = said % {"when": local(campaign, last, has_seconds=True)}
    return changed(what, shown, value=value, **rest)


def zone_of(campaign: Campaign) -> tuple[str, float]:
    """LINE's name for the campaign's zone, and how many hours they differ.

    Its own name where LINE's hours for it are still right, else the one nearest in hours
    from UTC. Hours are those without summer time.
    """
    year = campaign.use_ends_at.year
    hours = min(
        _hours(campaign, datetime(year, month, 1, 12, tzinfo=UTC)) for month in (1, 7)
    )
    name = campaign.time_zone.upper().replace("/", "_")
    if ZONES.get(name) == hours:
        return name, 0
    nearest = min(ZONES, key=lambda zone: abs(ZONES[zone] - hours))
    return nearest, abs(ZONES[nearest] - hours)


def _hours(campaign: Campaign, at: datetime) -> float:
    shift = at.astimezone(campaign.zone).utcoffset() or timedelta(0)
    return shift.total_seconds() / 3600


def _zone(campaign: Campaign) -> Line:
    what, (value, apart) = _("Time zone"), zone_of(campaign)
    rest: dict[str, Any] = {"key": "timezone", "value": value, "field": "time_zone"}
    said = {"ours": campaign.time_zone, "theirs": value, "minutes": round(apart * 60)}
    if apart:
        words = _(
            "LINE doesn't have %(ours)s: %(theirs)s, whose clock is %(minutes)s minutes "
            "off. The coupon starts and ends at the right moment all the same."
        )
        return changed(what, words % said, **rest)
    if value != campaign.time_zone.upper().replace("/", "_"):
        words = _("%(theirs)s in place of %(ours)s, with the same hours from UTC")
        return changed(what, words % said, **rest)
    return fine(what, value, **rest)


def _expiry(campaign: Campaign) -> Line:
    what = _("Expiry")
    if campaign.expiry == Campaign.Expiry.USE_END:
        return fine(what, _("With the use period"), field="expiry")
    return changed(
        what,
        _(
            "Left out: on LINE everybody's coupon lasts until the use period ends, "
            "whenever it was sent or opened."
        ),
        field="expiry",
    )


# --- limits and benefit -------------------------------------------------------------


def _per_contact(campaign: Campaign) -> Line:
    what = _("Uses per contact")
    rest: dict[str, Any] = {"key": "maxUseCountPerTicket", "field": "limit_per_contact"}
    limit = campaign.limit_per_contact
    if limit == 0:
        return fine(what, _("No limit"), value=-1, **rest)
    if limit == 1:
        return fine(what, _("Once"), value=1, **rest)
    said = _("Once in place of %(limit)s times: LINE knows once or without a limit.")
    return changed(what, said % {"limit": count_words(limit)}, value=1, **rest)


def _total(facts: Facts) -> Line:
    what = _("Limit in total")
    rest: dict[str, Any] = {"key": "acquisitionCondition", "value": {"type": "normal"}}
    free = facts.free if facts.stock else None
    ends = [end for end in (facts.limit, free) if end is not None]
    if not ends:
        return fine(what, _("None"), **rest)
    return changed(
        what,
        _(
            "Left out: LINE gives its coupon to everybody who has the message, not to "
            "the first %(number)s alone."
        )
        % {"number": count_words(min(ends))},
        field="limit_in_total",
        **rest,
    )


def _reward(campaign: Campaign) -> Line:
    kind = Campaign.Benefit(campaign.benefit)
    if kind == Campaign.Benefit.PERCENTAGE:
        return _percentage(campaign)
    if kind in (Campaign.Benefit.AMOUNT, Campaign.Benefit.CASH_BACK):
        reward = "discount" if kind == Campaign.Benefit.AMOUNT else "cashBack"
        amount = _whole(campaign.benefit_value)
        if amount is None:
            return _no_reward(_not_whole(), "benefit_value")
        price: dict[str, Any] = {"type": "fixed", "fixedAmount": amount}
        return _money(campaign, {"type": reward, "priceInfo": price})
    if kind == Campaign.Benefit.PRICE:
        before, after = _whole(campaign.price_before), _whole(campaign.price_after)
        if before is None or after is None:
            return _no_reward(_not_whole(), "price_after")
        price = {
            "type": "explicit",
            "originalPrice": before,
            "priceAfterDiscount": after,
        }
        return _money(campaign, {"type": "discount", "priceInfo": price})
    names = {Campaign.Benefit.FREE: "free", Campaign.Benefit.GIFT: "gift"}
    value = {"type": names.get(kind, "others")}
    shown = str(campaign.get_benefit_display()).capitalize()
    return fine(_("Benefit"), shown, key="reward", value=value, field="benefit")


def _percentage(campaign: Campaign) -> Line:
    percent = _whole(campaign.benefit_value)
    rest: dict[str, Any] = {"key": "reward", "field": "benefit_value"}
    if percent == 100:
        said = _("“Free” in place of 100 %%: LINE takes 1 to 99.") % {}
        return changed(_("Benefit"), said, value={"type": "free"}, **rest)
    if percent is None or not 1 <= percent <= 99:
        return _no_reward(
            _("LINE takes whole per cents from 1 to 99."), "benefit_value"
        )
    price = {"type": "percentage", "percentage": percent}
    value = {"type": "discount", "priceInfo": price}
    said = _("%(percent)s per cent off") % {"percent": percent}
    return fine(_("Benefit"), said, value=value, **rest)


def _money(campaign: Campaign, value: dict[str, Any]) -> Line:
    if campaign.currency not in CURRENCIES:
        return _no_reward(
            _("LINE knows %(known)s only, and the campaign is in %(ours)s.")
            % {"known": ", ".join(CURRENCIES), "ours": campaign.currency or "–"},
            "currency",
        )
    said = _(
        "%(kind)s in %(currency)s. LINE writes the currency of the account's country: "
        "TWD in Taiwan, THB in Thailand, JPY elsewhere."
    ) % {
        "kind": str(campaign.get_benefit_display()).capitalize(),
        "currency": campaign.currency,
    }
    return fine(_("Benefit"), said, key="reward", value=value, field="benefit")


def _not_whole() -> str:
    return _("LINE takes whole amounts above 0, without decimals.")


def _no_reward(words: str, field: str) -> Line:
    return impossible(_("Benefit"), words, key="reward", field=field)


def _whole(value: Decimal | None) -> int | None:
    """A whole number above 0, or None: nothing is rounded."""
    if value is None or value <= 0 or value != value.to_integral_value():
        return None
    return int(value)


def _verification(campaign: Campaign) -> Line:
    what = _("Verification")
    if campaign.verifying == Campaign.Verifying.NONE:
        return fine(what, _("Not needed"), field="verifying")
    return changed(
        what,
        _(
            "Customers press “Use” in LINE themselves. LINE tells nobody, so no use "
            "appears in the redemption records."
        ),
        field="verifying",
    )
