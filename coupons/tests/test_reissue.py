"""Another coupon for whoever held a revoked one, once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.services import move
from coupons.errors import CouponError
from coupons.models import ContactUse, Coupon
from coupons.services import redeem, reissue, revoke
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_serials,
)
from testing.races import ROUNDS, THREADS

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    campaign = make_campaign()
    make_serials(campaign, 5)
    return campaign


def make_revoked(campaign, status="redeemed"):
    contact = make_contact(make_connection())
    coupon = make_coupon(campaign, contact, status=status)
    return revoke(coupon.pk, source=TEST, reason="lost phone")


def refusal_of(coupon):
    with pytest.raises(CouponError) as refusal:
        reissue(coupon.pk, source=TEST)
    return refusal.value.code


def test_the_same_contact_gets_another_coupon_and_may_redeem_again(campaign):
    revoked = make_revoked(campaign)

    coupon = reissue(revoked.pk, source=TEST)
    redeemed = redeem(coupon.token, source=TEST)

    assert coupon.contact == revoked.contact
    assert coupon.replaces == revoked
    assert (coupon.status, coupon.sent_at) == ("issued", None)
    assert redeemed.serial_id != revoked.serial_id
    assert ContactUse.objects.get().used == 1


def test_a_link_that_is_handed_over_counts_as_sent_and_starts_its_clock():
    campaign = make_campaign(
        expiry=Campaign.Expiry.FROM_SENDING, expiry_amount=2, expiry_unit="hours"
    )
    revoked = make_revoked(campaign, status="sent")
    at = timezone.now()

    coupon = reissue(revoked.pk, source=TEST, is_handed_over=True, clock=lambda: at)

    assert (coupon.status, coupon.sent_at) == ("sent", at)
    assert coupon.ends_at == at + timedelta(hours=2)
    assert [event.kind for event in coupon.events.all()] == ["issued", "sent"]


def test_a_coupon_is_replaced_once(campaign):
    revoked = make_revoked(campaign)
    reissue(revoked.pk, source=TEST)

    assert refusal_of(revoked) == "conflict"
    assert Coupon.objects.count() == 2


def test_a_coupon_that_still_holds_is_not_replaced(campaign):
    assert refusal_of(make_coupon(campaign)) == "conflict"


@pytest.mark.parametrize(
    ("action", "code"), [("pause", "campaign_paused"), ("end", "campaign_ended")]
)
def test_a_campaign_that_does_not_run_gives_no_other_coupon(campaign, action, code):
    revoked = make_revoked(campaign)
    move(campaign.pk, action)

    assert refusal_of(revoked) == code


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_replace_a_coupon_once(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        revoked = make_revoked(campaign)

        def press(n, pk=revoked.pk):
            return reissue(pk, source=TEST)

        results = racers.race(press)

        given = [result for result in results if isinstance(result, Coupon)]
        refused = [r.code for r in results if isinstance(r, CouponError)]
        assert len(given) == 1
        assert refused == ["conflict"] * (THREADS - 1)
        assert Coupon.objects.filter(replaces=revoked).count() == 1
