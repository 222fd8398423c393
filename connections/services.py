"""What people ask of a connection: try it, change its credentials, make it a key."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.checking import (
    Checked,
    ask_line,
    ask_paddle,
    ask_vivoldi,
    check_with,
    keep_quota,
    paused_words,
    unreadable_words,
)
from connections.errors import SecretUnreadable
from connections.health import note_error
from connections.keys import make_private_key
from connections.models import Connection
from connections.tokens import issue, remember, token_values
from connections.words import words_for
from providers.errors import ProviderError
from providers.line_tokens import LONGEST
from providers.line_tokens import IssuedToken as Issued

__all__ = [
    "Checked",
    "check",
    "discard_key",
    "keep_quota",
    "make_key",
    "note_error",
    "save_credentials",
    "use_key",
    "words_for",
]

Clock = Callable[[], datetime]
ASKS = {
    Connection.Provider.LINE: ask_line,
    Connection.Provider.PADDLE: ask_paddle,
    Connection.Provider.VIVOLDI: ask_vivoldi,
}
# What a LINE token was issued with: where it changes, another one is needed.
ISSUED_WITH = ("token_kind", "channel_id")


def check(connection_id: int, *, clock: Clock = timezone.now) -> Checked:
    """Ask the provider who we are there, with the least costly question there is.

    Keeps what it learns: health, and of LINE quota and, when empty, the account id.
    Credentials that are refused pause the connection. Must not run inside a
    transaction, for it waits for the provider.
    """
    try:
        connection = Connection.objects.get(pk=connection_id)
    except SecretUnreadable:
        return Checked(False, unreadable_words())
    ask = ASKS[Connection.Provider(connection.provider)]
    return check_with(ask, connection, clock)


def save_credentials(
    connection: Connection,
    *,
    access_token: str = "",
    secret: str = "",
    forget_old_secret: bool = False,
    changed: frozenset[str] = frozenset(),
    clock: Clock = timezone.now,
) -> set[str]:
    """Put new credentials into a connection that the caller saves; "" keeps the old.

    `changed` names the other fields that the caller has changed. Returns the names of
    the fields that this changed.
    """
    touched = set()
    if access_token:
        connection.access_token = access_token
        touched.add("access_token")
    if forget_old_secret:
        connection.forget_old_secret()
        touched |= {"old_secret", "old_secret_until"}
    if secret:
        touched |= _change_secret(connection, secret, at=clock())
    if secret or changed.intersection(ISSUED_WITH):
        touched |= connection.forget_token()
    return touched


def _change_secret(connection: Connection, secret: str, *, at: datetime) -> set[str]:
    try:
        connection.change_secret(secret, at=at)
    except SecretUnreadable:  # nothing to keep: its key is gone
        connection.secret = secret
        connection.forget_old_secret()
    return {"secret", "old_secret", "old_secret_until"}


# --- a key of ours at LINE ----------------------------------------------------------------


def make_key(connection_id: int) -> None:
    """Make a key pair for LINE tokens of version 2.1; the one in use stays in use.

    The new one takes over once `use_key` has had a token issued with it. Making
    another one before that forgets the first.
    """
    Connection.objects.filter(pk=connection_id).update(
        next_private_key=make_private_key(), next_key_id=""
    )


def discard_key(connection_id: int) -> None:
    """Forget a key that has not taken over."""
    Connection.objects.filter(pk=connection_id).update(
        next_private_key="", next_key_id=""
    )


def use_key(connection_id: int, key_id: str, *, clock: Clock = timezone.now) -> Checked:
    """Have a token issued with the new key, and only then let it take over.

    `key_id` is what LINE's console calls the new key. The token is used from now on
    where the connection issues v2.1 tokens. Must not run inside a transaction.
    """
    try:
        row = Connection.objects.get(pk=connection_id)
    except SecretUnreadable:
        return Checked(False, unreadable_words())
    waiting = Connection.objects.filter(pk=row.pk, next_private_key__gt="")
    if not waiting.update(next_key_id=key_id):
        if key_id == row.key_id:  # pressed twice
            return Checked(True, _("This key is in use."))
        return Checked(False, _("There is no new key here: make one first."))
    began = clock()
    row.private_key, row.key_id = row.next_private_key, key_id
    row.token_kind = Connection.TokenKind.V2_1
    try:
        issued = issue(row, at=began)
    except ProviderError as error:
        return Checked(False, words_for(error, row))
    return _promote(row, issued, began)


def _promote(row: Connection, issued: Issued, began: datetime) -> Checked:
    """The new key is proven: it replaces the old one, with its first token."""
    until = began + timedelta(seconds=min(issued.expires_in, LONGEST))
    with transaction.atomic():
        now = Connection.objects.select_for_update().get(pk=row.pk)
        if now.next_private_key != row.private_key:
            return Checked(
                False,
                _("Meanwhile another key was made here. Use that one instead."),
            )
        values: dict[str, object] = {
            "private_key": row.private_key,
            "key_id": row.key_id,
        }
        values |= {"next_private_key": "", "next_key_id": ""}
        if now.token_kind == Connection.TokenKind.V2_1:
            values |= token_values(issued, began=began, until=until)
            values |= {"renewing_until": None, "rejected_at": None}
        Connection.objects.filter(pk=row.pk).update(**values)
        remember(row.pk, issued, began=began, until=until)
    words = _("LINE has issued a token for this key: the key is in use from now on.")
    if now.state == Connection.State.PAUSED:
        words += " " + paused_words()
    return Checked(True, words)
