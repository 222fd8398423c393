"""Pages of tables too large to count."""

from functools import cached_property
from typing import TYPE_CHECKING

from django.core.paginator import Paginator
from django.db.models import QuerySet

from coupons.models import Coupon

MOST = 10_000  # rows; beyond, a filter or a search finds more than leafing does


if TYPE_CHECKING:  # generic in the stubs alone
    CouponPaginator = Paginator[Coupon]
else:
    CouponPaginator = Paginator


class CappedPaginator(CouponPaginator):
    """Counts no further than `MOST`: counting a million rows takes longer than a page."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return rows.order_by()[:MOST].count()
        return len(rows)
