"""The store's screen, through Django's test client."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign
from coupons.models import Attempt, Coupon, Event, ScanPace, Verification
from coupons.services import Source, revoke, undo, verify
from testing.factories import (
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
    return make_user("Store staff", username="aki", first_name="Aki")


@pytest.fixture
def store(clerk):
    return make_store(clerk, name="Shibuya")


@pytest.fixture
def till(client, clerk, store):
    """A browser at the store's till, signed in."""
    client.force_login(clerk)
    return client


def make_redeemed(campaign: Campaign | None = None, code: str = "") -> Coupon:
    campaign = campaign or make_campaign(name="Summer latte")
    make_serials(campaign, [code] if code else 1)
    return make_coupon(campaign, status="redeemed")


def check(till: Client, store, text: str, nonce=None, **options):
    nonce = nonce or uuid4()
    url = reverse("store:check", args=[store.pk])
    return till.post(url, {"text": text, "nonce": nonce}, follow=True, **options)


def answered(response) -> tuple[str, str]:
    """The tone and the reason of the answer on the page."""
    found = re.search(
        r'data-tone="(\w+)" data-reason="(\w+)"', response.content.decode()
    )
    assert found, "no answer on the page"
    return found[1], found[2]


def problem_of(response) -> str:
    found = re.search(r'<p class="problem">(.*?)</p>', response.content.decode())
    return found[1] if found else ""


# --- each answer ---------------------------------------------------------------------


def test_redeemed_coupon_gets_green_with_benefit_number_serial_and_time(till, store):
    campaign = make_campaign(
        name="Summer latte", benefit="percentage", benefit_value=20
    )
    coupon = make_redeemed(campaign, "LATTE-0001")

    response = check(till, store, "LATTE-0001")

    verification = Verification.objects.get()
    page = response.content.decode()
    assert answered(response) == ("go", "ok")
    for fact in ("Verified", "20% off", "Summer latte", "LATTE-0001"):
        assert fact in page
    assert coupon.shown_number in page
    assert f"{verification.at.astimezone(store.zone):%H:%M:%S}" in page


@pytest.mark.parametrize("write", [str.lower, str.upper, lambda text: f"  {text} "])
def test_number_is_taken_with_or_without_dashes_in_small_letters(till, store, write):
    coupon = make_redeemed()
    shown = coupon.shown_number

    typed = write(shown if write is str.lower else shown.replace("-", ""))

    assert answered(check(till, store, typed)) == ("go", "ok")


def test_scanned_link_is_taken_and_never_sent_back(till, store, settings):
    coupon = make_redeemed()

    response = check(till, store, f"{settings.SITE_URL}/c/{coupon.token}")

    assert answered(response) == ("go", "ok")
    assert coupon.token not in response.content.decode()
    assert coupon.token not in str(response.redirect_chain)


def test_second_scan_is_amber_with_when_where_and_who(till, store, clerk):
    coupon = make_redeemed()
    check(till, store, coupon.number)

    response = check(till, store, coupon.number)

    page = " ".join(response.content.decode().split())
    at = Verification.objects.get().at.astimezone(store.zone)
    assert answered(response) == ("wait", "already_verified")
    assert f"Used today at {at:%H:%M} at Shibuya by Aki." in page
    assert "just now" in page
    assert Verification.objects.count() == 1


def test_coupon_used_another_day_says_which_day(till, store, clerk):
    earlier = timezone.now() - timedelta(days=3)
    campaign = make_campaign(use_starts_at=earlier - timedelta(days=1))
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, status="redeemed", at=earlier)
    verify(coupon.pk, store=store, staff=clerk, clock=lambda: earlier)

    page = check(till, store, coupon.number).content.decode()

    assert "Used on " in page
    assert "3\xa0days ago" in page


def test_coupon_not_redeemed_yet_is_amber_and_says_what_to_do(till, store):
    coupon = make_coupon(make_campaign(), status="sent")

    response = check(till, store, coupon.number)

    assert answered(response) == ("wait", "not_redeemed")
    assert "press Redeem" in response.content.decode()


def test_expired_coupon_is_red_with_its_end_in_the_store_zone(till, store):
    coupon = make_redeemed()
    ended = timezone.now() - timedelta(minutes=1)
    Coupon.objects.filter(pk=coupon.pk).update(ends_at=ended)

    response = check(till, store, coupon.number)

    assert answered(response) == ("stop", "expired")
    assert f"{ended.astimezone(store.zone):%H:%M} (Asia/Tokyo)" in (
        response.content.decode()
    )


def test_withdrawn_coupon_is_red(till, store):
    coupon = make_redeemed()
    revoke(coupon.pk, source=Source("staff"), reason="stolen")

    assert answered(check(till, store, coupon.number)) == ("stop", "revoked")


def test_coupon_of_another_store_is_red_and_names_where_it_is_taken(till, store):
    campaign = make_campaign(make_store(name="Ueno"))
    coupon = make_redeemed(campaign)

    response = check(till, store, coupon.number)

    assert answered(response) == ("stop", "wrong_store")
    assert "It is taken at: Ueno" in response.content.decode()
    assert not Verification.objects.exists()


def test_unknown_code_is_red(till, store):
    assert answered(check(till, store, "NO-SUCH-CODE")) == ("stop", "invalid")


def test_code_that_several_coupons_carry_is_amber(till, store):
    campaign = make_campaign(limit_per_contact=0)
    make_fixed_batch(campaign, code="FNA@5841")
    for _ in range(2):
        make_coupon(campaign, status="redeemed")

    assert answered(check(till, store, "FNA@5841")) == ("wait", "ambiguous")


def test_campaign_that_needs_no_check_is_shown_with_its_state(till, store):
    coupon = make_redeemed(make_campaign(verifying="none"))

    response = check(till, store, coupon.number)

    assert answered(response) == ("note", "not_needed")
    assert "The coupon is redeemed." in response.content.decode()


@pytest.mark.parametrize(
    ("reason", "tone"),
    [
        ("not_started", "wait"),
        ("campaign_paused", "wait"),
        ("conflict", "wait"),
        ("campaign_ended", "stop"),
        ("limit_reached", "stop"),
    ],
)
def test_kept_answer_of_each_other_reason_has_a_page(till, store, clerk, reason, tone):
    attempt = Attempt.objects.create(
        action="verify",
        reason=reason,
        store=store,
        staff=clerk,
        coupon=make_redeemed(),
        nonce=uuid4(),
        at=timezone.now(),
    )

    response = till.get(reverse("store:answer", args=[store.pk, attempt.nonce]))

    assert answered(response) == (tone, reason)


# --- the same scan again -----------------------------------------------------------------


def test_same_nonce_twice_gets_the_same_green_and_one_verification(till, store):
    coupon = make_redeemed()
    nonce = uuid4()

    first = check(till, store, coupon.number, nonce)
    second = check(till, store, coupon.number, nonce)

    assert answered(first) == answered(second) == ("go", "ok")
    assert first.redirect_chain == second.redirect_chain
    assert Verification.objects.count() == 1
    assert Event.objects.filter(kind="verified").count() == 1
    assert Attempt.objects.filter(action="verify").count() == 1


def test_reload_of_a_green_answer_stays_green_and_writes_nothing(till, store):
    green = check(till, store, make_redeemed().number)
    [(url, _)] = green.redirect_chain

    again = till.get(url)

    assert answered(again) == ("go", "ok")
    assert Attempt.objects.filter(action="verify").count() == 1


def test_same_nonce_with_another_code_is_another_scan(till, store):
    one, other = make_redeemed(), make_redeemed()
    nonce = uuid4()
    check(till, store, one.number, nonce)

    assert answered(check(till, store, other.number, nonce)) == ("go", "ok")
    assert Verification.objects.count() == 2


def test_same_nonce_at_another_store_is_another_scan(till, store, clerk):
    elsewhere = make_store(clerk, name="Ueno")
    coupon = make_redeemed()
    nonce = uuid4()
    check(till, store, coupon.number, nonce)

    response = check(till, elsewhere, coupon.number, nonce)

    assert answered(response) == ("wait", "already_verified")


def test_each_page_has_a_nonce_of_its_own(till, store):
    url = reverse("store:scan", args=[store.pk])

    nonces = {till.get(url).context["nonce"] for _ in range(3)}

    assert len(nonces) == 3


def test_old_green_answer_says_so_and_an_undone_one_is_no_longer_green(
    till, store, clerk
):
    [(url, _)] = check(till, store, make_redeemed().number).redirect_chain
    Attempt.objects.update(at=timezone.now() - timedelta(minutes=5))

    old = till.get(url).content.decode()
    undo(Verification.objects.get().pk, by=clerk, reason="slip", is_manager=False)

    assert "panel go old" in old
    assert "Scan again to check it now." in old
    assert answered(till.get(url)) == ("note", "taken_back")


def test_answer_to_somebody_elses_scan_is_not_found(till, store, client):
    [(url, _)] = check(till, store, make_redeemed().number).redirect_chain
    colleague = make_user("Store staff")
    store.staff.add(colleague)
    client.force_login(colleague)

    assert client.get(url).status_code == 404


# --- what no coupon looks like ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "x" * 301,
        "x" * 1_000_000,
        "AB\x00CD",
        "AB\x07CD",
        "AB\u202eCD",
        "AB\nCD",
    ],
)
def test_text_that_is_no_code_is_a_field_error_and_stores_nothing(till, store, text):
    response = check(till, store, text)

    assert response.status_code == 400
    assert problem_of(response)
    assert not Attempt.objects.exists()


def test_half_of_a_surrogate_pair_is_a_field_error(till, store):
    body = (
        '--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nAB\\ud800\r\n'
        '--b\r\nContent-Disposition: form-data; name="nonce"\r\n\r\n'
        f"{uuid4()}\r\n--b--\r\n"
    )

    response = till.post(
        reverse("store:check", args=[store.pk]),
        body.encode(),
        content_type="multipart/form-data; boundary=b; charset=unicode_escape",
    )

    assert response.status_code == 400


@pytest.mark.parametrize("text", ["שלום", "مرحبا", "𝔘𝔫𝔦", "%s", "'; --", "<b>", "/c/"])
def test_strange_letters_are_an_unknown_code(till, store, text):
    assert answered(check(till, store, text)) == ("stop", "invalid")


@pytest.mark.parametrize("nonce", ["", "x", "0" * 5000])
def test_missing_nonce_asks_for_another_scan(till, store, nonce):
    url = reverse("store:check", args=[store.pk])

    response = till.post(url, {"text": "ABC", "nonce": nonce})

    assert response.status_code == 400
    assert "out of date" in problem_of(response)


def test_scan_of_more_than_the_server_reads_is_refused(till, store):
    url = reverse("store:check", args=[store.pk])

    assert till.post(url, {"text": "x" * 3_000_000}).status_code == 400


# --- too many misses -----------------------------------------------------------------------------


def miss(till, store, times: int):
    for n in range(times):
        response = check(till, store, f"NO-SUCH-{n}")
    return response


def test_after_twenty_misses_in_a_minute_the_next_scan_waits(till, store):
    coupon = make_redeemed()
    assert answered(miss(till, store, 20)) == ("stop", "invalid")

    response = check(till, store, coupon.number)

    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 30
    assert "Wait" in problem_of(response)
    assert not Verification.objects.exists()


def test_pause_ends_after_thirty_seconds(till, store):
    coupon = make_redeemed()
    miss(till, store, 20)
    assert check(till, store, coupon.number).status_code == 429
    ScanPace.objects.update(paused_until=F("paused_until") - timedelta(seconds=31))

    assert answered(check(till, store, coupon.number)) == ("go", "ok")


def test_misses_of_a_colleague_pause_nobody_else(till, store, client):
    miss(till, store, 20)
    colleague = make_user("Store staff")
    store.staff.add(colleague)
    client.force_login(colleague)

    assert answered(check(client, store, make_redeemed().number)) == ("go", "ok")


# --- who may come in ----------------------------------------------------------------------------


ADDRESSES = ["scan", "check", "today"]


@pytest.mark.parametrize("name", ADDRESSES)
def test_store_of_somebody_else_is_not_found(till, name):
    other = make_store(name="Ueno")

    assert till.get(reverse(f"store:{name}", args=[other.pk])).status_code == 404
    assert till.get(f"/store/{10**30}/").status_code == 404


def test_scan_at_somebody_elses_store_is_not_found_and_verifies_nothing(till):
    coupon = make_redeemed()

    assert check(till, make_store(name="Ueno"), coupon.number).status_code == 404
    assert not Verification.objects.exists()


def test_closed_store_is_not_found(till, store):
    store.is_active = False
    store.save(update_fields=["is_active"])

    assert till.get(reverse("store:scan", args=[store.pk])).status_code == 404


@pytest.mark.parametrize("name", ADDRESSES)
def test_signed_out_browser_is_sent_to_sign_in_and_back(client, store, name):
    url = reverse(f"store:{name}", args=[store.pk])

    response = client.get(url)

    assert response.url == f"{reverse('store:sign_in')}?next={url}"


def test_scan_of_a_session_that_ended_asks_to_scan_again(client, store, clerk):
    coupon = make_redeemed()
    response = check(client, store, coupon.number)
    [(sign_in, _)] = response.redirect_chain

    response = client.post(
        sign_in,
        {
            "username": "aki",
            "password": "pw-for-tests-only",
            "next": response.context["next"],
        },
        follow=True,
    )

    assert problem_of(response) == "Nothing was checked. Scan again."
    assert not Verification.objects.exists()


def test_superuser_may_use_every_store(client, store):
    client.force_login(make_user(is_superuser=True, is_staff=True))

    assert client.get(reverse("store:scan", args=[store.pk])).status_code == 200


def test_home_goes_straight_to_the_only_store(till, store):
    response = till.get(reverse("store:home"))

    assert response.url == reverse("store:scan", args=[store.pk])


def test_home_lets_choose_between_several_stores(till, store, clerk):
    make_store(clerk, name="Ueno")
    make_store(name="Not mine")

    page = till.get(reverse("store:home")).content.decode()

    assert "Shibuya" in page
    assert "Ueno" in page
    assert "Not mine" not in page


def test_home_without_a_store_says_whom_to_ask(client):
    client.force_login(make_user("Store staff"))

    page = client.get(reverse("store:home")).content.decode()

    assert "Ask a manager to add you to a store" in page


def test_pages_are_kept_by_nobody_and_load_nothing_from_elsewhere(till, store):
    response = check(till, store, make_redeemed().number)

    page = response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert "'unsafe-inline'" not in response["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page)


# --- signing in and out --------------------------------------------------------------------------


def sign_in(client: Client, **fields: str):
    fields = {"username": "aki", "password": "pw-for-tests-only"} | fields
    return client.post(reverse("store:sign_in"), fields)


def test_clerk_signs_in_for_a_shift(client, clerk, store, settings):
    response = sign_in(client)

    assert response.url == reverse("store:home")
    age = client.session.get_expiry_age()
    assert settings.STORE_SESSION_AGE - 60 < age <= settings.STORE_SESSION_AGE


def test_person_of_the_back_office_keeps_its_shorter_session(client, settings):
    make_user("Editor", username="mina")

    sign_in(client, username="mina")

    assert client.session.get_expiry_age() <= settings.SESSION_COOKIE_AGE


def test_unknown_user_and_wrong_password_read_the_same(client, clerk):
    wrong = sign_in(client, password="wrong")
    unknown = sign_in(client, username="nobody")

    errors = [found.context["form"].non_field_errors() for found in (wrong, unknown)]
    assert errors[0] == errors[1]
    assert errors[0]
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("text", ["a\x00b", "x" * 10_000, "", "\u202e"])
def test_user_name_that_nobody_has_is_a_form_error(client, text):
    assert sign_in(client, username=text).status_code == 200


@pytest.mark.parametrize("field", ["username", "password"])
def test_half_of_a_surrogate_pair_signs_nobody_in(client, clerk, field):
    fields = {"username": "aki", "password": "secret", field: "\\ud800"}
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    )

    response = client.post(
        reverse("store:sign_in"),
        f"{body}--b--\r\n".encode(),
        content_type="multipart/form-data; boundary=b; charset=unicode_escape",
    )

    assert response.status_code == 200
    assert response.context["form"].errors


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]
)
def test_next_of_another_site_is_ignored(client, clerk, target):
    assert sign_in(client, next=target).url == reverse("store:home")


def test_next_of_our_own_is_followed(client, clerk, store):
    url = reverse("store:today", args=[store.pk])

    assert sign_in(client, next=url).url == url


def test_signing_out_needs_a_post(till, store):
    url = reverse("store:sign_out")

    assert till.get(url).status_code == 405
    assert till.post(url).url == reverse("store:sign_in")
    assert till.get(reverse("store:scan", args=[store.pk])).status_code == 302
