"""Who is asked about one by one, where there is no list or the list left them out.

That costs a call each, so a run asks about so many and leaves time for publishing: those
first that nobody has asked about for longest. Whom it has chosen stands in its cursor.
"""

from collections.abc import Iterable, Sequence

from django.conf import settings
from django.db.models import F, QuerySet

from sync.models import RemoteCoupon, Run

SHARE = 0.5  # of the calls that are allowed until the next run


def budget(rate: float) -> int:
    """How many single calls one run may make at `rate` a second."""
    return max(1, int(rate * settings.SYNC_EVERY.total_seconds() * SHARE))


def longest_unasked(rows: QuerySet[RemoteCoupon], limit: int) -> list[int]:
    """Primary keys; never asked ones first."""
    never = list(rows.filter(asked_at=None).values_list("pk", flat=True)[:limit])
    left = limit - len(never)
    if left <= 0:
        return never
    asked = rows.filter(asked_at__isnull=False).order_by(F("asked_at").asc())
    return never + list(asked.values_list("pk", flat=True)[:left])


def first_of(kinds: Iterable[QuerySet[RemoteCoupon]], limit: int) -> list[int]:
    """Up to `limit` primary keys: of the first kind as many as there are, and so on."""
    chosen: dict[int, None] = {}
    for rows in kinds:
        if len(chosen) < limit:
            chosen |= dict.fromkeys(longest_unasked(rows, limit))
    return list(chosen)[:limit]


def next_planned(
    run: Run, plan: Sequence[int], after: int, limit: int
) -> list[RemoteCoupon]:
    """The next of the plan that this run has not asked about."""
    rows = RemoteCoupon.objects.filter(
        pk__in=[pk for pk in plan if pk > after], status=RemoteCoupon.Status.LIVE
    ).exclude(asked_at__gte=run.started_at)
    found = rows.select_related("publication__campaign").order_by("pk")
    return list(found.defer("raw", "publication__onsite_password")[:limit])
