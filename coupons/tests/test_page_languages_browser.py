"""The customer's page in each language on a small phone with large text, and on paper."""

import pytest
from playwright.sync_api import ViewportSize, expect

from campaigns.models import CampaignText
from coupons.services import redeem
from coupons.tests.page_helpers import url_of
from testing.browsing import complaints, open_page
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NARROW = ViewportSize(width=195, height=422)  # a 390 px phone at 200 % text
# As long as it may be, without a blank.
LONG = {
    "en": "Supercalifragilistic" * 50,
    "ja": "冬のラテ週間限定割引" * 100,
    "zh-hant": "冬季拿鐵週限定優惠券" * 100,
    "th": "สัปดาห์ลาเต้ฤดูหนาว" * 50,
    "ko": "겨울라떼위크할인쿠폰" * 100,
}
PAPER = ViewportSize(width=700, height=990)


def make_long(language):
    text = LONG[language]
    stores = [make_store(name=text[n : n + 60], address=text[:60]) for n in (0, 1)]
    for store in stores:
        store.set_password("umbrella-7")
    campaign = make_campaign(
        *stores,
        benefit="price",
        price_before=1234567,
        price_after=1234566,
        currency="JPY",
        minimum_spend=1234567,
        verifying="password_scan",
        barcode="code128",
        button_url="https://shop.example",
        button_label="W",
    )
    CampaignText.objects.create(
        campaign=campaign,
        language=language,
        name=text[:60],
        instructions=text[:1000],
        usage_condition=text[:100],
        button_label=text[:40],
    )
    make_fixed_batch(campaign, code="WWWWWWWWWWWWWWWW")
    return make_coupon(campaign, status="sent")


def is_too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("language", LONG)
def test_no_state_scrolls_sideways_at_twice_the_text(browser, live_server, language):
    coupon = make_long(language)
    page = open_page(browser, phone=True)
    page.set_viewport_size(NARROW)
    address = f"{live_server.url}{url_of(coupon)}?lang={language}"

    page.goto(address)
    page.locator("summary.button").click()
    assert not is_too_wide(page)
    page.locator("#redeem button").click()
    expect(page.locator("#serial")).to_be_visible()
    assert not is_too_wide(page)
    page.locator("#store").select_option(index=1)
    page.locator("#password").fill("umbrella-7")
    page.locator("#use button").click()
    expect(page.locator(".used")).to_be_visible()
    assert not is_too_wide(page)

    assert page.locator("html").get_attribute("lang") == language
    assert complaints(page) == []
    page.context.close()


def test_a_link_at_the_foot_changes_the_language_without_script(browser, live_server):
    campaign = make_campaign()
    make_serials(campaign, ["LATTE-0001"])
    coupon = make_coupon(campaign, status="sent")
    page = open_page(browser, phone=True, java_script_enabled=False)
    page.goto(live_server.url + url_of(coupon))

    page.get_by_role("link", name="日本語").click()
    page.locator("summary.button").click()
    page.get_by_role("button", name="はい、引き換えます").click()

    expect(page.get_by_text("有効期限 20")).to_be_visible()
    expect(page.locator("#serial")).to_have_text("LATTE-0001")
    assert page.context.cookies() == []
    page.context.close()


def test_on_paper_stand_code_number_times_and_stores_black_on_white(
    browser, live_server
):
    campaign = make_campaign(
        make_store(name="Shibuya", address="1-2-3 Dogenzaka"),
        name="Summer latte",
        barcode="code128",
        verifying="scan",
        background_colour="#222222",
        text_colour="#FFFFFF",
        button_url="https://shop.example",
        button_label="To the menu",
    )
    make_fixed_batch(campaign, code="WWWWWWWWWWWWWWWW")
    coupon = make_coupon(campaign, status="sent")
    redeem(coupon.token, source=TEST)
    coupon.refresh_from_db()
    page = open_page(browser, phone=True, color_scheme="dark")
    page.set_viewport_size(PAPER)
    page.goto(live_server.url + url_of(coupon))

    page.emulate_media(media="print")

    for words in (
        "Summer latte",
        "WWWWWWWWWWWWWWWW",
        coupon.shown_number,
        "Shibuya",
        "1-2-3 Dogenzaka",
    ):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.locator(".until time")).to_be_visible()
    for hidden in ("#copy", ".live", ".foot", ".outward", "nav"):
        expect(page.locator(hidden)).to_be_hidden()
    for symbol in page.locator(".symbol svg").all()[:1]:
        assert symbol.bounding_box()["width"] == float(symbol.get_attribute("width"))
    look = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundImage]"
    assert page.locator(".card").evaluate(look) == ["rgb(0, 0, 0)", "none"]
    assert page.locator("h1").evaluate(look)[0] == "rgb(0, 0, 0)"
    page.context.close()
