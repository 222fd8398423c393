"""Vivoldi's webhooks: whether a call is Vivoldi's, and what it tells.

UNCONFIRMED. Vivoldi's manual names the headers and says HMAC-SHA256, but the text that
is signed, and the fields of a coupon event, are cut off in every copy of it that we
could read. What we take is therefore a list of likely ones (`BASES`), each of which
binds the time and the whole body, and fields like those that "validate" answers. Nobody
has tried it with a real account: whoever does, and finds another text, adds it there.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.answers import json_object, plain
from providers.errors import Unreadable
from providers.reading import Fields
from providers.vivoldi import without_password

# The manual recommends one minute; whether a retry has a time of its own it does not
# say. An event that comes again is known by its id in any case.
TOLERANCE = timedelta(minutes=5)
COUPON = "COUPON"
_MILLISECONDS = 10**12  # a timestamp from here on: the manual says s and shows ms
_MOST = 10**15
_SHA256 = re.compile("[0-9a-f]{64}")
_PEOPLE = frozenset("usernm userphnno usereml useretc1 useretc2".split())


@dataclass(frozen=True)
class Envelope:
    """The headers of a call, and its body. `timestamp` is as it was written."""

    body: bytes = field(repr=False)
    timestamp: str
    signature: str = field(repr=False)  # hex
    digest: str  # hex
    request_id: str
    event_id: str
    resource: str
    action: str


Base = Callable[[Envelope], bytes]


def time_and_body(call: Envelope) -> bytes:
    return call.timestamp.encode() + b"." + call.body


def time_and_digest(call: Envelope) -> bytes:
    return f"{call.timestamp}.{call.digest}".encode()


def time_ids_and_digest(call: Envelope) -> bytes:
    parts = (call.timestamp, call.request_id, call.event_id, call.digest)
    return ".".join(parts).encode()


BASES: tuple[Base, ...] = (time_and_body, time_and_digest, time_ids_and_digest)
# With these the event's id is signed, too. With others whoever sees a call could send it
# once more under another id.
BINDS_ID: tuple[Base, ...] = (time_ids_and_digest,)


@dataclass(frozen=True)
class Event:
    """One event. `event_id` is the same on every try, and comes from what was signed.

    `number` and `use_count` are those of a coupon, "" and None where the event names
    none. `kept` can be stored as JSON in PostgreSQL and has no password and no person
    in it but the user id.
    """

    event_id: str
    kind: str
    occurred_at: datetime
    number: str
    use_count: int | None
    kept: dict[str, Any] = field(repr=False)


def envelope_of(headers: Mapping[str, str], body: bytes) -> Envelope:
    """What the headers say; their names in lower case. Raises Unreadable."""
    marks = _marks_of(headers.get("x-vivoldi-signature", ""))
    if marks.get("alg", "hmac-sha256").lower() != "hmac-sha256":
        raise Unreadable("The webhook is signed in a way that is new to us.")
    timestamp = marks.get("t") or headers.get("x-vivoldi-timestamp", "").strip()
    if headers.get("x-vivoldi-timestamp", timestamp).strip() != timestamp:
        raise Unreadable("The webhook names two times.")
    return Envelope(
        body=body,
        timestamp=plain(timestamp, 20),
        signature=marks.get("v1", "").lower(),
        digest=headers.get("x-content-sha256", "").strip().lower(),
        request_id=plain(headers.get("x-vivoldi-request-id"), 100),
        event_id=plain(headers.get("x-vivoldi-event-id"), 64),
        resource=plain(headers.get("x-vivoldi-resource-type"), 20).upper(),
        action=plain(headers.get("x-vivoldi-action-type"), 20).upper(),
    )


def is_whole(call: Envelope) -> bool:
    """Whether the body is the one whose SHA-256 came with it."""
    found = hashlib.sha256(call.body).hexdigest()
    return hmac.compare_digest(found.encode(), call.digest.encode("utf-8", "replace"))


def is_timely(call: Envelope, *, at: datetime) -> bool:
    """Whether it was sent about now."""
    sent_at = sent_at_of(call)
    return sent_at is not None and abs(at - sent_at) <= TOLERANCE


def sent_at_of(call: Envelope) -> datetime | None:
    """When it was sent; seconds and milliseconds are both understood."""
    text = call.timestamp
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST:
        return None
    number = int(text)
    seconds = number / 1000 if number >= _MILLISECONDS else number
    return datetime.fromtimestamp(seconds, UTC)


def signed_base(
    call: Envelope, secrets: Sequence[str], bases: Sequence[Base] = BASES
) -> Base | None:
    """Which of the likely texts one of the secrets has signed; None for none.

    All are tried whichever fits, in constant time; an empty secret never fits.
    """
    if not _SHA256.fullmatch(call.signature):
        return None
    found: Base | None = None
    for secret in secrets:
        for base in bases:
            digest = hmac.new(secret.encode(), base(call), hashlib.sha256).hexdigest()
            if hmac.compare_digest(digest, call.signature) and secret:
                found = base
    return found


def is_signed(
    call: Envelope, secrets: Sequence[str], bases: Sequence[Base] = BASES
) -> bool:
    """Whether one of the secrets signed one of the likely texts."""
    return signed_base(call, secrets, bases) is not None


def identity_of(call: Envelope, base: Base) -> str:
    """By what an event is known: its id where that is signed, else its signed body.

    Not the time beside it: a second try may well have a time and a signature of its own,
    and nothing signed says then that it is one. So of two uses whose bodies are the same
    to the byte the second is left to the count that a look reads.
    """
    # With a dot in them it isn't signed where one id ends and the other begins.
    if base in BINDS_ID and "." not in call.request_id + call.event_id:
        return call.event_id
    return f"body:{hashlib.sha256(call.body).hexdigest()}"


def parse(call: Envelope, base: Base) -> Event:
    """What the event tells, signed with `base`.

    Raises Unreadable when it is no JSON object or has no id.
    """
    found = json_object(call.body)
    sent_at = sent_at_of(call)
    if found is None or not call.event_id or sent_at is None:
        raise Unreadable("The webhook is no event with an id and a time.")
    fields = Fields(_coupon_in(found))
    return Event(
        event_id=identity_of(call, base),
        kind=f"{call.resource}.{call.action}".strip(".").lower(),
        occurred_at=sent_at,
        number=fields.text("cpnNo", 40).replace("-", "").upper(),
        use_count=fields.count("useCnt"),
        kept=_without_people(without_password(found)),
    )


def _marks_of(text: str) -> dict[str, str]:
    """`t=1758184391752,v1=<hex>,alg=hmac-sha256` as a dict."""
    pairs = (part.partition("=") for part in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _coupon_in(found: dict[str, Any]) -> dict[str, Any]:
    """The object that names a coupon: the whole, or one right inside of it."""
    inside = [inner for inner in found.values() if isinstance(inner, dict)]
    for one in (found, *inside):
        if "cpnNo" in one:
            return one
    return {}


def _without_people(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_people(inner)
            for name, inner in value.items()
            if name.lower() not in _PEOPLE
        }
    return [_without_people(one) for one in value] if isinstance(value, list) else value
