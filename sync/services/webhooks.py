"""Taking in what providers tell us."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.models import Connection
from providers import line_webhook, paddle_webhook, vivoldi_webhook
from providers.errors import Unreadable
from serials.waking import nudge
from sync.errors import WebhookRefused
from sync.models import InboundEvent
from sync.tasks import process

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Arrived:
    """An event to keep, whoever sent it."""

    event_id: str
    kind: str
    occurred_at: datetime
    payload: dict[str, Any] = field(repr=False)


def take_line_webhook(
    hook_key: str, raw: bytes, signature: str | None, *, clock: Clock = timezone.now
) -> None:
    """Store the events of a LINE webhook, each once, and nudge whoever applies them.

    Raises WebhookRefused (nothing is stored) and SecretUnreadable.
    """
    at = clock()
    connection = _called(Connection.Provider.LINE, hook_key)
    if not line_webhook.is_signed(raw, signature, connection.secrets_at(at)):
        raise WebhookRefused(403, "signature", connection.pk)
    try:
        envelope = line_webhook.parse(raw)
    except Unreadable:
        raise WebhookRefused(400, "unreadable", connection.pk) from None
    if not envelope.events:  # LINE's console tries the address so
        return
    if connection.account_id and envelope.destination != connection.account_id:
        # Signed with our secret, so the account id we were told must be wrong.
        connection.note_failures(0, _wrong_account(envelope.destination), at=at)
        raise WebhookRefused(403, "destination", connection.pk)
    events = [
        Arrived(event.event_id, event.kind, event.occurred_at, event.raw)
        for event in envelope.events
    ]
    _store(connection, events, at)


def _wrong_account(found: str) -> str:
    return _(
        "LINE's webhooks for this channel name the account %(found)s, which is not the "
        "account id here. Correct the account id: until then they are refused."
    ) % {"found": found}


def take_paddle_webhook(
    hook_key: str, raw: bytes, *, clock: Clock = timezone.now
) -> None:
    """Store an alert of Paddle, once, and nudge whoever applies it.

    Its signature knows no time: what comes again later is known by its id. Raises
    WebhookRefused (nothing is stored).
    """
    at = clock()
    connection = _called(Connection.Provider.PADDLE, hook_key)
    try:
        fields = paddle_webhook.fields_of(raw)
    except Unreadable:
        raise WebhookRefused(403, "unreadable", connection.pk) from None
    if not connection.public_key:
        connection.note_failures(0, _no_public_key(), at=at)
        raise WebhookRefused(403, "no_public_key", connection.pk)
    signature = fields.get(paddle_webhook.SIGNATURE)
    if not paddle_webhook.is_signed(fields, signature, connection.public_key):
        raise WebhookRefused(403, "signature", connection.pk)
    try:
        alert = paddle_webhook.parse(fields)
    except Unreadable:
        raise WebhookRefused(400, "unreadable", connection.pk) from None
    arrived = Arrived(alert.alert_id, alert.kind, alert.occurred_at, dict(alert.kept))
    _store(connection, [arrived], at)


def take_vivoldi_webhook(
    hook_key: str,
    raw: bytes,
    headers: Mapping[str, str],
    *,
    clock: Clock = timezone.now,
) -> None:
    """Store an event of Vivoldi, once, and nudge whoever applies it.

    `headers` have lower-case names. How Vivoldi signs is unconfirmed: see
    providers/vivoldi_webhook.py. Raises WebhookRefused (nothing is stored) and
    SecretUnreadable.
    """
    at = clock()
    connection = _called(Connection.Provider.VIVOLDI, hook_key)
    try:
        call = vivoldi_webhook.envelope_of(headers, raw)
    except Unreadable:
        raise WebhookRefused(403, "unreadable", connection.pk) from None
    base = _check_vivoldi(call, connection, at)
    try:
        event = vivoldi_webhook.parse(call, base)
    except Unreadable:
        raise WebhookRefused(400, "unreadable", connection.pk) from None
    payload = {"number": event.number, "told": event.kept}
    arrived = Arrived(event.event_id, event.kind, event.occurred_at, payload)
    _store(connection, [arrived], at)


def _check_vivoldi(
    call: vivoldi_webhook.Envelope, connection: Connection, at: datetime
) -> vivoldi_webhook.Base:
    """Refuse what Vivoldi has not sent just now, whole; what its signature binds."""
    secrets = connection.secrets_at(at)
    if not secrets:
        connection.note_failures(0, _no_secret(), at=at)
        raise WebhookRefused(403, "no_secret", connection.pk)
    if not vivoldi_webhook.is_whole(call):
        raise WebhookRefused(403, "digest", connection.pk)
    base = vivoldi_webhook.signed_base(call, secrets)
    if base is None:
        raise WebhookRefused(403, "signature", connection.pk)
    if not vivoldi_webhook.is_timely(call, at=at):
        raise WebhookRefused(403, "time", connection.pk)
    return base


def _called(provider: Connection.Provider, hook_key: str) -> Connection:
    """Whose address was called."""
    connection = Connection.objects.filter(provider=provider, hook_key=hook_key).first()
    if connection is None:
        raise WebhookRefused(403, "unknown_key")
    return connection


def _no_public_key() -> str:
    return _(
        "Paddle's alerts come in, but there is no public key here to check them with. "
        "Copy it from Paddle's Developer Tools: until then they are refused."
    )


def _no_secret() -> str:
    return _(
        "Vivoldi's webhooks come in, but there is no secret here to check them with. "
        "Copy it from Vivoldi's webhook settings: until then they are refused."
    )


def _store(connection: Connection, events: list[Arrived], at: datetime) -> None:
    InboundEvent.objects.bulk_create(
        (
            InboundEvent(
                connection=connection,
                event_id=event.event_id,
                kind=event.kind[:40],
                occurred_at=event.occurred_at,
                payload=event.payload,
                next_try_at=at,
            )
            for event in events
        ),
        ignore_conflicts=True,
    )
    transaction.on_commit(lambda: nudge(process), robust=True)
