"""Vivoldi: each serial is a coupon number with a page of its own.

Source: Vivoldi's coupon API, create and validate; reference/vivoldi.md sections 1, 3
and 9.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from coupons.moments import local
from sync.preflight.codes import codes_line
from sync.preflight.facts import Facts
from sync.preflight.lines import Line, changed, count_words, fine, impossible

SHORTEST, LONGEST = 8, 16
RATE, AMOUNT = 457, 458  # discTypeIdx
CURRENCIES = frozenset("KRW CAD CNY EUR GBP IDR JPY MUR RUB SGD USD".split())


def check(campaign: Campaign, facts: Facts) -> list[Line]:
    """What its coupons at Vivoldi would be."""
    return [
        fine(
            _("Name"),
            f"“{campaign.name}”",
            key="nm",
            value=campaign.name,
            field="name",
        ),
        *_texts(campaign),
        *_image(facts),
        *_colours(campaign),
        _link(campaign),
        codes_line(facts, code_of, key="cpnNo"),
        *_discount(campaign),
        *_minimum(campaign),
        _start(campaign),
        _end(campaign, facts),
        _expiry(campaign),
        _uses(campaign, facts),
        *_total(facts),
        *_verification(campaign),
    ]


def code_of(code: str) -> tuple[str, str]:
    """The number as Vivoldi gets it, and why it can't; one of the two is empty.

    Its own pages print dashes, so those mean nothing there; it has capitals only.
    """
    number = code.replace("-", "").upper()
    if not (number.isascii() and number.isalnum()):
        return "", _("not of the letters A to Z and digits alone")
    if not SHORTEST <= len(number) <= LONGEST:
        said = _("not %(least)s to %(most)s letters and digits")
        return "", said % {"least": SHORTEST, "most": LONGEST}
    return number, ""


# --- texts and look -----------------------------------------------------------------


def _texts(campaign: Campaign) -> Iterator[Line]:
    if campaign.shown_instructions or campaign.shown_condition:
        yield changed(
            _("Instructions"),
            _(
                "Left out: Vivoldi takes them from a template that is written in its own "
                "dashboard."
            ),
            field="instructions",
        )


def _image(facts: Facts) -> Iterator[Line]:
    if facts.image_url:
        yield changed(
            _("Image"),
            _("Left out: Vivoldi takes it from a group that is made in its dashboard."),
            field="image",
        )


def colour_of(colour: str) -> str:
    """#RRGGBBAA: Vivoldi writes the opacity too."""
    return colour.upper().ljust(9, "F")


def _colours(campaign: Campaign) -> Iterator[Line]:
    colours = campaign.look()
    yield fine(
        _("Text colour"),
        colours["text_colour"],
        key="color",
        value=colour_of(colours["text_colour"]),
        field="text_colour",
    )
    yield fine(
        _("Background colour"),
        colours["background_colour"],
        key="background",
        value=colour_of(colours["background_colour"]),
        field="background_colour",
    )


def _link(campaign: Campaign) -> Line:
    what, url = _("Button"), campaign.look()["button_url"]
    if not url:
        return fine(what, _("None"), key="url", field="button_url")
    said = _("It leads to the shop; Vivoldi writes its own words and colours on it.")
    return changed(what, said, key="url", value=url, field="button_url")


# --- benefit ---------------------------------------------------------------------------


def _discount(campaign: Campaign) -> Iterator[Line]:
    what = _("Benefit")
    kind, value, words, is_same = _taken_off(campaign)
    if value is None:
        yield impossible(what, words, key="disc", field="benefit")
        return
    make = fine if is_same else changed
    yield make(what, words, key="disc", value=value, field="benefit")
    said = _("Per cent") if kind == RATE else _("Money")
    yield fine(_("Way"), said, key="discTypeIdx", value=kind, field="benefit")
    if kind == AMOUNT:
        yield _currency(campaign)


def _taken_off(campaign: Campaign) -> tuple[int, float | None, str, bool]:
    """Vivoldi's kind and number, the words, and whether it is what we have."""
    value, kind = campaign.benefit_value, Campaign.Benefit(campaign.benefit)
    if kind == Campaign.Benefit.PERCENTAGE:
        if value is None or not 1 <= value <= 100:
            return RATE, None, _("Vivoldi takes 1 to 100 per cent."), False
        said = _("%(percent)s per cent off") % {"percent": f"{float(value):g}"}
        return RATE, float(value), said, True
    if kind == Campaign.Benefit.FREE:
        return RATE, 100.0, _("100 per cent off: Vivoldi knows no “free”"), False
    if kind == Campaign.Benefit.AMOUNT:
        if not value:
            return AMOUNT, None, _("Vivoldi takes amounts above 0."), False
        said = _("%(money)s off") % {"money": f"{campaign.currency} {value:,f}".strip()}
        return AMOUNT, float(value), said, True
    if kind == Campaign.Benefit.PRICE:
        off = (campaign.price_before or Decimal(0)) - (
            campaign.price_after or Decimal(0)
        )
        if off <= 0:
            said = _("The price after has to be lower than the one before.")
            return AMOUNT, None, said, False
        said = _(
            "%(money)s off, the difference: Vivoldi knows no price before and after"
        )
        money = f"{campaign.currency} {off:,f}".strip()
        return AMOUNT, float(off), said % {"money": money}, False
    said = _("Vivoldi knows per cent and money off only, no “%(kind)s”.")
    return RATE, None, said % {"kind": campaign.get_benefit_display()}, False


def _currency(campaign: Campaign) -> Line:
    what, ours = _("Currency"), campaign.currency
    rest = {"key": "discCurrency", "field": "currency"}
    if ours not in CURRENCIES:
        said = _("Vivoldi doesn't know %(ours)s, only %(known)s.")
        known = ", ".join(sorted(CURRENCIES))
        return impossible(what, said % {"ours": ours or "–", "known": known}, **rest)
    return fine(what, ours, value=ours, **rest)


def _minimum(campaign: Campaign) -> Iterator[Line]:
    if campaign.minimum_spend:
        yield changed(
            _("Minimum spend"),
            _("Left out: Vivoldi knows none. Write it into the name."),
            field="minimum_spend",
        )


# --- dates -----------------------------------------------------------------------------


def days_of(campaign: Campaign) -> tuple[date, date]:
    """The first and the last day of the use period, in the campaign's zone."""
    starts = campaign.use_starts_at.astimezone(campaign.zone)
    ends = campaign.use_ends_at.astimezone(campaign.zone)
    return starts.date(), (ends - timedelta(microseconds=1)).date()


def _start(campaign: Campaign) -> Line:
    what, first = _("Starts"), days_of(campaign)[0]
    rest = {"key": "strtYmd", "value": first.isoformat(), "field": "use_starts_at"}
    starts = campaign.use_starts_at.astimezone(campaign.zone)
    if (starts.hour, starts.minute, starts.second) == (0, 0, 0):
        return fine(what, _("With the day %(day)s") % {"day": first}, **rest)
    said = _("With the day %(day)s in place of %(ours)s: Vivoldi knows whole days.")
    ours = local(campaign, campaign.use_starts_at)
    return changed(what, said % {"day": first, "ours": ours}, **rest)


def _end(campaign: Campaign, facts: Facts) -> Line:
    """Taken to be the last day; in which zone it ends, Vivoldi doesn't say."""
    what, last = _("Ends"), days_of(campaign)[1]
    rest: dict[str, Any] = {"key": "endYmd", "field": "use_ends_at"}
    ours = local(campaign, campaign.use_ends_at, is_end=True)
    if facts.at >= campaign.use_ends_at:
        said = _("It was over on %(when)s.")
        return impossible(what, said % {"when": ours}, **rest)
    said = _(
        "With the day %(day)s, ours is %(ours)s: Vivoldi knows whole days and doesn't "
        "say in which time zone they end."
    )
    words = said % {"day": last, "ours": ours}
    return changed(what, words, value=last.isoformat(), **rest)


def _expiry(campaign: Campaign) -> Line:
    what = _("Expiry")
    if campaign.expiry == Campaign.Expiry.USE_END:
        return fine(what, _("With the use period"), field="expiry")
    said = _("Left out: at Vivoldi every number lasts until the last day.")
    return changed(what, said, field="expiry")


# --- limits and verification -----------------------------------------------------------


def _uses(campaign: Campaign, facts: Facts) -> Line:
    """A serial of one's own is used once; a fixed one as often as a person may."""
    what = _("Uses per contact")
    rest: dict[str, Any] = {"key": "useLimit", "field": "limit_per_contact"}
    if not facts.fixed:
        return fine(what, _("Each number once"), value=1, **rest)
    limit = campaign.limit_per_contact
    if limit == 0:
        return fine(what, _("No limit"), value=0, **rest)
    if limit == 1:
        said = _(
            "Once. A number that everybody gets may be used up with its first use: "
            "Vivoldi doesn't say whom it counts. Without a limit here it has none there."
        )
        return changed(what, said, value=1, **rest)
    said = _(
        "Vivoldi takes more than one use only for a number that names its customer, and "
        "this one is for everybody. Set 1, or 0 for no limit."
    )
    return impossible(what, said, **rest)


def _total(facts: Facts) -> Iterator[Line]:
    ends = [stock.free for stock in facts.fixed if stock.free is not None]
    if facts.limit_left is not None:
        ends.append(facts.limit_left)
    if ends:
        yield changed(
            _("Limit in total"),
            _("Not kept: Vivoldi doesn't stop a number after %(number)s uses.")
            % {"number": count_words(min(ends))},
            field="limit_in_total",
        )


def _verification(campaign: Campaign) -> Iterator[Line]:
    what, way = _("Verification"), campaign.verified_on_page
    rest: dict[str, Any] = {"key": "onsiteYn", "field": "verifying"}
    if way == "button":
        yield fine(what, _("A button on Vivoldi's page"), value="Y", **rest)
    elif way == "password":
        yield fine(what, _("A button on Vivoldi's page"), value="Y", **rest)
        yield changed(
            _("Store password"),
            _(
                "Not sent: passwords are kept so that nobody can read them. Whoever "
                "publishes types one for Vivoldi."
            ),
            key="onsitePwd",
            place="stores",
        )
    elif campaign.verifying == Campaign.Verifying.SCAN:
        said = _("No button there: the till asks Vivoldi through us.")
        yield fine(what, said, value="N", **rest)
    else:
        yield fine(what, _("Not needed"), value="N", **rest)
