"""Plain requests to a sandbox, where LINE's own client would hide too much."""

import requests

from sandbox.tests.conftest import HANA, TOKEN

KEY = "123e4567-e89b-12d3-a456-426614174000"
TEXT = {"type": "text", "text": "Hello"}


def call(
    line,
    path,
    data=None,
    *,
    key=None,
    method="POST",
    token=TOKEN,
    headers=(),
    timeout=5,
):
    """One call of LINE; no retries, no redirects."""
    sent = {"Authorization": f"Bearer {token}"} | dict(headers)
    if key:
        sent["X-Line-Retry-Key"] = key
    url = f"{line.url}/v2/bot/{path}"
    return requests.request(method, url, json=data, headers=sent, timeout=timeout)


def push(line, to=HANA, *messages, key=None, **options):
    """Push to one user."""
    body = {"to": to, "messages": list(messages) or [TEXT]}
    return call(line, "message/push", body, key=key, **options)


def card(label="Open my coupon", uri="https://shop.example/c/abc"):
    """A small Flex message with one button."""
    button = {
        "type": "button",
        "style": "primary",
        "action": {"type": "uri", "label": label, "uri": uri},
    }
    box = {"type": "box", "layout": "vertical", "contents": [button]}
    return {
        "type": "flex",
        "altText": "A coupon",
        "contents": {"type": "bubble", "footer": box},
    }
