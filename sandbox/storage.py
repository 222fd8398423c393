"""What the sandbox remembers across a restart, in one SQLite file.

The dictionaries in `world.py` are the truth while the sandbox runs; this file
follows them. Writing each push to disk before answering would make the sandbox
slower than LINE's rate, so rows collect here and go out together every 50 ms
(`app.write_behind`) and once more at a clean stop. After `kill -9` the last
moment may be missing. `:memory:` keeps nothing at all: tests read the world.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]
Batch = dict[str, dict[Row, Row | None]]  # None: the row of this key goes

SCHEMA = """
CREATE TABLE IF NOT EXISTS channel (
    name TEXT PRIMARY KEY, settings TEXT NOT NULL, used INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS friend (
    channel TEXT, user_id TEXT, name TEXT NOT NULL, language TEXT NOT NULL,
    state TEXT NOT NULL, sent INTEGER NOT NULL, unseen INTEGER NOT NULL,
    read_to INTEGER NOT NULL, PRIMARY KEY (channel, user_id)
);
CREATE TABLE IF NOT EXISTS body (id INTEGER PRIMARY KEY, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, user_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL, mine INTEGER NOT NULL, body INTEGER NOT NULL,
    place INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS accepted (
    channel TEXT, retry_key BLOB, at REAL NOT NULL, request_id TEXT NOT NULL,
    message_ids TEXT NOT NULL, PRIMARY KEY (channel, retry_key)
);
CREATE TABLE IF NOT EXISTS coupon (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ticket (
    coupon_id TEXT, user_id TEXT, place INTEGER, at REAL NOT NULL, tag TEXT NOT NULL,
    is_won INTEGER NOT NULL, uses INTEGER NOT NULL, used_at REAL,
    PRIMARY KEY (coupon_id, user_id, place)
);
CREATE TABLE IF NOT EXISTS picture (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS token (
    token TEXT PRIMARY KEY, channel TEXT NOT NULL, kind TEXT NOT NULL,
    key_id TEXT NOT NULL, ends_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS item (
    kind TEXT, account TEXT, key TEXT, data TEXT NOT NULL,
    PRIMARY KEY (kind, account, key)
);
DELETE FROM item WHERE data = '';
"""
# Table -> the columns of its key, and the others in order.
COLUMNS = {
    "channel": (["name"], ["settings", "used"]),
    "friend": (
        ["channel", "user_id"],
        ["name", "language", "state", "sent", "unseen", "read_to"],
    ),
    "body": (["id"], ["raw"]),
    "message": (["id"], ["channel", "user_id", "at_ms", "mine", "body", "place"]),
    "accepted": (["channel", "retry_key"], ["at", "request_id", "message_ids"]),
    "coupon": (["id"], ["channel", "data"]),
    "ticket": (
        ["coupon_id", "user_id", "place"],
        ["at", "tag", "is_won", "uses", "used_at"],
    ),
    "picture": (["id"], ["kind", "raw"]),
    "token": (["token"], ["channel", "kind", "key_id", "ends_at"]),
    # What Paddle's and Vivoldi's accounts hold, as JSON; empty once it is deleted.
    "item": (["kind", "account", "key"], ["data"]),
}


class Storage:
    """One SQLite file behind the world; a later row replaces an earlier one."""

    def __init__(self, path: str) -> None:
        self.keeps = path != ":memory:"
        self._waiting: Batch = {table: {} for table in COLUMNS}
        self._db: sqlite3.Connection | None = None
        if self.keeps:
            self._db = _open(path)

    def put(self, table: str, row: Row) -> None:
        """Remember `row` at the next write."""
        if self.keeps:
            self._waiting[table][row[: len(COLUMNS[table][0])]] = row

    def forget(self, table: str, key: Row) -> None:
        """Delete the row of this key at the next write."""
        if self.keeps:
            self._waiting[table][key] = None

    def take(self) -> Batch:
        """The rows that wait, now the caller's to write. Call it on the loop."""
        batch, self._waiting = self._waiting, {table: {} for table in COLUMNS}
        return batch

    def write(self, batch: Batch) -> None:
        """Write a batch in one transaction; may run in another thread."""
        if self._db is None or not any(batch.values()):
            return
        with self._db:
            for table, rows in batch.items():
                kept = [row for row in rows.values() if row is not None]
                gone = [key for key, row in rows.items() if row is None]
                self._db.executemany(_upsert(table), kept)
                self._db.executemany(_delete(table), gone)

    def rows(self, table: str, last: int | None = None) -> Iterator[Row]:
        """Every row, first made first, or the `last` ones of a table with ids."""
        if self._db is None:
            return iter(())
        if last is None:
            return iter(self._db.execute(_select(table)))
        newest: list[Row] = self._db.execute(_select_last(table), (last,)).fetchall()
        return reversed(newest)

    def trim(self, first_message: int, first_body: int, accepted_since: float) -> None:
        """Forget what no phone shows any more and retry keys that ran out."""
        if self._db is None:
            return
        with self._db:
            self._db.execute("DELETE FROM message WHERE id < ?", (first_message,))
            self._db.execute("DELETE FROM body WHERE id < ?", (first_body,))
            self._db.execute("DELETE FROM accepted WHERE at < ?", (accepted_since,))

    def clear(self) -> None:
        """Forget everything, what waits included."""
        self.take()
        if self._db is None:
            return
        with self._db:
            for table in COLUMNS:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (our own names)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.write(self.take())
        if self._db is not None:
            self._db.close()
            self._db = None


def _open(path: str) -> sqlite3.Connection:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # The writer thread and the loop take turns (app.write_behind awaits it).
    db = sqlite3.connect(path, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # a power cut may cost a sandbox its data
    db.executescript(SCHEMA)
    return db


def _upsert(table: str) -> str:
    """Not INSERT OR REPLACE: that would move the row to the end of its table."""
    key, others = COLUMNS[table]
    marks = ", ".join("?" * (len(key) + len(others)))
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    return (
        f"INSERT INTO {table} VALUES ({marks}) "  # noqa: S608 (our own names)
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )


def _delete(table: str) -> str:
    key = " AND ".join(f"{name} = ?" for name in COLUMNS[table][0])
    return f"DELETE FROM {table} WHERE {key}"  # noqa: S608 (our own names)


def _select(table: str) -> str:
    return f"SELECT * FROM {table} ORDER BY rowid"  # noqa: S608


def _select_last(table: str) -> str:
    return f"SELECT * FROM {table} ORDER BY id DESC LIMIT ?"  # noqa: S608
