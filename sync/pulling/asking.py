"""Many calls at the allowed rate: answers of one block come in while the next goes out."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from connections.models import FAILURES_BEFORE_REST
from connections.pacing import book
from providers.errors import ProviderError, Unclear, Unreachable
from sync.models import RemoteCoupon
from sync.ports.port import Pace
from sync.pulling.runs import Held

T = TypeVar("T")
Answer = tuple[RemoteCoupon, T | ProviderError | None]


@dataclass
class Gate:
    """Whether more calls may start, in the light of the answers so far.

    `is_fatal` says which no is about the account and not about one coupon.
    """

    is_fatal: Callable[[ProviderError], bool]
    error: ProviderError | None = None  # what closed it
    _failures: int = 0  # in a row
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, error: ProviderError | None) -> None:
        """An answer came, or none: ten of those in a row are the provider's trouble."""
        with self._lock:
            is_failure = isinstance(error, Unclear | Unreachable)
            self._failures = self._failures + 1 if is_failure else 0
            is_over = error is not None and self.is_fatal(error)
            if is_over or self._failures >= FAILURES_BEFORE_REST:
                self.error = self.error or error


@dataclass
class Block(Generic[T]):
    """Rows to ask about, from the first call to the last answer."""

    held: Held
    pool: ThreadPoolExecutor
    pace: Pace
    deadline: float  # seconds, of one call
    ask: Callable[[RemoteCoupon], T]
    rows: Sequence[RemoteCoupon]
    gate: Gate
    is_started: bool = False
    began_at: datetime = field(init=False)
    _calls: list[Future[T | ProviderError | None]] = field(default_factory=list)

    def start(self) -> None:
        """Book the time for all calls and hand them to the pool, without waiting."""
        self.began_at = self.held.clock()
        starts = first_turn(self.held, self.pace, len(self.rows), self.deadline)
        if starts is None:
            return
        self.is_started = True
        for number, row in enumerate(self.rows):
            at = starts + number / self.pace.rate
            self._calls.append(self.pool.submit(self._call, row, at))

    def _call(self, row: RemoteCoupon, at: float) -> T | ProviderError | None:
        """Runs in the pool: no database here. None when it was not started."""
        wait = at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        if self.gate.error is not None or self.held.left() < self.deadline:
            return None
        try:
            found: T | ProviderError = self.ask(row)
        except ProviderError as error:
            found = error
        self.gate.note(found if isinstance(found, ProviderError) else None)
        return found

    def answers(self) -> list[Answer[T]]:
        """Wait for all of them; None stands for a call that was not made."""
        found = [call.result() for call in self._calls]
        found += [None] * (len(self.rows) - len(found))
        return list(zip(self.rows, found, strict=True))


def first_turn(held: Held, pace: Pace, count: int, deadline: float) -> float | None:
    """Book `count` calls; the monotonic instant of the first.

    None when the last could outlive the run's lease: nothing is booked then.
    """
    now = held.clock()
    lasts = deadline + (count - 1) / pace.rate
    starts_at = book(
        held.run.connection_id,
        pace.endpoint,
        count,
        rate=pace.rate,
        now=now,
        latest=now + timedelta(seconds=held.left() - lasts),
    )
    if starts_at is None:
        return None
    return time.monotonic() + (starts_at - now).total_seconds()


def wait_for_turn(held: Held, pace: Pace, deadline: float) -> bool:
    """Wait until one call may be made; False when it would be too late for that."""
    starts = first_turn(held, pace, 1, deadline)
    if starts is None:
        return False
    time.sleep(max(starts - time.monotonic(), 0))
    return True
