"""Both values of a difference as people read them: instants, units, yes and no.

What a difference keeps are the provider's own values, since those are compared.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connections.models import Connection
from coupons.moments import local
from reports.line_words import NO_LIMIT, WORDS
from sync.models import Publication
from sync.preflight.vivoldi import AMOUNT, RATE
from sync.pulling.wording import Wording

Words = Mapping[str, str | Promise]

NAME = gettext_lazy("Name")
PER_CENT, MONEY = gettext_lazy("Per cent"), gettext_lazy("Money")
YES, NO = gettext_lazy("yes"), gettext_lazy("no")
STARTS, ENDS = "startTimestamp", "endTimestamp"
VALUES: dict[str, Words] = {
    "discount_type": {"percentage": PER_CENT, "flat": MONEY},
    "discTypeIdx": {str(RATE): PER_CENT, str(AMOUNT): MONEY},
    "coupon_type": {
        "product": gettext_lazy("For some products"),
        "checkout": gettext_lazy("For the whole checkout"),
    },
    "recurring": {"1": YES, "0": NO},
    "onsiteYn": {"Y": YES, "N": NO},
    "useLimit": {"0": NO_LIMIT},
    **{
        field: {str(value): words for value, words in known.items()}
        for field, known in WORDS.items()
    },
}
BENEFITS = ("discount_amount", "disc")
PERCENTAGES = ("reward.priceInfo.percentage",)


def readable(
    words: Wording, field: str, provider: str, publication: Publication | None
) -> Wording:
    """The wording with values that say what they are; what is unknown stays as it is."""
    return replace(
        words,
        field=label_of(field, provider) or words.field,
        ours=value_of(field, words.ours, publication),
        theirs=value_of(field, words.theirs, publication),
    )


def label_of(field: str, provider: str) -> str:
    """Where a provider uses a field for something else than its name says; or ""."""
    is_name = field == "description" and provider == Connection.Provider.PADDLE
    return str(NAME) if is_name else ""


def value_of(field: str, value: str, publication: Publication | None) -> str:
    if field in VALUES:
        return str(VALUES[field].get(value, value))
    if field in (STARTS, ENDS):
        return _instant(value, publication, is_end=field == ENDS)
    if field in BENEFITS or field in PERCENTAGES:
        return _benefit(field, value, publication)
    return value


def _instant(value: str, publication: Publication | None, *, is_end: bool) -> str:
    """Seconds since 1970 on the campaign's clock."""
    if publication is None or not value.isdecimal():
        return value
    try:
        at = datetime.fromtimestamp(int(value), UTC)
        return local(publication.campaign, at, is_end=is_end)
    except (ValueError, OverflowError, OSError):
        return value


def _benefit(field: str, value: str, publication: Publication | None) -> str:
    """With its unit, as it was sent."""
    terms = publication.terms if publication is not None else {}
    kinds = (terms.get("discount_type"), terms.get("discTypeIdx"))
    if not value[:1].isdecimal():
        return value
    if field in PERCENTAGES or "percentage" in kinds or RATE in kinds:
        return _("%(percent)s per cent off") % {"percent": value}
    currency = terms.get("currency") or terms.get("discCurrency") or ""
    return _("%(money)s off") % {"money": f"{currency} {value}".strip()}
