"""Whether a send may run short: serials, the limit in total, and who is still out."""

from datetime import timedelta

import pytest
from django.utils import timezone

from coupons.limiting import set_total_limit
from coupons.models import Coupon
from coupons.services import Source, revoke
from deliveries.errors import DeliveryError
from deliveries.services import supply_of
from deliveries.tests.test_pages import SEND, filled
from testing.factories import (
    make_campaign,
    make_contacts,
    make_coupon,
    make_fixed_batch,
    make_list,
    make_serials,
    make_user,
)

pytestmark = pytest.mark.django_db


def counts(campaign, **options):
    supply = supply_of(campaign, **options)
    return supply.stock, supply.limit_left, supply.free, supply.out


def test_the_limit_in_total_ends_what_the_serials_would_still_give():
    campaign = make_campaign()
    make_serials(campaign, 10)
    make_coupon(campaign, status="redeemed")
    make_coupon(campaign, status="sent")
    set_total_limit(campaign, 4)

    supply = supply_of(campaign)

    assert counts(campaign) == (9, 3, 3, 1)
    assert supply.is_limit_first
    assert not supply.is_short_for(2)
    assert supply.lacking(5) == 3


def test_a_limit_counts_where_the_serial_has_no_end():
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=None)
    set_total_limit(campaign, 2)

    assert counts(campaign) == (None, 2, 2, 0)
    assert supply_of(campaign).is_short_for(3)


def test_expired_coupons_take_nothing_any_more():
    campaign = make_campaign(
        expiry="from_sending", expiry_amount=1, expiry_unit="hours"
    )
    make_serials(campaign, 3)
    now = timezone.now()
    make_coupon(campaign, status="sent", at=now - timedelta(hours=2))
    make_coupon(campaign, status="sent", at=now)

    assert supply_of(campaign).out == 1
    assert supply_of(campaign, clock=lambda: now + timedelta(hours=2)).out == 0
    assert not supply_of(campaign).is_short_for(2)


def test_revoked_and_redeemed_coupons_are_not_out():
    campaign = make_campaign()
    make_serials(campaign, 5)
    before, after = make_coupon(campaign), make_coupon(campaign, status="redeemed")
    for coupon in (before, after):
        revoke(coupon.pk, source=Source("staff"), reason="a mistake")
    make_coupon(campaign, status="redeemed")

    assert counts(campaign) == (3, None, 3, 0)


def test_what_was_not_looked_at_counts_as_still_out_and_says_so():
    campaign = make_campaign()
    make_serials(campaign, 5)
    for _ in range(4):
        make_coupon(campaign, status="sent")
    newest = Coupon.objects.order_by("-pk").values_list("pk", flat=True)[:2]
    Coupon.objects.filter(pk__in=list(newest)).update(ends_at=timezone.now())

    cut, whole = supply_of(campaign, look_at=2), supply_of(campaign)

    assert (cut.out, cut.is_out_exact) == (2, False)
    assert (whole.out, whole.is_out_exact) == (2, True)
    assert supply_of(campaign, look_at=1).out == 3


def test_a_send_beyond_the_limit_in_total_needs_a_tick_that_names_the_limit(shop):
    make_coupon(shop.campaign, status="sent")
    set_total_limit(shop.campaign, 3)

    shop.start(2, is_short_ok=False)
    with pytest.raises(DeliveryError) as refusal:
        shop.start(3, is_short_ok=False)

    assert refusal.value.code == "short"
    assert "limit in total" in refusal.value.message


def test_the_check_before_sending_shows_stock_and_limit_apart(client, shop):
    client.force_login(make_user("Editor"))
    campaign = make_campaign()
    make_serials(campaign, 40)
    set_total_limit(campaign, 1)
    chosen = make_list(*make_contacts(shop.connection, 2))

    page = client.post(SEND, filled(shop, chosen, campaign=campaign.pk))

    shown = page.content.decode()
    assert "The limit in total may be reached" in shown
    assert "The serials may run short" not in shown
    assert "Left of the limit in total" in shown
