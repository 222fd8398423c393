"""Paddle's checkout: what a payment does to a coupon, and whom it is told."""

import base64
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.testing import start_sandbox

ONCE, PLAN = 510509, 520001  # 40.00, and 15.00 a month


@pytest.fixture
def sandbox(shop):
    with start_sandbox() as sandbox:
        sandbox.add_paddle(webhook_url=shop.url)
        yield sandbox


def alerts(sandbox, shop):
    """What the shop was told so far: the fields of each alert."""
    sandbox.wait_for_webhooks()
    return [
        dict(parse_qsl(body.decode(), keep_blank_values=True))
        for body, _ in shop.letters
    ]


def php_serialize(fields):
    """PHP's serialize() of an array, written from PHP's manual and not from ours."""
    out = bytearray(f"a:{len(fields)}:".encode() + b"{")
    for key in sorted(fields, key=lambda name: name.encode()):
        for text in (key, fields[key]):
            raw = text.encode("utf-8")
            out += b"s:" + str(len(raw)).encode() + b':"' + raw + b'";'
    return bytes(out + b"}")


def check_signature(fields, pem):
    """As dj-paddle does: all fields but the signature, RSA with SHA-1."""
    rest = {name: text for name, text in fields.items() if name != "p_signature"}
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(fields["p_signature"])
    sha1 = hashes.SHA1()  # noqa: S303 (it is what Paddle signs with)
    key.verify(signature, php_serialize(rest), padding.PKCS1v15(), sha1)


# --- A payment ------------------------------------------------------------------------


def test_a_payment_uses_the_coupon_and_is_told_with_it(sandbox, shop):
    (code,) = sandbox.make_paddle_coupon(coupon_code="WELCOME", discount_amount=25)

    order = sandbox.pay(code, product_id=ONCE, quantity=2, email="hana@example.com")

    (told,) = alerts(sandbox, shop)
    assert sandbox.paddle_coupons()[0]["times_used"] == 1
    assert told["alert_name"] == "payment_succeeded"
    assert (told["coupon"], told["order_id"]) == ("WELCOME", order)
    assert (told["sale_gross"], told["currency"]) == ("60.00", "USD")
    assert (told["product_id"], told["quantity"]) == (str(ONCE), "2")
    assert told["email"] == "hana@example.com"
    assert Decimal(told["fee"]) + Decimal(told["earnings"]) == 60
    assert told["passthrough"] == ""
    _, headers = shop.letters[0]
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_payment_without_a_coupon_has_an_empty_one(sandbox, shop):
    sandbox.pay(product_id=ONCE)

    assert alerts(sandbox, shop)[0]["coupon"] == ""


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"discount_amount": "33.333"}, "26.67"),
        ({"discount_type": "flat", "discount_amount": "12.5"}, "27.50"),
        ({"discount_type": "flat", "discount_amount": "50"}, "0.00"),
    ],
)
def test_what_is_left_to_pay(sandbox, shop, fields, left):
    (code,) = sandbox.make_paddle_coupon(currency="USD", **fields)

    sandbox.pay(code, product_id=ONCE)

    assert alerts(sandbox, shop)[0]["sale_gross"] == left


@pytest.mark.parametrize(
    ("fields", "product", "words"),
    [
        ({"allowed_uses": 0}, ONCE, "over or used up"),
        ({"coupon_type": "product", "product_ids": PLAN}, ONCE, "not for this product"),
        ({"minimum_threshold": "40"}, ONCE, "carts of more than USD 40"),
        ({}, 1, "no product 1"),
    ],
)
def test_a_coupon_that_does_not_fit_is_refused(sandbox, shop, fields, product, words):
    (code,) = sandbox.make_paddle_coupon(**fields)

    with pytest.raises(ValueError, match=words):
        sandbox.pay(code, product_id=product)

    assert sandbox.paddle_coupons()[0]["times_used"] == 0
    assert alerts(sandbox, shop) == []


def test_the_last_use_is_the_last(sandbox):
    (code,) = sandbox.make_paddle_coupon(allowed_uses=2)
    sandbox.pay(code)
    sandbox.pay(code)

    with pytest.raises(ValueError, match="over or used up"):
        sandbox.pay(code)


def test_an_account_may_be_told_of_the_processed_order_too(sandbox, shop):
    sandbox.add_paddle(alerts=["payment_succeeded", "locker_processed"])
    (code,) = sandbox.make_paddle_coupon()

    order = sandbox.pay(code)

    told = alerts(sandbox, shop)
    by_name = {fields["alert_name"]: fields for fields in told}
    assert set(by_name) == {"payment_succeeded", "locker_processed"}
    assert {(f["order_id"], f["coupon"]) for f in told} == {(order, code)}
    assert len({f["alert_id"] for f in told}) == 2


# --- Refunds and subscriptions --------------------------------------------------------


def test_a_refund_names_the_order_and_no_coupon(sandbox, shop):
    (code,) = sandbox.make_paddle_coupon()
    order = sandbox.pay(code, product_id=ONCE)
    sandbox.wait_for_webhooks()

    sandbox.refund(order)

    told = alerts(sandbox, shop)[1]
    assert told["alert_name"] == "payment_refunded"
    assert (told["order_id"], told["refund_type"]) == (order, "full")
    assert told["gross_refund"] == "36.00"
    assert "coupon" not in told
    assert sandbox.paddle_coupons()[0]["times_used"] == 1
    with pytest.raises(ValueError, match="given back already"):
        sandbox.refund(order)


def test_an_account_may_give_a_refunded_use_back(sandbox):
    sandbox.add_paddle(refund_gives_back=True)
    (code,) = sandbox.make_paddle_coupon()

    sandbox.refund(sandbox.pay(code))

    assert sandbox.paddle_coupons()[0]["times_used"] == 0


def test_a_plan_begins_a_subscription_and_renews(sandbox, shop):
    (code,) = sandbox.make_paddle_coupon(recurring=1)
    first = sandbox.pay(code, product_id=PLAN)
    sandbox.wait_for_webhooks()

    second = sandbox.renew(first)

    began, went_on = alerts(sandbox, shop)
    assert began["alert_name"] == "subscription_payment_succeeded"
    assert (began["initial_payment"], went_on["initial_payment"]) == ("1", "0")
    assert began["subscription_id"] == went_on["subscription_id"]
    assert (began["coupon"], went_on["coupon"]) == (code, code)
    assert (began["order_id"], went_on["order_id"]) == (first, second)
    assert sandbox.paddle_coupons()[0]["times_used"] == 1


def test_a_coupon_for_the_first_payment_alone_is_not_in_the_next(sandbox, shop):
    (code,) = sandbox.make_paddle_coupon()
    first = sandbox.pay(code, product_id=PLAN)
    sandbox.wait_for_webhooks()

    sandbox.renew(first)

    began, went_on = alerts(sandbox, shop)
    assert (began["sale_gross"], began["coupon"]) == ("13.50", code)
    assert (went_on["sale_gross"], went_on["coupon"]) == ("15.00", "")


# --- Signature and tries --------------------------------------------------------------


def test_each_alert_is_signed_as_paddle_signs(sandbox, shop):
    sandbox.add_paddle(products=[{"id": 1, "name": "Café ☕ für zwei"}])
    sandbox.pay(product_id=1, passthrough='{"a": "ñ"}')

    (told,) = alerts(sandbox, shop)

    pem = sandbox.paddle_public_key()
    check_signature(told, pem)
    with pytest.raises(InvalidSignature):
        check_signature(told | {"sale_gross": "0.00"}, pem)


def test_an_alert_is_sent_until_it_is_taken_and_stays_the_same(sandbox, shop):
    shop.statuses = [500, 503]

    sandbox.pay(product_id=ONCE)

    told = alerts(sandbox, shop)
    assert len(told) == 3
    assert told[0] == told[1] == told[2]


def test_an_alert_can_be_sent_again(sandbox, shop):
    order = sandbox.pay(product_id=ONCE)
    sandbox.wait_for_webhooks()
    (kept,) = sandbox.paddle_alerts(order)

    sandbox.resend_alert(kept["alert_id"])
    sandbox.wait_for_webhooks()
    sandbox.redeliver(kept["alert_id"])

    ids = [fields["alert_id"] for fields in alerts(sandbox, shop)]
    assert ids == [kept["alert_id"]] * 3
    with pytest.raises(ValueError, match="no such alert"):
        sandbox.resend_alert("1")


def test_the_log_has_each_try(sandbox, shop):
    shop.statuses = [500]

    sandbox.pay(product_id=ONCE)
    sandbox.wait_for_webhooks()

    (record,) = sandbox.webhook_log()
    tries = [(t["reason"], t["status"]) for t in record["tries"]]
    assert (record["provider"], record["type"]) == ("Paddle", "payment succeeded")
    assert tries == [("error_status_code", 500), ("OK", 200)]


def test_without_an_address_nobody_is_told_until_there_is_one(sandbox, shop):
    sandbox.add_paddle(webhook_url="")
    order = sandbox.pay(product_id=ONCE)
    assert alerts(sandbox, shop) == []

    sandbox.add_paddle(webhook_url=shop.url)
    sandbox.resend_alert(sandbox.paddle_alerts(order)[0]["alert_id"])

    assert alerts(sandbox, shop)[0]["order_id"] == order


def test_the_control_api_makes_pays_and_refunds(sandbox):
    base = f"{sandbox.url}/_control/paddle"

    def post(path, **data):
        return requests.post(f"{base}{path}", json=data, timeout=5)

    codes = post("/coupons", coupon_code="BY-CONTROL").json()["coupon_codes"]
    order = post("/pay", code="BY-CONTROL", product_id=ONCE).json()["order_id"]
    given_back = post("/refund", order_id=order)
    wrong = post("/pay", code="NO-SUCH")
    listed = requests.get(f"{base}/coupons", timeout=5).json()["coupons"]

    assert codes == ["BY-CONTROL"]
    assert given_back.json() == {"order_id": order}
    assert (wrong.status_code, listed[0]["times_used"]) == (400, 1)
