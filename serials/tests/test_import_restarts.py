"""PostgreSQL and the worker die again and again while a file comes in: it comes in once.

The server is the test's own. IMPORT_ROWS=1000000 makes the file as large as one may be.
"""

import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest

from testing.databases import give_shape
from testing.processes import Processes, kill
from testing.servers import private_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.processes, pytest.mark.django_db]

ROWS = int(os.environ.get("IMPORT_ROWS", "150000"))
BLOCK = ROWS // 20  # of a million: 50,000, as in production
STUCK_AFTER = 120.0  # seconds without the next death
# What dies when it is how far.
CHECKING = [(0.2, "server"), (0.4, "worker"), (0.6, "server")]
IMPORTING = [(0.1, "server"), (0.3, "worker"), (0.5, "server"), (0.7, "server")]


# --- a file --------------------------------------------------------------------------


REFUSED = [
    ("", "empty"),
    ("=1+1", "formula"),
    ("A;B", "columns"),
    ("1.5E+12", "scientific"),
    ("A\u200eB", "characters"),
    ("L" * 65, "too_long"),
]


@dataclass
class File:
    """Its rows, and what has to become of each by its number."""

    rows: list[str] = field(default_factory=lambda: ["serial"])
    known: list[str] = field(default_factory=list)  # to the campaign, before
    new: list[tuple[int, str]] = field(default_factory=list)
    left_out: list[tuple[int, str]] = field(default_factory=list)

    def add(self, text: str, reason: str = "") -> None:
        self.rows.append(text)
        to, what = (self.left_out, reason) if reason else (self.new, text)
        to.append((len(self.rows), what))

    def counts(self) -> dict[str, int]:
        known = sum(reason in ("in_file", "in_campaign") for _, reason in self.left_out)
        return {
            "lines": len(self.rows) - 1,
            "new": len(self.new),
            "duplicate": known,
            "refused": len(self.left_out) - known,
        }


def make_file(count: int) -> File:
    """In each 500 rows some that come again, near and far, and one that is no serial."""
    file = File()
    for n in range(count):
        match n % 500:
            case 100:
                file.known.append(f"K{n:07}")
                file.add(f"K{n:07}", "in_campaign")
            case 200:
                file.add(f"n{n - 150:07}", "in_file")
            case 300:
                file.add("Ｎ0000000", "in_file")  # as row 2, in full width
            case 400:
                file.add(*REFUSED[n // 500 % len(REFUSED)])
            case _:
                file.add(f"N{n:07}")
    return file


# --- what is left --------------------------------------------------------------------


@dataclass(frozen=True)
class Left:
    """The batch in the end, read from its tables."""

    state: str
    counts: dict[str, int]
    total: int
    serials: list[tuple[int, str]]
    left_out: list[tuple[int, str]]
    pieces: int = 0  # of the kept file
    is_leased: bool = False


BATCH = """
    SELECT state, lines, new, duplicate, refused, total, leased_until IS NOT NULL,
        (SELECT count(*) FROM serials_uploadchunk WHERE batch_id = batch.id)
    FROM serials_batch batch WHERE id = %s
"""


def look_at(url: str, batch: int) -> Left:
    with psycopg.connect(url) as database:

        def read(sql: str) -> list[tuple[Any, ...]]:
            return database.execute(sql, [batch]).fetchall()

        [(state, *counts, total, is_leased, pieces)] = read(BATCH)
        return Left(
            state,
            dict(zip(("lines", "new", "duplicate", "refused"), counts, strict=True)),
            total,
            read(
                "SELECT pos, code FROM serials_serial"
                " WHERE batch_id = %s AND state = 0 ORDER BY pos, code"
            ),
            read(
                "SELECT line, reason FROM serials_refusedrow"
                " WHERE batch_id = %s ORDER BY line, reason"
            ),
            pieces,
            is_leased,
        )


def broken(file: File, left: Left) -> list[str]:
    """The promises that were not kept."""
    promises = {
        f"the batch is {left.state}": left.state == "ready",
        f"it counts {left.counts}": left.counts == file.counts(),
        "its rows don't add up": left.counts["lines"]
        == left.counts["new"] + left.counts["duplicate"] + left.counts["refused"],
        f"it has {left.total} serials": left.total == len(file.new),
        "not each new serial is there once": left.serials == file.new,
        "not each row left out is listed once": left.left_out == file.left_out,
        "it still holds the file, or a lease": not left.pieces and not left.is_leased,
    }
    return [words for words, is_kept in promises.items() if not is_kept]


def test_the_look_at_what_is_left_sees_what_is_lost_or_there_twice():
    file = make_file(3_000)
    whole = Left("ready", file.counts(), len(file.new), file.new, file.left_out)
    assert broken(file, whole) == []
    for change in (
        {"state": "importing"},
        {"counts": file.counts() | {"new": len(file.new) + 1}},
        {"total": len(file.new) - 1},
        {"serials": file.new[:-1]},
        {"serials": [*file.new[:1], *file.new]},
        {"left_out": file.left_out[1:]},
        {"left_out": [*file.left_out, file.left_out[-1]]},
        {"pieces": 1},
        {"is_leased": True},
    ):
        assert broken(file, replace(whole, **change)), change


# --- fire ----------------------------------------------------------------------------


class Fire:
    """A worker that does its work in spite of what dies around it, and itself."""

    def __init__(self, server, processes, command, *, url, progress):
        self.server = server
        self.processes = processes
        self.command = command
        self.url = url
        self.progress = progress  # SQL for (state, rows done)
        self.deaths: Counter[str] = Counter()
        self.died_at = None

    @contextmanager
    def working(self):
        self.connect()
        self.start()
        try:
            yield
        finally:
            self.database.close()
            if self.worker.poll() is None:
                kill(self.worker)

    def connect(self):
        self.database = psycopg.connect(self.url, autocommit=True)

    def start(self):
        age = str(self.deaths.total())
        step = ("-m", "serials.tests.far", *self.command, age)
        self.worker = self.processes.start("worker", *step)

    def burn(self, state, deaths, rows):
        """Let it work in this state, with these deaths on the way, to its end."""
        for share, what in deaths:
            self.wait_for(state, share * rows)
            if what == "server":
                self.server.restart_immediate()
                self.database.close()
                self.connect()
            else:
                kill(self.worker)
                self.start()
            self.deaths[what] += 1
            self.died_at = self.look()
        self.since = time.monotonic()
        while self.look()[0] == state:
            self.look_after(f"the end of {state}")

    def wait_for(self, state, row):
        """Until it is so far, and has done something since the last death."""
        self.since = time.monotonic()
        while (now := self.look()) == self.died_at or now[1] < row:
            assert now[0] == state, f"It was {now} before it came to {row} {state}."
            self.look_after(f"{row} {state}")
        assert now[0] == state

    def look(self):
        """What it is doing and how far it is, as committed."""
        return self.database.execute(self.progress).fetchone()

    def look_after(self, what):
        is_stuck = time.monotonic() - self.since > STUCK_AFTER
        if is_stuck or self.worker.poll() is not None:
            pytest.fail(f"It never came to {what}: {self.processes.logs()}")
        time.sleep(0.005)

    def cut_off(self):
        """How often the worker was cut off in its work."""
        log = (self.processes.folder / "worker.log").read_text()
        assert "Traceback" not in log, log
        return log.count("cut off: ")


@pytest.fixture(scope="module")
def server(django_db_setup):
    with private_postgres() as server:
        yield server


def test_a_file_under_fire_comes_in_whole_and_once(server, tmp_path):
    file = make_file(ROWS)
    (tmp_path / "file.csv").write_text("\n".join(file.rows) + "\n")
    (tmp_path / "known.txt").write_text("\n".join(file.known))
    url = server.create_database("house")
    give_shape(url)
    processes = Processes(tmp_path, DATABASE_URL=url, PROCESS_ROLE="worker")
    paths = [str(tmp_path / name) for name in ("file.csv", "known.txt")]
    batch = processes.step("upload", *paths, of="serials")
    fire = Fire(
        server,
        processes,
        ("work", str(BLOCK)),
        url=url,
        progress="SELECT state, done_to FROM serials_batch WHERE name = 'under fire'",
    )

    with fire.working():
        fire.burn("checking", CHECKING, ROWS)
        checked = look_at(url, batch)
        processes.step("confirm", str(batch), of="serials")
        fire.burn("importing", IMPORTING, ROWS)

    assert checked.state == "checked"
    assert checked.counts == file.counts()
    assert checked.left_out == file.left_out
    assert broken(file, look_at(url, batch)) == []
    assert processes.step("audit", of="serials") == []
    assert fire.deaths == {"server": 5, "worker": 2}
    assert fire.cut_off() == 5  # so each restart came in the middle of work


def test_the_fire_makes_a_naive_import_bring_rows_twice(server, tmp_path):
    file = make_file(1_000)
    (tmp_path / "file.csv").write_text("\n".join(file.rows))
    url = server.create_database("naive")
    with psycopg.connect(url) as database:
        database.execute("CREATE TABLE naive_serial (code text)")
        database.execute("CREATE TABLE naive_batch (state text, done_to int)")
        database.execute("INSERT INTO naive_batch VALUES ('importing', 0)")
    fire = Fire(
        server,
        Processes(tmp_path),
        ("work_naively", url, str(tmp_path / "file.csv"), "100"),
        url=url,
        progress="SELECT state, (SELECT count(*) FROM naive_serial) FROM naive_batch",
    )

    with fire.working():
        fire.burn("importing", [(0.25, "server"), (0.75, "worker")], 1_000)

    with psycopg.connect(url) as database:
        [(count,)] = database.execute("SELECT count(*) FROM naive_serial").fetchall()
    assert count > len(file.rows)
