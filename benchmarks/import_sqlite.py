"""The same million serials on SQLite, which `make run` starts with: at most 2 limits.

The limit is a bare `executemany` of the same rows into the same table with its indexes
and keys, in one transaction, of a connection that is set up as ours is.
"""

import json
import os
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from _house import environment, manage
from _stock import (
    COLUMNS,
    MILLION,
    Work,
    by_turns,
    compared,
    made_up,
    work,
    write_files,
)

BAR = 2.0


def prepare(path: Path) -> tuple[int, int]:
    """An empty migrated database; its campaign and a batch of that."""
    os.environ |= environment(f"sqlite:///{path}", str(path.parent))
    manage("migrate", "--verbosity", "0")
    import django

    django.setup()
    from django.db import connections

    from testing.factories import make_campaign, make_serials

    campaign = make_campaign()
    batch = make_serials(campaign, 0, name="bare")
    connections.close_all()
    return campaign.pk, batch.pk


def copy_anew(empty: Path, turn: Path) -> None:
    for path in turn.parent.glob(f"{turn.name}*"):  # the journal too
        path.unlink()
    shutil.copy(empty, turn)


def insert_bare(path: Path, rows: list[tuple[int, int, int, str, str, int]]) -> float:
    """Seconds of one transaction that does nothing but insert."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON"
    )
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        f"INSERT INTO serials_serial ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
        rows,
    )
    connection.execute("COMMIT")
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def main() -> int:
    codes = made_up(MILLION)
    with TemporaryDirectory(prefix="bench-") as folder:
        empty, turn = Path(folder, "empty.sqlite3"), Path(folder, "turn.sqlite3")
        campaign, batch = prepare(empty)
        files = write_files(folder, "many", codes)
        rows = [
            (campaign, batch, pos, code, code.lower(), 0)
            for pos, code in enumerate(codes, start=1)
        ]

        def ours() -> Work:
            copy_anew(empty, turn)
            return work(f"sqlite:///{turn}", "import", campaign, *files)

        def limit() -> float:
            copy_anew(empty, turn)
            return insert_bare(turn, rows)

        works, limits = by_turns(ours, limit)
    result = compared("import_sqlite", works, limits, BAR)
    print(json.dumps(result))
    return 0 if result["ratio"] <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
