"""LINE's own coupon, as far as a delivery has to know it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class NativeCoupon:
    """Its id and name at LINE, and when it can be used; None: not known."""

    coupon_id: str
    title: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
