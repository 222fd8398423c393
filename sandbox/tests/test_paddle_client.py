"""The published Paddle client speaks to the sandbox, unchanged."""

import pytest
from paddle import PaddleClient
from paddle.paddle import PaddleException

from sandbox.testing import start_sandbox

VENDOR_ID, AUTH_CODE = 12345, "abc1234"


@pytest.fixture
def sandbox():
    with start_sandbox() as sandbox:
        sandbox.add_paddle(vendor_id=VENDOR_ID, auth_code=AUTH_CODE)
        yield sandbox


@pytest.fixture
def client(sandbox):
    """Paddle's client; it takes no address, so its own are written over."""
    client = PaddleClient(vendor_id=VENDOR_ID, api_key=AUTH_CODE, sandbox=False)
    base = f"{sandbox.paddle_url}/api/"
    client.vendors_v2 = client.default_url = base + "2.0/"
    client.checkout_v2_1 = base + "2.1/"
    return client


def create(client, **fields):
    usual = {
        "coupon_type": "product",
        "product_ids": [510509, 511520],
        "discount_type": "percentage",
        "discount_amount": 25,
        "allowed_uses": 1,
        "recurring": False,
        "currency": "USD",
    }
    return client.create_coupon(**usual | fields)["coupon_codes"]


def test_it_creates_a_batch_and_lists_it(client, sandbox):
    codes = create(
        client,
        coupon_prefix="TEST-",
        num_coupons=3,
        expires="2099-12-31",
        group="A group",
        description="By the client",
        minimum_threshold=10,
    )

    listed = client.list_coupons(product_id=510509)

    assert [row["coupon"] for row in listed] == codes
    assert listed[0] == {
        "coupon": codes[0],
        "description": "By the client",
        "discount_type": "percentage",
        "discount_amount": 0.25,
        "discount_currency": None,
        "allowed_uses": 1,
        "times_used": 0,
        "is_recurring": False,
        "expires": "2099-12-31 00:00:00",
    }
    kept = sandbox.paddle_coupons()[0]
    assert (kept["group"], kept["minimum_threshold"]) == ("A group", "10")


def test_it_creates_a_coupon_of_a_code_for_the_checkout(client, sandbox):
    codes = create(
        client,
        coupon_type="checkout",
        product_ids=None,
        coupon_code="WELCOME-5",
        discount_type="flat",
        discount_amount=5.5,
        recurring=True,
    )

    kept = sandbox.paddle_coupons()[0]

    assert codes == ["WELCOME-5"]
    assert (kept["discount_type"], kept["discount_amount"]) == ("flat", "5.5")
    assert kept["recurring"]


def test_it_updates_a_coupon_and_a_group(client, sandbox):
    (code,) = create(client, coupon_code="FIRST-CODE", group="old")
    create(client, coupon_code="OTHER-CODE", group="old")

    one = client.update_coupon(coupon_code=code, new_coupon_code="NEW-CODE")
    both = client.update_coupon(
        group="old", new_group="new", allowed_uses=7, expires="2099-01-01"
    )

    assert (one, both) == ({"updated": 1}, {"updated": 2})
    kept = [
        (c["code"], c["group"], c["allowed_uses"]) for c in sandbox.paddle_coupons()
    ]
    assert kept == [("NEW-CODE", "new", 7), ("OTHER-CODE", "new", 7)]


def test_it_deletes_a_coupon(client, sandbox):
    (code,) = create(client)

    assert client.delete_coupon(code, product_id=510509) is True

    assert sandbox.paddle_coupons() == []


def test_it_raises_paddles_own_error(client):
    with pytest.raises(PaddleException) as refusal:
        client.delete_coupon("NO-SUCH-CODE")

    assert refusal.value.code == 135
    assert str(refusal.value) == "Paddle error 135 - Unable to find requested coupon"
