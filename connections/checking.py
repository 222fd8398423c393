"""Trying an account: who we are there, and what is wrong in words.

Each provider gets the question that costs least and still proves the credentials.
"""

import logging
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from connections.clients import line_client, paddle_client, vivoldi_client
from connections.errors import Incomplete, SecretUnreadable
from connections.models import Connection
from connections.tokens import reject
from connections.words import is_about_credentials, words_for
from providers.errors import ProviderError, Refused, TooMany
from providers.line import BotInfo, LineClient, Quota
from providers.paddle import NO_PRODUCT, NOT_FOUND

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

# Seconds for each of the few calls: a person waits for the answer.
DEADLINE = 5.0
MAX_COUNT = 2_147_483_647
MISSING_ARGUMENT = 116
# Paddle's codes for a question about a code or a product that is not there. Taken for
# "you are who you say": that Paddle looks at the credentials first is not in its manual.
KNOWN_TO_PADDLE = (NO_PRODUCT, NOT_FOUND, MISSING_ARGUMENT)


@dataclass(frozen=True)
class Checked:
    """What trying a connection showed, in words for the person who pressed Test."""

    is_ok: bool
    words: str


def check_with(
    ask: Callable[[Connection, Clock], Checked],
    connection: Connection,
    clock: Clock,
) -> Checked:
    """Ask the provider, and keep what came of it as the connection's health."""
    try:
        checked = ask(connection, clock)
    except SecretUnreadable:
        return Checked(False, unreadable_words())
    except ProviderError as error:
        return _failed(connection, error, at=clock())
    if checked.is_ok:
        connection.note_success(at=clock())
        return Checked(True, checked.words + _still_paused(connection))
    connection.note_failures(0, checked.words, at=clock())
    return checked


def _failed(connection: Connection, error: ProviderError, *, at: datetime) -> Checked:
    words = words_for(error, connection)
    logger.warning(
        "connection.test_failed",
        extra={"connection": connection.pk, "why": type(error).__name__},
    )
    if isinstance(error, Incomplete):  # still being set up
        connection.note_failures(0, words, at=at)
    elif is_about_credentials(error, connection):
        connection.pause(words)
    else:
        connection.note_failures(1, words, at=at)
    return Checked(False, words)


def _still_paused(connection: Connection) -> str:
    if connection.state != Connection.State.PAUSED:
        return ""
    return " " + paused_words()


def paused_words() -> str:
    """What success does not undo by itself."""
    return _("It is still paused: press Resume to use it again.")


def unreadable_words() -> str:
    """What to do when a stored secret fits none of FIELD_KEYS."""
    return _(
        "The stored credentials cannot be read: the key they were encrypted with is "
        "no longer in FIELD_KEYS. Paste all of them again."
    )


# --- LINE -------------------------------------------------------------------------------


def ask_line(connection: Connection, clock: Clock) -> Checked:
    """Whose access token this is, and how much of the month's quota is used.

    Keeps the quota and, when it is empty, the account id. Raises ProviderError.
    """
    client, bot = _bot_of(connection, clock)
    problem = _adopt(connection, bot)
    if problem:
        return Checked(False, problem)
    words = _("LINE answers: this is the account “%(name)s” (%(id)s).") % {
        "name": bot.display_name,
        "id": bot.basic_id,
    }
    parts = [words, _quota(connection, client), _token_words(connection)]
    return Checked(True, " ".join(filter(None, parts)))


def _bot_of(connection: Connection, clock: Clock) -> tuple[LineClient, BotInfo]:
    """The client and whose it is; a token of ours that is refused is replaced once."""
    client = line_client(connection, deadline=DEADLINE)
    try:
        return client, client.bot_info()
    except Refused as error:
        if not (connection.issues_tokens and is_about_credentials(error, connection)):
            raise
        row = Connection.objects.get(pk=connection.pk)
        if not reject(row, token=client.access_token, at=clock()):
            raise
    client = line_client(connection, deadline=DEADLINE)
    return client, client.bot_info()


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


def _quota(connection: Connection, client: LineClient) -> str:
    try:
        quota = client.quota()
    except ProviderError as error:
        return _("Its quota could not be read: %(detail)s") % {"detail": error}
    keep_quota(connection.pk, quota)
    return _quota_words(quota)


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


def _token_words(connection: Connection) -> str:
    """Until when the token that we issued is good; "" for a pasted one."""
    if not connection.issues_tokens:
        return ""
    row = Connection.objects.only("issued_until").get(pk=connection.pk)
    if row.issued_until is None:
        return ""
    return _(
        "The access token was issued by us, is good until %(until)s, and is renewed "
        "before that by itself."
    ) % {"until": date_format(localtime(row.issued_until), "DATETIME_FORMAT")}


# --- Paddle -----------------------------------------------------------------------------


def ask_paddle(connection: Connection, _clock: Clock) -> Checked:
    """Whether Paddle takes the vendor id and the auth code: a list of no coupon.

    Raises ProviderError.
    """
    client = paddle_client(connection, deadline=DEADLINE)
    try:
        client.page(code=_code_of_nobody(), limit=1)
    except TooMany:
        raise
    except Refused as error:
        if error.code not in KNOWN_TO_PADDLE:
            raise
    words = _(
        "Paddle accepts the vendor id %(vendor)s with this auth code. Paddle tells "
        "neither the account's name nor a quota: look at the vendor id."
    ) % {"vendor": connection.account_id}
    if not connection.public_key:
        words += " " + _("Without the public key its webhooks are refused.")
    return Checked(True, words)


# --- Vivoldi ----------------------------------------------------------------------------


def ask_vivoldi(connection: Connection, _clock: Clock) -> Checked:
    """Whether Vivoldi takes the API key: a question about a number that nobody has.

    Raises ProviderError.
    """
    client = vivoldi_client(connection, deadline=DEADLINE)
    try:
        client.validate(_code_of_nobody())
    except TooMany:
        raise
    except Refused as error:
        if not 200 <= error.status < 300:
            raise
        return _vivoldi_said(str(error))
    return Checked(True, _vivoldi_knows_us())


# Vivoldi's error codes are not published, and we ask it for English: words that are
# about us rather than about a coupon. Unconfirmed.
ABOUT_US = ("key", "plan", "permission", "authori", "account")


def _vivoldi_said(said: str) -> Checked:
    """What its no to a number that nobody has tells: that it knows us, most likely."""
    if any(word in said.lower() for word in ABOUT_US):
        return Checked(
            False,
            _(
                "Vivoldi answers, but says: “%(said)s”. That speaks of the API key or "
                "the plan rather than of a coupon: the coupon calls need the Personal "
                "plan or above, and the key of the right organisation."
            )
            % {"said": said},
        )
    words = (
        _vivoldi_knows_us()
        + " "
        + _("To our question about a number that nobody has it said: “%(said)s”.")
        % {"said": said}
    )
    return Checked(True, words)


def _vivoldi_knows_us() -> str:
    return _(
        "Vivoldi accepts the API key. It tells neither the account's name nor the plan."
    )


def _code_of_nobody() -> str:
    """A coupon code that exists nowhere: 16 random letters and digits."""
    letters = string.ascii_uppercase + string.digits
    return "".join(secrets.choice(letters) for _place in range(16))
