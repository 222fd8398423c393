"""What the benchmarks of serials share: serials, a worker's process, the limit, figures."""

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from _house import ROOT, prepared_database

# A turn takes seconds, so that fewer rounds do than over HTTP.
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MILLION = 1_000_000
A_FILE = 500_000  # rows: 8.5 MB, about as much as may be uploaded at once
CHARACTERS = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LENGTH = 16
COLUMNS = "campaign_id, batch_id, pos, code, code_key, state"


def made_up(count: int) -> list[str]:
    """Serials in no order, the same in each run."""
    table = bytes(CHARACTERS[byte % len(CHARACTERS)] for byte in range(256))
    drawn = random.Random(1).randbytes(count * LENGTH)  # noqa: S311 - not kept secret
    text = drawn.translate(table).decode()
    return [text[at : at + LENGTH] for at in range(0, len(text), LENGTH)]


def write_files(folder: str, name: str, codes: Sequence[str]) -> list[Path]:
    """The serials as a shop sends them: a heading, one a row, no file too large."""
    paths = []
    for first in range(0, len(codes), A_FILE):
        path = Path(folder, f"{name}-{first}.csv")
        path.write_text("\n".join(["Serial", *codes[first : first + A_FILE], ""]))
        paths.append(path)
    return paths


# --- a worker --------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """What a process took that made batches ready, from the request on."""

    seconds: float
    megabytes: float  # at the most
    phases: dict[str, float]  # seconds

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {took:.1f}" for name, took in self.phases.items())
        return f"{self.seconds:.1f} s ({parts})"


def work(database: str, *command: object) -> Work:
    """Let a process of its own import or generate serials: see `_worker`."""
    worker = [sys.executable, str(ROOT / "benchmarks" / "_worker.py")]
    process = subprocess.run(
        [*worker, *map(str, command)],
        cwd=ROOT,
        # No broker that somebody else's workers listen to.
        env=os.environ
        | {"DATABASE_URL": database, "PROCESS_ROLE": "worker", "REDIS_URL": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Work(**json.loads(process.stdout))


# --- the limit on PostgreSQL -----------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A campaign without serials, and beside it a table `bare` of the same shape."""

    database: str
    campaign: int
    batch: int  # what the rows of `bare` belong to

    def clear(self) -> None:
        """Leave no serial and no dirt, so that a turn owes nothing to the one before."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("TRUNCATE bare, serials_serial CASCADE")
            connection.execute("TRUNCATE serials_uploadchunk, serials_refusedrow")
            connection.execute("DELETE FROM serials_batch WHERE id <> %s", [self.batch])
            settle(connection)

    def work(self, *command: object) -> Work:
        self.clear()
        name, *rest = command
        return work(self.database, name, self.campaign, *rest)

    def stage_and_insert(self, rows: bytes) -> float:
        """Seconds of the staging line: COPY, then an INSERT that leaves duplicates out."""
        self.clear()
        with psycopg.connect(self.database) as connection:
            started = time.perf_counter()
            connection.execute(
                "CREATE UNLOGGED TABLE staging"
                " (pos integer NOT NULL, code text NOT NULL, code_key text NOT NULL)"
            )
            with connection.cursor().copy("COPY staging FROM STDIN") as copy:
                copy.write(rows)
            connection.execute(
                f"INSERT INTO bare ({COLUMNS})"  # noqa: S608 - our own text
                " SELECT %s, %s, pos, code, code_key, 0 FROM staging"
                " ON CONFLICT DO NOTHING",
                [self.campaign, self.batch],
            )
            connection.execute("DROP TABLE staging")
            connection.commit()
            return time.perf_counter() - started


@contextlib.contextmanager
def prepared_place() -> Iterator[Place]:
    """A database of its own on PostgreSQL, which goes away at the end."""
    with prepared_database():
        from testing.factories import make_campaign, make_serials

        database = os.environ["DATABASE_URL"]
        campaign = make_campaign()
        make_bare_table(database)
        yield Place(database, campaign.pk, make_serials(campaign, 0).pk)


def make_bare_table(database: str) -> None:
    """A table with all that `serials_serial` has: columns, keys, indexes, checks."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE bare (LIKE serials_serial INCLUDING ALL)")
        keys = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'serials_serial'::regclass AND contype = 'f'"
        ).fetchall()
        for (key,) in keys:
            connection.execute(f"ALTER TABLE bare ADD {key}")


def rows_of(codes: Sequence[str]) -> bytes:
    """Position, serial and key as COPY reads them."""
    rows = enumerate(codes, start=1)
    return "".join(f"{pos}\t{code}\t{code.lower()}\n" for pos, code in rows).encode()


def settle(connection: psycopg.Connection[Any], table: LiteralString = "") -> None:
    """Let PostgreSQL do now what it would do some time in the next turn."""
    connection.execute(f"VACUUM (ANALYZE, INDEX_CLEANUP ON) {table}")
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("CHECKPOINT")


# --- figures ---------------------------------------------------------------------------


def by_turns(
    ours: Callable[[], Work], limit: Callable[[], float]
) -> tuple[list[Work], list[float]]:
    """Both ROUNDS times, one after the other: the machine's speed drifts."""
    works, limits = [], []
    for number in range(1, ROUNDS + 1):
        works.append(ours())
        limits.append(limit())
        print(f"round {number}: {works[-1]}; limit {limits[-1]:.1f} s", flush=True)
    return works, limits


def compared(
    name: str, works: Sequence[Work], limits: Sequence[float], bar: float
) -> dict[str, Any]:
    """The result as every benchmark prints it; the ratio is each round's, in the middle."""
    pairs = zip(works, limits, strict=True)
    ratio = statistics.median(work.seconds / limit for work, limit in pairs)
    return {
        "name": name,
        "figure": round(statistics.median(work.seconds for work in works), 2),
        "unit": "s",
        "limit": round(statistics.median(limits), 2),
        "ratio": round(ratio, 3),
        "bar": bar,
        "memory_mb": round(max(work.megabytes for work in works), 1),
    }
