"""A provider says that a coupon was used there: verified once, by no store of ours."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from campaigns.models import Campaign
from coupons.errors import CouponError
from coupons.models import Coupon, Event, Tally, Verification
from coupons.services import revoke, scan, undo, verify, verify_elsewhere
from serials.models import Batch
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db
PADDLE = Verification.Way.PADDLE
THERE = instant("2026-05-01 12:00")


@pytest.fixture
def campaign():
    campaign = make_campaign()
    make_serials(campaign, 5)
    return campaign


@pytest.fixture
def coupon(campaign):
    return make_coupon(campaign, status="redeemed")


def refusal(coupon):
    with pytest.raises(CouponError) as raised:
        verify_elsewhere(coupon.pk, way=PADDLE)
    return raised.value


def test_it_is_verified_by_nobody_and_at_no_store(coupon):
    verification = verify_elsewhere(coupon.pk, way=PADDLE, told_at=THERE)

    coupon.refresh_from_db()
    event = Event.objects.get(kind="verified")
    assert (coupon.status, coupon.verified_at) == ("verified", verification.at)
    assert (verification.store, verification.staff, verification.way) == (
        None,
        None,
        "paddle",
    )
    assert verification.pos_time == THERE
    assert (event.way, event.actor, event.store) == ("paddle", None, None)
    assert sum(Tally.objects.values_list("verified", flat=True)) == 1


def test_a_second_time_it_is_refused_with_the_first(coupon):
    first = verify_elsewhere(coupon.pk, way=PADDLE)

    error = refusal(coupon)

    assert (error.code, error.facts["verification"]) == ("already_verified", first)
    assert Verification.objects.count() == 1


def test_a_store_that_scans_it_afterwards_is_told_that_it_is_used(coupon):
    verification = verify_elsewhere(coupon.pk, way=PADDLE)

    answer = scan(coupon.code, store=make_store(), staff=make_user(), nonce=uuid4())

    assert (answer.reason, answer.verification) == ("already_verified", verification)


def test_what_a_store_has_taken_is_already_verified(coupon):
    mine = verify(coupon.pk, store=make_store(), staff=make_user())

    assert refusal(coupon).facts["verification"] == mine


@pytest.mark.parametrize(
    "changes", [{"state": "paused"}, {"state": "ended"}], ids=["paused", "ended"]
)
def test_a_fact_is_a_fact_after_the_end_and_whatever_the_campaign_does(
    campaign, coupon, changes
):
    Campaign.objects.filter(pk=campaign.pk).update(**changes)
    late = coupon.ends_at + timedelta(days=1)

    verification = verify_elsewhere(coupon.pk, way=PADDLE, clock=lambda: late)

    assert verification.at == late


@pytest.mark.parametrize("status", ["issued", "sent"])
def test_before_it_is_redeemed_there_is_nothing_to_verify(campaign, status):
    assert refusal(make_coupon(campaign, status=status)).code == "not_redeemed"


def test_a_revoked_coupon_stays_revoked(coupon):
    revoke(coupon.pk, source=TEST, reason="lost phone")

    assert refusal(coupon).code == "revoked"
    assert Coupon.objects.get(pk=coupon.pk).status == "revoked"


def test_where_nothing_is_verified_it_is_not_needed(campaign, coupon):
    Campaign.objects.filter(pk=campaign.pk).update(verifying="none")

    assert refusal(coupon).code == "not_needed"


def test_a_coupon_that_is_none_is_invalid():
    with pytest.raises(CouponError) as raised:
        verify_elsewhere(999_999, way=PADDLE)

    assert raised.value.code == "invalid"


def test_a_manager_may_take_it_back(coupon):
    verification = verify_elsewhere(coupon.pk, way=PADDLE)

    undo(verification.pk, by=make_user(), reason="refunded", is_manager=True)

    coupon.refresh_from_db()
    assert coupon.status == Coupon.Status.REDEEMED
    assert sum(Tally.objects.values_list("verified", flat=True)) == 0
    assert Batch.objects.get().voided == 0
    assert timezone.now() >= Verification.objects.get().undone_at
