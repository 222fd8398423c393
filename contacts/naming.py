"""The names of people who wrote to us or followed us, asked of LINE.

LINE wants profiles not to be polled: a contact is asked about once, and a few times
more only when LINE could not answer.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from connections.clients import line_client
from connections.errors import SecretUnreadable
from connections.models import Connection
from connections.services import note_error
from contacts.models import Contact
from providers.errors import ProviderError, Refused, TooMany, Unauthorised
from providers.line import Profile

MAX_TRIES = 4
WAIT = timedelta(minutes=10)  # after the first try; twice as long after each other
DEADLINE = 5.0  # seconds, one question

Clock = Callable[[], datetime]


def ask_names(
    *, limit: int = 100, seconds: float = 20.0, clock: Clock = timezone.now
) -> int:
    """Ask LINE for the names that are due; how many were asked for.

    Stops after `limit` contacts or `seconds`. An account that does not answer is left
    alone until the next time. Must not run inside a transaction.
    """
    ends = time.monotonic() + seconds
    silent: set[int] = set()
    asked = 0
    for contact in _due(clock(), limit):
        if time.monotonic() > ends:
            break
        if contact.connection_id in silent or not _claim(contact, at=clock()):
            continue
        asked += 1
        if not _ask(contact, clock):
            silent.add(contact.connection_id or 0)
    return asked


def _due(at: datetime, limit: int) -> list[Contact]:
    return list(
        Contact.objects.filter(name_due_at__lte=at)
        .filter(connection__state=Connection.State.ACTIVE)
        .order_by("name_due_at")[:limit]
    )


def _claim(contact: Contact, *, at: datetime) -> bool:
    """Count a try before it is made, so that no crash makes it endless."""
    last = contact.name_tries + 1 >= MAX_TRIES
    later = None if last else at + WAIT * 2**contact.name_tries
    return bool(
        Contact.objects.filter(
            pk=contact.pk,
            name_due_at=contact.name_due_at,
            name_tries=contact.name_tries,
        ).update(name_tries=F("name_tries") + 1, name_due_at=later)
    )


def _ask(contact: Contact, clock: Clock) -> bool:
    """Whether the account answers; a name that it knows is kept."""
    try:
        connection = contact.connection
    except SecretUnreadable:
        return False
    if connection is None or not contact.line_user_id:
        return True
    client = None
    try:
        client = line_client(connection, deadline=min(DEADLINE, settings.SEND_DEADLINE))
        profile = client.profile(contact.line_user_id)
    except Unauthorised as error:
        token = client.access_token if client else ""
        note_error(connection.pk, error, at=clock(), token=token)
        return False
    except ProviderError as error:
        # A clear no is about this contact; anything else about the account.
        return isinstance(error, Refused) and not isinstance(error, TooMany)
    _keep(contact, profile)
    return True


def _keep(contact: Contact, profile: Profile | None) -> None:
    """Fill in what is still empty: what staff or a file put there stays."""
    row = Contact.objects.filter(pk=contact.pk)
    if profile is None:
        row.update(name_due_at=None)
        return
    row.update(
        name=_unless_filled("name", profile.display_name[:100]),
        language=_unless_filled("language", profile.language[:10]),
        name_due_at=None,
    )


def _unless_filled(field: str, value: str) -> Case:
    return Case(When(~Q(**{field: ""}), then=F(field)), default=Value(value))
