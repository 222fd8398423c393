"""A coupon that is none: a campaign's page with specimen data, in any of its states.

Nothing here is saved or looked up by a scan, so the page can be tried before anybody
gets a coupon. The campaign may be unsaved too: a form that is being filled in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from campaigns.models import Campaign
from coupons.models import Coupon
from coupons.showing import Facts, Place
from coupons.specimens import CODE as CODE
from coupons.specimens import NUMBER
from coupons.views.shown import CouponPage
from serials.models import Batch, Serial

STATES = (
    "not_started",
    "ready",
    "redeemed",
    "verified",
    "expired",
    "campaign_paused",
    "out_of_stock",
    "limit_reached",
    "campaign_ended",
    "revoked",
)
STATUSES = {
    "redeemed": Coupon.Status.REDEEMED,
    "verified": Coupon.Status.VERIFIED,
    "revoked": Coupon.Status.REVOKED,
}
MOMENT = timedelta(minutes=1)


@dataclass(frozen=True)
class Specimen(CouponPage):
    """The page of a specimen: its state is chosen, not found out."""

    chosen: str = "ready"

    def _state_now(self) -> str:
        return self.chosen


def specimen(
    campaign: Campaign,
    state: str,
    *,
    now: datetime,
    language: str,
    texts: Mapping[str, str] | None = None,
    stores: Sequence[Place] = (),
    code: str = CODE,
    is_fixed: bool = False,
) -> Specimen:
    """The campaign's page as a customer sees it in this state, one of STATES.

    The page's clock stands at `now` where that fits the state, else as close to it as
    the campaign's use period allows. `texts` are its texts in `language`; `code` is
    shown as the serial, with `is_fixed` as one that is the same for everyone.
    """
    if state not in STATES:
        raise ValueError(f"{state} is no state of a coupon's page.")
    at = clock_for(campaign, state, now)
    sent = min(at, now) - 10 * MOMENT
    coupon = Coupon(
        campaign=campaign,
        number=NUMBER,
        status=STATUSES.get(state, Coupon.Status.SENT),
        issued_at=sent,
        sent_at=sent,
        ends_at=campaign.use_ends_at,
    )
    if state in ("redeemed", "verified"):
        coupon.redeemed_at = at - MOMENT
        coupon.batch = Batch(code=code)
        coupon.serial = None if is_fixed else Serial(code=code)
    if state == "verified":
        coupon.verified_at = at
    if state == "revoked":
        coupon.revoked_at = at
    coupon.ends_at = end_of(campaign, coupon, at, state)
    facts = Facts(
        texts=texts or {},
        store_name=stores[0].name if stores else "",
        stores=stores,
    )
    return Specimen(coupon, facts, at, language, chosen=state)


def clock_for(campaign: Campaign, state: str, now: datetime) -> datetime:
    starts, ends = campaign.use_starts_at, campaign.use_ends_at
    if state == "not_started":
        return min(now, starts - timedelta(days=1))
    if state == "expired":
        return max(now, ends + MOMENT)
    return now if starts <= now < ends else starts + min(MOMENT, (ends - starts) / 2)


def end_of(campaign: Campaign, coupon: Coupon, at: datetime, state: str) -> datetime:
    """The earliest of the coupon's clocks that run in this state."""
    ends = [campaign.use_ends_at]
    if campaign.expiry == Campaign.Expiry.FROM_SENDING and coupon.sent_at:
        ends.append(coupon.sent_at + campaign.interval)
    if campaign.expiry == Campaign.Expiry.FROM_REDEMPTION and coupon.redeemed_at:
        ends.append(coupon.redeemed_at + campaign.interval)
    earliest = min(ends)
    # An interval of a minute is over for the specimen too: show it running.
    return earliest if earliest > at or state == "expired" else at + campaign.interval
