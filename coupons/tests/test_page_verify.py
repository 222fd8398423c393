"""The store's staff mark a coupon as used on the customer's page: by button, by password."""

import logging
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.services import move, set_own_password
from coupons.errors import CouponError
from coupons.models import (
    Attempt,
    Coupon,
    Event,
    PasswordPace,
    PasswordTries,
    Tally,
    Verification,
)
from coupons.services import revoke, scan, undo, verify
from coupons.tests.page_helpers import (
    body,
    form_token,
    rows,
    see,
    state_of,
    text_of,
    url_of,
)
from coupons.tests.press_helpers import by_button
from coupons.tests.test_page_redeem import signed_at
from reports.ledger import find_breaks
from stores.models import Store
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)
from testing.races import THREADS, outcomes, rounds

pytestmark = pytest.mark.django_db

RIGHT, WRONG = "umbrella-7", "canary-typed-8"


@pytest.fixture
def store():
    store = make_store(name="Shibuya")
    store.set_password(RIGHT)
    return store


def make_used_by(way, *stores, **fields):
    """A redeemed coupon of a campaign that is verified this way."""
    campaign = make_campaign(*stores, verifying=way, **fields)
    make_serials(campaign, ["LATTE-0001", "LATTE-0002"])
    return make_coupon(campaign, status="redeemed")


@pytest.fixture
def buttoned(store):
    return make_used_by("button", store)


@pytest.fixture
def locked(store):
    return make_used_by("password", store)


def fields_of(page):
    """What the form on the page would send, nothing chosen or typed."""
    html = body(page).partition('<form id="use"')[2].partition("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', html))


def send(client, coupon, **changes):
    """Fill in the form of the page as it is now, and press; None leaves a field out."""
    options = {"headers": changes.pop("headers", None)}
    fields = fields_of(see(client, coupon)) | changes
    sent = {name: value for name, value in fields.items() if value is not None}
    return client.post(url_of(coupon, "verify"), sent, **options)


def type_in(client, coupon, password=RIGHT, **changes):
    return send(client, coupon, password=password, **changes)


def has_form(page):
    return '<form id="use"' in body(page)


def reasons(coupon):
    refused = Attempt.objects.filter(coupon=coupon).exclude(reason="ok")
    return list(refused.order_by("pk").values_list("reason", flat=True))


# --- by button -------------------------------------------------------------------------


def test_the_button_is_there_once_redeemed_and_asks_before_it_counts(client, store):
    coupon = make_used_by("button", store)
    waiting = make_coupon(coupon.campaign)

    assert not has_form(see(client, waiting))
    page = see(client, coupon)

    text = text_of(page)
    assert "Staff: mark as used" in text
    assert "Mark it as used? After that it can't be used again." in text
    assert "Store: Shibuya Yes, it is used now" in text
    assert '<details class="redeem"> <summary' in " ".join(body(page).split())
    assert "Store password" not in text


def test_the_button_records_store_and_way_once_and_shows_it_used(client, buttoned):
    answer = send(client, buttoned)

    assert answer.status_code == 303
    assert answer["Location"] == url_of(buttoned)
    page = see(client, buttoned)
    assert state_of(page) == "verified"
    assert "Used Shibuya" in text_of(page)
    verification = Verification.objects.get()
    assert (verification.way, verification.store.name) == ("button", "Shibuya")
    assert verification.staff is None
    event = Event.objects.get(kind="verified")
    assert (event.way, event.store, event.actor) == ("page", verification.store, None)
    assert event.request_id == answer["X-Request-Id"]
    assert event.at == verification.at == Coupon.objects.get().verified_at
    assert sum(Tally.objects.values_list("verified", flat=True)) == 1


def test_a_second_press_on_the_same_page_shows_it_used_and_changes_nothing(
    client, buttoned
):
    fields = fields_of(see(client, buttoned))
    client.post(url_of(buttoned, "verify"), fields)
    after = rows()

    again = client.post(url_of(buttoned, "verify"), fields, follow=True)

    assert state_of(again) == "verified"
    assert "already" not in text_of(again)
    assert rows() == after


def test_another_phone_with_the_same_link_is_told_that_it_was_used_before(
    client, buttoned
):
    other = Client()
    fields = fields_of(see(other, buttoned))
    send(client, buttoned)

    answer = other.post(url_of(buttoned, "verify"), fields)

    assert (answer.status_code, state_of(answer)) == (409, "verified")
    assert "This coupon has been used already." in text_of(answer)
    assert '<section class="closed used" role="alert"' in body(answer)
    assert Verification.objects.count() == 1
    assert reasons(buttoned) == ["already_verified"]


def test_a_page_sent_again_after_it_was_taken_back_does_not_use_it_once_more(
    client, buttoned
):
    fields = fields_of(see(client, buttoned))
    client.post(url_of(buttoned, "verify"), fields)
    boss = make_user("Manager")
    undo(Verification.objects.get().pk, by=boss, reason="slip", is_manager=True)

    answer = client.post(url_of(buttoned, "verify"), fields)

    assert (answer.status_code, state_of(answer)) == (409, "redeemed")
    assert reasons(buttoned) == ["conflict"]
    assert send(client, buttoned).status_code == 303
    assert Verification.objects.filter(undone_at=None).count() == 1


def test_a_press_of_another_coupons_page_is_a_press_of_its_own(client, buttoned):
    other = make_coupon(buttoned.campaign, status="redeemed")
    nonce = uuid4()
    for coupon in (buttoned, other):
        assert send(client, coupon, press=str(nonce)).status_code == 303

    assert Verification.objects.count() == 2


# --- which store -----------------------------------------------------------------------


def options_of(page):
    return re.findall(r'<option value="(\d*)"( selected)?>([^<]*)<', body(page))


def test_several_stores_are_chosen_from_and_none_is_chosen_for_them(client):
    shibuya, ueno = make_store(name="Shibuya"), make_store(name="Ueno")
    make_store(name="Closed", is_active=False)
    coupon = make_used_by("button")

    page = see(client, coupon)

    assert options_of(page) == [
        ("", "", "Choose the store"),
        (str(shibuya.pk), "", "Shibuya"),
        (str(ueno.pk), "", "Ueno"),
    ]
    assert '<label for="store">' in body(page)
    send(client, coupon, store=ueno.pk)
    assert Verification.objects.get().store == ueno


def test_a_campaign_that_names_its_stores_offers_those_alone(client):
    make_store(name="Elsewhere")
    coupon = make_used_by("button", make_store(name="Shibuya"), make_store(name="Ueno"))

    assert [name for _, _, name in options_of(see(client, coupon))] == [
        "Choose the store",
        "Shibuya",
        "Ueno",
    ]


def test_a_chain_of_more_stores_than_are_listed_can_choose_them_all(client):
    stores = Store.objects.bulk_create(Store(name=f"No {n:03}") for n in range(130))
    coupon = make_used_by("button")

    page = see(client, coupon)

    assert len(options_of(page)) == 131
    assert "100 stores" in text_of(page)
    send(client, coupon, store=stores[129].pk)
    assert Verification.objects.get().store.name == "No 129"


@pytest.mark.parametrize("chosen", [None, "", "abc", "0", "-1", "9" * 30, "1; DROP"])
@pytest.mark.parametrize("way", ["button", "password"])
def test_without_a_store_it_is_asked_for_and_no_try_is_spent(
    client, store, chosen, way
):
    make_store(name="Ueno").set_password(RIGHT)
    coupon = make_used_by(way)
    typed = {"password": WRONG} if way == "password" else {}
    before = rows()

    page = send(client, coupon, store=chosen, **typed)

    assert page.status_code == 400
    assert "Choose the store." in text_of(page)
    assert '<select id="store" name="store" required aria-invalid="true"' in body(page)
    assert rows() == before
    assert not PasswordTries.objects.exists()


def test_a_store_that_does_not_take_it_is_refused_and_the_others_stay_offered(
    client, store
):
    make_store(name="Ueno").set_password(RIGHT)
    elsewhere = make_store(name="Elsewhere")
    elsewhere.set_password(RIGHT)
    coupon = make_used_by("password", *Store.objects.exclude(pk=elsewhere.pk))

    page = type_in(client, coupon, store=elsewhere.pk)

    assert page.status_code == 409
    assert "This coupon is not taken at this store." in text_of(page)
    assert reasons(coupon) == ["wrong_store"]
    assert Attempt.objects.get().store == elsewhere
    assert not PasswordTries.objects.exists()
    assert has_form(page)


@pytest.mark.parametrize("closed", [True, False])
def test_a_store_that_closed_or_never_was_is_refused(client, buttoned, store, closed):
    fields = fields_of(see(client, buttoned))
    if closed:
        Store.objects.update(is_active=False)
    else:
        fields["store"] = "999999"

    page = client.post(url_of(buttoned, "verify"), fields)

    assert page.status_code == 409
    assert reasons(buttoned) == ["wrong_store"]
    assert Attempt.objects.get().store == (store if closed else None)
    assert not Verification.objects.exists()


# --- by password -----------------------------------------------------------------------


@pytest.mark.parametrize("way", ["password", "password_scan"])
def test_the_right_password_verifies_and_shows_it_used(client, store, way):
    coupon = make_used_by(way, store)

    answer = type_in(client, coupon)

    assert answer.status_code == 303
    page = see(client, coupon)
    assert state_of(page) == "verified"
    assert "Used Shibuya" in text_of(page)
    verification = Verification.objects.get()
    assert (verification.way, verification.store) == ("password", store)
    assert verification.staff is None
    assert reasons(coupon) == []
    assert PasswordPace.objects.get().wrong == 0


def test_the_password_is_asked_for_after_the_store_and_never_kept_by_the_browser(
    client, locked
):
    make_store().set_password(RIGHT)
    locked.campaign.stores.clear()

    html = body(see(client, locked))

    assert 0 < html.index('<select id="store"') < html.index('<input id="password"')
    field = re.search(r'<input id="password"[^>]*>', html)[0]
    for said in (
        'type="password"',
        'autocomplete="off"',
        'autocapitalize="none"',
        'maxlength="128"',
        "required",
    ):
        assert said in field
    assert "value" not in field
    assert '<label for="password">' in html
    assert "autofocus" not in html


def test_a_wrong_password_is_told_in_place_with_the_tries_that_are_left(client, locked):
    page = type_in(client, locked, WRONG)

    assert (page.status_code, state_of(page)) == (409, "redeemed")
    assert "Wrong password. 4 tries left." in text_of(page)
    html = body(page)
    assert '<p id="use-problem" class="problem" role="alert">' in html
    field = re.search(r'<input id="password"[^>]*>', html)[0]
    assert 'aria-invalid="true" aria-describedby="use-problem" autofocus' in field
    assert WRONG not in html
    assert reasons(locked) == ["wrong_password"]
    attempt = Attempt.objects.get()
    assert (attempt.store.name, attempt.nonce, attempt.digest) == ("Shibuya", None, "")


def test_the_store_that_was_chosen_stays_chosen_after_a_wrong_password(client, store):
    ueno = make_store(name="Ueno")
    ueno.set_password("another-one")
    coupon = make_used_by("password")

    page = type_in(client, coupon, RIGHT, store=ueno.pk)

    assert (str(ueno.pk), " selected", "Ueno") in options_of(page)


def test_after_five_wrong_ones_the_staff_are_asked_to_scan_and_the_scan_works(
    client, locked, store
):
    old = fields_of(see(client, locked)) | {"password": RIGHT}
    pages = [type_in(client, locked, WRONG) for _ in range(5)]

    late = client.post(url_of(locked, "verify"), old)

    assert "1 try left" in text_of(pages[3])
    assert "Wrong password. Too many tries. Ask the store's staff" in text_of(pages[4])
    assert late.status_code == 429
    for page in (pages[4], late, see(client, locked)):
        assert not has_form(page)
        assert "Ask the store's staff to scan the coupon." in text_of(page)
        assert "The password can be typed again from" in text_of(page)
    assert 'role="alert" tabindex="-1" autofocus' in body(late)
    assert reasons(locked) == ["wrong_password"] * 5 + ["too_many_tries"]
    clerk = make_user()
    assert scan(locked.number, store=store, staff=clerk, nonce=uuid4()).is_ok


def test_after_a_rest_the_form_is_back_and_after_ten_it_never_is(client, locked):
    now = timezone.now()
    PasswordTries.objects.create(
        coupon=locked, ever=5, lately=5, last_at=now - timedelta(minutes=15)
    )
    assert has_form(see(client, locked))
    PasswordTries.objects.update(ever=10, last_at=now - timedelta(days=9))

    page = see(client, locked)

    assert not has_form(page)
    assert "typed again" not in text_of(page)


def test_a_password_paused_for_the_day_sends_the_staff_to_the_scanner(
    client, locked, store
):
    type_in(client, locked, WRONG)
    PasswordPace.objects.update(wrong=200)

    page = type_in(client, locked)

    assert page.status_code == 429
    assert "Until tomorrow the staff of this store scan the coupon." in text_of(page)
    assert reasons(locked) == ["wrong_password", "too_many_tries"]
    assert scan(locked.number, store=store, staff=make_user(), nonce=uuid4()).is_ok


def test_stores_without_a_password_are_left_out(client, store):
    bare = make_store(name="Bare")
    coupon = make_used_by("password")

    page = see(client, coupon)

    assert fields_of(page)["store"] == str(store.pk)
    assert options_of(page) == []
    refused = type_in(client, coupon, store=bare.pk)
    assert refused.status_code == 409
    assert "This store has no password. Its staff scan the coupon." in text_of(refused)
    assert reasons(coupon) == ["conflict"]


def test_where_no_store_has_one_the_staff_scan(client):
    coupon = make_used_by("password", make_store())

    page = see(client, coupon)

    assert not has_form(page)
    assert "Ask the staff to scan this coupon." in text_of(page)


def test_the_campaigns_own_password_counts_at_every_store_and_the_stores_does_not(
    client, store
):
    bare = make_store(name="Bare")
    coupon = make_used_by("password")
    set_own_password(coupon.campaign, "its-own-1")

    assert len(options_of(see(client, coupon))) == 3
    assert type_in(client, coupon, RIGHT, store=store.pk).status_code == 409
    assert type_in(client, coupon, "its-own-1", store=bare.pk).status_code == 303
    assert Verification.objects.get().store == bare


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ("", 400),
        (" ", 400),
        ("x" * 129, 400),
        ("a\x00b", 400),
        ("umbrella\x07", 400),
        ("umbrella\u202e", 400),
        ("💥" * 60, 409),
        ("ｕｍｂｒｅｌｌａ－７", 303),
        (f"  {RIGHT} ", 303),
        (RIGHT.upper(), 409),
    ],
    ids=range(10),
)
def test_whatever_is_typed_gets_an_answer(client, locked, typed, status):
    page = type_in(client, locked, typed)

    assert page.status_code == status
    if status == 400:
        assert 'aria-invalid="true" aria-describedby="use-problem"' in body(page)
        assert not Attempt.objects.exists()
        assert not PasswordTries.objects.exists()


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"%ed%a0%80", b"%00", b"a%0d%0aSet-X:y"])
def test_bytes_that_are_no_text_are_no_server_error(client, locked, raw):
    fields = fields_of(see(client, locked))
    sent = "&".join(f"{name}={value}" for name, value in fields.items()).encode()

    page = client.post(
        url_of(locked, "verify"),
        sent + b"&password=" + raw,
        content_type="application/x-www-form-urlencoded",
    )

    assert page.status_code in (400, 409)
    assert not Verification.objects.exists()


# --- when it can't be ------------------------------------------------------------------


@pytest.mark.parametrize("action", ["pause", "end"])
@pytest.mark.parametrize("way", ["button", "password"])
def test_what_is_redeemed_is_verified_while_the_campaign_is_paused_or_over(
    client, store, action, way
):
    coupon = make_used_by(way, store)
    move(coupon.campaign_id, action)

    answer = send(client, coupon, **({"password": RIGHT} if way == "password" else {}))

    assert answer.status_code == 303
    assert Verification.objects.get().way == way


@pytest.mark.parametrize("way", ["button", "password"])
@pytest.mark.parametrize(
    ("happens", "reason"), [("expires", "expired"), ("is revoked", "revoked")]
)
def test_what_ended_meanwhile_is_refused_with_its_reason_and_no_try_is_spent(
    client, store, way, happens, reason
):
    coupon = make_used_by(way, store)
    fields = fields_of(see(client, coupon))
    if happens == "expires":
        Coupon.objects.update(ends_at=timezone.now())
    else:
        revoke(coupon.pk, source=TEST, reason="test")
    if way == "password":
        fields["password"] = WRONG

    page = client.post(url_of(coupon, "verify"), fields)

    assert (page.status_code, state_of(page)) == (409, reason)
    assert '<section class="closed" role="alert">' in body(page)
    assert reasons(coupon) == [reason]
    assert not PasswordTries.objects.exists()


def test_before_redeem_it_is_refused_and_says_what_comes_first(client, buttoned):
    fields = fields_of(see(client, buttoned))
    waiting = make_coupon(buttoned.campaign, status="sent")
    fields["form_token"] = form_token(see(client, waiting))

    page = client.post(url_of(waiting, "verify"), fields)

    assert (page.status_code, state_of(page)) == (409, "ready")
    assert "The customer has to press Redeem" in text_of(page)
    assert reasons(waiting) == ["not_redeemed"]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("scan", "conflict"),
        ("none", "not_needed"),
        ("password", "conflict"),
        ("password_scan", "conflict"),
    ],
)
def test_a_press_that_the_campaign_does_not_ask_for_is_refused_with_a_reason(
    client, buttoned, way, reason
):
    fields = fields_of(see(client, buttoned))
    buttoned.campaign.verifying = way
    buttoned.campaign.save()

    page = client.post(url_of(buttoned, "verify"), fields)

    assert (page.status_code, state_of(page)) == (409, "redeemed")
    assert 'role="alert"' in body(page)
    assert reasons(buttoned) == [reason]
    assert not Verification.objects.exists()


def test_a_password_that_the_campaign_does_not_ask_for_is_not_looked_at(
    client, locked, store
):
    fields = fields_of(see(client, locked)) | {"password": RIGHT}
    locked.campaign.verifying = "scan"
    locked.campaign.save()

    page = client.post(url_of(locked, "verify"), fields)

    assert page.status_code == 409
    assert reasons(locked) == ["conflict"]
    assert not PasswordTries.objects.exists()
    assert not has_form(see(client, locked))


def test_a_coupon_that_a_clerk_scanned_meanwhile_is_told_as_used_before(
    client, locked, store
):
    fields = fields_of(see(client, locked)) | {"password": RIGHT}
    verify(locked.pk, store=store, staff=make_user())

    page = client.post(url_of(locked, "verify"), fields)

    assert (page.status_code, state_of(page)) == (409, "verified")
    assert "This coupon has been used already." in text_of(page)
    assert reasons(locked) == ["already_verified"]


# --- who may press ---------------------------------------------------------------------


def test_a_get_leads_to_the_page_and_changes_nothing(client, buttoned):
    before = rows()

    answer = client.get(url_of(buttoned, "verify") + "?lang=ja")

    assert answer.status_code == 303
    assert answer["Location"] == url_of(buttoned) + "?lang=ja"
    assert rows() == before


def test_no_cookie_and_no_csrf_token_is_needed(locked):
    strict = Client(enforce_csrf_checks=True)

    answer = type_in(strict, locked)

    assert answer.status_code == 303
    assert not answer.cookies
    assert not strict.cookies


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_another_sites_page_may_not_press(client, buttoned, site):
    before = rows()

    answer = send(client, buttoned, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == 403
    assert rows() == before


@pytest.mark.parametrize("token", ["", "x", None, "stale"])
def test_without_our_form_nothing_is_looked_at_and_the_store_stays_chosen(
    client, store, token
):
    ueno = make_store(name="Ueno")
    ueno.set_password(RIGHT)
    coupon = make_used_by("password")
    if token == "stale":
        token = signed_at(coupon, timezone.now() - timedelta(hours=24.1))
    before = rows()

    page = type_in(client, coupon, store=ueno.pk, form_token=token)

    assert page.status_code == 400
    assert "This page was open for very long. Try once more." in text_of(page)
    assert (str(ueno.pk), " selected", "Ueno") in options_of(page)
    assert rows() == before
    assert type_in(client, coupon, store=ueno.pk).status_code == 303


@pytest.mark.parametrize("nonce", [None, "", "x", "\x00", "1" * 500])
def test_a_press_without_its_page_is_asked_for_once_more(client, buttoned, nonce):
    page = send(client, buttoned, press=nonce)

    assert page.status_code == 400
    assert not Verification.objects.exists()


def test_a_press_on_no_coupon_gets_the_answer_of_every_unknown_one(client, buttoned):
    fields = fields_of(see(client, buttoned))
    unknown = client.get("/c/" + "x" * 24)
    nothing: dict[str, str] = {}

    for sent in (nothing, fields, fields | {"password": RIGHT}):
        answer = client.post("/c/" + "x" * 24 + "/verify", sent)
        assert answer.status_code == 404
        assert answer.content == unknown.content


@pytest.mark.parametrize("way", ["button", "password"])
def test_a_get_takes_two_statements_whatever_was_tried_and_however_many_stores(
    client, store, way
):
    Store.objects.bulk_create(Store(name=f"No {n:03}") for n in range(30))
    coupon = make_used_by(way)
    for lately in (0, 4, 5):
        PasswordTries.objects.update_or_create(
            coupon=coupon,
            defaults={"ever": 5, "lately": lately, "last_at": timezone.now()},
        )
        with CaptureQueriesContext(connection) as queries:
            see(client, coupon)
        assert len(queries) == 2


def test_no_log_line_holds_the_password_or_the_token(client, locked, caplog):
    caplog.set_level(logging.DEBUG)
    for _ in range(6):
        type_in(client, locked, WRONG)
    type_in(client, locked, WRONG, form_token="")
    type_in(client, locked, WRONG, headers={"Sec-Fetch-Site": "cross-site"})

    lines = [record for record in caplog.records if "django.db" not in record.name]
    assert "verify.refused" in [record.msg for record in lines]
    for record in lines:
        assert WRONG not in str(record.__dict__)
        assert locked.token not in str(record.__dict__)


# --- taking back -----------------------------------------------------------------------


@pytest.mark.parametrize("way", ["button", "password"])
def test_managers_take_it_back_and_store_staff_do_not(client, store, way):
    coupon = make_used_by(way, store)
    send(client, coupon, **({"password": RIGHT} if way == "password" else {}))
    verification = Verification.objects.get()

    with pytest.raises(CouponError) as refusal:
        undo(verification.pk, by=make_user(), reason="slip", is_manager=False)
    undo(verification.pk, by=make_user("Manager"), reason="slip", is_manager=True)

    assert refusal.value.code == "too_late"
    assert state_of(see(client, coupon)) == "redeemed"
    assert has_form(see(client, coupon))


def test_the_ledger_adds_up_after_presses_of_both_ways(client, store):
    for way in ("button", "password"):
        typed = {"password": RIGHT} if way == "password" else {}
        kept, undone = (make_used_by(way, store) for _ in range(2))
        for coupon in (kept, undone):
            send(client, coupon, **typed)
            send(client, coupon, press=str(uuid4()), store=store.pk, **typed)
        last = Verification.objects.get(coupon=undone)
        undo(last.pk, by=make_user("Manager"), reason="slip", is_manager=True)
        send(client, undone, **typed)

    assert Verification.objects.count() == 6
    assert find_breaks(now=timezone.now()) == []


# --- many at once ----------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_one_page", [True, False])
def test_twenty_presses_at_once_verify_once(racers, is_one_page):
    store = make_store()
    campaign = make_campaign(verifying="button", limit_per_contact=0)
    make_serials(campaign, rounds(5))
    for _ in range(rounds(5)):
        coupon = make_coupon(campaign, status="redeemed")
        nonces = [uuid4()] * THREADS if is_one_page else [None] * THREADS

        results = racers.race(
            lambda n, c=coupon, ids=nonces: by_button(c, store, nonce=ids[n])
        )

        counted = outcomes(results)
        if is_one_page:  # all of them are that one press
            assert counted == {"ok": THREADS}
            assert len({verification.pk for verification in results}) == 1
        else:
            assert counted == {"ok": 1, "already_verified": THREADS - 1}
        assert Verification.objects.filter(coupon=coupon).count() == 1
        events = Event.objects.filter(coupon=coupon, kind="verified")
        assert events.count() == 1
        assert Attempt.objects.filter(coupon=coupon, reason="ok").count() == 1
