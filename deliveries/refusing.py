"""Why a delivery does not send at a moment, asked before every claim."""

from datetime import datetime

from django.utils.translation import gettext as _

from coupons.errors import CouponError
from coupons.services import check_may_send
from deliveries.models import Delivery

# What does not pass: there is nothing left to wait for.
ENDS = frozenset(["campaign_ended", "native_ended"])


def refusal(delivery: Delivery, at: datetime) -> str:
    """Why its campaign, or LINE's own coupon, is not sent at `at`; or ""."""
    try:
        check_may_send(delivery.campaign, at=at)
    except CouponError as error:
        return error.code
    return "native_ended" if delivery.is_native_over(at) else ""


def end_words(code: str = "") -> str:
    """What a delivery says that was stopped for one of ENDS."""
    if code == "native_ended":
        return _("The coupon on LINE ended before it could be sent.")
    return _("The campaign's sending period is over.")
