"""What a person may do with a coupon now, and what to say where it can't be done."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from coupons.errors import CouponError
from coupons.models import Coupon, Verification
from coupons.moments import local
from coupons.services import check_may_send, live_verification

TAKE_BACK = "coupons.change_verification"
CHANGE = "coupons.change_coupon"
REVOCABLE = (*Coupon.BEFORE_REDEEM, Coupon.Status.REDEEMED)
Status = Coupon.Status


@dataclass(frozen=True)
class Refusal:
    """A no in words, and what the person can do about it."""

    words: str
    advice: str = ""


@dataclass(frozen=True)
class Offers:
    """The buttons of a coupon's record; `notes` say why one that is sought is missing."""

    take_back: Verification | None
    may_revoke: bool
    may_replace: bool
    notes: list[Refusal]


def offers_for(
    user: User | AnonymousUser,
    coupon: Coupon,
    *,
    replacement: Coupon | None,
    at: datetime,
) -> Offers:
    """What to offer at `at`; the services decide once more."""
    notes = []
    take_back = None
    may_replace = False
    if coupon.status == Status.VERIFIED and user.has_perm(TAKE_BACK):
        take_back = live_verification(coupon)
        if take_back and (refusal := refusal_to_take_back(coupon, take_back, at=at)):
            take_back = None
            notes.append(refusal)
        elif user.has_perm(CHANGE):
            notes.append(Refusal(_("To revoke it, take the verification back first.")))
    if coupon.status == Status.REVOKED and not replacement and user.has_perm(CHANGE):
        refusal = refusal_to_issue(coupon.campaign, at=at)
        may_replace = refusal is None
        notes += [refusal] if refusal else []
    return Offers(
        take_back=take_back,
        may_revoke=coupon.status in REVOCABLE and user.has_perm(CHANGE),
        may_replace=may_replace,
        notes=notes,
    )


def refusal_to_take_back(
    coupon: Coupon, verification: Verification, *, at: datetime
) -> Refusal | None:
    """Why a manager can't take the verification back at `at`."""
    if verification.undone_at is not None:
        return not_taken_back(CouponError("conflict"), coupon)
    if at >= coupon.ends_at:
        return not_taken_back(CouponError("expired"), coupon)
    return None


def not_taken_back(error: CouponError, coupon: Coupon) -> Refusal:
    if error.code == "expired":
        return Refusal(
            _("This coupon ended on %(when)s, so its verification stays as it is.")
            % {"when": local(coupon.campaign, coupon.ends_at, is_end=True)},
            _("To make good for the customer, send this one contact another coupon."),
        )
    if error.code == "conflict":
        return Refusal(
            _("This verification has been taken back already."),
            _("The record says by whom and why."),
        )
    return Refusal(error.message)


def refusal_to_revoke(coupon: Coupon) -> Refusal | None:
    """Why the coupon can't be revoked as it is."""
    if coupon.status == Status.VERIFIED:
        return not_revoked(CouponError("already_verified"))
    if coupon.status == Status.REVOKED:
        return not_revoked(CouponError("revoked"))
    return None


def not_revoked(error: CouponError) -> Refusal:
    if error.code == "already_verified":
        return Refusal(
            _("This coupon has been used at a store."),
            _("Take the verification back first, on the record. Then revoke it."),
        )
    if error.code == "revoked":
        return Refusal(
            _("This coupon has been revoked already."),
            _("The record says by whom and why. Another one can be issued there."),
        )
    return Refusal(error.message)


def refusal_to_replace(
    coupon: Coupon, replacement: Coupon | None, *, at: datetime
) -> Refusal | None:
    """Why no other coupon can be issued in place of this one at `at`."""
    if coupon.status != Status.REVOKED:
        return Refusal(
            _("This coupon is not revoked."), _("Revoke it first, on its record.")
        )
    if replacement is not None:
        return Refusal(
            _("Another coupon, %(number)s, has been issued in its place already.")
            % {"number": replacement.shown_number},
            _(
                "A link is shown only once. If it never reached the customer, open the "
                "record of %(number)s, revoke that one, and issue another."
            )
            % {"number": replacement.shown_number},
        )
    return refusal_to_issue(coupon.campaign, at=at)


def refusal_to_issue(campaign: Campaign, *, at: datetime) -> Refusal | None:
    """Why the campaign gives out no coupons at `at`."""
    try:
        check_may_send(campaign, at=at)
    except CouponError as error:
        return _not_issued(error, campaign)
    return None


def _not_issued(error: CouponError, campaign: Campaign) -> Refusal:
    if error.code == "campaign_paused":
        return Refusal(
            _("The campaign is paused: no other coupon can be issued."),
            _("Resume it first, on its own page."),
        )
    if campaign.state == Campaign.State.ENDED:
        return Refusal(
            _("The campaign has ended: no other coupon can be issued."),
            _("Send the customer a coupon of another campaign."),
        )
    if error.code == "not_started":
        return Refusal(
            _("The campaign's sending period has not begun."),
            _("Come back once it has, or change the campaign's dates."),
        )
    return Refusal(
        _("The campaign's sending period is over: no other coupon can be issued."),
        _("Change the campaign's dates, or send a coupon of another campaign."),
    )
