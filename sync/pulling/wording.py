"""Differences in words: what the field is, and what each side says."""

from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from sync.models import Difference
from sync.pulling.differences import (
    CLOSED,
    DOUBTFUL,
    MIRRORED,
    MISSING,
    SPENT,
    STILL_THERE,
)
from sync.pulling.terms import IMPOSSIBLE


@dataclass(frozen=True)
class Wording:
    """`note` says what the provider cannot tell us, where that matters."""

    field: str
    ours: str
    theirs: str
    note: str = ""


STATES = {
    MISSING: (
        gettext_lazy("Coupon"),
        gettext_lazy("published"),
        gettext_lazy("missing"),
    ),
    CLOSED: (
        gettext_lazy("State"),
        gettext_lazy("running"),
        gettext_lazy("closed by somebody"),
    ),
    STILL_THERE: (
        gettext_lazy("State"),
        pgettext_lazy("publication", "taken back"),
        gettext_lazy("still usable"),
    ),
    DOUBTFUL: (
        gettext_lazy("Number"),
        gettext_lazy("usable"),
        gettext_lazy("can't be used"),
    ),
    MIRRORED: (
        gettext_lazy("Use"),
        pgettext_lazy("publication", "taken back"),
        gettext_lazy("used"),
    ),
}
# Several providers' names for one thing.
FIELDS: dict[str, object] = {
    "title": gettext_lazy("Name"),
    "nm": gettext_lazy("Name"),
    "description": gettext_lazy("Instructions"),
    "usageCondition": gettext_lazy("Usage condition"),
    "couponCode": gettext_lazy("Serial"),
    "imageUrl": gettext_lazy("Image"),
    "barcodeImageUrl": gettext_lazy("Barcode"),
    "startTimestamp": gettext_lazy("Starts"),
    "strtYmd": gettext_lazy("Starts"),
    "endTimestamp": gettext_lazy("Ends"),
    "endYmd": gettext_lazy("Ends"),
    "expires": gettext_lazy("Ends"),
    "timezone": gettext_lazy("Time zone"),
    "visibility": gettext_lazy("Visibility"),
    "maxUseCountPerTicket": gettext_lazy("Uses per contact"),
    "acquisitionCondition.type": gettext_lazy("Who gets it"),
    "acquisitionCondition.lotteryProbability": gettext_lazy("Chance to win"),
    "acquisitionCondition.maxAcquireCount": gettext_lazy("Winners at most"),
    "reward.type": gettext_lazy("Benefit"),
    "reward.priceInfo.type": gettext_lazy("Kind of price"),
    "reward.priceInfo.currency": gettext_lazy("Currency"),
    "reward.priceInfo.fixedAmount": gettext_lazy("Amount"),
    "reward.priceInfo.percentage": gettext_lazy("Per cent"),
    "reward.priceInfo.originalPrice": gettext_lazy("Price before"),
    "reward.priceInfo.priceAfterDiscount": gettext_lazy("Price after"),
    "discount_type": gettext_lazy("Kind of benefit"),
    "discTypeIdx": gettext_lazy("Kind of benefit"),
    "discount_amount": gettext_lazy("Benefit"),
    "disc": gettext_lazy("Benefit"),
    "currency": gettext_lazy("Currency"),
    "discCurrency": gettext_lazy("Currency"),
    "allowed_uses": gettext_lazy("Uses per code"),
    "useLimit": gettext_lazy("Uses per contact"),
    "minimum_threshold": gettext_lazy("Minimum spend"),
    "recurring": gettext_lazy("Renewals"),
    "product_ids": gettext_lazy("Products"),
    "coupon_type": gettext_lazy("What it is for"),
    "group": gettext_lazy("Group"),
    "onsiteYn": gettext_lazy("Button on its page"),
    "url": gettext_lazy("Button's link"),
    "color": gettext_lazy("Text colour"),
    "background": gettext_lazy("Background colour"),
    IMPOSSIBLE: gettext_lazy("Campaign"),
}


def wording_of(difference: Difference) -> Wording:
    """A difference for a page. A field that is new to us goes by the provider's name."""
    field = difference.field
    if field in STATES:
        name, ours, theirs = STATES[field]
        return Wording(str(name), str(ours), str(theirs), _note(field))
    if field == SPENT:
        said = spent_words(difference.ours)
        return Wording(_("Spent codes"), said, _("still usable"), _note(field))
    known = str(FIELDS.get(field, field))
    if field == IMPOSSIBLE:
        return Wording(known, difference.ours, _("as it was published"))
    return Wording(known, difference.ours or "–", difference.theirs or "–")


def spent_words(value: str) -> str:
    """`void:120 used:35` as "120 void, 35 used"; what can't be read stays as it is."""
    said = []
    for part in value.split():
        kind, _colon, number = part.partition(":")
        if kind not in KINDS or not number.isdecimal():
            return value
        count = number_format(int(number), force_grouping=True)
        said.append(str(KINDS[kind]) % {"count": count})
    return ", ".join(said)


KINDS = {
    "void": gettext_lazy("%(count)s void"),
    "used": gettext_lazy("%(count)s used"),
    "revoked": gettext_lazy("%(count)s revoked"),
}


def _note(field: str) -> str:
    if field == SPENT:
        return _(
            "Nobody may use these codes any more, but the provider doesn't know that: "
            "they can still be used there."
        )
    if field == MIRRORED:
        return _(
            "Vivoldi was told that it had been used, and has no way to take a use back. "
            "Give the customer another coupon if they are to use one there."
        )
    if field != DOUBTFUL:
        return ""
    return _(
        "Vivoldi says no to this number without saying which: it was used there, or "
        "deleted there. Its dashboard tells."
    )
