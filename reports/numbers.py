"""Numbers for people: sums of tallies and stock rows, never counts of large tables."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Sum

from campaigns.models import Campaign, TotalLimit
from coupons.models import Tally
from serials.models import Batch

STEPS = ("issued", "sent", "opened", "redeemed", "verified", "revoked")


@dataclass(frozen=True)
class Numbers:
    """How far a campaign's coupons have come, and what is left to give out."""

    issued: int = 0
    sent: int = 0
    opened: int = 0
    redeemed: int = 0
    verified: int = 0
    revoked: int = 0
    stock: int = 0  # serials of ready batches, void ones left out
    is_unlimited: bool = False
    limit: int | None = None  # in total
    limit_used: int = 0

    @property
    def is_limit_reached(self) -> bool:
        return self.limit is not None and self.limit_used >= self.limit

    @property
    def left(self) -> int:
        return max(self.stock - self.redeemed, 0)

    @property
    def left_percent(self) -> int:
        return round(100 * self.left / self.stock) if self.stock else 0


def numbers_of(campaign_ids: Iterable[int]) -> dict[int, Numbers]:
    """Numbers by campaign id, in three queries whatever their number."""
    ids = list(campaign_ids)
    tallies = Tally.objects.filter(campaign__in=ids).values_list("campaign")
    sums: dict[int, dict[str, int]] = {
        pk: dict(zip(STEPS, steps, strict=True))
        for pk, *steps in tallies.annotate(*(Sum(step) for step in STEPS))
    }
    stock: dict[int, int] = dict.fromkeys(ids, 0)
    unlimited = set()
    for batch in Batch.objects.filter(
        campaign__in=ids, state=Batch.State.READY
    ).select_related("stock"):
        if not batch.is_fixed:
            stock[batch.campaign_id] += batch.total - batch.voided
        elif hasattr(batch, "stock"):
            stock[batch.campaign_id] += batch.stock.quantity
        else:
            unlimited.add(batch.campaign_id)
    limits = TotalLimit.objects.in_bulk(ids)
    return {
        pk: Numbers(
            **sums.get(pk, {}),
            stock=stock[pk],
            is_unlimited=pk in unlimited,
            limit=limits[pk].quota if pk in limits else None,
            limit_used=limits[pk].used if pk in limits else 0,
        )
        for pk in ids
    }


def numbers_for(campaign: Campaign) -> Numbers:
    return numbers_of([campaign.pk])[campaign.pk]
