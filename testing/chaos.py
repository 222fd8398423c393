"""Everything dies while it sends, and yet: one message a contact, and nobody forgotten.

`make chaos` runs the long version, deliveries/tests/test_chaos.py a short one. PostgreSQL
and Redis are private; LINE is the look-alike, which honours retry keys and here loses
the answers to a share of what it has accepted. Worker, scheduler, database and queue are
killed from the first moment on, so that the freezing of the audience is under fire too.
"""

import argparse
import contextlib
import itertools
import json
import logging
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

import testing.environment  # noqa: F401 - sets the secrets that settings ask for
from run import ROOT, say
from sandbox.testing import RunningSandbox, start_sandbox
from sandbox.world import Attempt
from testing.processes import Popen, Processes, kill
from testing.servers import (
    PrivatePostgres,
    PrivateRedis,
    private_postgres,
    private_redis,
)

PLACES = ("before_http", "after_http_before_commit", "after_commit")
RECOVERS_WITHIN = 60.0  # seconds from the last kill to the last message
STUCK_AFTER = 120.0  # seconds without a next step: give up and show the logs
PREPARING = 0.1  # the part of the whole way that freezing the audience is
AUDIT = ROOT / "reports" / "management" / "commands" / "audit_ledger.py"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is sent and how often what dies. The seed fixes all that is random."""

    contacts: int = 10_000
    kills: int = 20  # of all workers at once: at random, and at kill points in turn
    redis_kills: int = 5
    postgres_restarts: int = 5
    beat_kills: int = 2
    drop: float = 0.15  # of the answers to what LINE accepted
    rate: int = 150  # messages a second
    lease: float = 6.0  # seconds; a call may take half of it
    seed: int = 0

    @property
    def is_long(self) -> bool:
        """Whether there is enough to die in the middle of preparing, too."""
        return self.contacts >= 5_000 and self.kills > 3


@dataclass(frozen=True)
class Progress:
    """How far the delivery is, read from the database itself."""

    state: str
    prepared: int
    accepted: int

    def share(self, contacts: int) -> float:
        """From 0 to 1: the first tenth is preparing, the rest sending."""
        sent = self.accepted / contacts
        return PREPARING * self.prepared / contacts + (1 - PREPARING) * sent


@dataclass
class Report:
    """What is left when all is quiet; `broken` says which promises were not kept."""

    users: list[str]
    counts: dict[str, int]
    requests: list[Attempt]
    state: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    unsent: int = 0  # coupons without sent_at
    traces: list[str] = field(default_factory=list)
    audit: str = ""
    recovery: float = 0.0  # seconds
    seconds: float = 0.0
    events: Counter[str] = field(default_factory=Counter)

    @property
    def repeats(self) -> int:
        """Requests that LINE answered with 409: it had them already."""
        return sum(attempt.status == 409 for attempt in self.requests)

    def broken(self) -> list[str]:
        everybody = len(self.users)
        twice = sum(count > 1 for count in self.counts.values())
        forgotten = sum(user not in self.counts for user in self.users)
        promises = {
            f"{twice} contacts got more than one message": twice == 0,
            f"{forgotten} contacts were forgotten": forgotten == 0,
            "somebody got a message that nobody sent": set(self.counts)
            <= set(self.users),
            f"the delivery ended as {self.state!r}": self.state == "done",
            f"dispatches ended as {self.statuses}": self.statuses
            == {"accepted": everybody},
            f"{self.unsent} coupons have no time of sending": self.unsent == 0,
            f"{self.changed_bodies()} requests changed between tries": (
                self.changed_bodies() == 0
            ),
            f"it took {self.recovery:.0f} s to recover": (
                self.recovery <= RECOVERS_WITHIN
            ),
            f"errors that no kill explains: {self.traces[:5]}": not self.traces,
            f"the ledger does not add up:\n{self.audit}": not self.audit,
        }
        return [words for words, is_kept in promises.items() if not is_kept]

    def changed_bodies(self) -> int:
        """Retry keys that came with more than one body, which names the contact."""
        bodies: dict[str | None, set[str]] = defaultdict(set)
        for attempt in self.requests:
            bodies[attempt.retry_key].add(attempt.body_hash)
        return sum(len(found) > 1 for found in bodies.values())

    def summary(self) -> str:
        died = ", ".join(f"{name} {count}" for name, count in self.events.items())
        return (
            f"{sum(self.counts.values())} messages to {len(self.users)} contacts in "
            f"{self.seconds:.0f} s; {len(self.requests)} requests, {self.repeats} "
            f"repeats answered 409; done {self.recovery:.1f} s after the last kill.\n"
            f"Killed or restarted: {died}."
        )


class Chaos:
    """One delivery under fire."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        postgres: PrivatePostgres,
        redis: PrivateRedis,
        line: RunningSandbox,
        say: Say,
    ) -> None:
        self.plan = plan
        self.postgres = postgres
        self.redis = redis
        self.line = line
        self.dice = random.Random(plan.seed)  # noqa: S311
        self.database = postgres.create_database("chaos")
        self.processes = Processes(
            folder,
            DATABASE_URL=self.database,
            REDIS_URL=redis.url,
            LINE_API_URL=line.url,
            SEND_LEASE=str(plan.lease),
            SEND_DEADLINE=str(plan.lease / 2),
            SEND_RATE=str(plan.rate),
            SWEEP_EVERY="2",
        )
        self.say = say
        self.began = time.monotonic()
        self.last_kill = self.began
        self.events: Counter[str] = Counter()
        self.is_over = threading.Event()
        self.failure: BaseException | None = None
        self.generation = 0

    # --- the way ---------------------------------------------------------------------

    def run(self) -> Report:
        users = self.set_up()
        self.line.fault(
            "push", "accept_then_drop", share=self.plan.drop, seed=self.plan.seed
        )
        self.began = time.monotonic()
        servers = threading.Thread(target=self.trouble_servers, daemon=True)
        servers.start()
        with self.stopping() as running:
            for place, share in self.kills():
                running[:] = self.start_workers(place)
                self.wait_for(place, share)
                for worker in running:
                    kill(worker)
                self.note(f"workers {place or 'at random'}")
            running[:] = self.start_workers("")
            servers.join()
            self.until(lambda: self.progress().state == "done", "done")
            done = time.monotonic()
        return self.report(users, done)

    def migrate(self) -> None:
        self.processes.must_run("manage.py", "migrate", "-v0", "--skip-checks")

    def set_up(self) -> list[str]:
        users: list[str] = self.processes.step("start", str(self.plan.contacts))
        for number, user in enumerate(users):
            self.line.add_friend(user, f"Friend {number}")
        return users

    @contextlib.contextmanager
    def stopping(self) -> Iterator[list[Popen]]:
        """The workers that run now, and beat; all of them end with the block."""
        running: list[Popen] = []
        self.beat = self.processes.start_beat()
        try:
            yield running
        finally:
            self.is_over.set()
            for process in [*running, self.beat]:
                if process.poll() is None:
                    kill(process)

    def start_workers(self, place: str) -> list[Popen]:
        """Two workers of two processes; at a kill point they die by themselves."""
        self.generation += 1
        env = {}
        if place:
            longest = 1 if place == "after_commit" else self.plan.contacts // 50
            times = self.dice.randint(1, min(longest, 60))
            env["KILL_AT"] = f"{place}:{times}"
        return [
            self.processes.worker(f"{name}-{self.generation}", concurrency=2, **env)
            for name in ("one", "two")
        ]

    def kills(self) -> list[tuple[str, float]]:
        """Where each generation of workers dies: a kill point, or how far along.

        In a long run the first two die while the audience is being frozen.
        """
        early = [0.3 * PREPARING, 0.7 * PREPARING] if self.plan.is_long else []
        points = (self.plan.kills - len(early) + 1) // 2
        places = [PLACES[n % len(PLACES)] for n in range(points)]
        self.dice.shuffle(places)
        latest = 0.92 if self.plan.is_long else 0.4  # enough is left to die of
        late = sorted(
            self.dice.uniform(PREPARING, latest)
            for _ in range(self.plan.kills - len(early) - points)
        )
        kills = [("", share) for share in early]
        for share, place in itertools.zip_longest(late, places):
            kills += [("", share)] if share else []
            kills += [(place, 1.0)] if place else []
        return kills

    def wait_for(self, place: str, share: float) -> None:
        if place:
            self.until(lambda: self.has_died_at(place), f"a death {place}")
        else:
            self.until(lambda: self.share() >= share, f"{share:.0%} of the way")

    def has_died_at(self, place: str) -> bool:
        logs = self.processes.folder.glob(f"*-{self.generation}.log")
        return any(f"killpoint {place}\n" in log.read_text() for log in logs)

    # --- the servers -------------------------------------------------------------------

    def trouble_servers(self) -> None:
        """Runs beside the kills of workers, so that both may come at once."""
        try:
            for share, trouble in self.troubles():
                while self.share() < share:
                    if self.is_over.wait(0.1):
                        return
                trouble()
        except BaseException as error:  # noqa: BLE001 - raised by `until`
            self.failure = error

    def troubles(self) -> list[tuple[float, Callable[[], None]]]:
        plan = self.plan
        troubles = [
            *[self.kill_redis] * plan.redis_kills,
            *[self.restart_postgres] * plan.postgres_restarts,
            *[self.kill_beat] * plan.beat_kills,
        ]
        self.dice.shuffle(troubles)
        early = 3 if self.plan.is_long else 0  # while the audience is being frozen
        shares = [
            self.dice.uniform(*((0, PREPARING) if n < early else (PREPARING, 0.9)))
            for n in range(len(troubles))
        ]
        return list(zip(sorted(shares), troubles, strict=True))

    def kill_redis(self) -> None:
        self.redis.kill()
        self.is_over.wait(1)
        self.redis.start()
        self.note("Redis")

    def restart_postgres(self) -> None:
        self.postgres.restart_immediate()
        self.note("PostgreSQL")

    def kill_beat(self) -> None:
        kill(self.beat)
        self.beat = self.processes.start_beat()
        self.note("beat")

    # --- watching ----------------------------------------------------------------------

    def note(self, what: str) -> None:
        self.last_kill = time.monotonic()
        self.events[what] += 1
        self.say(
            f"{self.last_kill - self.began:6.1f} s  {self.share():4.0%}  {what} killed"
        )

    def progress(self) -> Progress:
        with psycopg.connect(self.database, connect_timeout=2) as database:
            found = database.execute(
                "SELECT state, total, accepted FROM deliveries_delivery"
            ).fetchone()
        return Progress(*found)

    def share(self) -> float:
        while not self.is_over.is_set():
            with contextlib.suppress(psycopg.OperationalError):  # being restarted
                return self.progress().share(self.plan.contacts)
            time.sleep(0.1)
        return 0.0

    def until(self, ready: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + STUCK_AFTER
        while True:
            if self.failure is not None:
                raise self.failure
            with contextlib.suppress(psycopg.OperationalError):
                if ready():
                    return
            if time.monotonic() > ends:
                raise TimeoutError(
                    f"It never came to {what}; it is at {self.share():.0%}.\n"
                    f"{self.processes.logs()}"
                )
            time.sleep(0.1)

    # --- the end -------------------------------------------------------------------------

    def report(self, users: list[str], done: float) -> Report:
        left = self.processes.step("report")
        return Report(
            users,
            self.line.counts(),
            self.line.requests("push"),
            state=left["state"],
            statuses=left["statuses"],
            unsent=left["unsent"],
            traces=unexplained(self.processes.folder),
            audit=self.audit(),
            recovery=done - self.last_kill,
            seconds=done - self.began,
            events=self.events,
        )

    def audit(self) -> str:
        """What `audit_ledger` finds wrong, or ""."""
        if not AUDIT.exists():
            self.say("There is no audit_ledger yet: not asked.")
            return ""
        done = self.processes.run("manage.py", "audit_ledger")
        return "" if done.returncode == 0 else done.stdout + done.stderr


# --- logs ------------------------------------------------------------------------------

# What a killed database, queue or process makes of those that speak with it.
EXPLAINED = re.compile(
    r"(\w+\.)*(OperationalError|InterfaceError|ConnectionError|TimeoutError"
    r"|Connection(Refused|Reset|Aborted)Error|BrokenPipeError|BusyLoadingError"
    r"|SchedulingError|WorkerLostError|ExceptionWithTraceback)\b"
)
# The line that ends a traceback, with or without the module's name.
ERROR = re.compile(r"([a-z_]\w*\.)+\w+(:|$)|[A-Z]\w*(Error|Exception)(:|$)")


def unexplained(folder: Path) -> list[str]:
    """The last lines of tracebacks in all logs that no kill explains."""
    ends = [
        end
        for log in sorted(folder.glob("*.log"))
        for end in ends_of_traces(log.read_text(errors="replace"))
    ]
    return [end for end in ends if not EXPLAINED.match(end)]


def ends_of_traces(text: str) -> Iterator[str]:
    """The exception's own line of each traceback: in our JSON lines, or plain."""
    is_inside = False
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "trace" in found:
                yield from last_line(found["trace"])
            is_inside = False
            continue
        if line.startswith("Traceback"):
            is_inside = True
        elif is_inside and ERROR.match(line):
            is_inside = False
            yield line


def last_line(trace: str) -> Iterator[str]:
    lines = [line for line in trace.splitlines() if ERROR.match(line)]
    yield from lines[-1:]


# --- by hand -----------------------------------------------------------------------------


def run_chaos(
    plan: Plan, folder: Path, say: Say, give_shape: Callable[[str], None] | None = None
) -> Report:
    """The whole of it, in servers of its own.

    `give_shape` makes the tables in the empty database of an address, which is migrated
    otherwise.
    """
    with (
        private_postgres() as postgres,
        private_redis() as redis,
        start_sandbox(token="token") as line,
    ):
        chaos = Chaos(plan, folder, postgres, redis, line, say)
        if give_shape is None:
            chaos.migrate()
        else:
            give_shape(chaos.database)
        return chaos.run()


def main() -> int:
    plan = Plan()
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    for name in ("contacts", "kills", "redis_kills", "postgres_restarts", "rate"):
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=int, default=getattr(plan, name))
    parser.add_argument("--drop", type=float, default=plan.drop)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311
    plan = replace(plan, **vars(parser.parse_args()))
    say(f"{plan}")
    # The look-alike's server, about callers that were killed in mid-sentence.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        report = run_chaos(plan, Path(folder), say)
    broken = report.broken()
    say("")
    say(report.summary())
    for words in broken:
        say(f"BROKEN: {words}")
    say(f"Seed {plan.seed}: {'promises broken' if broken else 'every promise kept'}.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
