"""A Vivoldi coupon is used: counted, and told by webhook.

Source: Vivoldi's webhook documentation for the headers, the hash and the retries. The
fields of a coupon's payload and the text that is signed were not to be seen in it:
both are unconfirmed, the latter a setting of the account.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.courier import Courier, Letter
from sandbox.vivoldi import rules
from sandbox.vivoldi.book import VivoldiAccount, VivoldiCoupon
from sandbox.world import WebhookRecord, World

PAYLOAD = (  # unconfirmed
    "cpnNo nm discTypeIdx disc discCurrency strtYmd endYmd useLimit useCnt userId"
).split()


class Teller:
    """Takes uses, wherever they come from, and tells of them."""

    def __init__(self, world: World, courier: Courier) -> None:
        self._world = world
        self._courier = courier

    def redeem(
        self, account: VivoldiAccount, sent: Mapping[str, Any], *, way: str
    ) -> WebhookRecord | None:
        """Use a coupon once; the webhook, if one goes out. Raises VivoldiError."""
        coupon = rules.redeem(self._world.vivoldi, account, sent, way=way)
        if not self._tells(account, coupon, way):
            return None
        event_id = uuid.uuid4().hex
        payload = payload_of(account, coupon)
        record = WebhookRecord(
            event_id, account.name, "coupon use", coupon.cpnNo, payload, "Vivoldi"
        )
        body = json.dumps(payload).encode()
        self._courier.send(record, lambda: self._letter(account, event_id, body))
        return record

    def _tells(self, account: VivoldiAccount, coupon: VivoldiCoupon, way: str) -> bool:
        is_told = way != "api" or account.tells_api_uses
        is_on = account.plan != "enterprise" or coupon.data["webhookEnableYn"] != "N"
        return bool(account.webhook_url) and is_told and is_on

    def _letter(self, account: VivoldiAccount, event_id: str, body: bytes) -> Letter:
        """One try: a request id, a time and a signature of its own; the same event."""
        factor = 1000 if account.timestamp_in_ms else 1
        timestamp = str(int(self._world.now() * factor))
        digest = hashlib.sha256(body).hexdigest()
        request_id = uuid.uuid4().hex
        ids = f"{request_id}.{event_id}"
        base = signed_text(account.signature_base, timestamp, ids, body)
        signature = hmac.new(account.secret.encode(), base, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Vivoldi-Webhook",  # unconfirmed
            "X-Vivoldi-Request-Id": request_id,
            "X-Vivoldi-Event-Id": event_id,
            "X-Vivoldi-Webhook-Type": "GLOBAL",
            "X-Vivoldi-Resource-Type": "COUPON",
            "X-Vivoldi-Action-Type": "NONE",
            "X-Vivoldi-Comp-Idx": str(account.comp_idx),
            "X-Vivoldi-Timestamp": timestamp,
            "X-Content-SHA256": digest,
            "X-Vivoldi-Signature": f"t={timestamp},v1={signature},alg=hmac-sha256",
        }
        return Letter(account.webhook_url, body, headers)


def signed_text(way: str, timestamp: str, ids: str, body: bytes) -> bytes:
    """What the signature is made over. All of these are guesses: it is unconfirmed."""
    digest = hashlib.sha256(body).hexdigest()
    if way == "timestamp.hash":
        return f"{timestamp}.{digest}".encode()
    if way == "timestamp.ids.hash":
        return f"{timestamp}.{ids}.{digest}".encode()
    return timestamp.encode() + b"." + body


def payload_of(account: VivoldiAccount, coupon: VivoldiCoupon) -> dict[str, Any]:
    """What the webhook says of a use. Unconfirmed: like validate's, but no password."""
    shown, use = rules.told(account, coupon), coupon.uses[-1]
    return {name: shown[name] for name in PAYLOAD} | {
        "userId": use["userId"] or shown["userId"],
        "memo": use["memo"],
        "useYmdt": f"{account.local(use['at']):%Y-%m-%d %H:%M:%S}",
        "payloadVersion": "v1",
    }


TELLER = web.AppKey("teller", Teller)
