"""Uses that a provider's count tells of and nobody has told one by one."""

from collections.abc import Sequence

from django.db.models import Sum

from coupons.retrying import retrying
from sync.models import RemoteCoupon, Use
from sync.pulling.runs import Clock
from sync.uses import known_uses, note_count

__all__ = ["count_uses", "known_uses"]

count_of_one = retrying(note_count)


def count_uses(rows: Sequence[RemoteCoupon], clock: Clock) -> None:
    """Bring what we know of uses in line with what was just read, each by itself.

    By the numbers and not by what was new about them: what a worker that died had read
    and not counted, the next look counts.
    """
    told = {row.pk: row.used for row in rows if row.used and row.publication_id}
    if not told:
        return
    sums = (
        Use.objects.filter(coupon__in=told).values_list("coupon").annotate(Sum("count"))
    )
    known = dict(sums)
    for coupon_id, used in told.items():
        if used > known.get(coupon_id, 0):
            count_of_one(coupon_id, used, clock=clock)
