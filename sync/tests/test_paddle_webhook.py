"""Paddle's alerts on their way in: signature, storing once, and what is refused."""

import json
import logging
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from django.urls import reverse

from sandbox.testing import start_sandbox
from sync.models import InboundEvent, Use
from sync.processing import work_off
from sync.tests.uses_helpers import (
    NOON,
    alert,
    make_paddle,
    post_alert,
    publish,
    signed,
)
from testing.factories import make_connection

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def account():
    return make_paddle()


def test_a_signed_alert_is_stored_and_answered_with_200(client, account):
    answer = post_alert(client, account, alert("SPRING-1", alert_id="77"))

    event = InboundEvent.objects.get()
    assert answer.status_code == 200
    assert (event.connection, event.event_id) == (account, "77")
    assert (event.kind, event.occurred_at) == ("payment_succeeded", NOON)
    assert event.payload["coupon"] == "SPRING-1"
    assert event.processed_at is None


def test_nothing_of_the_buyer_is_kept(client, account):
    post_alert(client, account, alert("SPRING-1"))

    kept = json.dumps(InboundEvent.objects.get().payload)
    for canary in ("canary", "Canary", "203.0.113.7"):
        assert canary not in kept


def test_the_same_alert_again_is_stored_once(client, account):
    fields = alert("SPRING-1")

    answers = [post_alert(client, account, fields).status_code for _ in range(3)]

    assert answers == [200] * 3
    assert InboundEvent.objects.count() == 1


def test_an_alert_replayed_after_it_was_applied_changes_nothing(client, account):
    publish(account, ["SPRING-1"])
    fields = alert("SPRING-1")
    post_alert(client, account, fields)
    work_off()

    post_alert(client, account, fields)
    work_off()

    assert Use.objects.count() == InboundEvent.objects.count() == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda fields: fields | {"coupon": "SPRING-2"},
        lambda fields: fields | {"more": ""},
        lambda fields: {k: v for k, v in fields.items() if k != "customer_name"},
        lambda fields: {k: v for k, v in fields.items() if k != "p_signature"},
        lambda fields: fields | {"p_signature": ""},
        lambda fields: fields | {"p_signature": "AAAA"},
        lambda fields: fields | {"p_signature": "not base64!"},
    ],
    ids="changed added removed unsigned empty short garbage".split(),
)
def test_a_forged_alert_is_refused_and_not_stored(client, account, forge):
    body = urlencode(forge(signed(alert("SPRING-1"))))

    answer = client.post(
        reverse("hooks:paddle", args=[account.hook_key]), body, content_type=FORM
    )

    assert answer.status_code == 403
    assert not InboundEvent.objects.exists()


def test_another_key_signs_nothing(client, account):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert post_alert(client, account, alert("A"), key=other).status_code == 403
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize("key", ["", "PEM?", "-----BEGIN PUBLIC KEY-----\nAA"])
def test_without_a_usable_public_key_alerts_are_refused(client, key):
    account = make_paddle()
    type(account).objects.update(public_key=key)

    answer = post_alert(client, account, alert("A"))

    account.refresh_from_db()
    assert answer.status_code == 403
    assert ("public key" in account.last_error) == (key == "")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"\x00", b"&&&", b"a=1&" * 600], ids=range(5)
)
def test_what_is_no_alert_is_refused(client, account, body):
    answer = client.post(
        reverse("hooks:paddle", args=[account.hook_key]), body, content_type=FORM
    )

    assert answer.status_code == 403
    assert not InboundEvent.objects.exists()


def test_a_signed_form_that_is_no_alert_is_refused_with_400(client, account):
    fields = {"p_coupon": "SPRING-1", "p_order_id": "1"}

    assert post_alert(client, account, fields).status_code == 400
    assert not InboundEvent.objects.exists()


def test_a_body_over_1_mb_is_not_read(client, account):
    fields = alert("A", more="x" * 1_000_001)

    assert post_alert(client, account, fields).status_code == 413
    assert not InboundEvent.objects.exists()


def test_only_paddles_address_takes_paddles_alerts(client, account):
    line = make_connection()
    line.public_key = account.public_key
    line.save()

    assert post_alert(client, line, alert("A")).status_code == 403
    assert client.get(reverse("hooks:paddle", args=["x"])).status_code == 405


def test_the_way_in_needs_no_csrf_token(account):
    assert (
        post_alert(Client(enforce_csrf_checks=True), account, alert("A")).status_code
        == 200
    )


def test_the_log_has_ids_only(client, account, caplog):
    with caplog.at_level(logging.INFO):
        post_alert(client, account, alert("SPRING-1") | {"alert_name": ""})

    assert "webhook.refused" in caplog.text
    assert "SPRING-1" not in caplog.text


def test_a_sale_in_the_sandbox_is_a_use_here(tmp_path, live_server):
    with start_sandbox(data=str(tmp_path / "sandbox.sqlite3")) as box:
        account = make_paddle(account_id="4711")
        hook = reverse("hooks:paddle", args=[account.hook_key])
        box.add_paddle(vendor_id=4711, webhook_url=f"{live_server.url}{hook}")
        account.public_key = box.paddle_public_key()
        account.save()
        rows = publish(account, ["SPRING-1"])
        box.make_paddle_coupon(coupon_code="SPRING-1")

        order = box.pay("SPRING-1")
        box.refund(order)
        box.wait_for_webhooks()

    work_off()
    use = Use.objects.get()
    assert (use.coupon, use.key) == (rows["SPRING-1"], f"order:{order}")
    assert use.outcome == "void"
    assert use.refunded_at is not None
