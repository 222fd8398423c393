"""Asking for a provider to be told of uses: errands that wait like any other."""

from collections.abc import Collection
from datetime import datetime

from sync.models import RemoteCoupon

Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand


def may_be_told(ids: Collection[int]) -> list[int]:
    """Of these coupons, those that a use can be told of now, locked until the commit.

    What is not there yet, or has another errand first, comes later.
    """
    rows = RemoteCoupon.objects.select_for_update(skip_locked=True).filter(
        pk__in=ids, status=Status.LIVE, errand="", missing_since=None
    )
    return list(rows.order_by("pk").values_list("pk", flat=True))


def put_redeems(ids: Collection[int], *, at: datetime) -> int:
    """Let workers tell the provider of one use of each of these; how many will."""
    idle = RemoteCoupon.objects.filter(pk__in=ids, status=Status.LIVE, errand="")
    return idle.update(
        errand=Errand.REDEEM,
        next_try_at=at,
        leased_until=None,
        first_try_at=None,
        failures=0,
        detail="",
    )
