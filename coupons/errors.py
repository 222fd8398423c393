"""Noes with a reason: what a coupon can't do now, in words for its reader."""

from typing import Any

from django.utils.translation import gettext_lazy as _

# reason -> what the customer or the clerk reads
MESSAGES = {
    "invalid": _("This is no coupon of ours. Check the code and try again."),
    "ambiguous": _(
        "Several coupons carry this code. Scan the QR code or type the coupon number."
    ),
    "specimen": _("This is a specimen, to try a campaign with. It is no coupon."),
    "not_started": _("This coupon can't be used yet."),
    "expired": _("This coupon has expired."),
    "already_verified": _("This coupon has been used already."),
    "not_redeemed": _("The customer has to press Redeem on the coupon page first."),
    "not_needed": _("This coupon needs no verification."),
    "revoked": _("This coupon has been withdrawn."),
    "wrong_store": _("This coupon is not taken at this store."),
    "wrong_password": _("That password is not right."),
    "campaign_paused": _("This coupon is not available right now. Try again later."),
    "campaign_ended": _("This offer has ended."),
    "out_of_stock": _("All coupons have been given out."),
    "limit_reached": _("You have already redeemed as many as one person can."),
    "too_many_tries": _("Too many tries. Ask the store's staff to scan the coupon."),
    "too_late": _("It is too late to take this back. Ask a manager."),
    "conflict": _("The coupon is in another state by now. Look again."),
}


class CouponError(Exception):
    """A no with a reason, shown as it is; `facts` are what a screen may add."""

    def __init__(self, code: str, **facts: Any) -> None:
        self.code = code
        self.facts = facts
        super().__init__(code)

    @property
    def message(self) -> str:
        return str(MESSAGES[self.code])


def refusal_for(status: str) -> CouponError:
    """The reason why nothing more can be done with a coupon of this status."""
    reasons = {
        "verified": "already_verified",
        "revoked": "revoked",
        "redeemed": "conflict",
    }
    return CouponError(reasons.get(status, "not_redeemed"))
