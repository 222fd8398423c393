"""A campaign tried on somebody's own phone: all its steps, and not one row changed."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.signing import Signer
from django.urls import reverse
from django.utils import timezone

from coupons.models import Attempt, Coupon
from coupons.services import scan
from coupons.specimens import CODE
from coupons.tests.page_helpers import body, state_of, text_of
from coupons.views.trying import SALT, VALID_FOR, Trial, specimen_path
from testing.factories import (
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

BAND = "Specimen: not a coupon"


def dump():
    """Every row of every table."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
    }


def link_to(campaign):
    return specimen_path(campaign, now=timezone.now())


def press(client, path, name, **fields):
    """Press on the page and follow to where it leads; gives that address too."""
    response = client.post(f"{path.partition('?')[0]}/{name}", fields)
    assert response.status_code == 303, text_of(response)
    return client.get(response["Location"]), response["Location"]


def test_the_whole_way_by_button_changes_no_row(client):
    store = make_store(name="Kyoto Station")
    campaign = make_campaign(store, state="draft", verifying="button", name="Latte")
    make_serials(campaign, 2)
    path = link_to(campaign)
    before = dump()

    ready = client.get(path)
    redeemed, path = press(client, path, "redeem")
    verified, path = press(client, path, "verify", store=store.pk, press=uuid4())

    assert [state_of(page) for page in (ready, redeemed, verified)] == [
        "ready",
        "redeemed",
        "verified",
    ]
    for page in (ready, redeemed, verified):
        assert BAND in text_of(page)
        assert page.cookies == {}
    assert CODE in text_of(redeemed)
    assert "Used Kyoto Station" in text_of(verified)
    assert dump() == before


def test_any_password_will_do_and_none_is_looked_at(client, argon2):
    store = make_store()
    store.set_password("the-real-one")
    store.save()
    campaign = make_campaign(store, verifying="password_scan")
    before = dump()
    redeemed, path = press(client, link_to(campaign), "redeem")

    assert "Any password will do here" in text_of(redeemed)
    wrong = client.post(f"{path}/verify", {"store": store.pk, "press": uuid4()})
    assert "Type the store password." in text_of(wrong)
    verified, _path = press(
        client, path, "verify", store=store.pk, press=uuid4(), password="not this"
    )

    assert state_of(verified) == "verified"
    assert "not this" not in body(verified)
    assert dump() == before


@pytest.mark.parametrize("store", ["", "abc", "0", "999999", "-1", "9" * 40, "\x00"])
def test_a_store_that_is_none_of_the_campaigns_is_told_in_place(client, store):
    campaign = make_campaign(make_store(), make_store(), verifying="button")
    make_store()
    _page, path = press(client, link_to(campaign), "redeem")

    response = client.post(f"{path}/verify", {"store": store, "press": uuid4()})

    assert response.status_code == 400
    assert state_of(response) == "redeemed"
    assert "Choose the store." in text_of(response)
    assert BAND in text_of(response)


def test_where_the_staff_scan_the_next_step_is_offered_in_the_band(client):
    campaign = make_campaign(make_store(), verifying="scan")
    redeemed, path = press(client, link_to(campaign), "redeem")
    assert "Go on as after the staff’s scan" in text_of(redeemed)

    verified, _path = press(client, path, "verify")

    assert state_of(verified) == "verified"


def test_where_nothing_is_verified_there_is_no_next_step(client):
    campaign = make_campaign(verifying="none")

    redeemed, path = press(client, link_to(campaign), "redeem")
    again, _path = press(client, path, "verify")

    assert "Go on as after" not in text_of(redeemed)
    assert state_of(again) == "redeemed"


def test_pressed_twice_or_gone_back_to_it_stays_as_it_is(client):
    campaign = make_campaign(make_store(), verifying="scan")
    first = link_to(campaign)
    _page, path = press(client, first, "redeem")

    _page, again = press(client, path, "redeem")
    early = client.post(f"{first}/verify")

    assert again == path
    assert state_of(client.get(first)) == "ready"
    assert early["Location"] == first


def test_one_can_begin_again_until_the_same_day(client):
    campaign = make_campaign(make_store(), verifying="scan")
    first = link_to(campaign)
    redeemed, _path = press(client, first, "redeem")

    found = re.search(r'<a href="([^"]+)">Begin again', body(redeemed))

    assert found[1] == first


@pytest.mark.parametrize("state", ["draft", "active", "paused", "ended"])
def test_it_can_be_tried_in_every_state_as_it_is_saved_now(client, state):
    campaign = make_campaign(state=state, name="First name")
    path = link_to(campaign)
    type(campaign).objects.filter(pk=campaign.pk).update(name="Second name")

    response = client.get(path)

    assert state_of(response) == "ready"
    assert "Second name" in text_of(response)


@pytest.mark.parametrize("days", [-40, 40])
def test_outside_of_its_use_period_it_is_shown_as_on_a_day_within(client, days):
    start = timezone.now() + timedelta(days=days)
    campaign = make_campaign(
        use_starts_at=start, use_ends_at=start + timedelta(days=30), state="draft"
    )

    response = client.get(link_to(campaign))
    redeemed, _path = press(client, link_to(campaign), "redeem")

    assert "It is shown as on" in text_of(response)
    assert state_of(response) == "ready"
    assert state_of(redeemed) == "redeemed"


def test_the_time_from_redeem_runs_out_as_it_would(client):
    campaign = make_campaign(
        expiry="from_redemption", expiry_amount=10, expiry_unit="minutes"
    )
    now = timezone.now()
    until = now + VALID_FOR

    def after(minutes):
        at = now - timedelta(minutes=minutes)
        path = f"/c/specimen/{Trial(campaign.pk, until, at).token}"
        return client.get(path)

    assert state_of(after(9)) == "redeemed"
    assert state_of(after(11)) == "expired"
    assert BAND in text_of(after(11))
    assert "Begin again" in text_of(after(11))


def test_it_shows_what_a_fixed_serials_page_shows_but_never_the_serial(client):
    campaign = make_campaign(barcode="code128")
    make_fixed_batch(campaign, code="FNA@5841")

    redeemed, _path = press(client, link_to(campaign), "redeem")

    assert "FNA@5841" not in body(redeemed)
    assert "QR code of coupon number TEST-TEST-TEST" in body(redeemed)


@pytest.mark.parametrize("language", ["en", "ja", "zh-hant", "th", "ko"])
def test_the_language_goes_along_with_every_press(client, language):
    store = make_store()
    campaign = make_campaign(store, verifying="button", name="Latte")
    campaign.texts.create(language="ja", name="ラテ")
    path = link_to(campaign)

    page = client.get(f"{path}?lang={language}")
    answer = client.post(f"{path}/redeem?lang={language}")

    assert page["Content-Language"] == language
    assert answer["Location"].endswith(f"?lang={language}")
    assert ("ラテ" in text_of(page)) == (language == "ja")


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete"])
@pytest.mark.parametrize("name", ["", "/redeem", "/verify"])
def test_its_headers_are_those_of_the_coupons_page(client, method, name):
    campaign = make_campaign()
    coupon = make_coupon(campaign, status="sent")
    real = client.get(f"/c/{coupon.token}")

    response = getattr(client, method)(link_to(campaign) + name)

    policies = [
        re.sub(r" 'nonce-[^']*'", "", answer["Content-Security-Policy"])
        for answer in (response, real)
    ]
    assert policies[0] == policies[1]
    for header in ("Cache-Control", "Referrer-Policy", "X-Robots-Tag"):
        assert response[header] == real[header]
    assert not response.cookies


def no_links():
    """Links that are none, made when the test runs: signing needs the settings."""
    now = timezone.now()
    over = Trial(1, now - timedelta(seconds=1)).token
    good = Trial(1, now + VALID_FOR).token
    return {
        "over and gone": over,
        "nothing": "x",
        "changed": "2" + good[1:],
        "signature cut off": good[:-1],
        "signature changed": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "unsigned": good.rpartition(".")[0],
        "other salt": Signer(salt="other", sep=".").sign("1-9999999999-0-0-0"),
        "empty": Signer(salt=SALT, sep=".").sign(""),
        "long": "9" * 5000,
        "odd": "%00%F0%9F%8D%8B",
        "gone": Trial(999_999, now + VALID_FOR).token,
    }


@pytest.mark.parametrize(
    "which",
    [
        "over and gone",
        "nothing",
        "changed",
        "signature cut off",
        "signature changed",
        "unsigned",
        "other salt",
        "empty",
        "long",
        "odd",
        "gone",
    ],
)
@pytest.mark.parametrize("name", ["", "/redeem", "/verify"])
def test_a_forged_link_is_the_same_404_as_an_unknown_token(client, which, name):
    unknown = client.get("/c/aaaaaaaaaaaaaaaaaaaaaaaa")
    path = f"/c/specimen/{no_links()[which]}{name}"

    answers = [client.get(path), *([client.post(path)] if name else [])]
    for answer in answers:
        assert answer.status_code == 404
        assert text_of(answer) == text_of(unknown)


def test_a_link_that_is_over_says_so_to_whoever_tries(client):
    campaign, now = make_campaign(name="Summer latte"), timezone.now()
    over = Trial(campaign.pk, now - timedelta(seconds=1)).token

    answer = client.get(f"/c/specimen/{over}")

    assert answer.status_code == 404
    assert "This link to try a coupon is over" in text_of(answer)
    assert "Summer latte" not in text_of(answer)
    assert answer["Cache-Control"] == "no-store, private"


def test_it_holds_for_seven_days():
    campaign = make_campaign()
    now = timezone.now()

    path = specimen_path(campaign, now=now)

    until = int(path.rpartition("/")[2].split("-")[1])
    assert until == int((now + timedelta(days=7)).timestamp())


def test_a_real_coupons_page_has_no_band(client):
    coupon = make_coupon(make_campaign(), status="sent")

    page = body(client.get(f"/c/{coupon.token}"))

    assert BAND not in page
    assert "specimen" not in page


# --- At the store -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "TEST-TEST-TEST",
        "testtesttest",
        "TEST TEST TEST",
        CODE,
        CODE.lower(),
        "http://127.0.0.1:8000/c/specimen/1-1796342400-0-0-0.abc",
        "/c/specimen/x?lang=ja",
    ],
)
def test_a_scan_says_that_it_is_a_specimen(text):
    clerk = make_user("Store staff")
    store = make_store(clerk)
    make_campaign(store)

    answer = scan(text, store=store, staff=clerk, nonce=uuid4())

    assert (answer.reason, answer.is_ok, answer.coupon) == ("specimen", False, None)


def test_the_till_says_so_in_words_and_counts_no_miss(client):
    clerk = make_user("Store staff")
    store = make_store(clerk)
    client.force_login(clerk)

    for _ in range(25):  # more than misses are allowed in a minute
        answer = client.post(
            reverse("store:check", args=[store.pk]),
            {"text": "TEST-TEST-TEST", "nonce": uuid4()},
            follow=True,
        )

    assert answer.status_code == 200
    assert "Specimen" in text_of(answer)
    assert "It is no coupon. Don't take it." in text_of(answer)
    assert set(Attempt.objects.values_list("reason", flat=True)) == {"specimen"}


def test_a_real_coupon_that_happens_to_be_called_so_comes_first():
    clerk = make_user("Store staff")
    store = make_store(clerk)
    campaign = make_campaign(store)
    make_serials(campaign, [CODE])
    coupon = make_coupon(campaign, status="redeemed")

    assert scan(CODE, store=store, staff=clerk, nonce=uuid4()).is_ok
    coupon.refresh_from_db()
    assert coupon.status == Coupon.Status.VERIFIED
