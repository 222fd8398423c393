"""Taking in what providers tell us."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.models import Connection
from providers.errors import Unreadable
from providers.line_webhook import Event, is_signed, parse
from serials.waking import nudge
from sync.errors import WebhookRefused
from sync.models import InboundEvent
from sync.tasks import process

Clock = Callable[[], datetime]


def take_line_webhook(
    hook_key: str, raw: bytes, signature: str | None, *, clock: Clock = timezone.now
) -> None:
    """Store the events of a LINE webhook, each once, and nudge whoever applies them.

    Raises WebhookRefused (nothing is stored) and SecretUnreadable.
    """
    at = clock()
    connection = Connection.objects.filter(
        provider=Connection.Provider.LINE, hook_key=hook_key
    ).first()
    if connection is None:
        raise WebhookRefused(403, "unknown_key")
    if not is_signed(raw, signature, connection.secrets_at(at)):
        raise WebhookRefused(403, "signature", connection.pk)
    try:
        envelope = parse(raw)
    except Unreadable:
        raise WebhookRefused(400, "unreadable", connection.pk) from None
    if not envelope.events:  # LINE's console tries the address so
        return
    if connection.account_id and envelope.destination != connection.account_id:
        # Signed with our secret, so the account id we were told must be wrong.
        connection.note_failures(0, _wrong_account(envelope.destination), at=at)
        raise WebhookRefused(403, "destination", connection.pk)
    _store(connection, envelope.events, at)


def _wrong_account(found: str) -> str:
    return _(
        "LINE's webhooks for this channel name the account %(found)s, which is not the "
        "account id here. Correct the account id: until then they are refused."
    ) % {"found": found}


def _store(connection: Connection, events: tuple[Event, ...], at: datetime) -> None:
    InboundEvent.objects.bulk_create(
        (
            InboundEvent(
                connection=connection,
                event_id=event.event_id,
                kind=event.kind[:40],
                occurred_at=event.occurred_at,
                payload=event.raw,
                next_try_at=at,
            )
            for event in events
        ),
        ignore_conflicts=True,
    )
    transaction.on_commit(lambda: nudge(process), robust=True)
