"""Vivoldi's webhook about a coupon's use: headers, signature, tries."""

import hashlib
import hmac
import json
import re

import pytest
import requests

from sandbox.testing import start_sandbox

SECRET = "a-webhook-secret"


@pytest.fixture
def sandbox(shop):
    with start_sandbox(clock=lambda: 1_758_184_391.752) as sandbox:
        sandbox.add_vivoldi(secret=SECRET, webhook_url=shop.url, comp_idx=77)
        yield sandbox


def letters(sandbox, shop):
    """What the shop was told so far: body and headers of each try."""
    sandbox.wait_for_webhooks()
    return shop.letters


def signature_in(headers):
    """The three parts of X-Vivoldi-Signature."""
    found = re.fullmatch(
        r"t=(\d+),v1=([0-9a-f]{64}),alg=hmac-sha256", headers["X-Vivoldi-Signature"]
    )
    return found[1], found[2]


def hmac_of(base):
    return hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()


def test_a_use_is_told_with_vivoldis_headers(sandbox, shop):
    number = sandbox.make_vivoldi_coupon(userId="att78z", onsitePwd="123456")

    event_id = sandbox.vivoldi_use(number, memo="Till 2")

    ((body, headers),) = letters(sandbox, shop)
    told = json.loads(body)
    assert (told["cpnNo"], told["useCnt"], told["userId"]) == (number, 1, "att78z")
    assert told["memo"] == "Till 2"
    assert told["useYmdt"] == "2025-09-18 17:33:11"
    assert b"123456" not in body
    assert headers["X-Vivoldi-Event-Id"] == event_id
    assert headers["X-Vivoldi-Resource-Type"] == "COUPON"
    assert headers["X-Vivoldi-Action-Type"] == "NONE"
    assert headers["X-Vivoldi-Webhook-Type"] == "GLOBAL"
    assert headers["X-Vivoldi-Comp-Idx"] == "77"
    assert headers["X-Vivoldi-Timestamp"] == "1758184391752"
    assert headers["X-Content-SHA256"] == hashlib.sha256(body).hexdigest()
    timestamp, signature = signature_in(headers)
    assert timestamp == "1758184391752"
    assert signature == hmac_of(b"1758184391752." + body)


def test_the_time_may_come_in_seconds(sandbox, shop):
    sandbox.add_vivoldi(timestamp_in_ms=False)

    sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())

    _, headers = letters(sandbox, shop)[0]
    assert headers["X-Vivoldi-Timestamp"] == "1758184391"


@pytest.mark.parametrize("way", ["timestamp.hash", "timestamp.ids.hash"])
def test_another_text_may_be_signed(sandbox, shop, way):
    sandbox.add_vivoldi(signature_base=way)

    sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())

    body, headers = letters(sandbox, shop)[0]
    timestamp, signature = signature_in(headers)
    digest = hashlib.sha256(body).hexdigest()
    ids = f"{headers['X-Vivoldi-Request-Id']}.{headers['X-Vivoldi-Event-Id']}."
    middle = ids if "ids" in way else ""
    assert signature == hmac_of(f"{timestamp}.{middle}{digest}".encode())


def test_a_use_is_told_until_it_is_taken_as_the_same_event(sandbox, shop):
    shop.statuses = [500, 301]

    sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())

    told = letters(sandbox, shop)
    assert len(told) == 3
    assert len({body for body, _ in told}) == 1
    assert len({headers["X-Vivoldi-Event-Id"] for _, headers in told}) == 1
    assert len({headers["X-Vivoldi-Request-Id"] for _, headers in told}) == 3


def test_it_can_be_sent_again(sandbox, shop):
    event_id = sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())
    sandbox.wait_for_webhooks()

    sandbox.redeliver(event_id)

    ids = [h["X-Vivoldi-Event-Id"] for _, h in letters(sandbox, shop)]
    assert ids == [event_id, event_id]


def test_a_use_by_api_is_told_unless_the_account_does_not(sandbox, shop):
    first = sandbox.make_vivoldi_coupon()
    second = sandbox.make_vivoldi_coupon()

    told = sandbox.vivoldi_use(first, way="api")
    sandbox.add_vivoldi(tells_api_uses=False)
    not_told = sandbox.vivoldi_use(second, way="api")

    assert told
    assert not_told == ""
    assert len(letters(sandbox, shop)) == 1


def test_a_coupon_of_an_enterprise_may_be_kept_quiet(sandbox, shop):
    sandbox.add_vivoldi(plan="enterprise")
    quiet = sandbox.make_vivoldi_coupon(webhookEnableYn="N")
    loud = sandbox.make_vivoldi_coupon(webhookEnableYn="Y")

    assert sandbox.vivoldi_use(quiet) == ""
    assert sandbox.vivoldi_use(loud)


def test_without_an_address_nobody_is_told(sandbox, shop):
    sandbox.add_vivoldi(webhook_url="")

    assert sandbox.vivoldi_use(sandbox.make_vivoldi_coupon()) == ""
    assert letters(sandbox, shop) == []


def test_the_log_has_each_try(sandbox, shop):
    shop.close()

    sandbox.vivoldi_use(sandbox.make_vivoldi_coupon())
    sandbox.wait_for_webhooks()

    (record,) = sandbox.webhook_log()
    assert (record["provider"], record["type"]) == ("Vivoldi", "coupon use")
    assert {t["reason"] for t in record["tries"]} == {"could_not_connect"}


def test_the_control_api_makes_and_uses(sandbox):
    base = f"{sandbox.url}/_control/vivoldi"

    made = requests.post(f"{base}/coupons", json={"cpnNo": "CUP23456"}, timeout=5)
    used = requests.post(f"{base}/use", json={"number": "CUP23456"}, timeout=5)
    wrong = requests.post(
        f"{base}/use", json={"number": "CUP23456", "way": "by magic"}, timeout=5
    )
    listed = requests.get(f"{base}/coupons", timeout=5).json()["coupons"]

    assert made.json() == {"cpnNo": "CUP23456"}
    assert used.json()["event_id"]
    assert wrong.status_code == 400
    assert listed[0]["useCnt"] == 1
