"""Paddle's and Vivoldi's pages: plain forms that do what the dashboards would."""

import pytest
import requests

from sandbox.testing import start_sandbox

NEW_PADDLE = {
    "coupon_code": "",
    "coupon_prefix": "TRY-",
    "num_coupons": "2",
    "discount_type": "flat",
    "discount_amount": "5",
    "coupon_type": "product",
    "product_ids": "510509",
    "allowed_uses": "",
    "expires": "",
    "minimum_threshold": "",
    "group": "by hand",
    "description": "",
    "currency": "USD",
}
NEW_VIVOLDI = {
    "cpnNo": "CUP23456",
    "nm": "$5 <b>off</b>",
    "discTypeIdx": "458",
    "disc": "5",
    "discCurrency": "USD",
    "strtYmd": "2020-01-01",
    "endYmd": "2099-12-31",
    "useLimit": "1",
    "grpIdx": "271",
    "onsiteYn": "Y",
    "onsitePwd": "123456",
    "url": "https://shop.example/",
    "userId": "",
    "memo": "",
}


@pytest.fixture
def sandbox(shop):
    with start_sandbox() as sandbox:
        sandbox.add_paddle(webhook_url=shop.url)
        sandbox.add_vivoldi(webhook_url=shop.url)
        yield sandbox


def see(sandbox, path):
    answer = requests.get(sandbox.url + path, timeout=5)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.text


def send(sandbox, path, **form):
    """Send a form and see the page that follows."""
    answer = requests.post(sandbox.url + path, data=form, timeout=5)
    assert answer.status_code == 200
    return answer.text


# --- Paddle ---------------------------------------------------------------------------


def test_coupons_are_made_found_changed_and_deleted(sandbox):
    made = send(sandbox, "/paddle", **NEW_PADDLE)
    first, second = (c["code"] for c in sandbox.paddle_coupons())

    found = see(sandbox, f"/paddle?q={first.lower()}")
    page = see(sandbox, f"/paddle/coupon?code={first}")
    changed = send(
        sandbox,
        f"/paddle/coupon?code={first}",
        do="save",
        new_coupon_code="CHANGED",
        discount_amount="7.50",
        allowed_uses="3",
        product_ids="511520",
        expires="2099-01-01",
        minimum_threshold="",
        group="moved",
    )
    send(sandbox, f"/paddle/coupon?code={second}", do="delete")

    assert "2 are made." in made
    assert first in found
    assert second not in found
    assert 'value="by hand"' in page
    assert "CHANGED is saved." in changed
    (kept,) = sandbox.paddle_coupons()
    assert (kept["code"], kept["discount_amount"]) == ("CHANGED", "7.50")
    assert (kept["product_ids"], kept["group"]) == ([511520], "moved")
    assert (kept["expires"], kept["recurring"]) == ("2099-01-01", False)


def test_a_form_with_a_mistake_says_so_and_changes_nothing(sandbox):
    sandbox.make_paddle_coupon(coupon_code="A-CODE", currency="USD")
    before = sandbox.paddle_coupons()

    made = send(sandbox, "/paddle", **NEW_PADDLE | {"discount_amount": "0"})
    changed = send(sandbox, "/paddle/coupon?code=A-CODE", do="save", allowed_uses="x")
    paid = send(sandbox, "/paddle/checkout", product_id="510509", quantity="none")

    assert 'role="alert"' in made
    assert "0.01 or more" in made
    assert 'name="new_coupon_code"' in changed
    assert 'role="alert"' in changed
    assert "quantity is a whole number" in paid
    assert sandbox.paddle_coupons() == before


def test_a_coupon_is_paid_with_refunded_and_its_alert_sent_again(sandbox, shop):
    sandbox.make_paddle_coupon(coupon_code="A-CODE")

    paid = send(
        sandbox,
        "/paddle/checkout",
        product_id="520001",
        quantity="1",
        coupon="A-CODE",
        email="hana@example.com",
    )
    (payment,) = payments(sandbox)
    alert_id = payment["alerts"][0]["alert_id"]
    sandbox.wait_for_webhooks()
    again = send(sandbox, "/paddle/payment", do="resend", alert=alert_id)
    renewed = send(sandbox, "/paddle/payment", do="renew", order=payment["order_id"])
    back = send(sandbox, "/paddle/payment", do="refund", order=payment["order_id"])
    sandbox.wait_for_webhooks()

    assert "Paid: USD 13.50." in paid
    assert "sent again" in again
    assert "Renewed: USD 15.00." in renewed
    assert "given back" in back
    assert len(shop.letters) == 4


def payments(sandbox):
    """What is in Paddle's log of payments, by the alerts the shop was sent."""
    rows = sandbox.webhook_log()
    return [
        {"order_id": row["event"]["order_id"], "alerts": [row["event"]]} for row in rows
    ]


def test_the_account_page_has_what_a_connection_needs(sandbox):
    settings = sandbox.add_paddle()

    page = see(sandbox, "/paddle/account")
    send(sandbox, "/paddle/account", webhook_url="http://127.0.0.1:1/new/")
    sold = send(
        sandbox, "/paddle/account", do="product", id="7", name="Mug", price="8.00"
    )

    assert str(settings["vendor_id"]) in page
    assert settings["auth_code"] in page
    assert "BEGIN PUBLIC KEY" in page
    assert "PRIVATE" not in page
    assert "Mug" in sold
    assert sandbox.add_paddle()["webhook_url"] == "http://127.0.0.1:1/new/"
    assert sandbox.pay(product_id=7)


def test_a_second_account_has_a_tab_and_its_own_coupons(sandbox):
    sandbox.add_paddle("Second & last")
    sandbox.make_paddle_coupon(coupon_code="OF-THE-FIRST")

    page = see(sandbox, "/paddle?account=Second+%26+last")
    send(sandbox, "/paddle?account=Second+%26+last", **NEW_PADDLE)

    assert "OF-THE-FIRST" not in page
    assert "Second &amp; last" in page
    assert len(sandbox.paddle_coupons("Second & last")) == 2


def test_an_account_that_is_not_there_is_a_404(sandbox):
    answer = requests.get(f"{sandbox.url}/paddle?account=No", timeout=5)

    assert answer.status_code == 404


def test_another_site_cannot_press_a_button(sandbox):
    answer = requests.post(
        f"{sandbox.url}/paddle",
        data=NEW_PADDLE,
        headers={"Origin": "https://evil.example"},
        timeout=5,
    )

    assert answer.status_code == 403
    assert sandbox.paddle_coupons() == []


# --- Vivoldi --------------------------------------------------------------------------


def test_a_vivoldi_coupon_is_made_changed_used_and_deleted(sandbox, shop):
    made = send(sandbox, "/vivoldi", **NEW_VIVOLDI)
    path = "/vivoldi/coupons/CUP23456"

    send(sandbox, path, do="save", nm="Another", disc="7", userId="att78z", memo="m")
    told = sandbox.vivoldi_coupons()[0]
    used = send(sandbox, path, do="use", memo="Till 2")
    memo = send(sandbox, path, do="save", memo="Seen")
    after = sandbox.vivoldi_coupons()[0]
    gone = send(sandbox, path, do="delete")
    sandbox.wait_for_webhooks()

    assert "CUP23456 is made." in made
    assert "$5 &lt;b&gt;off&lt;/b&gt;" in made
    assert (told["nm"], told["disc"], told["userId"]) == ("Another", 7, "att78z")
    assert "CUP23456 is used." in used
    assert "Till 2" in used
    assert "is saved." in memo
    assert (after["memo"], after["useCnt"], after["nm"]) == ("Seen", 1, "Another")
    assert "is deleted." in gone
    assert sandbox.vivoldi_coupons() == []
    assert len(shop.letters) == 1


def test_a_vivoldi_form_with_a_mistake_says_so(sandbox):
    made = send(sandbox, "/vivoldi", **NEW_VIVOLDI | {"disc": "a lot"})
    missing = see(sandbox, "/vivoldi/coupons/NO-SUCH")

    assert "disc is a number." in made
    assert "does not exist" in missing
    assert sandbox.vivoldi_coupons() == []


def test_staff_redeem_on_the_coupons_page_with_the_password(sandbox, shop):
    send(sandbox, "/vivoldi", **NEW_VIVOLDI)
    path = "/vivoldi.com/coupon/CUP23456"

    page = see(sandbox, path)
    wrong = send(sandbox, path, password="1")
    unused = sandbox.vivoldi_coupons()[0]["useCnt"]
    right = send(sandbox, path, password="123456")
    again = send(sandbox, path, password="123456")
    sandbox.wait_for_webhooks()

    assert "$5 off" in page
    assert "color: #3B2A1AFF; background-color: #FFF6E9FF" in page
    assert 'href="https://shop.example/"' in page
    assert "123456" not in page
    assert "password is wrong" in wrong
    assert unused == 0
    assert ">Redeemed<" in right
    assert "already been used" in again
    assert sandbox.vivoldi_coupons()[0]["uses"][0]["way"] == "page"
    assert len(shop.letters) == 1


def test_a_page_without_the_button_cannot_redeem(sandbox):
    send(sandbox, "/vivoldi", **NEW_VIVOLDI | {"onsiteYn": "N", "onsitePwd": ""})

    page = see(sandbox, "/vivoldi.com/coupon/CUP23456")
    pressed = send(sandbox, "/vivoldi.com/coupon/CUP23456")

    assert "<form" not in page
    assert "cannot be redeemed on its page" in pressed
    assert sandbox.vivoldi_coupons()[0]["useCnt"] == 0


def test_a_link_that_is_no_web_address_is_not_shown(sandbox):
    sandbox.make_vivoldi_coupon(cpnNo="CUP23456", url="javascript:alert(1)")

    assert "javascript:" not in see(sandbox, "/vivoldi.com/coupon/CUP23456")


def test_a_group_is_made_and_overrules_its_coupons(sandbox):
    page = send(
        sandbox,
        "/vivoldi/account",
        do="group",
        name="Autumn",
        field="nm",
        value="Autumn sale",
    )
    number = sandbox.make_vivoldi_coupon(grpIdx=301)

    assert "Autumn" in page
    assert "Autumn sale" in see(sandbox, f"/vivoldi.com/coupon/{number}")
    assert sandbox.add_vivoldi()["api_key"] in page


def test_a_number_nobody_has_is_a_404(sandbox):
    for method in ("GET", "POST"):
        url = f"{sandbox.url}/vivoldi.com/coupon/NOTHING1"
        assert requests.request(method, url, timeout=5).status_code == 404


def test_the_log_shows_calls_that_were_refused_and_webhooks_again(sandbox, shop):
    url = f"{sandbox.paddle_url}/api/2.1/product/list_coupons"
    requests.post(url, data={"vendor_id": "1", "vendor_auth_code": "1"}, timeout=5)
    event_id = sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())
    sandbox.wait_for_webhooks()

    page = see(sandbox, "/faults")
    send(sandbox, "/faults/redeliver", event=event_id)
    sandbox.wait_for_webhooks()

    assert "paddle list" in page
    assert "refused" in page
    assert "webhook coupon use" in page
    assert "Paddle: create coupons" in page
    assert len(shop.letters) == 2
