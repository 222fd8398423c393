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


# LINE's own example of a coupon, from its manual "Create coupons and send them to
# users", but for the description.
COUPON = {
    "title": "Friends-only coupon",
    "description": "- To use this coupon, please show this screen to the staff.\n- Once.",
    "reward": {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 100}},
    "acquisitionCondition": {"type": "normal"},
    "startTimestamp": 0,
    "endTimestamp": 1924959599,
    "imageUrl": "https://developers.line.biz/media/messaging-api/coupon/"
    "sample-coupon-image-100-yen-off.jpg",
    "timezone": "ASIA_TOKYO",
    "visibility": "UNLISTED",
    "maxUseCountPerTicket": 1,
}
LOTTERY = {"type": "lottery", "lotteryProbability": 50, "maxAcquireCount": -1}


def create(line, *, without=(), headers=(), **changes):
    """Ask for LINE's example coupon, changed."""
    body = {k: v for k, v in (COUPON | changes).items() if k not in without}
    return call(line, "coupon", body, headers=headers)


def created(line, **changes):
    """The id of a new coupon."""
    answer = create(line, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()["couponId"]


def get(line, path, **options):
    """A GET of LINE."""
    return call(line, path, method="GET", **options)


def close(line, coupon_id, **options):
    """Discontinue a coupon."""
    return call(line, f"coupon/{coupon_id}/close", method="PUT", **options)
