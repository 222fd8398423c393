"""The store's screen in a real browser: scanners, bad networks, no script."""

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from coupons.models import Attempt, Coupon, Verification
from testing.browsing import open_page, sign_in
from testing.factories import (
    PASSWORD,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def store():
    return make_store(make_user(username="aki"), name="Shibuya")


@pytest.fixture
def till(browser, live_server, store):
    yield (page := open_till(browser, live_server, store))
    page.context.close()


def open_till(browser: Browser, live_server, store, **options) -> Page:
    page = open_page(browser, phone=True, **options)
    page.set_default_timeout(10_000)
    scan = reverse("store:scan", args=[store.pk])
    sign_in(page, live_server.url + scan, "aki", PASSWORD)
    page.wait_for_selector("#scan")
    page.wait_for_load_state()  # the script has begun; before, the form posts itself
    return page


def make_redeemed() -> Coupon:
    campaign = make_campaign()
    make_serials(campaign, 1)
    return make_coupon(campaign, status="redeemed")


def type_scan(page: Page, text: str, end: str = "Enter") -> None:
    page.keyboard.type(text)
    page.keyboard.press(end)


def expect_answer(page: Page, reason: str) -> None:
    expect(page.locator("#answer [data-reason]")).to_have_attribute(
        "data-reason", reason
    )


def scans() -> int:
    return Attempt.objects.filter(action="verify").count()


def test_three_scans_in_a_row_need_no_click(till):
    for _ in range(3):
        coupon = make_redeemed()
        type_scan(till, coupon.number)
        expect(till.locator("#answer .facts")).to_contain_text(coupon.shown_number)
        expect(till.locator("#text")).to_be_focused()

    expect(till.locator("#today-title")).to_have_text("3 today")
    assert Verification.objects.count() == 3


# On PostgreSQL only: the two requests overlap, and a test's SQLite in memory is one
# connection for all threads of the server.
@pytest.mark.postgres
@pytest.mark.parametrize("pause", [0, 20, 100])  # milliseconds
@pytest.mark.parametrize("script", [True, False])
def test_scanner_that_presses_enter_twice_gets_one_green_answer(
    browser, live_server, store, script, pause
):
    page = open_till(browser, live_server, store, java_script_enabled=script)
    coupon = make_redeemed()

    type_scan(page, coupon.number)
    page.wait_for_timeout(pause)
    page.keyboard.press("Enter")

    expect_answer(page, "ok")
    page.reload()
    expect_answer(page, "ok")
    assert scans() == 1
    page.context.close()


def test_scan_typed_while_a_link_has_the_focus_lands_in_the_field(till):
    coupon = make_redeemed()
    till.get_by_role("button", name="Sign out").focus()

    type_scan(till, coupon.number)

    expect_answer(till, "ok")


def test_lost_connection_keeps_the_text_and_the_next_enter_sends_it(till):
    coupon = make_redeemed()
    till.context.set_offline(True)
    type_scan(till, coupon.shown_number)
    expect(till.locator("#answer")).to_contain_text("No connection")
    expect(till.locator("#text")).to_have_value(coupon.shown_number)

    till.context.set_offline(False)
    till.keyboard.press("Enter")

    expect_answer(till, "ok")
    assert scans() == 1


def test_answer_lost_on_the_way_comes_again_as_the_same_green(till):
    coupon = make_redeemed()
    lose_first_answer(till)
    type_scan(till, coupon.number)
    expect(till.locator("#answer")).to_contain_text("No connection")
    assert Verification.objects.count() == 1

    type_scan(till, coupon.number)

    expect_answer(till, "ok")
    assert scans() == 1


def lose_first_answer(page: Page) -> None:
    """Let the first scan reach the server, and its answer reach nobody."""

    def lose(route):
        route.fetch(max_redirects=0)
        route.abort()

    page.route("**/check", lose, times=1)


def test_server_in_trouble_keeps_the_text(till):
    coupon = make_redeemed()
    till.route("**/check", lambda route: route.fulfill(status=503), times=1)
    type_scan(till, coupon.number)
    expect(till.locator("#answer")).to_contain_text("Not checked")

    till.keyboard.press("Enter")

    expect_answer(till, "ok")


def test_second_coupon_scanned_during_a_slow_answer_is_kept_and_said_so(till):
    first, second = make_redeemed(), make_redeemed()
    held = []
    till.route("**/check", lambda route: held.append(route), times=1)
    type_scan(till, first.number)
    type_scan(till, second.number)
    expect(till.locator("#answer")).to_contain_text("Checking")

    held[0].continue_()

    expect_answer(till, "ok")
    expect(till.locator("#answer .facts")).to_contain_text(first.shown_number)
    expect(till.locator("#problem")).to_contain_text("not checked yet")
    till.keyboard.press("Enter")
    expect(till.locator("#answer .facts")).to_contain_text(second.shown_number)
    assert Verification.objects.count() == 2


def test_session_that_ended_leads_to_sign_in_and_back(till):
    coupon = make_redeemed()
    till.context.clear_cookies(name="session")

    type_scan(till, coupon.number)

    till.wait_for_selector("#id_username")
    till.fill("#id_username", "aki")
    till.fill("#id_password", PASSWORD)
    till.click("button.main")
    expect(till.locator("#problem")).to_contain_text("Scan again")


def test_back_to_a_page_from_before_a_scan_brings_a_nonce_of_its_own(
    browser, live_server, store
):
    page = open_till(browser, live_server, store, java_script_enabled=False)
    coupon = make_redeemed()
    type_scan(page, coupon.number)
    expect_answer(page, "ok")

    page.go_back()
    page.locator("#text").fill(coupon.number)
    page.locator("#text").press("Enter")

    expect_answer(page, "already_verified")
    page.context.close()


def test_mistyped_code_stays_to_be_mended_and_a_link_does_not(till, settings):
    type_scan(till, "NO-SUCH-CODE")
    expect_answer(till, "invalid")
    expect(till.locator("#text")).to_have_value("NO-SUCH-CODE")

    type_scan(till, f"{settings.SITE_URL}/c/{'x' * 24}")

    expect(till.locator("#text")).to_have_value("")


@pytest.mark.parametrize("width", [390, 1280])
def test_text_of_twice_the_size_needs_no_sideways_scrolling(till, width):
    till.set_viewport_size({"width": width, "height": 800})
    type_scan(till, make_redeemed().number)
    expect_answer(till, "ok")

    till.evaluate("document.documentElement.style.fontSize = '200%'")

    over = till.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert over <= 0
