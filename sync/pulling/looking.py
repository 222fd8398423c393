"""What a look at any provider has in common: the loop, its blocks and its errors."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from django.db.models import F
from django.utils.translation import gettext as _

from connections.pacing import book
from connections.words import is_about_credentials
from deliveries.killpoints import killpoint
from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unclear,
    Unreachable,
)
from sync.models import RemoteCoupon
from sync.ports.port import Pace
from sync.pulling.asking import Answer, Block, Gate
from sync.pulling.runs import Held
from sync.pulling.storing import Compare, Told, store

T = TypeVar("T")

TRIES = 3  # of one coupon in one run, where others are answered
BLOCK_SECONDS = 1.5  # of calls at the allowed rate
MOST = 300  # coupons of one block


@dataclass
class Look(Generic[T]):
    """One worker's turn at a run: blocks of coupons, asked about at the allowed rate.

    `ask` is one call about one coupon; `read` makes of its answer, or of a clear no,
    what to write down, and None stands for "not now". `next_rows` gives up to `limit`
    coupons beyond a primary key, in that order. `more_calls` is how many were made since
    it was asked last, beyond one for each coupon: they are paid for afterwards.
    """

    held: Held
    pool: ThreadPoolExecutor
    pace: Pace
    deadline: float
    ask: Callable[[RemoteCoupon], T]
    read: Callable[[RemoteCoupon, T | ProviderError], Told]
    next_rows: Callable[[int, int], Sequence[RemoteCoupon]]
    compare: Compare
    after_block: Callable[[Sequence[RemoteCoupon]], None] = lambda rows: None
    more_calls: Callable[[], int] = lambda: 0
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        account = self.held.run.connection
        self.gate = Gate(
            lambda error: (
                isinstance(error, TooMany) or is_about_credentials(error, account)
            )
        )

    def work(self, ends: float) -> bool:
        """Ask until `ends` (monotonic); True when there is nobody left to ask.

        While one block's answers are stored the next one is already on its way. Raises
        ProviderError for what is wrong with more than one coupon, and Lost.
        """
        running: Block[T] | None = None
        after = 0
        while True:
            may_start = time.monotonic() < ends and self.gate.error is None
            rows = self.next_rows(after, self._limit(ends)) if may_start else []
            block = self._start(rows) if rows else None
            if running is not None:
                self._finish(running)
                if not running.is_started:  # its turn would come after the lease
                    return False
            elif block is None:
                if self.gate.error is not None:
                    raise self.gate.error
                if not may_start:
                    return False
                if after == 0:
                    return True
            # From the beginning again: those without an answer are asked once more.
            after = rows[-1].pk if rows else 0
            running = block

    def _limit(self, ends: float) -> int:
        seconds = min(BLOCK_SECONDS, max(ends - time.monotonic(), 0))
        return max(1, min(MOST, int(self.pace.rate * seconds)))

    def _start(self, rows: Sequence[RemoteCoupon]) -> Block[T]:
        block = Block(
            self.held, self.pool, self.pace, self.deadline, self.ask, rows, self.gate
        )
        block.start()
        return block

    def _finish(self, block: Block[T]) -> None:
        answers = block.answers()
        made = sum(answer is not None for _row, answer in answers) + self._pay_more()
        told, tries = self._judge(answers)
        killpoint("looked_before_commit")
        rows = store(
            self.held,
            told,
            asked_at=block.began_at,
            compare=self.compare,
            calls=F("calls") + made,
            cursor=self.held.run.cursor | {"tries": tries},
        )
        killpoint("looked_after_commit")
        self.after_block(rows)

    def _pay_more(self) -> int:
        """Book the calls that nobody could foresee; how many there were."""
        more, now = self.more_calls(), self.held.clock()
        if more:
            book(
                self.held.run.connection_id,
                self.pace.endpoint,
                more,
                rate=self.pace.rate,
                now=now,
                latest=now + timedelta(days=1),
            )
        return more

    def _judge(self, answers: Sequence[Answer[T]]) -> tuple[list[Told], dict[str, int]]:
        """What to write down, and who has failed how often in this run."""
        tries: dict[str, int] = dict(self.held.run.cursor.get("tries", {}))
        told: list[Told] = []
        for row, answer in answers:
            key = str(row.pk)
            if answer is None or answer is self.gate.error:
                continue
            if isinstance(answer, ProviderError) and self.gate.is_fatal(answer):
                continue
            if isinstance(answer, Unclear | Unreachable):
                if self.gate.error is not None:  # the provider's trouble, not its own
                    continue
                tries[key] = tries.get(key, 0) + 1
                if tries[key] < TRIES:
                    continue
                answered = unreadable(row, answer)
            else:
                answered = self.read(row, answer)
            tries.pop(key, None)
            told.append(answered)
        return told, tries


def unreadable(row: RemoteCoupon, error: ProviderError) -> Told:
    """A coupon whose answer made no sense: the row says so, the run goes on."""
    return Told(row.pk, problem=problem_words(error), is_unreadable=True)


def problem_words(error: ProviderError) -> str:
    """What is wrong with the answer about one coupon."""
    if isinstance(error, Refused):
        said = _("The provider doesn't tell about it (%(status)s): %(detail)s")
        return said % {"status": error.status, "detail": error}
    if isinstance(error, Unclear | Unreachable):
        said = _("The provider gave no proper answer about it: %(detail)s")
        return said % {"detail": error}
    return _("The provider's answer about it makes no sense: %(detail)s") % {
        "detail": error
    }


def oddity_words(oddities: Sequence[str]) -> str:
    """What was odd about an answer that could be read all the same."""
    if not oddities:
        return ""
    said = _("Odd in the provider's answer: %(what)s.")
    return said % {"what": "; ".join(oddities)}
