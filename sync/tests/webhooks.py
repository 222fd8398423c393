"""LINE's webhooks as LINE would send them."""

import base64
import hashlib
import hmac
import itertools
import json

from django.urls import reverse

numbers = itertools.count(1)
HANA = "U" + "a" * 32
# 2026-05-01 12:00 UTC
NOON_MS = 1_777_636_800_000


def make_event(kind="follow", *, at_ms=NOON_MS, user_id=HANA, event_id=None, **more):
    event = {
        "type": kind,
        "mode": "active",
        "timestamp": at_ms,
        "source": {"type": "user", "userId": user_id},
        "webhookEventId": event_id or f"01EVENT{next(numbers):019d}",
        "deliveryContext": {"isRedelivery": False},
    }
    return event | more


def make_body(connection, *events):
    return json.dumps(
        {"destination": connection.account_id, "events": list(events)}
    ).encode()


def sign(secret, raw):
    return base64.b64encode(
        hmac.new(secret.encode(), raw, hashlib.sha256).digest()
    ).decode()


def post(client, connection, raw, *, secret=None, **headers):
    """Post a webhook signed with the connection's secret, or with another."""
    signature = sign(secret or connection.secret, raw)
    headers = {"X-Line-Signature": signature} | headers
    return client.post(
        reverse("hooks:line", args=[connection.hook_key]),
        data=raw,
        content_type="application/json",
        headers={name: value for name, value in headers.items() if value is not None},
    )
