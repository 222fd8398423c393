"""Rows that contradict each other: the schema refuses, and people get words, no 500."""

import logging
from uuid import uuid4

import pytest
from django.urls import reverse

from coupons.errors import CouponError
from coupons.models import Attempt, Coupon, Verification
from coupons.services import redeem, scan, verify
from coupons.views.page import form_token
from serials.models import Serial
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    campaign = make_campaign()
    make_serials(campaign, ["GIVEN"])
    return campaign


@pytest.fixture
def given_away(campaign):
    """A serial that a coupon has, and that says it is free."""
    make_coupon(campaign, status="redeemed")
    Serial.objects.update(state=Serial.State.FREE, taken_at=None)


@pytest.mark.usefixtures("given_away")
def test_a_serial_that_another_coupon_has_is_never_given_again(campaign, caplog):
    coupon = make_coupon(campaign, status="sent")

    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)

    assert refusal.value.code == "conflict"
    assert Coupon.objects.get(pk=coupon.pk).status == "sent"
    assert Attempt.objects.get().reason == "conflict"
    assert "coupon.backstop" in [
        record.message for record in caplog.records if record.levelno == logging.ERROR
    ]


@pytest.mark.usefixtures("given_away")
def test_the_page_says_so_in_words(client, campaign):
    coupon = make_coupon(campaign, status="sent")

    response = client.post(
        reverse("coupon:redeem", args=[coupon.token]),
        {"form_token": form_token(coupon.token)},
    )

    assert response.status_code == 409
    assert "in another state by now" in response.content.decode()
    assert "GIVEN" not in response.content.decode()


def test_a_coupon_with_a_live_verification_is_not_verified_again(campaign):
    clerk = make_user()
    store = make_store(clerk)
    coupon = make_coupon(campaign, status="redeemed")
    verify(coupon.pk, store=store, staff=clerk)
    Coupon.objects.update(status="redeemed", verified_at=None)

    answer = scan(coupon.number, store=store, staff=clerk, nonce=uuid4())

    assert answer.reason == "already_verified"
    assert Verification.objects.count() == 1
