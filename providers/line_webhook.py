"""LINE's webhooks: whether a call is LINE's, and what it tells.

Verify first, on the raw bytes, then parse. Parsing keeps whatever it does not know:
LINE adds event types and fields unannounced.
"""

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.answers import json_object, plain, storable
from providers.errors import Unreadable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_ID = 64


@dataclass(frozen=True)
class Event:
    """One event. `kind` is LINE's `type`, known to us or not.

    `event_id` is the same on redelivery. `occurred_at` is when it happened, not when it
    came; without a usable time it is 1970, so that it never beats one that has a time.
    `raw` can be stored as JSON in PostgreSQL.
    """

    event_id: str
    kind: str
    occurred_at: datetime
    user_id: str | None
    is_redelivery: bool
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Envelope:
    """`destination` is the user id of the account that was written to."""

    destination: str
    events: tuple[Event, ...]


def is_signed(raw: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Whether one of the channel's secrets signed these bytes.

    Two are active while a secret is changed. All are tried whichever fits, in constant
    time; an empty secret never fits. Source: "Verify webhook signature".
    """
    given = (signature or "").encode("utf-8", "replace")
    found = False
    for secret in secrets:
        key = secret.encode("utf-8", "replace")
        digest = hmac.new(key, raw, hashlib.sha256).digest()
        fits = hmac.compare_digest(base64.b64encode(digest), given)
        found |= fits and bool(secret)
    return found


def parse(raw: bytes) -> Envelope:
    """Read a webhook's body; raises ProviderError when it is not one.

    No events is fine: LINE's console sends that to try the address.
    """
    found = json_object(raw)
    if found is None:
        raise Unreadable("The webhook's body is not a JSON object.")
    events = found.get("events", [])
    if not isinstance(events, list):
        raise Unreadable("The webhook's events are not a list.")
    try:
        return Envelope(
            destination=plain(found.get("destination"), _MAX_ID),
            events=tuple(_event(one) for one in events if isinstance(one, dict)),
        )
    except RecursionError:
        raise Unreadable("The webhook's body is nested too deeply.") from None


def _event(found: dict[str, Any]) -> Event:
    raw: dict[str, Any] = storable(found)
    source = raw.get("source")
    user_id = source.get("userId") if isinstance(source, dict) else None
    context = raw.get("deliveryContext")
    again = context.get("isRedelivery") if isinstance(context, dict) else None
    return Event(
        event_id=_event_id(raw),
        kind=plain(raw.get("type"), 64),
        occurred_at=_instant(raw.get("timestamp")),
        user_id=plain(user_id, _MAX_ID) or None,
        is_redelivery=again is True,
        raw=raw,
    )


def _event_id(raw: dict[str, Any]) -> str:
    """LINE's id, or one made of the content, which redelivery leaves as it is."""
    given = raw.get("webhookEventId")
    if isinstance(given, str) and given == plain(given, _MAX_ID) != "":
        return given
    content = {key: raw[key] for key in raw if key != "deliveryContext"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _instant(milliseconds: object) -> datetime:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return _EPOCH
    try:
        if not math.isfinite(milliseconds):
            return _EPOCH
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        return _EPOCH
