"""What was paid back of orders with a coupon: to be told where the coupon's use is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from sync.models import Step, Use
from sync.uses import OF_ORDER


@dataclass(frozen=True)
class Refund:
    """Of one order, with the provider's clock; `is_whole` when all of it was paid back."""

    order: str
    at: datetime
    is_whole: bool

    @property
    def words(self) -> str:
        """Which order, and how much of it."""
        order = _("order %(order)s") % {"order": self.order}
        return order if self.is_whole else _("%(order)s, in part") % {"order": order}


def refunds_of(coupon_ids: Iterable[int]) -> dict[int, list[Refund]]:
    """By coupon at a provider, those of its orders that were refunded; none is left out."""
    ids = list(coupon_ids)
    uses = Use.objects.filter(coupon__in=ids, refunded_at__isnull=False)
    return refunds_in(uses.order_by("refunded_at", "pk"))


def refunds_in(uses: Iterable[Use]) -> dict[int, list[Refund]]:
    """The same of uses that are read already."""
    refunded = [use for use in uses if use.refunded_at and use.coupon_id]
    wholes = _wholes(refunded) if refunded else {}
    found: dict[int, list[Refund]] = {}
    for use in refunded:
        if use.coupon_id and use.refunded_at:
            order = use.key.removeprefix(OF_ORDER)
            is_whole = wholes.get((use.coupon_id, order), True)
            refund = Refund(order, use.refunded_at, is_whole)
            found.setdefault(use.coupon_id, []).append(refund)
    return found


def _wholes(uses: Iterable[Use]) -> Mapping[tuple[int, str], bool]:
    """Whether each order was refunded as a whole; the history alone knows."""
    steps = Step.objects.filter(
        coupon__in={use.coupon_id for use in uses}, kind=Step.Kind.REFUNDED
    )
    wholes: dict[tuple[int, str], bool] = {}
    for coupon_id, facts in steps.values_list("coupon_id", "facts"):
        if coupon_id is not None:
            key = (coupon_id, str(facts.get("order", "")))
            wholes[key] = wholes.get(key, False) or bool(facts.get("is_whole"))
    return wholes
