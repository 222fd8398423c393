"""The customer's page in a real browser: with script and without, slow, small, dark."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import ViewportSize, expect

from coupons.models import Attempt, Coupon, Event, Verification
from coupons.services import redeem, verify
from coupons.tests.page_helpers import url_of
from testing.browsing import open_page, visiting
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NARROW = ViewportSize(width=195, height=422)  # a 390 px phone at 200 % text


@pytest.fixture
def phone(browser):
    with visiting(browser, phone=True) as page:
        yield page


@pytest.fixture
def plain_phone(browser):
    """A browser that runs no script."""
    page = open_page(browser, phone=True, java_script_enabled=False)
    yield page
    page.context.close()


@pytest.fixture
def coupon():
    campaign = make_campaign(name="Summer latte", barcode="code128")
    make_serials(campaign, ["LATTE-0001", "LATTE-0002"])
    return make_coupon(campaign, status="sent")


def visit(page, live_server, coupon):
    page.goto(live_server.url + url_of(coupon))


def kinds(coupon):
    return list(Event.objects.filter(coupon=coupon).values_list("kind", flat=True))


def press_redeem(page):
    page.locator("summary.button").click()
    page.get_by_role("button", name="Yes, redeem now").click()
    expect(page.locator("#serial")).to_have_text("LATTE-0001")


def test_redeeming_takes_two_presses_and_shows_the_serial(phone, live_server, coupon):
    visit(phone, live_server, coupon)
    expect(phone.get_by_text("Redeem it now?")).to_be_hidden()

    press_redeem(phone)

    assert phone.url == live_server.url + url_of(coupon)
    assert phone.context.cookies() == []
    assert kinds(coupon) == ["issued", "sent", "opened", "redeemed"]


@pytest.mark.parametrize("wrong", ["2020-01-01T00:00:00", "2040-01-01T00:00:00"])
def test_a_phone_with_a_wrong_clock_counts_down_by_ours(
    phone, plain_phone, live_server, coupon, wrong
):
    Coupon.objects.update(ends_at=timezone.now() + timedelta(hours=3, seconds=-30))
    phone.clock.install(time=wrong)

    visit(plain_phone, live_server, coupon)
    visit(phone, live_server, coupon)
    phone.clock.run_for(2_000)

    told = plain_phone.locator("#left").inner_text()
    assert told.startswith("2:59:")
    expect(phone.locator("#left")).to_have_text(re.compile("^2:59:[012]"))
    expect(phone.locator("#over")).to_be_hidden()


def test_redeeming_works_without_script(plain_phone, live_server, coupon):
    visit(plain_phone, live_server, coupon)
    assert kinds(coupon) == ["issued", "sent"]

    press_redeem(plain_phone)

    expect(plain_phone.locator("#copy")).to_be_hidden()
    expect(plain_phone.locator("#clock")).to_be_visible()
    assert kinds(coupon)[-1] == "redeemed"


def test_reload_and_back_show_the_same_serial(phone, live_server, coupon):
    visit(phone, live_server, coupon)
    press_redeem(phone)
    events = kinds(coupon)

    phone.reload()
    expect(phone.locator("#serial")).to_have_text("LATTE-0001")
    phone.goto("about:blank")
    phone.go_back()
    expect(phone.locator("#serial")).to_have_text("LATTE-0001")

    assert kinds(coupon) == events


def test_a_double_press_redeems_once(phone, live_server, coupon):
    visit(phone, live_server, coupon)
    phone.locator("summary.button").click()

    phone.get_by_role("button", name="Yes, redeem now").dblclick(no_wait_after=True)

    expect(phone.locator("#serial")).to_have_text("LATTE-0001")
    assert kinds(coupon).count("redeemed") == 1


def test_the_question_is_reached_and_answered_by_keyboard(phone, live_server, coupon):
    visit(phone, live_server, coupon)

    phone.keyboard.press("Tab")
    expect(phone.locator("summary.button")).to_be_focused()
    phone.keyboard.press("Enter")
    phone.keyboard.press("Tab")
    phone.keyboard.press("Enter")

    expect(phone.locator("#serial")).to_have_text("LATTE-0001")


def test_the_script_tells_that_the_page_was_opened(phone, live_server, coupon):
    with phone.expect_response("**/opened") as answer:
        visit(phone, live_server, coupon)

    assert answer.value.status == 204
    assert kinds(coupon) == ["issued", "sent", "opened"]


def test_the_clock_ticks_on_the_servers_time_whatever_the_phone_thinks(
    browser, live_server, coupon
):
    redeem(coupon.token, source=TEST)
    page = open_page(browser, phone=True)
    page.add_init_script(
        "const real = Date.now; Date.now = () => real() - 7 * 3600 * 1000;"
    )
    visit(page, live_server, coupon)
    first = page.locator("#clock").inner_text()
    expect(page.locator("#clock")).not_to_have_text(first)

    told = page.locator("#clock").inner_text()
    at = timezone.now().astimezone(coupon.campaign.zone)
    near = {f"{at - timedelta(seconds=n):%H:%M:%S}" for n in range(-2, 4)}
    assert told in near
    page.context.close()


def test_when_the_time_is_over_the_code_goes_away(phone, live_server, coupon):
    redeem(coupon.token, source=TEST)
    Coupon.objects.update(ends_at=timezone.now() + timedelta(seconds=3))
    visit(phone, live_server, coupon)
    expect(phone.locator("#serial")).to_be_visible()

    expect(phone.locator("#over")).to_be_visible()

    expect(phone.locator("#serial")).to_be_hidden()
    phone.get_by_text("Look again").click()
    expect(phone.get_by_text("This coupon has expired.")).to_be_visible()


def test_copy_puts_the_serial_in_the_clipboard(browser, live_server, coupon):
    redeem(coupon.token, source=TEST)
    page = open_page(
        browser, phone=True, permissions=["clipboard-read", "clipboard-write"]
    )
    visit(page, live_server, coupon)

    page.get_by_role("button", name="Copy").click()

    expect(page.locator("#copied")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "LATTE-0001"
    page.context.close()


# --- what the store's staff press on it ------------------------------------------------


def make_locked(*stores):
    """A redeemed coupon that a store password marks as used."""
    campaign = make_campaign(*stores, verifying="password")
    make_serials(campaign, ["LATTE-0001"])
    return make_coupon(campaign, status="redeemed")


def make_stores(*names):
    stores = [make_store(name=name) for name in names]
    for store in stores:
        store.set_password("umbrella-7")
    return stores


def type_password(page, password):
    page.get_by_label("Store password").fill(password)
    page.get_by_role("button", name="Mark as used").click()


@pytest.mark.parametrize("script", [True, False])
def test_staff_choose_their_store_slip_once_and_mark_it_as_used(
    browser, live_server, script
):
    page = open_page(browser, phone=True, java_script_enabled=script)
    coupon = make_locked(*make_stores("Shibuya", "Ueno"))
    visit(page, live_server, coupon)

    page.get_by_label("Store", exact=True).select_option("Ueno")
    type_password(page, "umbrella-8")
    expect(page.get_by_role("alert")).to_have_text("Wrong password. 4 tries left.")
    field = page.get_by_label("Store password")
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport()
    expect(field).to_have_value("")
    expect(field).to_have_accessible_description("Wrong password. 4 tries left.")
    type_password(page, "umbrella-7")

    expect(page.get_by_role("heading", name="Used")).to_be_visible()
    expect(page.get_by_text("Ueno")).to_be_visible()
    assert page.context.cookies() == []
    page.context.close()


def test_a_reload_after_a_wrong_password_is_no_other_try(phone, live_server):
    coupon = make_locked(*make_stores("Shibuya"))
    visit(phone, live_server, coupon)
    type_password(phone, "umbrella-8")
    expect(phone.get_by_role("alert")).to_be_visible()
    phone.complaints.clear()  # the console tells of each answer that is a refusal

    assert phone.url == live_server.url + url_of(coupon)
    phone.reload()

    expect(phone.get_by_role("alert")).to_have_count(0)
    assert Attempt.objects.count() == 1


def test_the_button_is_reached_by_keyboard_and_a_double_press_counts_once(
    phone, live_server
):
    campaign = make_campaign(make_store(), verifying="button")
    make_serials(campaign, ["LATTE-0001"])
    coupon = make_coupon(campaign, status="redeemed")
    visit(phone, live_server, coupon)

    phone.locator("#copy").focus()
    phone.keyboard.press("Tab")
    expect(phone.locator(".use summary")).to_be_focused()
    phone.keyboard.press("Enter")
    phone.get_by_role("button", name="Yes, it is used now").dblclick(no_wait_after=True)

    expect(phone.get_by_role("heading", name="Used")).to_be_visible()
    assert Verification.objects.count() == 1
    assert Attempt.objects.exclude(reason="ok").count() == 0


# --- in each state ---------------------------------------------------------------------


def shown_in_each_state():
    store = make_store(name="咖" * 60, address="W" * 200)
    campaign = make_campaign(
        store,
        name="W" * 60,
        instructions="x" * 500 + "\n" + "前" * 499,
        usage_condition="y" * 100,
        button_label="z" * 40,
        button_url="https://shop.example/",
        barcode="code128",
    )
    make_serials(campaign, [f"W{n:019}" for n in range(5)])
    fixed = make_campaign(store, barcode="qr", name="Short")
    make_fixed_batch(fixed)
    used = make_coupon(campaign, status="redeemed")
    verify(used.pk, store=store, staff=make_user())
    by_button = make_campaign(store, verifying="button")
    make_fixed_batch(by_button)
    return [
        make_coupon(campaign),
        make_coupon(campaign, status="redeemed"),
        used,
        make_coupon(fixed, status="redeemed"),
        make_coupon(make_campaign(store)),
        make_coupon(by_button, status="redeemed"),
        make_locked(*make_stores("咖" * 30, "W" * 60)),
    ]


@pytest.mark.parametrize("script", [True, False])
def test_nothing_runs_off_a_narrow_screen_with_large_text(browser, live_server, script):
    page = open_page(browser, java_script_enabled=script)
    page.set_viewport_size(NARROW)

    for coupon in shown_in_each_state():
        visit(page, live_server, coupon)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = 1)")
        assert page.evaluate("document.documentElement.scrollWidth") == 195
        for box in page.locator("main *").all():
            place = box.bounding_box()
            if place and box.get_attribute("class") != "unseen":
                right = place["x"] + place["width"]
                assert right <= NARROW["width"] + 1, box.evaluate("e => e.outerHTML")
    page.context.close()


def test_what_is_pressed_is_large_enough(phone, live_server):
    for coupon in shown_in_each_state():
        visit(phone, live_server, coupon)
        for name in ("summary", ".button", ".foot a", ".field select", ".field input"):
            for target in phone.locator(name).all():
                if target.is_visible():
                    place = target.bounding_box()
                    assert place["height"] >= 44, name
                    assert place["width"] >= 44, name
