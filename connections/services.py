"""What people ask of a connection: try it, change its credentials."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.clients import line_client
from connections.errors import SecretUnreadable
from connections.models import Connection
from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
)
from providers.line import BotInfo, LineClient, Quota

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

# Seconds for each of the three calls: a person waits for the answer.
TEST_DEADLINE = 5.0
MAX_COUNT = 2_147_483_647


@dataclass(frozen=True)
class Checked:
    """What trying a connection showed, in words for the person who pressed Test."""

    is_ok: bool
    words: str


def check(connection_id: int, *, clock: Clock = timezone.now) -> Checked:
    """Ask LINE whose access token this is and how much of the month's quota is used.

    Keeps what it learns: health, quota and, when empty, the account id. Must not run
    inside a transaction, for it waits for LINE.
    """
    try:
        connection = Connection.objects.get(pk=connection_id)
    except SecretUnreadable:
        return Checked(False, _unreadable())
    client = line_client(connection, deadline=TEST_DEADLINE)
    try:
        bot = client.bot_info()
    except ProviderError as error:
        return _note_failure(connection, error, at=clock())
    problem = _adopt(connection, bot)
    if problem:
        connection.note_failures(0, problem, at=clock())
        return Checked(False, problem)
    return _note_success(connection, client, bot, clock)


def save_credentials(
    connection: Connection,
    *,
    access_token: str = "",
    secret: str = "",
    forget_old_secret: bool = False,
    clock: Clock = timezone.now,
) -> set[str]:
    """Put new credentials into a connection that the caller saves; "" keeps the old.

    Returns the names of the fields that changed.
    """
    changed = set()
    if access_token:
        connection.access_token = access_token
        changed.add("access_token")
    if forget_old_secret:
        connection.forget_old_secret()
        changed |= {"old_secret", "old_secret_until"}
    if secret:
        try:
            connection.change_secret(secret, at=clock())
        except SecretUnreadable:  # nothing to keep: its key is gone
            connection.secret = secret
            connection.forget_old_secret()
        changed |= {"secret", "old_secret", "old_secret_until"}
    return changed


def _adopt(connection: Connection, bot: BotInfo) -> str:
    """Take the account's id over when we have none yet; what is wrong, or ""."""
    if connection.account_id and connection.account_id != bot.user_id:
        return _(
            "This access token belongs to another LINE account, “%(name)s” "
            "(%(found)s); this connection is for %(ours)s. Paste the token of that "
            "account, or correct the account id."
        ) % {
            "name": bot.display_name,
            "found": bot.user_id,
            "ours": connection.account_id,
        }
    try:
        with transaction.atomic():
            Connection.objects.filter(pk=connection.pk, account_id="").update(
                account_id=bot.user_id
            )
    except IntegrityError:
        return _(
            "The LINE account “%(name)s” is connected already, under another name. "
            "Use that connection and delete this one."
        ) % {"name": bot.display_name}
    return ""


def _note_success(
    connection: Connection, client: LineClient, bot: BotInfo, clock: Clock
) -> Checked:
    words = _("LINE answers: this is the account “%(name)s” (%(id)s).") % {
        "name": bot.display_name,
        "id": bot.basic_id,
    }
    try:
        quota = client.quota()
    except ProviderError as error:
        words += " " + _("Its quota could not be read: %(detail)s") % {"detail": error}
    else:
        keep_quota(connection.pk, quota)
        words += " " + _quota_words(quota)
    connection.note_success(at=clock())
    if connection.state == Connection.State.PAUSED:
        words += " " + _("It is still paused: press Resume to send through it again.")
    return Checked(True, words)


def keep_quota(connection_id: int, quota: Quota) -> None:
    """Store the month's quota and its use as LINE tells them."""
    limit = None if quota.limit is None else min(quota.limit, MAX_COUNT)
    Connection.objects.filter(pk=connection_id).update(
        quota=limit, quota_used=min(quota.used, MAX_COUNT)
    )


def _quota_words(quota: Quota) -> str:
    if quota.limit is None:
        return _("Messages this month: %(used)s, without a limit.") % {
            "used": f"{quota.used:,}"
        }
    return _("Messages this month: %(used)s of %(limit)s.") % {
        "used": f"{quota.used:,}",
        "limit": f"{quota.limit:,}",
    }


def _note_failure(
    connection: Connection, error: ProviderError, *, at: datetime
) -> Checked:
    words = words_for(error)
    logger.warning(
        "connection.test_failed",
        extra={"connection": connection.pk, "why": type(error).__name__},
    )
    if isinstance(error, Unauthorised):
        connection.pause(words)
    else:
        connection.note_failures(1, words, at=at)
    return Checked(False, words)


def words_for(error: ProviderError) -> str:
    """What went wrong with LINE and what to do about it."""
    if isinstance(error, Unauthorised):
        return _(
            "LINE doesn't accept this access token: issue a new one in the LINE "
            "Developers console and paste it here."
        )
    if isinstance(error, TooMany):
        return _("LINE is being asked too often. Wait a minute and try again.")
    if isinstance(error, Refused):
        return _("LINE says no (%(status)s): %(detail)s") % {
            "status": error.status,
            "detail": error,
        }
    if isinstance(error, Unreachable):
        return _(
            "LINE could not be reached from this server. Check that it may open "
            "connections to %(host)s. (%(detail)s)"
        ) % {"host": urlsplit(settings.LINE_API_URL).hostname, "detail": error}
    if isinstance(error, Unclear):
        return _(
            "LINE did not answer properly. Try again in a minute. (%(detail)s)"
        ) % {"detail": error}
    return _("LINE's answer could not be understood: %(detail)s") % {"detail": error}


def _unreadable() -> str:
    return _(
        "The stored credentials cannot be read: the key they were encrypted with is "
        "no longer in FIELD_KEYS. Paste the access token and the channel secret again."
    )
