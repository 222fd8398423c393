"""A coupon in any state of its page, brought there by the services themselves."""

import io
from datetime import timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image, ImageDraw

from campaigns.models import Campaign
from coupons.models import Coupon
from coupons.services import revoke, verify
from coupons.views.specimen import STATES
from stores.models import Store
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_user,
)

DAY = timedelta(days=1)


def make_coupon_in(state: str, store: Store, **fields: Any) -> Coupon:
    """A coupon whose page is in this state, one of `specimen.STATES`.

    `fields` are of its campaign, which is taken at `store` alone.
    """
    now = timezone.now()
    if state == "not_started":
        fields |= {"use_starts_at": now + 3 * DAY, "use_ends_at": now + 33 * DAY}
    if state == "expired":
        fields |= {"use_starts_at": now - 30 * DAY, "use_ends_at": now - DAY}
    if state == "limit_reached":
        fields |= {"limit_per_contact": 1}
    campaign = make_campaign(store, **fields)
    if state != "out_of_stock":
        make_serials(campaign, ["SPRING-2345-ABCD", "SPRING-6789-EFGH"])
    contact = make_contact(make_connection())
    if state == "limit_reached":
        make_coupon(campaign, contact, status="redeemed")
    coupon = make_coupon(
        campaign,
        contact,
        status="redeemed" if state in ("redeemed", "verified") else "sent",
        at=now - 10 * DAY if state == "expired" else None,
    )
    settle(state, coupon, store)
    return coupon


def settle(state: str, coupon: Coupon, store: Store) -> None:
    """What happens to the coupon, or to its campaign, once it is out."""
    campaigns = Campaign.objects.filter(pk=coupon.campaign_id)
    if state == "verified":
        clerk = make_user("Store staff", first_name="Yu-Ting", last_name="Chen")
        verify(coupon.pk, store=store, staff=clerk)
    elif state == "revoked":
        revoke(coupon.pk, source=TEST, reason="Sent by mistake")
    elif state == "campaign_paused":
        campaigns.update(state=Campaign.State.PAUSED)
    elif state == "campaign_ended":
        campaigns.update(state=Campaign.State.ENDED)


# --- one of each, for the gallery --------------------------------------------------------

# As much as a campaign can show.
FULL = {
    "name": "Summer latte",
    "benefit": "percentage",
    "benefit_value": 10,
    "minimum_spend": 500,
    "currency": "JPY",
    "instructions": "Show this page at the counter before you pay.\nOne a visit.",
    "usage_condition": "Not with other offers.",
    "button_label": "To the shop",
    "button_url": "https://shop.example/",
}


def make_one_of_each(store: Store) -> dict[str, str]:
    """The token of a coupon in each state of its page, by the state's name."""
    coupons = {
        state: make_coupon_in(state, store, barcode="code128", **FULL)
        for state in STATES
    }
    store.set_password("umbrella-7")
    for name, fields in {
        "redeemed, QR": {"barcode": "qr"},
        "redeemed, button": {"barcode": "qr", "verifying": "button"},
        "redeemed, password": {"barcode": "none", "verifying": "password"},
    }.items():
        coupons[name] = make_coupon_in("redeemed", store, **FULL, **fields)
    pictured = make_coupon_in("ready", store, **FULL)
    pictured.campaign.image.save("latte.png", ContentFile(picture()))
    coupons["ready, picture"] = pictured
    fixed = make_campaign(store, barcode="code39", **FULL)
    make_fixed_batch(fixed, code="LATTE-10")
    coupons["redeemed, fixed"] = make_coupon(fixed, status="redeemed")
    return {name: coupon.token for name, coupon in coupons.items()}


def make_locked(store: Store) -> str:
    """The token of a redeemed coupon that a password marks as used."""
    fields = FULL | {"barcode": "none", "verifying": "password"}
    return make_coupon_in("redeemed", store, **fields).token


def picture() -> bytes:
    """A picture as a shop might upload: a cup seen from above."""
    drawn = Image.new("RGB", (640, 640), "#E8D5B7")
    pen = ImageDraw.Draw(drawn)
    for radius, colour in ((250, "#FFFFFF"), (215, "#6B3E26"), (120, "#C89B6D")):
        pen.ellipse((320 - radius, 320 - radius, 320 + radius, 320 + radius), colour)
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()


def make_scanned(store: Store) -> dict[str, str]:
    """The number of a coupon for each answer of a scan that is worth a picture."""
    states = {
        "ok": "redeemed",
        "already_verified": "verified",
        "not_redeemed": "ready",
        "expired": "expired",
    }
    return {
        reason: make_coupon_in(state, store, **FULL).number
        for reason, state in states.items()
    } | {"invalid": "NO-SUCH-CODE"}
