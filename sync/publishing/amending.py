"""Putting one coupon right, because a person has decided something about it."""

from collections import Counter
from datetime import datetime

from django.utils.translation import gettext as _

from sync.errors import SyncError
from sync.models import RemoteCoupon
from sync.publishing.settling import count, locked

Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand


def send_again(coupon: RemoteCoupon, at: datetime) -> None:
    """Tell the provider once more what this coupon is to be."""
    _give_errand(coupon, (Status.LIVE,), Errand.UPDATE, at)


def take_back_again(coupon: RemoteCoupon, at: datetime) -> None:
    """Ask once more for what was not done, or was undone there."""
    _give_errand(coupon, (Status.GONE, Status.LIVE), Errand.DELETE, at)


def make_again(coupon: RemoteCoupon, at: datetime) -> None:
    """Make a coupon anew that is not there any more; the publication counts it so."""
    if coupon.missing_since is None:
        raise _busy()
    _move(coupon, Status.WAITING, at, errand=Errand.CREATE, next_try_at=at)
    RemoteCoupon.objects.filter(pk=coupon.pk).update(missing_since=None, asked_at=None)


def give_up(coupon: RemoteCoupon, at: datetime) -> None:
    """Count a coupon as taken back that is not there any more."""
    _move(coupon, Status.GONE, at, gone_at=at)


def _give_errand(
    coupon: RemoteCoupon, was: tuple[Status, ...], errand: Errand, at: datetime
) -> None:
    idle = RemoteCoupon.objects.filter(pk=coupon.pk, errand="", status__in=was)
    given = idle.update(
        errand=errand, next_try_at=at, first_try_at=None, failures=0, detail=""
    )
    if not given:
        raise _busy()


def _move(coupon: RemoteCoupon, to: Status, at: datetime, **changes: object) -> None:
    """Another status, and the publication's numbers with it; locks that row first."""
    publication_id = coupon.publication_id
    locked([publication_id])
    idle = RemoteCoupon.objects.filter(pk=coupon.pk, errand="", status=Status.LIVE)
    moved = idle.update(
        status=to,
        first_try_at=None,
        failures=0,
        detail="",
        is_spent=False,  # a person has decided: it isn't away for being spent
        **changes,
    )
    if not moved:
        raise _busy()
    if publication_id is not None:
        count(publication_id, Counter({(publication_id, Status.LIVE, to): 1}), at=at)


def _busy() -> SyncError:
    return SyncError(
        "not_possible",
        _("Something else is being done about this coupon. Look again in a minute."),
    )
