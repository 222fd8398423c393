"""One coupon in the back office: its use taken back, revoked, another in its place."""

import logging
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.utils import timezone

from campaigns.services import move
from contacts.models import Contact
from coupons.models import ContactUse, Coupon, Event, Verification
from coupons.services import redeem, verify
from deliveries.models import Delivery
from reports.tests.record_helpers import (
    Desk,
    record_url,
    said_in_history,
    signed_in,
    take_back_url,
    url_of,
    words_of,
)
from testing.factories import PASSWORD, TEST, make_coupon, make_user

pytestmark = pytest.mark.django_db

BAD_REASONS = ["", "   ", "a\nb", "a\x00b", "a\x1bb", "\u200b", "x" * 201]


@pytest.fixture
def desk():
    return Desk()


def over(coupon):
    """The coupon, ended a second ago."""
    ended = timezone.now() - timedelta(seconds=1)
    Coupon.objects.filter(pk=coupon.pk).update(ends_at=ended)


def said(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


# --- taking a verification back ----------------------------------------------------------


def test_taking_back_is_asked_with_its_facts(desk):
    coupon = desk.coupon("verified")
    verification = coupon.verifications.get()

    response = desk.client.get(take_back_url(coupon, verification))

    words = words_of(response)
    local = verification.at.astimezone(desk.campaign.zone)
    for fact in ("Spring", coupon.shown_number, "Clover Street", "Aki", "Asia/Tokyo"):
        assert fact in words
    assert f"{local:%Y-%m-%d %H:%M:%S}" in words
    assert Verification.objects.get().undone_at is None


def test_taken_back_it_can_be_used_again_and_the_record_says_who_and_why(desk):
    coupon = desk.coupon("verified")

    response = desk.take_back(coupon, reason="  Wrong coupon  ")

    assert response.status_code == 302
    assert response.url == record_url(coupon)
    verification = Verification.objects.get()
    assert verification.undone_by == desk.manager
    assert verification.undo_reason == "Wrong coupon"
    coupon.refresh_from_db()
    assert coupon.status == "redeemed"
    event = coupon.events.get(kind="undone")
    assert event.request_id == response["X-Request-Id"]
    assert said_in_history() == ["Verification taken back. Reason: Wrong coupon"]


def test_taking_back_pressed_twice_is_told_as_done_twice_and_is_one_step(desk):
    coupon = desk.coupon("verified")
    verification = coupon.verifications.get()

    first = desk.take_back(coupon, verification=verification)
    second = desk.take_back(coupon, verification=verification)

    assert [first.status_code, second.status_code] == [302, 302]
    assert said(second) == said(first) * 2
    assert coupon.events.filter(kind="undone").count() == 1
    assert len(said_in_history()) == 1


def test_an_old_page_says_nothing_of_a_coupon_that_was_taken_again(desk):
    coupon = desk.coupon("verified")
    verification = coupon.verifications.get()
    desk.take_back(coupon, verification=verification)
    verify(coupon.pk, store=verification.store, staff=verification.staff)

    again = desk.take_back(coupon, verification=verification)

    assert again.status_code == 409
    assert Coupon.objects.get(pk=coupon.pk).status == "verified"


def test_what_somebody_else_took_back_is_refused_in_words(desk):
    coupon = desk.coupon("verified")
    verification = coupon.verifications.get()
    desk.take_back(coupon)
    other = signed_in(make_user("Manager"))

    response = desk.take_back(coupon, verification=verification, client=other)

    assert response.status_code == 409
    assert "taken back already" in words_of(response)
    assert coupon.events.filter(kind="undone").count() == 1


def test_a_page_kept_open_does_not_take_a_later_verification_back(desk):
    coupon = desk.coupon("verified")
    old = coupon.verifications.get()
    desk.take_back(coupon)
    verify(coupon.pk, store=desk.store, staff=desk.clerk)

    desk.take_back(coupon, verification=old)

    coupon.refresh_from_db()
    assert coupon.status == "verified"


def test_after_the_end_taking_back_is_refused_with_what_to_do(desk):
    coupon = desk.coupon("verified")
    over(coupon)

    response = desk.take_back(coupon)

    assert response.status_code == 409
    assert "ended on" in words_of(response)
    assert "send this one contact another coupon" in words_of(response)
    assert coupon.verifications.get().undone_at is None


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_taking_back_needs_a_reason_that_can_be_read(desk, reason):
    coupon = desk.coupon("verified")

    response = desk.take_back(coupon, reason=reason)

    assert response.status_code == 400
    assert response.context["form"].errors["reason"]
    assert 'role="alert"' in response.content.decode()
    assert coupon.verifications.get().undone_at is None


def test_another_coupons_verification_is_not_found(desk):
    mine, other = desk.coupon("verified"), desk.coupon("verified")

    response = desk.take_back(mine, verification=other.verifications.get())

    assert response.status_code == 404
    assert not Verification.objects.filter(undone_at__isnull=False).exists()


# --- revoking -----------------------------------------------------------------------------


def test_revoking_a_redeemed_coupon_says_what_it_does_and_does_it(desk):
    contact = desk.contact()
    coupon = desk.coupon("redeemed", contact)

    asked = words_of(desk.client.get(url_of("revoke", coupon)))
    response = desk.revoke(coupon, reason="The printer was out of paper")

    for consequence in (
        "can't be used any more",
        "never given out again",
        "limits get their unit back",
        "can't be undone",
    ):
        assert consequence in asked
    assert response.url == record_url(coupon)
    code = coupon.code
    coupon.refresh_from_db()
    assert coupon.status == "revoked"
    assert coupon.code == code  # burnt: it stays with this coupon
    assert ContactUse.objects.get().used == 0
    event = coupon.events.get(kind="revoked")
    assert (event.actor, event.way) == (desk.manager, "staff")
    assert event.reason == "The printer was out of paper"
    assert event.request_id == response["X-Request-Id"]


def test_a_coupon_whose_serial_nobody_saw_costs_no_stock(desk):
    coupon = desk.coupon("sent")

    asked = words_of(desk.client.get(url_of("revoke", coupon)))

    assert "the stock stays as it is" in asked
    assert "never given out again" not in asked


def test_the_history_holds_the_reason_and_no_secret(desk):
    coupon = desk.coupon("redeemed")

    desk.revoke(coupon, reason="Lost")

    assert said_in_history() == ["Revoked. Reason: Lost"]
    url = record_url(coupon).replace("change", "history")
    page = desk.client.get(url).content.decode()
    assert "Revoked. Reason: Lost" in page
    assert coupon.token not in page
    assert coupon.code not in page


@pytest.mark.parametrize("given", ["not-my-password", "", f" {PASSWORD}", "\x00", "é"])
def test_a_wrong_password_changes_nothing_and_is_never_sent_back(desk, given):
    coupon = desk.coupon("redeemed")

    response = desk.revoke(coupon, password=given, reason="Lost for good")

    assert response.status_code == 400
    assert response.context["form"].errors.keys() == {"password"}
    coupon.refresh_from_db()
    assert coupon.status == "redeemed"
    page = response.content.decode()
    assert "Lost for good" in page  # what else was typed stays
    field = page[page.index('<input type="password"') :].split(">")[0]
    assert "value=" not in field
    assert 'autocomplete="current-password"' in field
    assert said_in_history() == []


def test_the_right_password_is_not_sent_back_either(desk):
    coupon = desk.coupon("redeemed")

    response = desk.revoke(coupon, reason="")

    assert response.status_code == 400
    assert PASSWORD not in response.content.decode()


def test_anothers_password_does_not_revoke(desk):
    other = make_user("Manager")
    other.set_password("another-password")
    other.save()
    coupon = desk.coupon()

    response = desk.revoke(coupon, password="another-password")

    assert response.status_code == 400
    coupon.refresh_from_db()
    assert coupon.status == "sent"


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_revoking_needs_a_reason_that_can_be_read(desk, reason):
    coupon = desk.coupon()

    response = desk.revoke(coupon, reason=reason)

    assert response.status_code == 400
    assert response.context["form"].errors.keys() == {"reason"}
    coupon.refresh_from_db()
    assert coupon.status == "sent"


def test_a_reason_of_two_hundred_characters_is_kept_whole(desk):
    coupon = desk.coupon()

    desk.revoke(coupon, reason="理" * 200)

    assert coupon.events.get(kind="revoked").reason == "理" * 200


@pytest.mark.parametrize("then", ["", "both", "nothing replace"])
def test_a_made_up_choice_revokes_nothing(desk, then):
    coupon = desk.coupon()

    response = desk.revoke(coupon, then=then)

    assert response.status_code == 400
    coupon.refresh_from_db()
    assert coupon.status == "sent"


def test_a_used_coupon_is_not_revoked_and_the_page_says_what_comes_first(desk):
    coupon = desk.coupon("verified")

    response = desk.revoke(coupon)

    assert response.status_code == 409
    assert "Take the verification back first" in words_of(response)
    coupon.refresh_from_db()
    assert coupon.status == "verified"


def test_revoking_pressed_twice_is_told_as_done_twice_and_is_one_step(desk):
    coupon = desk.coupon()

    first, second = desk.revoke(coupon), desk.revoke(coupon)

    assert [first.status_code, second.status_code] == [302, 302]
    assert said(second) == said(first) * 2
    assert coupon.events.filter(kind="revoked").count() == 1
    assert len(said_in_history()) == 1


def test_what_another_manager_revoked_is_refused_in_words(desk):
    coupon = desk.coupon("revoked")

    response = desk.revoke(coupon, client=signed_in(make_user("Manager")))

    assert response.status_code == 409
    assert "revoked already" in words_of(response)


def test_after_revoking_one_can_go_on_to_another_coupon(desk):
    coupon = desk.coupon()

    response = desk.revoke(coupon, then="replace")

    assert response.url == url_of("replace", coupon)
    assert Coupon.objects.count() == 1


# --- another in its place --------------------------------------------------------------------


def test_the_link_is_shown_once_with_a_code_to_scan(desk, settings):
    contact = desk.contact()
    old = desk.coupon("revoked", contact)

    response = desk.replace(old)

    new = Coupon.objects.get(replaces=old)
    link = f"{settings.SITE_URL}/c/{new.token}"
    page = response.content.decode()
    assert response.status_code == 200
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    assert page.count(new.token) == 1
    assert f'value="{link}"' in page
    assert "readonly" in page
    assert 'aria-label="QR code of the coupon' in page
    assert "It is not shown again" in words_of(response)
    assert (new.contact, new.status) == (contact, "sent")
    assert set(new.events.values_list("kind", "way", "actor")) == {
        ("issued", "staff", desk.manager.pk),
        ("sent", "staff", desk.manager.pk),
    }


def test_the_link_that_is_shown_opens_the_new_coupon(desk, client, settings):
    old = desk.coupon("revoked")

    link = desk.replace(old).context["link"]

    page = client.get(link.removeprefix(settings.SITE_URL))
    assert page.status_code == 200
    assert "Spring" in page.content.decode()


def test_the_page_sent_once_more_shows_no_link_and_makes_no_coupon(desk):
    old = desk.coupon("revoked")
    desk.replace(old)
    new = Coupon.objects.get(replaces=old)

    again = desk.replace(old)

    assert again.status_code == 409
    assert Coupon.objects.count() == 2
    assert new.token not in again.content.decode()
    assert new.shown_number in words_of(again)
    assert "has been issued in its place already" in words_of(again)


def test_the_link_is_kept_nowhere(desk, caplog):
    old = desk.coupon("revoked", desk.contact())
    caplog.set_level(logging.DEBUG)

    desk.replace(old)
    token = Coupon.objects.get(replaces=old).token
    pages = [desk.record(coupon) for coupon in Coupon.objects.all()]
    pages += [desk.client.get(url_of("replace", old))]
    pages += [desk.client.get(record_url(old).replace("change", "history"))]

    assert all(token not in page.content.decode() for page in pages)
    assert all(token not in str(session.get_decoded()) for session in sessions())
    assert token not in str(desk.client.cookies)
    assert token not in caplog.text
    assert token not in str(said_in_history())
    assert len(said_in_history()) == 3  # revoked, replaced, issued in place of


def sessions():
    found = list(Session.objects.all())
    assert found
    return found


def test_each_of_the_two_records_names_the_other(desk):
    old = desk.coupon("revoked")
    desk.replace(old)
    new = Coupon.objects.get(replaces=old)

    of_old, of_new = desk.record(old), desk.record(new)

    assert f"Replaced by {new.shown_number}" in words_of(of_old)
    assert record_url(new) in of_old.content.decode()
    assert f"Replaces {old.shown_number}" in words_of(of_new)
    assert record_url(old) in of_new.content.decode()


def test_the_replacement_can_be_redeemed_by_a_contact_at_its_limit(client):
    desk = Desk(limit_per_contact=1)
    contact = desk.contact()
    old = desk.coupon("redeemed", contact)
    desk.revoke(old)

    desk.replace(old)

    new = Coupon.objects.get(replaces=old)
    assert redeem(new.token, source=TEST).code


def test_sent_on_line_the_delivery_carries_that_very_coupon(desk):
    contact = desk.contact()
    old = desk.coupon("revoked", contact)

    response = desk.replace(old, "line")

    new = Coupon.objects.get(replaces=old)
    delivery = Delivery.objects.get()
    assert response.url == record_url(new)
    assert (delivery.coupon, delivery.contact) == (new, contact)
    assert delivery.created_by == desk.manager
    assert new.status == "issued"
    assert new.token not in response.content.decode() + str(said(response))
    page = desk.record(new)
    assert f"/admin/deliveries/delivery/{delivery.pk}/progress/" in (
        page.content.decode()
    )


def test_send_pressed_twice_is_one_coupon_and_one_delivery(desk):
    old = desk.coupon("revoked", desk.contact())

    first, second = desk.replace(old, "line"), desk.replace(old, "line")

    assert first.url == second.url
    assert Coupon.objects.count() == 2
    assert Delivery.objects.count() == 1


def test_who_cannot_be_reached_is_offered_the_link_alone(desk):
    contact = desk.contact(is_reachable=False)
    old = desk.coupon("revoked", contact)

    page = desk.client.get(url_of("replace", old))

    assert 'value="line"' not in page.content.decode()
    assert 'value="link"' in page.content.decode()
    assert "blocked the account on LINE" in words_of(page)


@pytest.mark.parametrize("who", ["nobody", "no account", "blocked", "paused"])
def test_a_message_that_cannot_go_out_issues_nothing(desk, who):
    contact = None if who == "nobody" else desk.contact()
    old = desk.coupon("revoked", contact)
    if who == "no account":
        Contact.objects.update(connection=None, line_user_id=None, external_id="a")
    if who == "blocked":
        Contact.objects.update(is_reachable=False)
    if who == "paused":
        desk.connection.pause("The token is old.")

    response = desk.replace(old, "line")

    assert response.status_code == 409
    assert "Not possible now" in words_of(response)
    assert Coupon.objects.count() == 1
    assert not Event.objects.filter(kind="issued", coupon__replaces__isnull=False)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("way", ["line", "link"])
@pytest.mark.parametrize(
    ("action", "words"), [("pause", "is paused"), ("end", "has ended")]
)
def test_a_campaign_that_does_not_run_gives_out_no_other(desk, way, action, words):
    old = desk.coupon("revoked", desk.contact())
    move(desk.campaign.pk, action)

    response = desk.replace(old, way)

    assert response.status_code == 409
    assert words in words_of(response)
    assert Coupon.objects.count() == 1


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ({"send_ends_at": timedelta(hours=-1)}, "sending period is over"),
        ({"send_starts_at": timedelta(hours=1)}, "has not begun"),
    ],
)
def test_outside_the_sending_period_no_other_is_given_out(desk, period, words):
    old = desk.coupon("revoked")
    for field, away in period.items():
        setattr(desk.campaign, field, timezone.now() + away)
    desk.campaign.save()

    response = desk.replace(old)

    assert response.status_code == 409
    assert words in words_of(response)
    assert "Issue another" not in words_of(desk.record(old))
    assert words in words_of(desk.record(old))
    assert Coupon.objects.count() == 1


@pytest.mark.parametrize("status", ["sent", "redeemed", "verified"])
def test_only_a_revoked_coupon_is_replaced(desk, status):
    coupon = desk.coupon(status)

    response = desk.replace(coupon)

    assert response.status_code == 409
    assert "not revoked" in words_of(response)
    assert Coupon.objects.count() == 1


@pytest.mark.parametrize("way", ["", "post", "link line"])
def test_a_made_up_way_issues_nothing(desk, way):
    old = desk.coupon("revoked")

    assert desk.replace(old, way).status_code == 400
    assert Coupon.objects.count() == 1


def test_a_link_too_long_for_a_symbol_is_shown_as_text(desk, settings):
    settings.SITE_URL = "https://coupons.a-very-long-name-of-a-department-store.example"
    old = desk.coupon("revoked")

    response = desk.replace(old)

    assert response.status_code == 200
    assert response.context["link"].startswith(settings.SITE_URL)
    assert "too long for a QR code" in words_of(response)


def test_an_empty_stock_is_told_before_another_is_issued():
    desk = Desk()
    old = desk.coupon("revoked")
    for _ in range(desk.batch.total):
        make_coupon(desk.campaign, status="redeemed")

    page = desk.client.get(url_of("replace", old))

    assert "All serials are given out" in words_of(page)
