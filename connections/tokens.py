"""LINE access tokens that we issue ourselves, renewed well before they end.

Whichever worker needs one renews it. A lease in the connection's row lets one at a time
ask LINE; meanwhile the others go on with the old token, or wait shortly where there is
none. Who is killed half way holds the others up until the lease ends, no longer.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.errors import Incomplete, IssueRefused, TokenAwaited
from connections.models import Connection, IssuedToken
from providers.errors import ProviderError, Refused, TooMany, Unreachable
from providers.line_tokens import LONGEST, issue_stateless, issue_v2_1, revoke
from providers.line_tokens import IssuedToken as Issued

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

ISSUE_DEADLINE = 5.0  # seconds, one call
LEASE = timedelta(seconds=20)  # longer than the three calls that a renewal may take
PATIENCE = 8.0  # seconds that somebody without any token waits for the renewer
POLL = 0.1  # seconds
# After a failed renewal, while the old token is still good.
PAUSE = timedelta(seconds=60)
SLOW = timedelta(seconds=5)  # after a 429
# Of a v2.1 token. A renewer that is killed between LINE's answer and ours leaves one
# behind that nobody knows: those count towards LINE's 30 until they end.
V2_1_LIFE = timedelta(days=7)
# How long workers may still report what became of calls with the token of before.
ECHO = timedelta(seconds=60)


def access_token_of(
    connection: Connection,
    *,
    patience: float = PATIENCE,
    clock: Clock = timezone.now,
) -> str:
    """The token to call LINE with; where we issue it, one that is good for a while.

    May ask LINE, so it must not run inside a transaction. Raises ProviderError:
    IssueRefused when LINE issues none for what we have, TokenAwaited when another
    worker is still at it after `patience` seconds; and SecretUnreadable.
    """
    if not connection.issues_tokens:
        return connection.access_token
    ends = time.monotonic() + patience
    while True:
        row = Connection.objects.filter(pk=connection.pk).first()
        if row is None:
            raise Unreachable(_("The connection was deleted."))
        if not row.issues_tokens:  # changed since the caller read it
            return row.access_token
        token = _token_of(row, clock)
        if token:
            return token
        if time.monotonic() >= ends:
            raise TokenAwaited(
                _("Another worker is still asking LINE for an access token.")
            )
        time.sleep(POLL)


def _token_of(row: Connection, clock: Clock) -> str:
    """The row's token, renewed when that is due; "" while another worker renews it."""
    now = clock()
    if row.has_fresh_token_at(now):
        return row.issued_token
    lease = now + LEASE
    if _claim(row, now, lease):
        return _renewed(row, lease, clock)
    return row.issued_token if row.has_token_at(now) else ""


def _claim(row: Connection, now: datetime, lease: datetime) -> bool:
    """Take the renewal over, unless somebody has it or has just done it."""
    is_free = Q(renewing_until=None) | Q(renewing_until__lte=now)
    same = Connection.objects.filter(
        is_free, pk=row.pk, issued_until=row.issued_until, token_kind=row.token_kind
    )
    return same.update(renewing_until=lease) == 1


def _renewed(row: Connection, lease: datetime, clock: Clock) -> str:
    began = clock()  # before the call: the token seems to end a little early
    try:
        issued = issue(row, at=began)
    except ProviderError as error:
        return _without_renewal(row, lease, error, at=clock())
    keep(row, issued, began=began, lease=lease)
    logger.info("token.renewed", extra={"connection": row.pk})
    return issued.token


def _without_renewal(
    row: Connection, lease: datetime, error: ProviderError, *, at: datetime
) -> str:
    """Go on with the old token while it is good; else the failure is the caller's."""
    is_good = row.has_token_at(at)
    pause = PAUSE if is_good else SLOW if isinstance(error, TooMany) else timedelta(0)
    mine = Connection.objects.filter(pk=row.pk, renewing_until=lease)
    mine.update(renewing_until=at + pause, renewal_problem=str(error)[:300])
    logger.warning(
        "token.not_renewed",
        extra={"connection": row.pk, "why": type(error).__name__},
    )
    if is_good:
        return row.issued_token
    raise error


# --- asking LINE --------------------------------------------------------------------


def issue(row: Connection, *, at: datetime) -> Issued:
    """Ask LINE for a token of the row's kind, with the row's credentials.

    Raises ProviderError; IssueRefused for a clear no.
    """
    _check_complete(row)
    try:
        if row.token_kind == Connection.TokenKind.STATELESS:
            return issue_stateless(
                settings.LINE_API_URL,
                channel_id=row.channel_id,
                channel_secret=row.secret,
                allow_local=settings.ALLOW_LOCAL_PROVIDERS,
                deadline=ISSUE_DEADLINE,
            )
        return _issue_v2_1(row, at)
    except ValueError as error:  # the private key is none
        raise IssueRefused(str(error), 400) from None
    except TooMany:
        raise
    except Refused as error:
        raise IssueRefused(str(error), error.status) from None


def _check_complete(row: Connection) -> None:
    """Raise Incomplete, in words, where something to ask with is missing."""
    problem = ""
    if not row.channel_id:
        problem = _(
            "The channel id is missing. Copy it from the LINE Developers console, "
            "Basic settings tab."
        )
    elif row.token_kind == Connection.TokenKind.STATELESS and not row.secret:
        problem = _(
            "The channel secret is missing. Copy it from the LINE Developers console, "
            "Basic settings tab."
        )
    elif row.token_kind == Connection.TokenKind.V2_1 and not (
        row.private_key and row.key_id
    ):
        problem = _("There is no key yet: make one on the connection's page.")
    if problem:
        raise Incomplete(problem, 400)


def _issue_v2_1(row: Connection, at: datetime) -> Issued:
    """As `issue`; with 30 good tokens LINE says 400, and our oldest makes room."""
    try:
        return _ask_v2_1(row)
    except Refused as error:
        if error.status != 400 or not _revoke_oldest(row, at):
            raise
    return _ask_v2_1(row)


def _ask_v2_1(row: Connection) -> Issued:
    return issue_v2_1(
        settings.LINE_API_URL,
        channel_id=row.channel_id,
        private_key=row.private_key,
        key_id=row.key_id,
        lifetime=int(V2_1_LIFE.total_seconds()),
        allow_local=settings.ALLOW_LOCAL_PROVIDERS,
        deadline=ISSUE_DEADLINE,
    )


def _revoke_oldest(row: Connection, at: datetime) -> bool:
    """Revoke the oldest token of ours that is no longer in use; whether there was one."""
    kept = row.issued_tokens.filter(good_until__gt=at).order_by("issued_at")
    oldest = next((one for one in kept if one.token != row.issued_token), None)
    if oldest is None or not row.secret:
        return False
    try:
        revoke(
            settings.LINE_API_URL,
            oldest.token,
            channel_id=row.channel_id,
            channel_secret=row.secret,
            allow_local=settings.ALLOW_LOCAL_PROVIDERS,
            deadline=ISSUE_DEADLINE,
        )
    except ProviderError:
        return False
    oldest.delete()
    logger.warning("token.revoked", extra={"connection": row.pk, "key": oldest.key_id})
    return True


# --- keeping what it gave --------------------------------------------------------------


def keep(row: Connection, issued: Issued, *, began: datetime, lease: datetime) -> None:
    """Store a token for everybody, while the lease is still ours.

    When it is not, credentials have changed or another worker was quicker: the token
    serves who asked for it, and one of v2.1 is remembered, to be revoked if need be.
    """
    until = began + timedelta(seconds=min(issued.expires_in, LONGEST))
    with transaction.atomic():
        Connection.objects.filter(pk=row.pk, renewing_until=lease).update(
            **token_values(issued, began=began, until=until), renewing_until=None
        )
        if row.token_kind == Connection.TokenKind.V2_1:
            remember(row.pk, issued, began=began, until=until)


def token_values(
    issued: Issued, *, began: datetime, until: datetime
) -> dict[str, object]:
    """The columns of a connection that a new token fills."""
    return {
        "issued_token": issued.token,
        "issued_at": began,
        "issued_until": until,
        "renewal_problem": "",
    }


def remember(
    connection_id: int, issued: Issued, *, began: datetime, until: datetime
) -> None:
    """Keep a v2.1 token until it ends; the caller has a transaction open."""
    IssuedToken.objects.filter(
        connection_id=connection_id, good_until__lte=began
    ).delete()
    locked = Connection.objects.select_for_update().filter(pk=connection_id)
    if locked.values_list("pk").first():  # nobody deletes the connection meanwhile
        IssuedToken.objects.create(
            connection_id=connection_id,
            token=issued.token,
            key_id=issued.key_id,
            issued_at=began,
            good_until=until,
        )


# --- when LINE refuses it -----------------------------------------------------------------


def reject(row: Connection, *, token: str = "", at: datetime) -> bool:
    """Whether LINE's 401 may be put right by a new token, which the next call issues.

    `token` is the one that was refused. Once: a second refusal without a success in
    between is about more than the token. Without `token`, a refusal within a minute of
    issuing is taken for an echo of the token of before.
    """
    if not row.issues_tokens or not row.issued_until or not row.issued_at:
        return row.issues_tokens
    if token and token != row.issued_token:
        return True
    if row.rejected_at is None:
        _drop(row, at)
        return True
    return not token and at < row.issued_at + ECHO


def _drop(row: Connection, at: datetime) -> None:
    same = Connection.objects.filter(
        pk=row.pk, issued_until=row.issued_until, rejected_at=None
    )
    same.update(issued_token="", issued_at=None, issued_until=None, rejected_at=at)
    logger.warning("token.rejected", extra={"connection": row.pk})
