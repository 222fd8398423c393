"""A specimen on a phone, from the staff's page to the used state, with script and without."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from coupons.tests.test_trying import dump
from coupons.views.trying import specimen_path
from testing.axe import violations
from testing.browsing import complaints, open_page, sign_in
from testing.factories import (
    PASSWORD,
    make_campaign,
    make_serials,
    make_store,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def campaign():
    store = make_store(name="Kyoto Station")
    store.set_password("the-real-one")
    store.save()
    campaign = make_campaign(
        store, name="Summer latte", verifying="password", state="draft"
    )
    make_serials(campaign, 2)
    return campaign


def band(page):
    return page.get_by_role("complementary", name="Specimen: not a coupon")


def whole_way(page):
    """Redeem, type any password, see it used; looked at in every state."""
    yield "ready"
    page.locator("summary.button").click()
    page.get_by_role("button", name="Yes, redeem now").click()
    expect(page.locator("#serial")).to_have_text("SPECIMEN-2345")
    yield "redeemed"
    page.locator("#password").fill("whatever")
    page.get_by_role("button", name="Mark as used").click()
    expect(page.get_by_role("heading", name="Used")).to_be_visible()
    yield "verified"


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_the_whole_way_says_in_every_state_that_it_is_a_specimen(
    browser, live_server, campaign, has_script
):
    page = open_page(browser, phone=True, java_script_enabled=has_script)
    before = dump()
    page.goto(live_server.url + specimen_path(campaign, now=timezone.now()))

    for state in whole_way(page):
        expect(page.locator(f'[data-state="{state}"]')).to_be_visible()
        expect(band(page)).to_be_in_viewport()
        page.emulate_media(media="print")
        expect(band(page)).to_be_visible()
        page.emulate_media(media="screen")

    page.get_by_role("link", name="Begin again").click()
    expect(page.locator('[data-state="ready"]')).to_be_visible()
    assert dump() == before
    assert page.context.cookies() == []
    assert complaints(page) == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_band_keeps_nobody_out(browser, live_server, campaign, scheme):
    page = open_page(browser, phone=True, color_scheme=scheme)
    page.goto(live_server.url + specimen_path(campaign, now=timezone.now()))

    for _state in whole_way(page):
        assert violations(page) == []
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 390
    page.context.close()


def test_the_language_stays_through_every_press(browser, live_server, campaign):
    page = open_page(browser, phone=True)
    path = specimen_path(campaign, now=timezone.now())
    page.goto(f"{live_server.url}{path}?lang=ja")

    page.locator("summary.button").click()
    page.locator("#redeem button").click()

    expect(page.locator("#serial")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    page.context.close()


def test_staff_find_the_link_on_the_campaigns_page_and_copy_it(
    browser, live_server, campaign, settings
):
    settings.SITE_URL = live_server.url
    make_user("Editor", username="mia")
    page = open_page(browser, permissions=["clipboard-read", "clipboard-write"])
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    sign_in(page, live_server.url + url, "mia", PASSWORD)

    page.get_by_role("link", name="Try it on your phone").click()
    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("() => navigator.clipboard.readText()")

    with page.expect_popup() as opened:
        page.get_by_role("link", name="日本語").click()
    expect(opened.value.locator("html")).to_have_attribute("lang", "ja")
    assert link == page.locator("#link").input_value()
    assert link.startswith(f"{live_server.url}/c/specimen/")
    assert complaints(page) == []
    page.context.close()


def test_a_till_says_that_it_is_a_specimen(browser, live_server):
    clerk = make_user("Store staff", username="aki")
    store = make_store(clerk)
    page = open_page(browser, phone=True)
    path = reverse("store:scan", args=[store.pk])
    sign_in(page, live_server.url + path, "aki", PASSWORD)

    page.locator("input[name=text]").fill("TEST-TEST-TEST")
    page.keyboard.press("Enter")

    expect(page.locator("#word")).to_have_text("Specimen")
    expect(page.get_by_text("It is no coupon. Don't take it.")).to_be_visible()
    page.context.close()
