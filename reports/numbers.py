"""Numbers for people: sums of tallies and stock rows, never counts of large tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Case,
    Count,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    When,
)
from django.db.models.functions import Coalesce

from campaigns.models import Campaign, TotalLimit
from coupons.models import Tally
from serials.models import Batch

STEPS = ("issued", "sent", "opened", "redeemed", "verified", "revoked")
READY, WHOLE = Batch.State.READY, Batch.State.whole()
OVER = (
    Batch.State.VOIDING,
    Batch.State.VOID,
    Batch.State.CANCELLED,
    Batch.State.REFUSED,
)
ONE_TIME, FIXED = ~Q(kind=Batch.Kind.FIXED), Q(kind=Batch.Kind.FIXED)
OF_ONE_TIME = Q(batch__isnull=False) & ~Q(batch__kind=Batch.Kind.FIXED)


# --- a campaign ---------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers:
    """How far a campaign's coupons have come, and what is left to give out."""

    issued: int = 0
    sent: int = 0
    opened: int = 0
    redeemed: int = 0
    verified: int = 0
    revoked: int = 0
    has_serials: bool = False  # whole batches, were they void by now
    stock: int = 0  # serials that were ever to be had, void ones left out
    left: int = 0  # of them
    is_unlimited: bool = False
    limit: int | None = None  # in total
    limit_used: int = 0

    @property
    def is_limit_reached(self) -> bool:
        return self.limit is not None and self.limit_used >= self.limit

    @property
    def limit_left(self) -> int | None:
        """Redemptions that the limit in total still allows; None without one."""
        return None if self.limit is None else max(self.limit - self.limit_used, 0)

    @property
    def free(self) -> int | None:
        """How many more can redeem, stock and limit in total considered; None: no end."""
        ends = [None if self.is_unlimited else self.left, self.limit_left]
        return min((end for end in ends if end is not None), default=None)

    @property
    def is_limit_lower(self) -> bool:
        """Whether the limit in total ends it before the stock does."""
        allowed = self.limit_left
        return allowed is not None and (self.is_unlimited or allowed < self.left)


def numbers_of(campaign_ids: Iterable[int]) -> dict[int, Numbers]:
    """Numbers by campaign id, in three queries whatever their number."""
    ids = list(campaign_ids)
    tallies, stocks = _tallies(ids), _stocks(ids)
    limits = TotalLimit.objects.in_bulk(ids)
    return {
        pk: Numbers(
            **_steps(tallies.get(pk, {})),
            **_supply(stocks.get(pk, {}), tallies.get(pk, {})),
            limit=limits[pk].quota if pk in limits else None,
            limit_used=limits[pk].used if pk in limits else 0,
        )
        for pk in ids
    }


def numbers_for(campaign: Campaign) -> Numbers:
    return numbers_of([campaign.pk])[campaign.pk]


def _tallies(campaign_ids: list[int]) -> dict[int, dict[str, int]]:
    """Sums of steps, and how many serials one-time batches gave out, ready and void."""
    is_ready = Q(batch__state=READY)
    found = Tally.objects.filter(campaign__in=campaign_ids).values_list("campaign")
    sums = found.annotate(
        *(Sum(step) for step in STEPS),
        taken=Sum("redeemed", filter=OF_ONE_TIME & is_ready, default=0),
        taken_before=Sum("redeemed", filter=OF_ONE_TIME & ~is_ready, default=0),
    )
    names = (*STEPS, "taken", "taken_before")
    return {pk: dict(zip(names, numbers, strict=True)) for pk, *numbers in sums}


def _stocks(campaign_ids: list[int]) -> dict[int, dict[str, int]]:
    """What whole batches hold, by campaign."""
    is_ready = Q(state=READY)
    held = F("total") - F("voided")
    units_left = F("stock__quantity") - F("stock__taken")
    sums = {
        "one_time": Sum(held, filter=ONE_TIME & is_ready, default=0),
        "units": Sum("stock__quantity", filter=FIXED, default=0),
        "units_left": Sum(units_left, filter=FIXED & is_ready, default=0),
        "unlimited": Count("pk", filter=FIXED & is_ready & Q(stock=None)),
    }
    found = Batch.objects.filter(campaign__in=campaign_ids, state__in=WHOLE)
    rows = found.values_list("campaign").annotate(**sums)
    return {pk: dict(zip(sums, numbers, strict=True)) for pk, *numbers in rows}


def _steps(tally: dict[str, int]) -> dict[str, Any]:
    return {step: tally.get(step, 0) for step in STEPS}


def _supply(stock: dict[str, int], tally: dict[str, int]) -> dict[str, Any]:
    if not stock:
        return {}
    taken, taken_before = tally.get("taken", 0), tally.get("taken_before", 0)
    return {
        "has_serials": True,
        "stock": stock["one_time"] + taken_before + stock["units"],
        "left": max(stock["one_time"] - taken, 0) + stock["units_left"],
        "is_unlimited": stock["unlimited"] > 0,
    }


# --- a batch ------------------------------------------------------------------------


@dataclass(frozen=True)
class BatchStock:
    """What has become of one batch's serials, or of a fixed text's units."""

    total: int | None  # None: as many as are asked for
    taken: int = 0
    verified: int = 0
    void: int = 0
    is_whole: bool = True
    is_ready: bool = True  # gives something out

    @property
    def is_unlimited(self) -> bool:
        return self.total is None

    @property
    def free(self) -> int:
        """How many can still be given out; 0 for what has no end."""
        return max((self.total or 0) - self.void - self.taken, 0)

    @property
    def has_more(self) -> bool:
        return self.free > 0 or (self.is_ready and self.is_unlimited)


def stocks_of(batches: Iterable[Batch]) -> dict[int, BatchStock]:
    """Stock by batch id, in one query whatever their number.

    The batches come with their `stock` rows.
    """
    found = {batch.pk: batch for batch in batches}
    tallies = Tally.objects.filter(batch__in=found).values_list("batch")
    sums: dict[int, tuple[int, int]] = {
        pk: (redeemed, verified)
        for pk, redeemed, verified in tallies.annotate(Sum("redeemed"), Sum("verified"))
    }
    return {
        pk: _batch_stock(batch, *sums.get(pk, (0, 0))) for pk, batch in found.items()
    }


def stock_of(batch: Batch) -> BatchStock:
    return stocks_of([batch])[batch.pk]


def _batch_stock(batch: Batch, redeemed: int, verified: int) -> BatchStock:
    total: int | None = batch.total
    taken, void = redeemed, batch.voided
    if batch.is_fixed:
        units = getattr(batch, "stock", None)
        # What was made void was taken off the quantity.
        total = units.quantity + void if units else None
        taken = units.taken if units else redeemed
    elif batch.state == Batch.State.VOIDING:
        void = batch.total - taken  # its rows follow
    return BatchStock(
        total=total,
        taken=taken,
        verified=verified,
        void=max(void, 0),
        is_whole=batch.state in WHOLE,
        is_ready=batch.state == READY,
    )


def in_order(batches: QuerySet[Batch]) -> QuerySet[Batch, Any]:
    """Batches of one campaign as they are given out.

    `rank` is 0 for those that have something or will; then come used up ones (1), and
    at the end those that give nothing whatever they have (2).
    """
    tallies = Tally.objects.filter(batch=OuterRef("pk")).values("batch").order_by()
    taken = Coalesce(Subquery(tallies.annotate(n=Sum("redeemed")).values("n")), 0)
    no_unit = FIXED & Q(stock__taken__gte=F("stock__quantity"))
    no_serial = ONE_TIME & Q(total__lte=F("voided") + taken)
    rank = Case(
        When(Q(state__in=OVER), then=2),
        When(Q(state=READY) & (no_unit | no_serial), then=1),
        default=0,
    )
    return batches.annotate(rank=rank).order_by("rank", "position", "pk")
