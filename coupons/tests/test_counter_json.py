"""The till's answer for a program: the same scan, asked for as JSON."""

from uuid import uuid4

import pytest
from django.urls import reverse

from coupons.models import Attempt, Verification
from coupons.services import undo
from testing.factories import (
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk():
    return make_user("Store staff", username="aki", first_name="Aki")


@pytest.fixture
def store(clerk):
    return make_store(clerk, name="Shibuya")


@pytest.fixture
def coupon():
    campaign = make_campaign(name="Summer latte")
    make_serials(campaign, 1)
    return make_coupon(campaign, status="redeemed")


@pytest.fixture
def ask(client, clerk, store):
    client.force_login(clerk)

    def ask(text, nonce=None):
        return client.post(
            reverse("store:check", args=[store.pk]),
            {"text": text, "nonce": nonce or uuid4()},
            headers={"accept": "application/json"},
        )

    return ask


def test_a_scan_answers_status_reason_message_and_coupon(ask, coupon):
    response = ask(coupon.number)

    assert response.status_code == 200
    told = response.json()
    verification = Verification.objects.get()
    assert (told["status"], told["reason"], told["message"]) == ("ok", "ok", "")
    assert told["coupon"]["number"] == coupon.shown_number
    assert told["coupon"]["status"] == "verified"
    assert told["coupon"]["verified_at"] == verification.at.isoformat()
    assert told["verification"]["store"] == "Shibuya"
    assert coupon.token not in response.content.decode()


def test_a_second_scan_tells_time_store_and_staff_of_the_first(ask, coupon):
    ask(coupon.number)

    response = ask(coupon.number)

    told = response.json()
    assert response.status_code == 409
    assert (told["status"], told["reason"]) == ("refused", "already_verified")
    assert told["message"] == "This coupon has been used already."
    first = Verification.objects.get()
    assert told["verification"] == {
        "at": first.at.isoformat(),
        "store": "Shibuya",
        "staff": "Aki",
        "way": "scan",
        "undone_at": None,
    }


def test_the_same_nonce_gets_the_same_answer_again(ask, coupon):
    nonce = uuid4()

    answers = [ask(coupon.number, nonce).json() for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    assert Attempt.objects.count() == 1


def test_a_repeat_of_a_scan_that_was_taken_back_is_not_ok_any_more(ask, clerk, coupon):
    nonce = uuid4()
    ask(coupon.number, nonce)
    taken = Verification.objects.get()
    undo(taken.pk, by=clerk, reason="slip", is_manager=False)

    response = ask(coupon.number, nonce)

    told = response.json()
    assert response.status_code == 409
    assert (told["status"], told["reason"]) == ("refused", "conflict")
    assert "taken back" in told["message"]
    assert told["verification"]["undone_at"]


def test_what_is_no_coupon_and_what_is_no_scan_are_told_apart(ask):
    unknown, empty = ask("NO-SUCH"), ask("")

    assert (unknown.status_code, unknown.json()["reason"]) == (409, "invalid")
    assert unknown.json()["coupon"] is None
    assert empty.status_code == 400
    assert empty.json()["message"] == "Scan a coupon, or type its number."


def test_too_many_guesses_are_told_how_long_to_wait(ask):
    for n in range(20):
        ask(f"NO-SUCH-{n}")

    response = ask("NO-SUCH")

    assert (response.status_code, response.json()["reason"]) == (429, "too_many_tries")
    assert response["Retry-After"] == "30"
