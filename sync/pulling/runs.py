"""Runs: who looks at an account, for how long, and how far the look has come.

The row is the checkpoint. A worker holds it by a lease, whose end is also the token
that every write must carry: whoever took over a dead worker's run has another one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from connections.models import SECRETS, Connection
from sync.models import Publication, Run
from sync.parts import Parts

Clock = Callable[[], datetime]
State = Run.State

WHOLE_EVERY = timedelta(days=1)
KEPT = 200  # runs of an account
NOTED = "noted"  # in a cursor: `problem` as it was before the provider was in trouble


class Lost(Exception):
    """The run belongs to another worker by now, or it is over."""


@dataclass
class Held:
    """A run that this worker may write to, until `run.leased_until`."""

    run: Run
    clock: Clock
    lease_ends: float  # monotonic

    def left(self) -> float:
        """Seconds until somebody else may take the run over."""
        return self.lease_ends - time.monotonic()

    def keep(self, **changes: Any) -> None:
        """Write to the run and hold it for another lease; inside a transaction.

        Raises Lost, which undoes the caller's transaction.
        """
        # Read first: the lease seems to end a little early, never late.
        lease_ends = _lease_ends()
        lease = self.clock() + settings.SYNC_LEASE
        if changes.get("failures") == 0 and self.run.failures:
            changes.setdefault("problem", self.noted())
        mine = _mine(self.run).select_for_update()
        if mine.first() is None or not _mine(self.run).update(
            leased_until=lease, **changes
        ):
            raise Lost
        self.run.leased_until, self.lease_ends = lease, lease_ends
        for field, value in changes.items():
            if not isinstance(value, F) and not hasattr(value, "resolve_expression"):
                setattr(self.run, field, value)

    def noted(self) -> str:
        """What was odd so far, without the words of a stumble that is over."""
        if not self.run.failures:
            return self.run.problem
        return str(self.run.cursor.get(NOTED, ""))

    def stumble(self, words: str, *, next_try_at: datetime) -> None:
        """The provider could not be asked: say so until it can, and try again then."""
        self.let_go(
            next_try_at=next_try_at,
            failures=self.run.failures + 1,
            problem=words[:300],
            cursor=self.run.cursor | {NOTED: self.noted()},
        )

    def let_go(self, **changes: Any) -> None:
        """Leave the run to whoever comes next."""
        _mine(self.run).update(leased_until=None, **changes)

    def end(self, state: State, problem: str = "") -> None:
        """Close the run; `problem` says what was wrong, in words for people."""
        changes: dict[str, Any] = {"problem": (problem or self.noted())[:300]}
        self.let_go(
            state=state,
            finished_at=self.clock(),
            next_try_at=None,
            cursor={},
            **changes,
        )


def _mine(run: Run) -> QuerySet[Run]:
    return Run.objects.filter(
        pk=run.pk, state=State.RUNNING, leased_until=run.leased_until
    )


def begin(
    connection: Connection,
    *,
    at: datetime,
    by: User | None = None,
    is_whole: bool = False,
) -> Run:
    """Start a look at an account, or give the one that is under way.

    One whole look a day is made even when nobody asks for it.
    """
    running = Run.objects.filter(connection=connection, state=State.RUNNING)
    found = running.first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return Run.objects.create(
                connection=connection,
                is_whole=is_whole or _is_whole_due(connection.pk, at),
                asked_by=by,
                started_at=at,
                next_try_at=at,
            )
    except IntegrityError:  # somebody was quicker by a moment
        return running.first() or begin(connection, at=at, by=by, is_whole=is_whole)


def _is_whole_due(connection_id: int, at: datetime) -> bool:
    lately = Run.objects.filter(
        connection_id=connection_id,
        state=State.DONE,
        is_whole=True,
        started_at__gt=at - WHOLE_EVERY,
    )
    return not lately.exists()


def begin_due(*, at: datetime, parts: Parts | None = None) -> list[int]:
    """Start the looks that the schedule asks for; ids of all runs that are due.

    With `parts` an account whose look can't be started is one of them that failed.

    At Paddle and Vivoldi there is nothing to see before something was published there;
    LINE lists coupons that were made in its own manager, too.
    """
    begun = parts or Parts()
    for connection in _unseen(at):
        begun.run(begin, connection, at=at)
    if parts is None:
        begun.end()
    free = Q(leased_until=None) | Q(leased_until__lt=at)
    due = Run.objects.filter(free, state=State.RUNNING, next_try_at__lte=at)
    return list(due.order_by("next_try_at").values_list("pk", flat=True))


def _unseen(at: datetime) -> list[Connection]:
    """Active accounts without a look since SYNC_EVERY.

    Without their secrets: one that can't be read would hide all the others.
    """
    lately = Run.objects.filter(started_at__gt=at - settings.SYNC_EVERY)
    running = Run.objects.filter(state=State.RUNNING)
    rested = Q(resting_until=None) | Q(resting_until__lte=at)
    ours = Publication.objects.values("connection_id")
    return list(
        Connection.objects.filter(rested, state=Connection.State.ACTIVE)
        .filter(Q(provider=Connection.Provider.LINE) | Q(pk__in=ours))
        .exclude(pk__in=lately.values("connection_id"))
        .exclude(pk__in=running.values("connection_id"))
        .defer(*SECRETS)
        .order_by("pk")
    )


def take(run_id: int, clock: Clock) -> Held | None:
    """The run for this worker alone; None when it is over, held or not due."""
    lease_ends, now = _lease_ends(), clock()
    lease = now + settings.SYNC_LEASE
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    due = Run.objects.filter(free, pk=run_id, state=State.RUNNING, next_try_at__lte=now)
    if not due.update(leased_until=lease):
        return None
    run = Run.objects.filter(pk=run_id, leased_until=lease).first()
    return Held(run, clock, lease_ends) if run is not None else None


def _lease_ends() -> float:
    return time.monotonic() + settings.SYNC_LEASE.total_seconds()


def drop_old(connection_id: int) -> int:
    """Forget all but the newest runs of an account; how many."""
    ended = Run.objects.filter(connection_id=connection_id).exclude(state=State.RUNNING)
    kept = list(ended.order_by("-pk").values_list("pk", flat=True)[KEPT - 1 : KEPT])
    if not kept:
        return 0
    return ended.filter(pk__lt=kept[0]).delete()[0]


def paused_words(connection: Connection) -> str:
    """Why an account that is paused isn't looked at."""
    return _("The connection is paused: %(why)s") % {
        "why": connection.pause_reason or _("resume it first.")
    }
