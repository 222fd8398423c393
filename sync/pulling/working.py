"""Working a run off: turn after turn, by whichever worker is free."""

import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.errors import SecretUnreadable
from connections.models import Connection
from connections.pacing import hold
from connections.services import note_error, words_for
from providers.errors import ProviderError, TooMany
from sync.models import Run
from sync.ports.choosing import port_of
from sync.ports.line import LinePort
from sync.ports.paddle import PaddlePort
from sync.ports.port import Port
from sync.ports.vivoldi import VivoldiPort
from sync.pulling import runs, terms
from sync.pulling.line import LineTurn
from sync.pulling.paddle import PaddleTurn
from sync.pulling.runs import Held, Lost
from sync.pulling.turn import Turn
from sync.pulling.vivoldi import VivoldiTurn

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

TRIES = 8  # in a row, each later than the one before: about four minutes
LONGEST_WAIT = timedelta(minutes=2)
SLOWED = timedelta(seconds=1)
# A turn that is due this soon is worth waiting for, instead of for the next sweep.
SOON = timedelta(seconds=5)
ENDPOINTS: dict[str, tuple[str, ...]] = {
    Connection.Provider.LINE: ("coupon_list", "coupon_detail"),
    Connection.Provider.PADDLE: ("paddle",),
    Connection.Provider.VIVOLDI: ("vivoldi",),
}


def turn_seconds() -> float:
    """How long a task may go on before its last block, within the soft time limit."""
    limit: float = settings.CELERY_TASK_SOFT_TIME_LIMIT
    return max(limit - settings.SYNC_LEASE.total_seconds() - 5, 5)


def pull(run_id: int, *, seconds: float, clock: Clock = timezone.now) -> bool:
    """Go on with a run for about `seconds`; True when it wants to go on at once.

    A block of calls may take settings.SYNC_LEASE longer. What one worker leaves, by
    ending or by dying, the next one goes on with from the run's own row.
    """
    ends = time.monotonic() + seconds
    while True:
        held = runs.take(run_id, clock)
        if held is None:
            return False
        try:
            wait = _turn(held, ends)
        except Lost:
            logger.info("pull.lost", extra={"run": run_id})
            return False
        if wait is None:
            return False
        is_late = time.monotonic() + wait.total_seconds() >= ends
        if is_late or wait > SOON:
            return not wait  # the next sweep finds it when it is due
        time.sleep(wait.total_seconds())


def _turn(held: Held, ends: float) -> timedelta | None:
    """One turn; how long to wait before the next, None when there is none to come."""
    try:
        connection = Connection.objects.get(pk=held.run.connection_id)
    except SecretUnreadable:
        words = _("The stored credentials cannot be read. Paste them again.")
        Connection(pk=held.run.connection_id).pause(words)
        _fail(held, words)
        return None
    if connection.state != Connection.State.ACTIVE:
        _fail(held, runs.paused_words(connection))
        return None
    now = held.clock()
    if connection.resting_until is not None and connection.resting_until > now:
        return _leave(held, connection.resting_until - now)
    token = ""
    try:
        port = port_of(connection)
        token = token_of(port)
        with ThreadPoolExecutor(settings.SYNC_THREADS, "pull") as pool:
            is_done = _look(held, port, pool, ends)
    except ProviderError as error:
        return _stumble(held, connection, error, token)
    if not is_done:
        return _leave(held, timedelta(0))
    connection.note_success(at=held.clock())
    held.end(Run.State.DONE)
    runs.drop_old(connection.pk)
    return None


def _look(held: Held, port: Port, pool: ThreadPoolExecutor, ends: float) -> bool:
    """What the provider has, then what has changed here; True when both are done."""
    if held.run.cursor.get("stage") != terms.STAGE:
        if not turn_of(held, port, pool).work(ends):
            return False
        terms.begin(held)
    return terms.work(held, ends)


def turn_of(held: Held, port: Port, pool: ThreadPoolExecutor) -> Turn:
    if isinstance(port, LinePort):
        return LineTurn(held, pool, port)
    if isinstance(port, PaddlePort):
        return PaddleTurn(held, pool, port)
    if isinstance(port, VivoldiPort):
        return VivoldiTurn(held, pool, port)
    raise TypeError("This provider can't be looked at.")


def token_of(port: Port) -> str:
    """What LINE was asked with: it may be replaced while the answer is on its way."""
    return port.client.access_token if isinstance(port, LinePort) else ""


def _stumble(
    held: Held, connection: Connection, error: ProviderError, token: str
) -> timedelta | None:
    """The provider could not be asked: try again later, and give up after some tries."""
    words = words_for(error, connection)
    failures = held.run.failures + 1
    logger.warning(
        "pull.failed",
        extra={"run": held.run.pk, "why": type(error).__name__, "tries": failures},
    )
    if isinstance(error, TooMany):
        _slow_down(held, connection)
    is_paused = note_error(connection.pk, error, at=held.clock(), token=token)
    if is_paused or failures >= TRIES:
        _fail(held, words)
        return None
    wait = _wait_after(failures)
    held.stumble(words, next_try_at=held.clock() + wait)
    return wait


def _slow_down(held: Held, connection: Connection) -> None:
    """Nobody calls for a second: which of the calls it was doesn't matter much."""
    for endpoint in ENDPOINTS[connection.provider]:
        hold(connection.pk, endpoint, until=held.clock() + SLOWED)


def _wait_after(failures: int) -> timedelta:
    """1 s x 2^n and up to a quarter more."""
    seconds = min(2.0**failures, LONGEST_WAIT.total_seconds())
    return timedelta(seconds=seconds * random.uniform(1, 1.25))  # noqa: S311


def _leave(held: Held, wait: timedelta) -> timedelta:
    held.let_go(next_try_at=held.clock() + wait)
    return wait


def _fail(held: Held, words: str) -> None:
    held.end(Run.State.FAILED, words)
    logger.warning("pull.stopped", extra={"run": held.run.pk})
