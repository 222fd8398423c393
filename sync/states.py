"""What has become of a coupon at a provider, in a word: its own word, dates and ours.

LINE says RUNNING of what has not started yet, and CLOSED of what has ended as well as
of what somebody discontinued. Source: Messaging API reference, "Get coupon details".
"""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sync.models import RemoteCoupon

Status = RemoteCoupon.Status


class Derived(models.TextChoices):
    """`other` is a state that the provider has invented since."""

    WAITING = "waiting", _("not there yet")
    REFUSED = "refused", pgettext_lazy("publication", "refused")
    UNKNOWN = "unknown", _("unclear: a person has to decide")
    DRAFT = "draft", _("draft")
    UPCOMING = "upcoming", _("upcoming")
    RUNNING = "running", _("running")
    EXPIRED = "expired", _("expired")
    DISCONTINUED = "discontinued", pgettext_lazy("publication", "taken back")
    CLOSED_ELSEWHERE = "closed_elsewhere", _("closed elsewhere")
    MISSING = "missing", _("missing there")
    USED_UP = "used_up", _("used up")
    DOUBTFUL = "doubtful", _("used or deleted there")
    OTHER = "other", _("a state we don't know")


NOT_THERE = {
    Status.WAITING: Derived.WAITING,
    Status.REFUSED: Derived.REFUSED,
    Status.UNKNOWN: Derived.UNKNOWN,
}


def derived_state(coupon: RemoteCoupon, at: datetime) -> Derived:
    """The state at `at`, from what the provider said last and what we did ourselves."""
    if coupon.status == Status.GONE or coupon.gone_at is not None:
        return Derived.DISCONTINUED
    if coupon.status in NOT_THERE:
        return NOT_THERE[Status(coupon.status)]
    if coupon.missing_since is not None:
        return Derived.MISSING
    if coupon.told == "DRAFT":
        return Derived.DRAFT
    is_over = coupon.ends_at is not None and coupon.ends_at <= at
    if coupon.told == "CLOSED":
        return Derived.EXPIRED if is_over else Derived.CLOSED_ELSEWHERE
    if coupon.told in OURS:
        return OURS[coupon.told]
    if coupon.told not in KNOWN:
        return Derived.OTHER
    if is_over:
        return Derived.EXPIRED
    if coupon.starts_at is not None and at < coupon.starts_at:
        return Derived.UPCOMING
    return Derived.RUNNING


# Only LINE has a word for it; "" is: it is there, with the dates it has.
KNOWN = ("", "RUNNING")
# Vivoldi has none either: what its noes mean is put so by whoever looks.
OURS = {"USED": Derived.USED_UP, "REFUSED": Derived.DOUBTFUL}
