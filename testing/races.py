"""Twenty threads, each with its own connection, let go at the same moment."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, connections, transaction

from campaigns.errors import CampaignError
from coupons.errors import CouponError
from coupons.models import Coupon


def rounds(few: int) -> int:
    """How many rounds a race has: `few`, or as many as RACE_ROUNDS says."""
    return int(os.environ.get("RACE_ROUNDS", few))


ROUNDS = rounds(10)
THREADS = 20
PATIENCE = 20  # seconds until a race that hangs is a failure


class Racers:
    """Kept threads: starting one takes longer than the gap a race needs."""

    def __init__(self, count: int = THREADS) -> None:
        self.count = count
        self.start = threading.Barrier(count + 1)
        self.end = threading.Barrier(count + 1)
        self.job: Callable[[int], Any] | None = None
        self.results: list[Any] = [None] * count
        self.threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True)
            for n in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, number: int) -> None:
        connections["default"].ensure_connection()
        while True:
            self.start.wait()
            job = self.job
            if job is None:
                connections.close_all()
                return
            try:
                self.results[number] = job(number)
            except Exception as error:  # noqa: BLE001 - the race's outcome is what we look at
                self.results[number] = error
            self.end.wait()

    def race(self, job: Callable[[int], Any]) -> list[Any]:
        """Run `job(n)` in every thread at once; each one's result or exception."""
        self.job = job
        self.start.wait()
        self.end.wait()
        return list(self.results)

    def stop(self) -> None:
        self.job = None
        self.start.wait()
        for thread in self.threads:
            thread.join(10)


def outcomes(results: Iterable[Any]) -> Counter[str]:
    """Counts results by what they are: `ok`, or the refusal's code.

    Raises whatever else came out of the race.
    """
    counted: Counter[str] = Counter()
    for result in results:
        if isinstance(result, CouponError | CampaignError):
            counted[result.code] += 1
        elif isinstance(result, Exception):
            raise result
        else:
            counted["ok"] += 1
    return counted


def all_of(results: Iterable[Any]) -> list[Any]:
    """What all threads did, where each did several things; raises what went wrong."""
    together: list[Any] = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        together += result
    return together


class Elsewhere:
    """A job on a connection of its own, beside the test's."""

    def __init__(self, job: Callable[[], Any]) -> None:
        self.answer: Any = None
        self.job = job
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.answer = self.job()
        except Exception as error:  # noqa: BLE001 - as in `Racers`
            self.answer = error
        finally:
            connection.close()

    def result(self) -> Any:
        """What the job returned or raised, once it ended."""
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the other connection still waits"
        return self.answer


class Watcher:
    """Reads what is committed, over and over, while a race goes on.

    `look` runs one statement, so that what it returns was true at one instant.
    """

    def __init__(self, look: Callable[[], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []
        self.is_over = threading.Event()

    def __enter__(self) -> "Watcher":
        self.elsewhere = Elsewhere(self._watch)
        return self

    def _watch(self) -> None:
        while not self.is_over.is_set():
            self.seen.append(self.look())

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        assert self.elsewhere.result() is None
        assert self.seen


class JumpingClock:
    """A clock that stands still until somebody sets it on."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def jump(self, to: datetime) -> None:
        self.at = to


def after_waiting(
    coupon: Coupon, job: Callable[[], Any], *, meanwhile: Callable[[], Any]
) -> Any:
    """What `job` gets when it waits for the coupon's lock while `meanwhile` commits."""
    with transaction.atomic():
        Coupon.objects.select_for_update().get(pk=coupon.pk)
        waiting = Elsewhere(job)
        wait_until_somebody_waits_for_us()
        outcomes([Elsewhere(meanwhile).result()])
    return waiting.result()


WAITING_FOR_US = """
    WITH behind_us AS (
        SELECT pid FROM pg_locks
        WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))
    )
    SELECT pid FROM behind_us
    UNION
    SELECT behind.pid FROM pg_locks behind, behind_us
    WHERE NOT behind.granted AND behind_us.pid = ANY(pg_blocking_pids(behind.pid))
"""


def wait_until_somebody_waits_for_us(count: int = 1) -> int:
    """Until so many sessions wait for a lock that this transaction holds, or behind it.

    Returns the process id of one. From `pg_locks`, which is read anew each time; what
    `pg_stat_activity` shows stands still inside a transaction.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(WAITING_FOR_US)
            rows = cursor.fetchall()
        if len(rows) >= count:
            pid: int = rows[0][0]
            return pid
        time.sleep(0.01)
    raise AssertionError("nobody waited for our lock")


def terminate(pid: int) -> None:
    """Cut a session off, as when the network or the server goes away."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
