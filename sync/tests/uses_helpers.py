"""Codes of ours at Paddle and Vivoldi, and what both tell of their use."""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import time
from datetime import timedelta
from functools import cache
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.urls import reverse
from django.utils import timezone

from providers.paddle_webhook import serialize
from sync.models import InboundEvent
from testing.factories import (
    instant,
    make_campaign,
    make_connection,
    make_publication,
    make_remote_coupon,
    make_serials,
)

numbers = itertools.count(1)
NOON = instant("2026-05-01 12:00")
NOON_TEXT = "2026-05-01 12:00:00"


@cache
def paddle_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def public_key():
    key = paddle_key().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def make_paddle(**fields):
    fields.setdefault("account_id", str(1000 + next(numbers)))
    return make_connection(
        provider="paddle",
        name=f"Paddle {next(numbers)}",
        public_key=public_key(),
        **fields,
    )


def make_vivoldi(**fields):
    return make_connection(
        provider="vivoldi", name=f"Vivoldi {next(numbers)}", account_id="", **fields
    )


def publish(account, codes, *, campaign=None, **fields):
    """A campaign whose serials are coupons at the account: {code: remote coupon}."""
    campaign = campaign or make_campaign()
    batch = make_serials(campaign, codes)
    fields.setdefault("prepared_at", timezone.now() - timedelta(days=1))
    publication = make_publication(
        campaign, account, live=len(codes), total=len(codes), **fields
    )
    return {
        serial.code: make_remote_coupon(
            publication, serial=serial, remote_id=serial.code, used=None
        )
        for serial in batch.serials.order_by("pos")
    }


def alert(code="", *, order="100-1", kind="payment_succeeded", **fields):
    """An alert's fields, unsigned."""
    number = next(numbers)
    return {
        "alert_id": str(number),
        "alert_name": kind,
        "event_time": NOON_TEXT,
        "order_id": order,
        "coupon": code,
        "email": "canary.buyer@example.com",
        "customer_name": "Canary Büyer",
        "ip": "203.0.113.7",
        **fields,
    }


def signed(fields, key=None):
    signature = (key or paddle_key()).sign(
        serialize(fields),
        padding.PKCS1v15(),
        SHA1(),  # noqa: S303
    )
    return fields | {"p_signature": base64.b64encode(signature).decode()}


def post_alert(client, account, fields, *, key=None):
    return client.post(
        reverse("hooks:paddle", args=[account.hook_key]),
        data=urlencode(signed(fields, key)),
        content_type="application/x-www-form-urlencoded",
    )


def vivoldi_call(body, secret, *, at=None, event_id="", **changed):
    """The headers of a webhook, signed by the first of the likely texts."""
    timestamp = str(int(time.time() if at is None else at))
    base = timestamp.encode() + b"." + body
    signature = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    headers = {
        "X-Vivoldi-Request-Id": secrets.token_hex(8),
        "X-Vivoldi-Event-Id": event_id or secrets.token_hex(8),
        "X-Vivoldi-Webhook-Type": "GLOBAL",
        "X-Vivoldi-Resource-Type": "COUPON",
        "X-Vivoldi-Action-Type": "NONE",
        "X-Vivoldi-Comp-Idx": "7",
        "X-Vivoldi-Timestamp": timestamp,
        "X-Content-SHA256": hashlib.sha256(body).hexdigest(),
        "X-Vivoldi-Signature": f"t={timestamp},v1={signature},alg=hmac-sha256",
    }
    changed = {name.replace("_", "-"): value for name, value in changed.items()}
    headers |= changed
    return {name: value for name, value in headers.items() if value is not None}


def post_vivoldi(client, account, number, *, secret=None, **changed):
    body = json.dumps({"cpnNo": number, "useCnt": 1, "onsitePwd": "913377"}).encode()
    return client.post(
        reverse("hooks:vivoldi", args=[account.hook_key]),
        data=body,
        content_type="application/json",
        headers=vivoldi_call(body, secret or account.secret, **changed),
    )


def arrive(account, fields, *, at=NOON):
    """An alert that was stored already, for whoever applies it."""
    return InboundEvent.objects.create(
        connection=account,
        event_id=fields["alert_id"],
        kind=fields["alert_name"],
        occurred_at=at,
        payload=fields,
        next_try_at=at,
    )
