"""Today's verifications at a store, and taking one back."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from coupons.models import Coupon, Verification
from coupons.services import UNDO_BY_STAFF, verify
from coupons.views.counter import day_of
from stores.models import Store
from testing.factories import (
    instant,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)


@pytest.fixture
def clerk():
    return make_user("Store staff", username="aki", first_name="Aki")


@pytest.fixture
def store(clerk):
    return make_store(clerk, name="Shibuya")


@pytest.fixture
def till(client, clerk, store):
    client.force_login(clerk)
    return client


def make_verified(store, staff, *, at=None) -> Verification:
    """A coupon taken at the store at `at`; now if not said."""
    at = at or timezone.now()
    campaign = make_campaign(use_starts_at=at - timedelta(days=1))
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, status="redeemed", at=at)
    return verify(coupon.pk, store=store, staff=staff, clock=lambda: at)


def made_at(verification: Verification, at) -> None:
    Verification.objects.filter(pk=verification.pk).update(at=at)


# --- today ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "start", "hours"),
    [
        ("Asia/Tokyo", "2026-05-01 14:59", "2026-04-30 15:00", 24),
        ("Asia/Tokyo", "2026-05-01 15:00", "2026-05-01 15:00", 24),
        ("America/Los_Angeles", "2026-05-01 06:59", "2026-04-30 07:00", 24),
        # Clocks go forward at 2:00 here, and at midnight itself there.
        ("Europe/Berlin", "2026-03-29 12:00", "2026-03-28 23:00", 23),
        ("Europe/Berlin", "2026-10-25 12:00", "2026-10-24 22:00", 25),
        ("America/Santiago", "2026-09-06 12:00", "2026-09-06 04:00", 23),
    ],
)
def test_day_runs_from_midnight_to_midnight_in_the_store_zone(zone, now, start, hours):
    starts_at, ends_at = day_of(Store(time_zone=zone), instant(now))

    assert starts_at == instant(start)
    assert ends_at - starts_at == timedelta(hours=hours)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_today_begins_at_the_store_own_midnight(till, store, clerk, zone):
    store.time_zone = zone
    store.save(update_fields=["time_zone"])
    midnight, _ = day_of(store, timezone.now())
    yesterdays = make_verified(store, clerk)
    made_at(yesterdays, midnight - timedelta(microseconds=1))
    todays = make_verified(store, clerk)
    made_at(todays, midnight)

    page = till.get(reverse("store:today", args=[store.pk])).content.decode()

    assert todays.coupon.shown_number in page
    assert yesterdays.coupon.shown_number not in page
    assert "1 today" in page


@pytest.mark.django_db
def test_list_shows_time_number_campaign_and_who_of_this_store_alone(
    till, store, clerk
):
    verification = make_verified(store, clerk)
    elsewhere = make_verified(make_store(clerk), clerk)

    page = till.get(reverse("store:scan", args=[store.pk])).content.decode()

    coupon = verification.coupon
    for fact in (coupon.shown_number, coupon.campaign.name, "Aki"):
        assert fact in page
    assert f"{verification.at.astimezone(store.zone):%H:%M}" in page
    assert elsewhere.coupon.shown_number not in page


@pytest.mark.django_db
def test_long_day_shows_the_latest_ten_and_a_way_to_all(till, store, clerk):
    verifications = [make_verified(store, clerk) for _ in range(11)]
    first = verifications[0].coupon.shown_number

    screen = till.get(reverse("store:scan", args=[store.pk])).content.decode()
    whole = till.get(reverse("store:today", args=[store.pk])).content.decode()

    assert "11 today" in screen
    assert first not in screen
    assert reverse("store:today", args=[store.pk]) in screen
    assert first in whole


@pytest.mark.django_db
def test_screen_asks_the_database_no_more_on_a_long_day(
    till, store, clerk, django_assert_max_num_queries
):
    for _ in range(10):
        make_verified(store, clerk)

    with django_assert_max_num_queries(8):
        till.get(reverse("store:scan", args=[store.pk]))


# --- taking back ------------------------------------------------------------------------


def take_back(till, verification: Verification, reason: str = "Wrong coupon"):
    url = reverse("store:take_back", args=[verification.store_id, verification.pk])
    return till.post(url, {"reason": reason})


@pytest.mark.django_db
def test_own_verification_is_taken_back_with_a_reason(till, store, clerk):
    verification = make_verified(store, clerk)

    response = take_back(till, verification)

    verification.refresh_from_db()
    page = till.get(response.url).content.decode()
    assert verification.undone_by == clerk
    assert verification.undo_reason == "Wrong coupon"
    assert verification.coupon.status == Coupon.Status.REDEEMED
    assert "It can be used again." in page
    assert "0 today" in page
    assert "Taken back at" in page


@pytest.mark.django_db
def test_taking_back_pressed_twice_tells_the_same(till, store, clerk):
    verification = make_verified(store, clerk)

    first, second = take_back(till, verification), take_back(till, verification)

    assert first.url == second.url
    assert verification.coupon.events.filter(kind="undone").count() == 1


@pytest.mark.django_db
def test_an_old_page_says_nothing_of_a_coupon_that_was_taken_again(till, store, clerk):
    verification = make_verified(store, clerk)
    take_back(till, verification)
    verify(verification.coupon_id, store=store, staff=clerk)

    again = take_back(till, verification)

    assert again.status_code == 409
    assert "another state by now" in again.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "reason", ["", "  ", "x" * 201, "a\x00b", "a\u202eb", "\u200b"]
)
def test_taking_back_without_a_readable_reason_changes_nothing(
    till, store, clerk, reason
):
    verification = make_verified(store, clerk)

    response = take_back(till, verification, reason)

    verification.refresh_from_db()
    assert response.status_code == 400
    assert response.context["form"].errors["reason"]
    assert verification.undone_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age", "status"),
    [(timedelta(minutes=9, seconds=50), 302), (UNDO_BY_STAFF, 409)],
)
def test_staff_may_take_back_for_ten_minutes(till, store, clerk, age, status):
    verification = make_verified(store, clerk, at=timezone.now() - age)

    response = take_back(till, verification)

    verification.refresh_from_db()
    assert response.status_code == status
    assert (verification.undone_at is not None) == (status == 302)


@pytest.mark.django_db
def test_after_ten_minutes_it_is_not_offered_and_a_manager_is_named(till, store, clerk):
    verification = make_verified(store, clerk, at=timezone.now() - UNDO_BY_STAFF)
    url = reverse("store:take_back", args=[store.pk, verification.pk])

    screen = till.get(reverse("store:scan", args=[store.pk])).content.decode()
    page = till.get(url).content.decode()

    assert url not in screen
    assert "Ask a manager" in page
    assert '<form method="post" class=' not in page


@pytest.mark.django_db
def test_verification_of_a_colleague_is_not_offered_and_not_taken_back(till, store):
    colleague = make_user("Store staff")
    verification = make_verified(store, colleague)
    url = reverse("store:take_back", args=[store.pk, verification.pk])

    screen = till.get(reverse("store:scan", args=[store.pk])).content.decode()

    assert url not in screen
    assert take_back(till, verification).status_code == 409


@pytest.mark.django_db
def test_verification_of_another_store_is_not_found(till, store, clerk):
    elsewhere = make_verified(make_store(), clerk)
    url = reverse("store:take_back", args=[store.pk, elsewhere.pk])

    assert till.post(url, {"reason": "slip"}).status_code == 404
    assert till.get(url).status_code == 404


@pytest.mark.django_db
def test_looking_at_the_confirmation_changes_nothing(till, store, clerk):
    verification = make_verified(store, clerk)
    url = reverse("store:take_back", args=[store.pk, verification.pk])

    page = till.get(url).content.decode()

    verification.refresh_from_db()
    assert verification.coupon.shown_number in page
    assert verification.undone_at is None
