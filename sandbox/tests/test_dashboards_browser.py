"""Paddle's and Vivoldi's pages in Chromium: on a phone and a desk, by light and dark."""

import pytest
from playwright.sync_api import expect

from sandbox.testing import start_sandbox
from sandbox.tests.browsing import press
from testing.axe import violations

pytestmark = pytest.mark.browser

PAGES = [
    "/paddle",
    "/paddle/coupon?code=WELCOME5",
    "/paddle/checkout",
    "/paddle/account",
    "/vivoldi",
    "/vivoldi/coupons/CUP23456",
    "/vivoldi/account",
    "/vivoldi.com/coupon/CUP23456",
]


@pytest.fixture
def sandbox(shop):
    with start_sandbox() as sandbox:
        sandbox.add_paddle(webhook_url=shop.url)
        sandbox.add_vivoldi(webhook_url=shop.url)
        sandbox.make_paddle_coupon(coupon_code="WELCOME5", description="A" * 60)
        sandbox.make_vivoldi_coupon(
            cpnNo="CUP23456", nm="Ten off", grpIdx=271, onsiteYn="Y", onsitePwd="1234"
        )
        yield sandbox


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_keep_nobody_out(sandbox, open_page, width, scheme):
    sandbox.pay("WELCOME5")
    sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in PAGES:
        page.goto(sandbox.url + path)

        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")

        assert (path, wider) == (path, 0)
        assert (path, violations(page)) == (path, [])


@pytest.mark.parametrize("with_script", [True, False])
def test_somebody_pays_with_a_coupon(sandbox, open_page, with_script):
    page = open_page(java_script_enabled=with_script)
    page.goto(sandbox.url)
    page.get_by_role("link", name="Paddle", exact=True).click()

    page.get_by_role("link", name="Pay with it").click()
    press(page, "Pay")

    expect(page.get_by_role("status")).to_have_text("Paid: USD 36.00.")
    press(page, "Refund")
    expect(page.get_by_role("status")).to_have_text("The money is given back.")
    assert sandbox.paddle_coupons()[0]["times_used"] == 1


@pytest.mark.parametrize("with_script", [True, False])
def test_staff_redeem_a_coupon_on_its_page(sandbox, open_page, with_script):
    page = open_page(java_script_enabled=with_script)
    page.goto(f"{sandbox.url}/vivoldi")
    page.get_by_role("link", name="Its page").click()

    page.get_by_label("on-site password").fill("4321")
    press(page, "Redeem")
    expect(page.get_by_role("alert")).to_have_text("The on-site password is wrong.")
    page.get_by_label("on-site password").fill("1234")
    press(page, "Redeem")

    expect(page.get_by_role("status")).to_have_text("Redeemed")
    assert sandbox.vivoldi_coupons()[0]["useCnt"] == 1
