"""50,000 more serials into a campaign that has a million: at most 1.3 times as long.

They go from their upload to ready in campaigns that have 10,000, 100,000 and 1,000,000
serials. Each campaign is in a database of its own, which is copied anew for every import.
"""

import contextlib
import itertools
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
from _house import LOCAL, ROUNDS, prepared_database
from _stock import COLUMNS, MILLION, made_up, settle, work, write_files

BAR = 1.3
SIZES = (10_000, 100_000, MILLION)  # serials that are there
PORTION = 50_000  # serials that come

Seconds = dict[int, list[float]]  # by size, one a round


def fill(database: str, campaign: int, batch: int, codes: Sequence[str]) -> None:
    """Serials into the empty table, keys unchecked where we may: half the time."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "SELECT CASE current_setting('is_superuser') WHEN 'on' THEN"
            " set_config('session_replication_role', 'replica', true) END"
        )
        connection.execute("TRUNCATE serials_serial CASCADE")
        with connection.cursor().copy(
            f"COPY serials_serial ({COLUMNS}) FROM STDIN"
        ) as copy:
            for pos, code in enumerate(codes, start=1):
                copy.write_row((campaign, batch, pos, code, code.lower(), 0))
    with psycopg.connect(database, autocommit=True) as connection:
        settle(connection)


@contextlib.contextmanager
def copied(server: str, database: str, suffix: str) -> Iterator[str]:
    """A copy of a database that nobody is connected to; its address."""
    source = urlsplit(database).path.lstrip("/")
    name = f"{source}_{suffix}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("CHECKPOINT")
    try:
        yield urlsplit(database)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def main() -> int:
    server = os.environ.setdefault("DATABASE_URL", LOCAL)
    codes = made_up(MILLION + PORTION)
    seconds: Seconds = {size: [] for size in SIZES}
    with (
        prepared_database(),
        TemporaryDirectory() as folder,
        contextlib.ExitStack() as stack,
    ):
        campaign, batch = make_place()
        empty = os.environ["DATABASE_URL"]
        filled = {
            size: stack.enter_context(copied(server, empty, str(size)))
            for size in SIZES
        }
        for size, database in filled.items():
            fill(database, campaign, batch, codes[:size])
        files = write_files(folder, "more", codes[MILLION:])
        for _, size in itertools.product(range(ROUNDS), SIZES):
            with copied(server, filled[size], "turn") as database:
                found = work(database, "import", campaign, *files)
            print(f"{PORTION:,} to {size:,}: {found}", flush=True)
            seconds[size].append(found.seconds)
    return conclude(seconds)


def make_place() -> tuple[int, int]:
    """A campaign and a batch of it, whose database nobody is connected to then."""
    from django.db import connections

    from testing.factories import make_campaign, make_serials

    campaign = make_campaign()
    batch = make_serials(campaign, 0)
    connections.close_all()
    return campaign.pk, batch.pk


def conclude(seconds: Seconds) -> int:
    small = SIZES[0]
    ratio = growth(seconds)
    few, many = (
        round(1e6 * statistics.median(seconds[size]) / PORTION, 1)
        for size in (small, MILLION)
    )
    result = {
        "name": "growth",
        "figure": many,
        "unit": "us a serial",
        "limit": few,
        "ratio": round(ratio, 3),
        "bar": BAR,
    }
    print(json.dumps(result))
    return 0 if ratio <= BAR else 1


def growth(seconds: Seconds) -> float:
    """The median of each round's slowest to its import into the smallest."""
    rounds = zip(*(seconds[size] for size in SIZES), strict=True)
    return float(statistics.median(max(times) / times[0] for times in rounds))


if __name__ == "__main__":
    sys.exit(main())
