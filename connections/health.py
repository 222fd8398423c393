"""What the calls of workers say about an account: works, fails, needs a person."""

import logging
from datetime import datetime

from connections.errors import IssueRefused, TokenAwaited
from connections.models import SECRETS, Connection
from connections.tokens import reject
from connections.words import is_about_credentials, words_for
from providers.errors import ProviderError, Refused, TooMany, Unauthorised

logger = logging.getLogger(__name__)


def note_error(
    connection_id: int, error: ProviderError, *, at: datetime, token: str = ""
) -> bool:
    """Keep what a failed call says about its account; whether that paused it.

    A no to our credentials pauses the account, with what to do. A LINE token that we
    issued ourselves is first replaced, once; `token` is the one the call was made with,
    so that a late report about an older one does no harm. No answer counts as a
    failure: after ten in a row the account rests for a minute. A clear no to the call
    itself shows that the provider works. A 429 changes nothing: slowing down is the
    caller's. May be called inside a transaction, for it asks nobody.
    """
    row = Connection.objects.defer(*SECRETS).filter(pk=connection_id).first()
    if row is None or isinstance(error, TooMany | TokenAwaited):
        return False
    if is_about_credentials(error, row):
        return _note_refusal(row, error, at=at, token=token)
    if isinstance(error, Refused):
        row.note_success(at=at)
    else:
        row.note_failures(1, words_for(error, row), at=at)
    return False


def _note_refusal(
    row: Connection, error: ProviderError, *, at: datetime, token: str
) -> bool:
    is_token = isinstance(error, Unauthorised) and not isinstance(error, IssueRefused)
    if is_token and reject(row, token=token, at=at):
        return False
    row.pause(words_for(error, row))
    logger.error(
        "connection.unauthorised",
        extra={"connection": row.pk, "why": type(error).__name__},
    )
    return True
