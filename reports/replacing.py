"""Another coupon in place of a revoked one, and how it gets to the customer."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from coupons.models import Coupon
from coupons.retrying import retrying
from coupons.services import Source, reissue
from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from deliveries.preparing import Reason
from deliveries.services import (
    check_may_start,
    count_audience,
    no_account,
    send_coupon,
)

NOT_REACHED = {
    Reason.BLOCKED: gettext_lazy("The contact blocked the account on LINE."),
    Reason.NO_LINE_ID: gettext_lazy("No LINE user id of the contact is known."),
    Reason.OTHER_ACCOUNT: gettext_lazy("The contact belongs to another LINE account."),
    Reason.AT_LIMIT: gettext_lazy(
        "The contact has redeemed as often as the campaign allows."
    ),
}


def replacement_of(coupon: Coupon) -> Coupon | None:
    """The coupon that was issued in place of this one."""
    return coupon.replacements.first()


def check_reachable(coupon: Coupon, *, at: datetime) -> None:
    """Refuse a message on LINE to the coupon's contact that could not go out at `at`.

    Raises DeliveryError: no_account, nobody, and those of check_may_start.
    """
    contact = coupon.contact
    if contact is None:
        raise DeliveryError("nobody", _("No contact is named on this coupon."))
    if contact.connection is None:
        raise no_account()
    check_may_start(coupon.campaign, contact.connection, send_at=at)
    count = count_audience(coupon.campaign, contact.connection, contact=contact)
    for reason in count.left_out:
        raise DeliveryError("nobody", str(NOT_REACHED[reason]))


@retrying
@transaction.atomic
def send_another(coupon_id: int, *, source: Source, by: User, at: datetime) -> Delivery:
    """Issue another coupon and send it on LINE: both, or nothing.

    Raises CouponError as reissue does, DeliveryError as check_reachable and send_coupon
    do.
    """
    coupon = reissue(coupon_id, source=source)
    check_reachable(coupon, at=at)
    return send_coupon(coupon, by=by)
