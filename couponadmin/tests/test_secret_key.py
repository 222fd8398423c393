"""A new SECRET_KEY: what it does to pages and people of that moment."""

from uuid import uuid4

import pytest
from django.core.management.utils import get_random_secret_key
from django.test import Client
from django.urls import reverse

from coupons.models import Verification
from coupons.tests.page_helpers import form_token, press, see
from testing.factories import (
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def coupon():
    campaign = make_campaign()
    make_serials(campaign, 1)
    return make_coupon(campaign, status="sent")


def rotate(settings, *, keep_old):
    """As after a restart with the new key, the old one kept behind it or not."""
    old = settings.SECRET_KEY
    settings.SECRET_KEY = get_random_secret_key()
    settings.SECRET_KEY_FALLBACKS = [old] if keep_old else []


def test_with_the_old_key_kept_a_page_open_at_that_moment_still_redeems(
    client, coupon, settings
):
    token = form_token(see(client, coupon))
    rotate(settings, keep_old=True)

    press(client, coupon, token)

    coupon.refresh_from_db()
    assert coupon.status == "redeemed"


def test_without_it_the_page_asks_for_one_more_press_and_redeems_then(
    client, coupon, settings
):
    token = form_token(see(client, coupon))
    rotate(settings, keep_old=False)

    answer = press(client, coupon, token)

    coupon.refresh_from_db()
    assert answer.status_code == 400
    assert "Press Redeem once more" in answer.content.decode()
    assert coupon.status in ("sent", "opened")
    press(client, coupon, form_token(answer))
    coupon.refresh_from_db()
    assert coupon.status == "redeemed"


@pytest.mark.parametrize("keep_old", [True, False])
def test_who_is_signed_in_stays_so_only_with_the_old_key_kept(settings, keep_old):
    till, clerk = Client(), make_user("Store staff")
    make_store(clerk)
    till.force_login(clerk)
    rotate(settings, keep_old=keep_old)

    answer = till.get(reverse("store:home"), follow=True)

    assert (answer.context["user"] == clerk) is keep_old


def test_once_seen_again_they_stay_when_the_old_key_is_dropped(settings):
    till, clerk = Client(), make_user("Store staff")
    make_store(clerk)
    till.force_login(clerk)
    rotate(settings, keep_old=True)
    till.get(reverse("store:home"))
    settings.SECRET_KEY_FALLBACKS = []

    answer = till.get(reverse("store:home"), follow=True)

    assert answer.context["user"] == clerk


@pytest.mark.parametrize("keep_old", [True, False])
def test_a_scan_repeated_across_the_change_takes_the_coupon_once(settings, keep_old):
    till, clerk = Client(), make_user("Store staff")
    store = make_store(clerk)
    campaign = make_campaign(store)
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, status="redeemed")
    till.force_login(clerk)
    form = {"text": coupon.number, "nonce": uuid4()}
    till.post(reverse("store:check", args=[store.pk]), form)
    rotate(settings, keep_old=keep_old)
    till.force_login(clerk)

    again = till.post(reverse("store:check", args=[store.pk]), form, follow=True)

    assert again.status_code == 200
    assert b'data-tone="go"' in again.content
    assert Verification.objects.count() == 1
