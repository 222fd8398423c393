"""Paddle Classic: each serial is a coupon code of its own at the checkout.

Source: Paddle Classic API, "Create coupon" and "API error codes"; reference/paddle.md
sections 3 and 7.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from coupons.moments import local
from sync.preflight.codes import codes_line
from sync.preflight.facts import Facts, Stock
from sync.preflight.lines import Line, changed, count_words, fine, impossible

SHORTEST, LONGEST = 5, 300  # characters of a code
WITHOUT_END = 999_999  # allowed uses
LEAST = Decimal("0.01")


def check(campaign: Campaign, facts: Facts) -> list[Line]:
    """What its coupons at Paddle would be."""
    return [
        fine(
            _("Name"),
            _("Only in Paddle's dashboard; the checkout shows the code alone"),
            key="description",
            value=campaign.name,
            field="name",
        ),
        changed(
            _("Texts and look"),
            _(
                "Left out: Paddle shows no instructions, image, colours, barcode or "
                "button."
            ),
        ),
        codes_line(facts, code_of, key="coupon_code"),
        fine(
            _("Group"),
            _("One for all its codes"),
            key="group",
            value=group_of(campaign),
        ),
        *_products(campaign),
        *_discount(campaign),
        *_currency(campaign),
        _minimum(campaign),
        fine(
            _("Renewals"),
            _("Later payments of a subscription too")
            if campaign.applies_to_renewals
            else _("The first payment only"),
            key="recurring",
            value=int(campaign.applies_to_renewals),
            field="applies_to_renewals",
        ),
        _start(campaign, facts),
        _end(campaign, facts),
        _expiry(campaign),
        _uses(facts),
        *_limits(campaign, facts),
        _verification(campaign),
    ]


def group_of(campaign: Campaign) -> str:
    """What Paddle gathers the campaign's codes under; stays when it is renamed."""
    return f"campaign-{campaign.pk}"


def code_of(code: str) -> tuple[str, str]:
    """The code as Paddle gets it, and why it can't; one of the two is empty."""
    if len(code) < SHORTEST:
        said = _("shorter than %(least)s characters") % {"least": SHORTEST}
        return "", said
    if len(code) > LONGEST:
        return "", _("longer than %(most)s characters") % {"most": LONGEST}
    return code, ""


# --- benefit ---------------------------------------------------------------------------


def _products(campaign: Campaign) -> Iterator[Line]:
    what, field = _("Products"), "product_ids"
    ids = [part.strip() for part in campaign.product_ids.split(",") if part.strip()]
    wrong = [part for part in ids if not (part.isascii() and part.isdigit())]
    if wrong:
        said = _("“%(wrong)s” is no product id of Paddle: those are whole numbers.")
        words = said % {"wrong": wrong[0][:40]}
        yield impossible(what, words, key="product_ids", field=field)
        return
    if not ids:
        words = _("For the whole checkout, whatever is bought")
        yield fine(what, words, key="coupon_type", value="checkout", field=field)
        return
    said = _("For these only: %(ids)s") % {"ids": ", ".join(ids)}
    yield fine(what, said, key="product_ids", value=",".join(ids), field=field)
    kind = _("Coupons for products")
    yield fine(_("Kind"), kind, key="coupon_type", value="product", field=field)


def _discount(campaign: Campaign) -> Iterator[Line]:
    what = _("Benefit")
    kind, amount, words = _taken_off(campaign)
    if kind is None or amount is None:
        yield impossible(what, words, key="discount_amount", field="benefit")
        return
    is_same = campaign.benefit != Campaign.Benefit.PRICE
    make = fine if is_same else changed
    yield make(what, words, key="discount_amount", value=amount, field="benefit")
    words = _("Off the price") if kind == "flat" else _("Per cent of the price")
    yield fine(_("Way"), words, key="discount_type", value=kind, field="benefit")


def _taken_off(campaign: Campaign) -> tuple[str | None, str | None, str]:
    """Paddle's kind and amount, and the words; None where Paddle has no such thing."""
    value, kind = campaign.benefit_value, Campaign.Benefit(campaign.benefit)
    if kind == Campaign.Benefit.PERCENTAGE:
        if value is None or not 0 < value < 100:
            return None, None, _("Paddle takes more than 0 and less than 100 per cent.")
        said = _("%(percent)s per cent off") % {"percent": _shown(value)}
        return "percentage", _plain(value), said
    if kind == Campaign.Benefit.AMOUNT:
        if value is None or value < LEAST:
            return None, None, _("Paddle takes amounts from 0.01 on.")
        money = f"{campaign.currency} {_shown(value)}".strip()
        return "flat", _plain(value), _("%(money)s off") % {"money": money}
    if kind == Campaign.Benefit.PRICE:
        off = (campaign.price_before or Decimal(0)) - (
            campaign.price_after or Decimal(0)
        )
        if off < LEAST:
            said = _("The price after has to be lower than the one before.")
            return None, None, said
        money = f"{campaign.currency} {_shown(off)}".strip()
        said = _(
            "%(money)s off, the difference: Paddle knows no price before and after"
        )
        return "flat", _plain(off), said % {"money": money}
    said = _("Paddle knows per cent and money off only, no “%(kind)s”.")
    return None, None, said % {"kind": campaign.get_benefit_display()}


def _plain(value: Decimal) -> str:
    """A number as Paddle reads it: a point, no grouping, no needless zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(value: Decimal) -> str:
    return number_format(Decimal(_plain(value)), force_grouping=True)


def _currency(campaign: Campaign) -> Iterator[Line]:
    what = _("Currency")
    rest = {"key": "currency", "field": "currency"}
    if not campaign.currency:
        yield impossible(
            what,
            _(
                "Say which, also for per cent: Paddle wants the currency of the "
                "account's balance."
            ),
            **rest,
        )
        return
    said = _("%(currency)s, which has to be that of the account's balance")
    words = said % {"currency": campaign.currency}
    yield fine(what, words, value=campaign.currency, **rest)


def _minimum(campaign: Campaign) -> Line:
    what, least = _("Minimum spend"), campaign.minimum_spend
    rest = {"key": "minimum_threshold", "field": "minimum_spend"}
    if not least:
        return fine(what, _("None"), **rest)
    money = f"{campaign.currency} {_shown(least)}".strip()
    said = _("More than %(money)s: at Paddle exactly that much is not enough.")
    return changed(what, said % {"money": money}, value=_plain(least), **rest)


# --- dates -----------------------------------------------------------------------------


def _start(campaign: Campaign, facts: Facts) -> Line:
    what = _("Starts")
    if facts.at >= campaign.use_starts_at:
        return fine(what, _("At once"), field="use_starts_at")
    return changed(
        what,
        _("As soon as it is published: Paddle knows no start, and ours is %(when)s.")
        % {"when": local(campaign, campaign.use_starts_at)},
        field="use_starts_at",
    )


def ends_on(campaign: Campaign) -> datetime:
    """The first midnight in UTC at or after the end: nobody loses what was promised."""
    ends = campaign.use_ends_at.astimezone(UTC)
    midnight = datetime.combine(ends.date(), time(), UTC)
    return midnight if ends == midnight else midnight + timedelta(days=1)


def _end(campaign: Campaign, facts: Facts) -> Line:
    """Paddle's coupon dies as the named day begins in UTC."""
    what, rest = _("Ends"), {"key": "expires", "field": "use_ends_at"}
    ends, theirs = campaign.use_ends_at, ends_on(campaign)
    if facts.at >= ends:
        said = _("It was over on %(when)s, and Paddle wants a day to come.")
        return impossible(
            what, said % {"when": local(campaign, ends, is_end=True)}, **rest
        )
    value = theirs.date().isoformat()
    if theirs == ends:
        return fine(what, local(campaign, ends, is_end=True), value=value, **rest)
    said = _(
        "%(theirs)s in place of %(ours)s: Paddle ends a coupon only as a day begins in "
        "UTC, here that of %(day)s."
    )
    words = said % {
        "theirs": local(campaign, theirs, is_end=True),
        "ours": local(campaign, ends, is_end=True),
        "day": value,
    }
    return changed(what, words, value=value, **rest)


def _expiry(campaign: Campaign) -> Line:
    what = _("Expiry")
    if campaign.expiry == Campaign.Expiry.USE_END:
        return fine(what, _("With the use period"), field="expiry")
    said = _("Left out: at Paddle every code lasts until the use period ends.")
    return changed(what, said, field="expiry")


# --- limits ----------------------------------------------------------------------------


def uses_of(stock: Stock) -> int:
    """How often a code of this batch may be used at Paddle."""
    if not stock.is_fixed:
        return 1
    return WITHOUT_END if stock.free is None else stock.free


def _uses(facts: Facts) -> Line:
    what, rest = _("Uses per code"), {"key": "allowed_uses", "place": "serials"}
    if not facts.stock:
        return impossible(what, _("There is no serial to publish yet."), **rest)
    first = facts.stock[0]
    value = uses_of(first)
    if first.is_fixed and first.free is None:
        said = _("%(uses)s: Paddle's own sign for “without end”")
        return changed(what, said % {"uses": count_words(value)}, value=value, **rest)
    kinds = {uses_of(stock) for stock in facts.stock}
    if len(kinds) > 1:
        words = _("Each code as often as its batch says")
    elif value == 1:
        words = _("Once")
    else:
        words = _("%(uses)s times") % {"uses": count_words(value)}
    return fine(what, words, value=value, **rest)


def _limits(campaign: Campaign, facts: Facts) -> Iterator[Line]:
    what = _("Limits")
    if campaign.limit_per_contact:
        yield changed(
            what,
            _("Not kept per contact: Paddle counts uses of a code, not people."),
            field="limit_per_contact",
        )
    if facts.limit is not None:
        yield changed(
            what,
            _("Not kept in total: Paddle counts each code by itself."),
            field="limit_in_total",
        )


def _verification(campaign: Campaign) -> Line:
    told = _("The payment is the use; Paddle tells us when one is made.")
    if campaign.verifying == Campaign.Verifying.NONE:
        return fine(_("Verification"), told, field="verifying")
    again = _("A code that a store has taken still works at the checkout.")
    return changed(_("Verification"), f"{told} {again}", field="verifying")
