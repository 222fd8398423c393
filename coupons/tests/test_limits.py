"""Limits per contact and in total, and what setting one late has to count."""

import pytest
from django.db import IntegrityError, transaction

from campaigns.errors import CampaignError
from campaigns.models import Campaign, TotalLimit
from coupons.errors import CouponError
from coupons.limiting import count_redeemed, set_total_limit
from coupons.models import ContactUse
from coupons.services import redeem, revoke, undo, verify
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    campaign = make_campaign(limit_per_contact=0)
    make_serials(campaign, 20)
    return campaign


def limit_of(campaign):
    limit = TotalLimit.objects.get(campaign=campaign)
    return limit.used, limit.quota


def refusal_of(coupon):
    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)
    return refusal.value.code


def test_a_first_limit_on_a_running_campaign_counts_what_is_redeemed_already(campaign):
    for _ in range(3):
        make_coupon(campaign, status="redeemed")
    make_coupon(campaign, status="sent")

    set_total_limit(campaign, 4)
    redeem(make_coupon(campaign).token, source=TEST)

    assert limit_of(campaign) == (4, 4)
    assert refusal_of(make_coupon(campaign)) == "limit_reached"


def test_what_is_verified_undone_or_revoked_is_counted_once(campaign):
    clerk = make_user()
    store = make_store(clerk)
    verified, undone, revoked, unused = (
        make_coupon(campaign, status="redeemed") for _ in range(4)
    )
    for coupon in (verified, undone):
        taken = verify(coupon.pk, store=store, staff=clerk)
    undo(taken.pk, by=clerk, reason="slip", is_manager=False)
    revoke(revoked.pk, source=TEST, reason="lost")
    revoke(make_coupon(campaign, status="sent").pk, source=TEST, reason="lost")

    assert count_redeemed(campaign.pk) == 3  # verified, undone, unused
    set_total_limit(campaign, 3)
    revoke(unused.pk, source=TEST, reason="lost")

    assert limit_of(campaign) == (2, 3)


def test_a_limit_below_what_is_redeemed_is_refused_and_changes_nothing(campaign):
    for _ in range(2):
        make_coupon(campaign, status="redeemed")

    with pytest.raises(CampaignError) as refusal:
        set_total_limit(campaign, 1)

    assert refusal.value.code == "limit_too_low"
    assert not TotalLimit.objects.exists()


def test_a_limit_taken_away_and_given_again_counts_what_came_between(campaign):
    set_total_limit(campaign, 5)
    make_coupon(campaign, status="redeemed")
    set_total_limit(campaign, None)
    make_coupon(campaign, status="redeemed")

    set_total_limit(campaign, 5)

    assert limit_of(campaign) == (2, 5)


def test_the_contacts_counter_keeps_the_limit_it_was_held_against(campaign):
    Campaign.objects.filter(pk=campaign.pk).update(limit_per_contact=2)
    contact = make_contact(make_connection())
    for _ in range(2):
        redeem(make_coupon(campaign, contact).token, source=TEST)
    Campaign.objects.filter(pk=campaign.pk).update(limit_per_contact=1)

    assert refusal_of(make_coupon(campaign, contact)) == "limit_reached"
    use = ContactUse.objects.get(contact=contact)
    assert (use.used, use.allowed) == (2, 2)


def test_the_schema_itself_refuses_a_contact_over_its_limit(campaign):
    contact = make_contact(make_connection())
    use = ContactUse.objects.create(
        campaign=campaign, contact=contact, used=1, allowed=1
    )

    with pytest.raises(IntegrityError), transaction.atomic():
        ContactUse.objects.filter(pk=use.pk).update(used=2)
