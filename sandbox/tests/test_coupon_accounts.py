"""Paddle's and Vivoldi's accounts: kept over a restart, refused when wrong, faulty."""

from typing import Any

import pytest
import requests

from sandbox.testing import start_sandbox

PADDLE: dict[str, Any] = {"vendor_id": 12345, "auth_code": "abc1234"}
VIVOLDI = {"api_key": "a-key", "secret": "a-secret"}
CREATE = {
    "vendor_id": 12345,
    "vendor_auth_code": "abc1234",
    "coupon_code": "A-CODE",
    "coupon_type": "checkout",
    "discount_type": "percentage",
    "discount_amount": "25",
}


@pytest.fixture
def sandbox():
    with start_sandbox() as sandbox:
        sandbox.add_paddle(**PADDLE)
        sandbox.add_vivoldi(**VIVOLDI)
        yield sandbox


def paddle_create(sandbox, timeout=5):
    url = f"{sandbox.paddle_url}/api/2.1/product/create_coupon"
    return requests.post(url, data=CREATE, timeout=timeout)


def vivoldi(sandbox, call, method, **fields):
    return requests.request(
        method,
        f"{sandbox.vivoldi_url}/api/coupon/v1/{call}",
        headers={"Authorization": "APIKey a-key", "User-Agent": "ours"},
        timeout=5,
        **fields,
    )


# --- The file -------------------------------------------------------------------------


def test_a_restart_keeps_accounts_coupons_uses_payments_and_keys(tmp_path):
    data = str(tmp_path / "sandbox.sqlite3")
    with start_sandbox(data=data) as first:
        first.add_paddle(**PADDLE, webhook_url="http://127.0.0.1:1/")
        first.add_vivoldi(**VIVOLDI, plan="business")
        first.make_paddle_coupon(coupon_code="GONE-CODE")
        first.make_paddle_coupon(coupon_code="OLD-NAME", group="g")
        first.make_paddle_coupon(coupon_code="LATER-CODE")
        first.change_paddle_coupon("OLD-NAME", new_coupon_code="NEW-NAME")
        first.delete_paddle_coupon("GONE-CODE")
        order = first.pay("NEW-NAME")
        gone, kept = first.make_vivoldi_coupon(), first.make_vivoldi_coupon()
        first.delete_vivoldi_coupon(gone)
        first.vivoldi_use(kept, memo="Till 2")
        before = (first.paddle_coupons(), first.vivoldi_coupons())
        alerts, key = first.paddle_alerts(order), first.paddle_public_key()
        settings = (first.add_paddle(), first.add_vivoldi())

    with start_sandbox(data=data) as second:
        assert (second.paddle_coupons(), second.vivoldi_coupons()) == before
        assert [c["code"] for c in before[0]] == ["NEW-NAME", "LATER-CODE"]
        assert second.paddle_alerts(order) == alerts
        assert second.paddle_public_key() == key
        assert (second.add_paddle(), second.add_vivoldi()) == settings
        second.refund(order)
        assert second.make_paddle_coupon(coupon_code="ONE-MORE") == ["ONE-MORE"]

    with start_sandbox(data=data) as third:
        codes = [c["code"] for c in third.paddle_coupons()]
        assert codes == ["NEW-NAME", "LATER-CODE", "ONE-MORE"]


def test_reset_forgets_the_coupons_and_keeps_the_accounts(tmp_path):
    data = str(tmp_path / "sandbox.sqlite3")
    with start_sandbox(data=data) as sandbox:
        sandbox.add_paddle(**PADDLE)
        sandbox.add_vivoldi(**VIVOLDI)
        sandbox.make_paddle_coupon()
        sandbox.make_vivoldi_coupon()
        sandbox.reset()

    with start_sandbox(data=data) as sandbox:
        assert (sandbox.paddle_coupons(), sandbox.vivoldi_coupons()) == ([], [])
        assert sandbox.add_paddle()["auth_code"] == "abc1234"
        assert sandbox.add_vivoldi()["api_key"] == "a-key"


@pytest.mark.parametrize(
    "settings",
    [
        {"vendor_id": "12"},
        {"auth_code": ""},
        {"currency": "usd"},
        {"products": [{"id": 0, "name": "x"}]},
        {"products": [{"id": 1, "name": "x", "price": "free"}]},
        {"products": [{"number": 1}]},
        {"alerts": ["unknown"]},
        {"private_key": "bm8="},
        {"webhook_url": "ftp://x"},
        {"colour": "red"},
        {"name": " "},
    ],
)
def test_a_paddle_account_that_cannot_be_is_refused(sandbox, settings):
    before = sandbox.add_paddle()

    with pytest.raises(ValueError, match=r"\w"):
        sandbox.add_paddle(**settings)

    assert sandbox.add_paddle() == before


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": ""},
        {"plan": "gold"},
        {"signature_base": "a guess"},
        {"groups": [{"grpIdx": 0, "name": "x"}]},
        {"groups": [{"grpIdx": 1, "name": "x", "beats": {"disc": "5"}}]},
        {"groups": ["x"]},
        {"comp_idx": "1"},
    ],
)
def test_a_vivoldi_account_that_cannot_be_is_refused(sandbox, settings):
    before = sandbox.add_vivoldi()

    with pytest.raises(ValueError, match=r"\w"):
        sandbox.add_vivoldi(**settings)

    assert sandbox.add_vivoldi() == before


# --- Faults ---------------------------------------------------------------------------


def test_paddles_faults_have_its_own_shapes(sandbox):
    answers = {}
    for kind in ("500", "inner", "429_rate", "401"):
        sandbox.fault("paddle_create", kind, times=1)
        answers[kind] = paddle_create(sandbox)

    assert sandbox.paddle_coupons() == []
    statuses = {kind: answer.status_code for kind, answer in answers.items()}
    assert statuses == {"500": 500, "inner": 200, "429_rate": 429, "401": 200}
    assert answers["inner"].json()["error"]["code"] == 120
    assert answers["401"].json()["error"]["code"] == 102


@pytest.mark.parametrize(
    "kind", ["accept_then_drop", "accept_then_500", "accept_then_inner", "html"]
)
def test_an_accepted_create_may_have_no_good_answer(sandbox, kind):
    sandbox.fault("paddle_create", kind, times=1)

    try:
        answer = paddle_create(sandbox).text
    except requests.ConnectionError:
        answer = ""

    assert "A-CODE" not in answer
    assert len(sandbox.paddle_coupons()) == 1
    assert paddle_create(sandbox).json()["error"]["code"] == 132
    first, again = sandbox.requests("paddle_create")
    assert (first.accepted, again.accepted) == (True, False)
    assert again.to == "A-CODE"


def test_a_dropped_create_made_nothing(sandbox):
    sandbox.fault("paddle_create", "drop", times=1)

    with pytest.raises(requests.ConnectionError):
        paddle_create(sandbox)

    assert sandbox.paddle_coupons() == []


@pytest.mark.parametrize(
    ("call", "method"),
    [
        ("create", "POST"),
        ("update", "PUT"),
        ("delete", "DELETE"),
        ("validate", "GET"),
        ("redeem", "PUT"),
    ],
)
def test_each_call_of_vivoldi_has_its_own_fault(sandbox, call, method):
    sandbox.fault(f"vivoldi_{call}", "429_rate", times=1)

    first = vivoldi(sandbox, call, method, json={})
    second = vivoldi(sandbox, call, method, json={})

    assert (first.status_code, second.status_code) == (429, 200)
    assert first.json()["code"] != 0


def test_half_an_answer_comes_after_the_work(sandbox):
    number = sandbox.make_vivoldi_coupon()
    sandbox.fault("vivoldi_redeem", "half_json", times=1)

    answer = vivoldi(sandbox, "redeem", "PUT", json={"cpnNo": number})

    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert sandbox.vivoldi_coupons()[0]["useCnt"] == 1
