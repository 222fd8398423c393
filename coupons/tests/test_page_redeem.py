"""Pressing Redeem on the page, and the script's word that it was opened."""

import logging
from datetime import timedelta

import pytest
from django.core.signing import TimestampSigner, b62_encode
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.services import move
from coupons.models import Attempt, Coupon, Event
from coupons.services import Source, redeem, revoke
from coupons.tests.page_helpers import (
    body,
    form_token,
    press,
    rows,
    see,
    state_of,
    text_of,
    url_of,
)
from coupons.views.page import FORM_SALT
from serials.models import Serial
from testing.factories import TEST, make_campaign, make_coupon, make_serials

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    campaign = make_campaign(name="Summer latte")
    make_serials(campaign, ["LATTE-0001", "LATTE-0002"])
    return campaign


@pytest.fixture
def coupon(campaign):
    return make_coupon(campaign, status="sent")


def kinds(coupon):
    return list(Event.objects.filter(coupon=coupon).values_list("kind", flat=True))


def signed_at(coupon, when):
    """The form token of a page shown at `when`."""

    class Then(TimestampSigner):
        def timestamp(self):
            return b62_encode(int(when.timestamp()))

    signed = Then(salt=FORM_SALT).sign(coupon.token)
    return signed.removeprefix(f"{coupon.token}:")


# --- redeeming -----------------------------------------------------------------------


def test_a_press_leads_back_to_the_page_with_the_serial(client, coupon):
    answer = press(client, coupon)

    assert answer.status_code == 303
    assert answer["Location"] == url_of(coupon)
    assert "LATTE-0001" in text_of(see(client, coupon))
    assert kinds(coupon) == ["issued", "sent", "opened", "redeemed"]


def test_the_event_carries_the_request_and_how(client, coupon):
    answer = press(client, coupon)

    event = Event.objects.get(coupon=coupon, kind="redeemed")
    assert event.way == "page"
    assert event.request_id == answer["X-Request-Id"]
    assert event.actor is None


def test_pressed_twice_with_the_same_form_gets_the_same_serial_once(client, coupon):
    token = form_token(see(client, coupon))
    first = press(client, coupon, token)
    after = rows()

    second = press(client, coupon, token)

    assert first.status_code == second.status_code == 303
    assert rows() == after
    assert "LATTE-0001" in text_of(see(client, coupon))
    assert Serial.objects.filter(state=Serial.State.TAKEN).count() == 1


def test_two_phones_with_one_link_see_the_same_serial(coupon):
    phones = [Client(), Client()]
    tokens = [form_token(see(phone, coupon)) for phone in phones]

    for phone, token in zip(phones, tokens, strict=True):
        press(phone, coupon, token)

    for phone in phones:
        assert "LATTE-0001" in text_of(see(phone, coupon))


def test_a_press_after_a_lost_answer_shows_what_was_given(client, coupon):
    token = form_token(see(client, coupon))
    redeem(coupon.token, source=Source("page"))

    assert press(client, coupon, token).status_code == 303
    assert state_of(see(client, coupon)) == "redeemed"


def test_reloading_the_page_over_and_over_changes_nothing(client, coupon):
    press(client, coupon)
    after = rows()

    pages = {state_of(see(client, coupon)) for _ in range(3)}

    assert pages == {"redeemed"}
    assert rows() == after


def test_a_browser_that_brings_the_press_address_back_lands_on_the_page(client, coupon):
    before = rows()

    answer = client.get(url_of(coupon, "redeem"))

    assert answer.status_code == 303
    assert answer["Location"] == url_of(coupon)
    assert rows() == before


def test_no_cookie_and_no_csrf_token_is_needed(coupon):
    strict = Client(enforce_csrf_checks=True)

    answer = press(strict, coupon)

    assert answer.status_code == 303
    assert not answer.cookies
    assert not strict.cookies


# --- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state"), [("pause", "campaign_paused"), ("end", "campaign_ended")]
)
def test_paused_or_ended_between_page_and_press_is_said_as_an_alert(
    client, campaign, coupon, action, state
):
    token = form_token(see(client, coupon))
    move(campaign.pk, action)

    answer = press(client, coupon, token)

    assert answer.status_code == 409
    assert state_of(answer) == state
    assert '<section class="closed" role="alert">' in body(answer)
    assert Attempt.objects.get(coupon=coupon).reason == state
    assert Serial.objects.filter(state=Serial.State.TAKEN).count() == 0


def test_the_last_serial_gone_between_page_and_press_is_said(client, campaign, coupon):
    token = form_token(see(client, coupon))
    for _ in range(2):
        make_coupon(campaign, status="redeemed")

    answer = press(client, coupon, token)

    assert answer.status_code == 409
    assert state_of(answer) == "out_of_stock"
    assert "All coupons have been given out." in text_of(answer)


def test_expired_between_page_and_press_is_said(client, coupon):
    token = form_token(see(client, coupon))
    Coupon.objects.update(ends_at=timezone.now())

    answer = press(client, coupon, token)

    assert (answer.status_code, state_of(answer)) == (409, "expired")


def test_revoked_between_page_and_press_is_said(client, coupon):
    token = form_token(see(client, coupon))
    revoke(coupon.pk, source=TEST, reason="test")

    answer = press(client, coupon, token)

    assert (answer.status_code, state_of(answer)) == (409, "revoked")


def test_a_refused_press_may_be_repeated_and_works_when_the_reason_is_gone(
    client, campaign, coupon
):
    token = form_token(see(client, coupon))
    move(campaign.pk, "pause")
    for _ in range(3):
        assert press(client, coupon, token).status_code == 409
    move(campaign.pk, "resume")

    assert press(client, coupon, token).status_code == 303
    assert kinds(coupon).count("redeemed") == 1


def test_without_script_the_first_refused_press_tells_that_it_was_opened(
    client, campaign, coupon
):
    token = form_token(see(client, coupon))
    move(campaign.pk, "pause")

    press(client, coupon, token)

    assert kinds(coupon) == ["issued", "sent", "opened"]


# --- who may press -------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "x", "a:b", ":::", "1xUi4p:" + "A" * 43, "é", "\x00", "💥" * 5000]
)
def test_a_press_without_our_form_asks_to_press_again(client, coupon, value):
    before = rows()

    answer = press(client, coupon, value)

    assert answer.status_code == 400
    assert state_of(answer) == "ready"
    assert "Press Redeem once more." in text_of(answer)
    assert rows() == before
    assert press(client, coupon, form_token(answer)).status_code == 303


def test_a_press_without_any_field_asks_to_press_again(client, coupon):
    assert client.post(url_of(coupon, "redeem")).status_code == 400


def test_a_page_open_for_more_than_a_day_asks_to_press_again(client, coupon):
    now = timezone.now()

    answer = press(client, coupon, signed_at(coupon, now - timedelta(hours=24.1)))
    assert answer.status_code == 400
    assert '<p class="notice" role="alert">' in body(answer)

    answer = press(client, coupon, signed_at(coupon, now - timedelta(hours=23.9)))
    assert answer.status_code == 303


def test_a_stale_page_of_a_redeemed_coupon_just_shows_the_serial(client, coupon):
    press(client, coupon)

    answer = press(client, coupon, "stale")

    assert answer.status_code == 400
    assert "LATTE-0001" in text_of(answer)
    assert "once more" not in text_of(answer)


def test_another_coupons_form_token_does_not_count(client, campaign, coupon):
    other = form_token(see(client, make_coupon(campaign)))

    assert press(client, coupon, other).status_code == 400


def test_the_form_token_does_not_repeat_the_link(client, coupon):
    assert coupon.token not in form_token(see(client, coupon))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense", ""])
@pytest.mark.parametrize("name", ["redeem", "opened"])
def test_another_sites_page_may_not_press(client, coupon, name, site):
    token = form_token(see(client, coupon))
    before = rows()

    answer = client.post(
        url_of(coupon, name), {"form_token": token}, headers={"Sec-Fetch-Site": site}
    )

    assert answer.status_code == 403
    assert rows() == before


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_a_reload_may_press(client, coupon, site):
    token = form_token(see(client, coupon))

    answer = press(client, coupon, token, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"form_token=\xff\xfe%ff%00", "application/x-www-form-urlencoded"),
        (b"--x\r\nContent-Disposition: form-data\r\n", "multipart/form-data"),
        (b"--x", "multipart/form-data; boundary=x"),
        (b'{"form_token": "x"}', "application/json"),
        (b"&" * 10_000, "application/x-www-form-urlencoded"),
        (b"a=1&" * 10_000, "application/x-www-form-urlencoded"),
        (b"x" * 3_000_000, "application/x-www-form-urlencoded"),
    ],
)
def test_a_broken_form_is_a_400_with_the_headers(client, coupon, data, content_type):
    before = rows()

    answer = client.post(url_of(coupon, "redeem"), data, content_type=content_type)

    assert answer.status_code == 400
    assert answer["Cache-Control"] == "no-store, private"
    assert rows() == before


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "trace"])
@pytest.mark.parametrize("name", ["page", "redeem", "opened"])
def test_other_methods_are_refused(client, coupon, method, name):
    before = rows()

    answer = getattr(client, method)(url_of(coupon, name))

    assert answer.status_code == 405
    assert rows() == before


# --- opened --------------------------------------------------------------------------


def test_the_beacon_notes_the_first_time_only(client, coupon):
    token = form_token(see(client, coupon))

    answers = [
        client.post(url_of(coupon, "opened"), {"form_token": token}) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert kinds(coupon) == ["issued", "sent", "opened"]
    coupon.refresh_from_db()
    assert coupon.status == "opened"


def test_the_beacon_moves_no_redeemed_coupon_back(client, coupon):
    token = form_token(see(client, coupon))
    press(client, coupon, token)

    client.post(url_of(coupon, "opened"), {"form_token": token})

    coupon.refresh_from_db()
    assert coupon.status == "redeemed"
    assert kinds(coupon).count("opened") == 1


def test_a_beacon_without_our_form_token_changes_nothing(client, coupon):
    before = rows()

    answer = client.post(url_of(coupon, "opened"), {"form_token": "x"})

    assert answer.status_code == 400
    assert rows() == before


def test_the_page_asks_for_a_beacon_until_it_was_opened(client, coupon):
    assert f'"opened": "{url_of(coupon, "opened")}"' in body(see(client, coupon))
    token = form_token(see(client, coupon))

    client.post(url_of(coupon, "opened"), {"form_token": token})

    assert '"opened"' not in body(see(client, coupon))


# --- logs ----------------------------------------------------------------------------


def test_no_log_line_holds_the_token(client, campaign, coupon, caplog):
    caplog.set_level(logging.DEBUG)
    token = form_token(see(client, coupon))
    press(client, coupon, "stale")
    press(client, coupon, token, headers={"Sec-Fetch-Site": "cross-site"})
    client.put(url_of(coupon))
    client.get(f"/c/{coupon.token}x")
    Campaign.objects.update(state="paused")
    press(client, coupon, token)

    lines = [record for record in caplog.records if "django.db" not in record.name]
    assert lines
    for record in lines:
        assert coupon.token not in str(record.__dict__), record.name
