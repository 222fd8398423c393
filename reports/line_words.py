"""What LINE's answer says of a coupon, in words; a value that is new stays LINE's own."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

NO_LIMIT = _("no limit")
WORDS: Mapping[str, Mapping[Any, str | Promise]] = {
    "visibility": {
        "UNLISTED": _("Only who gets the message, or its link"),
        "PUBLIC": _("Everybody: LINE lists it in the account's profile"),
    },
    "acquisitionCondition.type": {
        "normal": _("Everybody who opens it"),
        "lottery": _("Only who wins: people draw for it once"),
        "referral": _("Who brings a friend, and the friend"),
    },
    "acquisitionCondition.maxAcquireCount": {-1: NO_LIMIT},
    "maxUseCountPerTicket": {1: _("Once"), -1: NO_LIMIT},
    "reward.type": {
        "discount": _("Discount"),
        "cashBack": _("Cash back"),
        "free": _("Free"),
        "gift": _("Gift"),
        "others": _("Other"),
    },
    "reward.priceInfo.type": {
        "fixed": _("Amount"),
        "percentage": _("Per cent"),
        "explicit": _("Price before and after"),
    },
}


def value_words(field: str, value: Any) -> str:
    """A value on a line; of a list, its values."""
    if isinstance(value, list):
        return ", ".join(value_words(field, one) for one in value)
    known = WORDS.get(field, {}) if isinstance(value, str | int) else {}
    return str(known.get(value, value))[:1_000]
