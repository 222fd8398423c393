"""Nothing on the customer's and the store's pages keeps anybody out: axe-core, WCAG 2.2 AA.

Each page is looked at on a phone and on a wide screen, in daylight and at night.
"""

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from playwright.sync_api import expect

from campaigns.look import contrast
from campaigns.models import Campaign
from coupons.passwords import TRIES
from coupons.services import undo, verify
from coupons.tests.page_helpers import url_of
from coupons.views.specimen import STATES
from testing.axe import violations
from testing.browsing import LAPTOP, PHONE, open_page, sign_in
from testing.factories import (
    PASSWORD,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)
from testing.states import FULL, make_coupon_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PLAIN = ["400", "403", "404", "413", "500", "503"]


@pytest.fixture
def page(browser):
    page = open_page(browser, phone=True)
    yield page
    page.context.close()


@pytest.fixture
def clerk():
    return make_user("Store staff", username="aki", first_name="Aki")


@pytest.fixture
def store(clerk):
    return make_store(clerk, name="Shibuya", address="2-24-12 Shibuya, Tokyo")


def check(page):
    """Look at the page as it stands, in both widths and both themes."""
    found = {}
    for size in (PHONE, LAPTOP):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            if broken := violations(page):
                found[f"{size['width']} px, {scheme}"] = broken
    page.set_viewport_size(PHONE)
    assert found == {}, "\n".join(f"{k}: {line}" for k in found for line in found[k])


def visit(page, live_server, coupon, query=""):
    page.goto(live_server.url + url_of(coupon) + query)


# --- the customer's page ---------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_the_page_in_each_state(page, live_server, store, state):
    coupon = make_coupon_in(state, store, barcode="code128", **FULL)

    visit(page, live_server, coupon)

    expect(page.locator(".card")).to_have_attribute("data-state", state)
    check(page)


@pytest.mark.parametrize("language", ["ja", "zh-hant", "th", "ko"])
def test_the_page_in_other_languages(page, live_server, store, language):
    coupon = make_coupon_in("redeemed", store, barcode="qr", **FULL)

    visit(page, live_server, coupon, f"?lang={language}")

    check(page)


def test_the_question_before_redeeming(page, live_server, store):
    visit(page, live_server, make_coupon_in("ready", store, **FULL))

    page.locator("summary.button").click()

    expect(page.get_by_text("Redeem it now?")).to_be_visible()
    check(page)


def test_a_press_that_came_too_late(page, live_server, store):
    coupon = make_coupon_in("ready", store, **FULL)
    visit(page, live_server, coupon)
    page.locator("summary.button").click()
    Campaign.objects.update(state=Campaign.State.PAUSED)

    page.get_by_role("button", name="Yes, redeem now").click()

    expect(page.locator(".card")).to_have_attribute("data-state", "campaign_paused")
    check(page)


def test_a_page_that_was_open_for_too_long(page, live_server, store):
    visit(page, live_server, make_coupon_in("ready", store, **FULL))
    page.locator("[name=form_token]").evaluate("field => { field.value = 'old' }")
    page.locator("summary.button").click()

    page.get_by_role("button", name="Yes, redeem now").click()

    expect(page.get_by_role("alert").first).to_be_visible()
    check(page)


def test_a_fixed_serial_with_its_number_and_many_stores(page, live_server, store):
    stores = [store, *(make_store(name=f"Store {n}") for n in range(8))]
    campaign = make_campaign(*stores, barcode="code128", **FULL)
    make_fixed_batch(campaign)

    visit(page, live_server, make_coupon(campaign, status="redeemed"))

    page.locator(".stores summary").click()
    check(page)


def test_the_staffs_button_and_its_question(page, live_server, store):
    stores = [store, make_store(name="Ueno")]
    campaign = make_campaign(*stores, verifying="button", **FULL)
    make_serials(campaign, 1)
    visit(page, live_server, make_coupon(campaign, status="redeemed"))

    page.locator(".use summary").click()

    expect(page.get_by_text("Mark it as used?")).to_be_visible()
    check(page)


def test_a_wrong_password_and_too_many(page, live_server, store):
    stores = [store, make_store(name="Ueno")]
    for each in stores:
        each.set_password("umbrella-7")
    campaign = make_campaign(*stores, verifying="password", **FULL)
    make_serials(campaign, 1)
    visit(page, live_server, make_coupon(campaign, status="redeemed"))
    check(page)

    for tries in range(TRIES):
        page.get_by_label("Store", exact=True).select_option("Ueno")
        page.get_by_label("Store password").fill("umbrella-8")
        page.get_by_role("button", name="Mark as used").click()
        expect(page.get_by_role("alert").first).to_be_visible()
        if tries == 0:
            check(page)

    expect(page.get_by_label("Store password")).to_have_count(0)
    check(page)


def test_an_unknown_link(page, live_server):
    page.goto(f"{live_server.url}/c/{'x' * 24}")

    check(page)


@pytest.mark.parametrize("name", PLAIN)
def test_the_pages_of_what_went_wrong(page, live_server, name):
    address = f"{live_server.url}/c/plain"
    body = render_to_string(f"{name}.html")
    page.route(
        address, lambda route: route.fulfill(body=body, content_type="text/html")
    )

    page.goto(address)

    check(page)


def test_the_usual_colours_can_be_read():
    """axe leaves out what stands on a gradient, as all in the card does."""
    look = make_campaign().look()

    assert contrast(look["text_colour"], look["background_colour"]) >= 4.5
    assert contrast(look["button_text_colour"], look["button_colour"]) >= 4.5


def test_what_breaks_the_rules_would_be_noticed(page, live_server):
    page.goto(f"{live_server.url}/c/{'x' * 24}")

    page.evaluate("document.querySelector('main').append(new Image())")

    assert [line.partition(":")[0] for line in violations(page)] == ["image-alt"]


# --- the store's pages -----------------------------------------------------------------


@pytest.fixture
def till(page, live_server, store, clerk):
    """The page of a clerk who has signed in at one of two stores."""
    make_store(clerk, name="Ueno", address="7-1-1 Ueno, Tokyo")
    sign_in_as_aki(page, live_server)
    return page


def sign_in_as_aki(page, live_server, password=PASSWORD):
    sign_in(page, live_server.url + reverse("store:sign_in"), "aki", password)


def go_to(page, live_server, store, name="scan", *more):
    page.goto(live_server.url + reverse(f"store:{name}", args=[store.pk, *more]))


def test_signing_in(page, live_server, clerk):
    page.goto(live_server.url + reverse("store:sign_in"))
    check(page)

    sign_in_as_aki(page, live_server, "wrong")

    check(page)


def test_somebody_without_a_store(page, live_server, clerk):
    sign_in_as_aki(page, live_server)

    check(page)


def test_choosing_the_store_and_the_empty_till(till, live_server, store):
    expect(till.get_by_text("Which store are you in?")).to_be_visible()
    check(till)

    go_to(till, live_server, store)

    check(till)


def coupon_for(reason, store, clerk):
    """A coupon that a scan at the store answers so."""
    if reason == "wrong_store":
        return make_coupon_in("redeemed", make_store(name="Kanda"), **FULL)
    if reason == "not_needed":
        return make_coupon_in("redeemed", store, verifying="none", **FULL)
    states = {
        "ok": "redeemed",
        "already_verified": "verified",
        "not_redeemed": "ready",
    }
    return make_coupon_in(states.get(reason, reason), store, **FULL)


@pytest.mark.parametrize(
    "reason",
    [
        "ok",
        "already_verified",
        "not_redeemed",
        "not_started",
        "expired",
        "revoked",
        "campaign_paused",
        "wrong_store",
        "not_needed",
        "invalid",
    ],
)
def test_each_answer_of_a_scan(till, live_server, store, clerk, reason):
    coupon = None if reason == "invalid" else coupon_for(reason, store, clerk)
    go_to(till, live_server, store)

    till.fill("#text", coupon.number if coupon else "NO-SUCH-CODE")
    till.click("#scan button.main")

    till.locator("#answer [data-reason]").wait_for()
    till.wait_for_load_state("networkidle")
    check(till)


def test_today_and_taking_back(till, live_server, store, clerk):
    taken, undone = (make_coupon_in("redeemed", store, **FULL) for _ in range(2))
    verification = verify(taken.pk, store=store, staff=clerk)
    other = verify(undone.pk, store=store, staff=clerk)
    undo(other.pk, by=clerk, reason="Wrong coupon", is_manager=False)

    go_to(till, live_server, store, "today")
    check(till)
    for each in (verification, other):
        go_to(till, live_server, store, "take_back", each.pk)
        check(till)


def test_taking_back_without_a_reason(till, live_server, store, clerk):
    coupon = make_coupon_in("redeemed", store, **FULL)
    verification = verify(coupon.pk, store=store, staff=clerk)
    go_to(till, live_server, store, "take_back", verification.pk)

    till.evaluate("document.querySelectorAll('form').forEach(f => f.noValidate = true)")
    till.locator("main button").click()

    check(till)
