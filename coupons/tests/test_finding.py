"""What a scanned text finds when its coupon was withdrawn."""

from uuid import uuid4

import pytest

from coupons.services import revoke, scan
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk():
    return make_user("Store staff")


@pytest.fixture
def store(clerk):
    return make_store(clerk)


def make_revoked(campaign):
    coupon = make_coupon(campaign, status="redeemed")
    revoke(coupon.pk, source=TEST, reason="stolen phone")
    return coupon


@pytest.mark.parametrize("is_case_sensitive", [False, True])
def test_the_serial_of_a_revoked_coupon_says_revoked_as_its_number_does(
    store, clerk, is_case_sensitive
):
    campaign = make_campaign(is_case_sensitive=is_case_sensitive)
    make_serials(campaign, ["Abc-1"])
    coupon = make_revoked(campaign)

    for text in ("Abc-1", coupon.number):
        answer = scan(text, store=store, staff=clerk, nonce=uuid4())
        assert (answer.reason, answer.coupon) == ("revoked", coupon)


def test_the_serial_of_a_revoked_coupon_of_another_store_is_wrong_store(store, clerk):
    campaign = make_campaign(make_store())
    make_serials(campaign, ["OTHER-1"])
    make_revoked(campaign)

    answer = scan("OTHER-1", store=store, staff=clerk, nonce=uuid4())

    assert answer.reason == "wrong_store"


def test_a_coupon_that_holds_comes_before_a_revoked_one(store, clerk):
    revoked_in, holds_in = make_campaign(), make_campaign()
    for campaign in (revoked_in, holds_in):
        make_serials(campaign, ["SAME-1"])
    make_revoked(revoked_in)
    coupon = make_coupon(holds_in, status="redeemed")

    answer = scan("SAME-1", store=store, staff=clerk, nonce=uuid4())

    assert (answer.reason, answer.coupon) == ("ok", coupon)


def test_a_revoked_one_here_comes_before_a_revoked_one_elsewhere(store, clerk):
    elsewhere, here = make_campaign(make_store()), make_campaign(store)
    for campaign in (elsewhere, here):
        make_serials(campaign, ["SAME-1"])
    make_revoked(elsewhere)
    coupon = make_revoked(here)

    answer = scan("SAME-1", store=store, staff=clerk, nonce=uuid4())

    assert (answer.reason, answer.coupon) == ("revoked", coupon)


def test_a_fixed_text_doesnt_find_a_revoked_coupon(store, clerk):
    campaign = make_campaign()
    make_fixed_batch(campaign)
    make_revoked(campaign)

    answer = scan("FNA@5841", store=store, staff=clerk, nonce=uuid4())

    assert answer.reason == "invalid"
