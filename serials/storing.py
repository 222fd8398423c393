"""Many rows into the database at once, and letting it decide what is new.

PostgreSQL takes them by COPY, SQLite by `executemany`; everything else is one SQL for
both. Rows wait in a temporary table of this connection: it costs no log, nobody else
sees it, and a worker that dies leaves nothing behind.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction

from serials.rows import planned_once

_COLUMNS = {
    "serials_staging": ("line", "code", "code_key"),
    "serials_refusedrow": ("batch_id", "line", "value", "reason"),
}
# The campaign's fixed texts: no serial of one's own may be one of them. A constant of
# ours, so that it can stand in the SQL below.
_FIXED = (
    "(SELECT code_key FROM serials_batch WHERE campaign_id = %s AND kind = 'fixed')"
)
# Only what is staged, each looked up by the unique key: else PostgreSQL reads all the
# campaign has. For many texts that is quicker. OFFSET keeps it from joining first.
_FEW = "AND code_key = ANY(ARRAY(SELECT code_key FROM serials_staging)) OFFSET 0"


def keep_piece(batch_id: int, number: int, data: bytes) -> None:
    """Keep a piece of an uploaded file.

    As a value beside the statement: inside it, it is twice as long, and the connection
    remembers its last hundred statements.
    """
    with planned_once() as cursor:
        cursor.execute(
            "INSERT INTO serials_uploadchunk (batch_id, number, data)"
            " VALUES (%s, %s, %s)",
            [batch_id, number, data],
        )


@contextmanager
def staging() -> Iterator[None]:
    """A temporary table for rows of one file, empty at the start."""
    # As the key of serials: byte by byte, which is what SQLite does anyway.
    order = 'COLLATE "C"' if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        # One can be left of a task that failed on this connection.
        cursor.execute("DROP TABLE IF EXISTS serials_staging")
        cursor.execute(
            "CREATE TEMPORARY TABLE serials_staging "
            f"(line integer NOT NULL, code text NOT NULL, code_key text {order} NOT NULL)"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE serials_staging")


def stage(rows: Sequence[tuple[int, str, str]]) -> None:
    """Add rows of (line, code, key) to the staging table."""
    _copy("serials_staging", rows)


def empty_stage() -> None:
    """Make room for the next rows."""
    is_server = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE serials_staging" if is_server else "DELETE FROM serials_staging"
        )


def add_refused(batch_id: int, rows: Sequence[tuple[int, str, str]]) -> None:
    """Keep rows of (line, value, reason) that can't be taken."""
    _copy("serials_refusedrow", [(batch_id, *row) for row in rows])


def be_patient() -> None:
    """Let this transaction's statements take longer than a page's may.

    A command has all the time it wants anyway.
    """
    if connection.vendor == "postgresql" and settings.PROCESS_ROLE != "command":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '50s'")
            cursor.execute("SET LOCAL lock_timeout = '15s'")


def look_closely() -> None:
    """Tell the planner what is staged: it knows nothing of temporary tables."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE serials_staging")


def look_again(added: int) -> None:
    """Tell the planner when `added` serials are many to the table; it hears of it late.

    Web processes keep the plan of a claim that they made when there were few: walking
    all of them. When somebody else is at the table this moment, they do it for us.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s >= reltuples / 10 FROM pg_class"
            " WHERE oid = 'serials_serial'::regclass",
            [added],
        )
        (is_many,) = cursor.fetchone()
        if is_many:
            cursor.execute("ANALYZE (SKIP_LOCKED) serials_serial")


def insert_staged(batch_id: int, campaign_id: int) -> int:
    """Staged rows as free serials; returns how many were new to the campaign.

    Inserted in the order of their keys: two imports of the same serials then wait for
    each other in one direction, and neighbours in the index are written together.
    """
    return _run(
        f"""
        INSERT INTO serials_serial (campaign_id, batch_id, pos, code, code_key, state)
        SELECT %s, %s, line, code, code_key, 0 FROM serials_staging
        WHERE code_key NOT IN {_FIXED} ORDER BY code_key, line
        ON CONFLICT (campaign_id, code_key) DO NOTHING
        """,  # noqa: S608
        [campaign_id, batch_id, campaign_id],
    )


def refuse_known(batch_id: int, campaign_id: int, staged: int) -> int:
    """Refused rows for staged texts that the campaign has, this batch's included.

    `staged` says how many texts there are.
    """
    is_few = staged <= settings.IMPORT_BLOCK and connection.vendor == "postgresql"
    return _run(
        f"""
        INSERT INTO serials_refusedrow (batch_id, line, value, reason)
        SELECT %s, g.line, g.code,
            CASE WHEN s.batch_id = %s THEN 'in_file' ELSE 'in_campaign' END
        FROM serials_staging g LEFT JOIN (
            SELECT id, batch_id, pos, code_key FROM serials_serial
            WHERE campaign_id = %s {_FEW if is_few else ""}
        ) s ON s.code_key = g.code_key
        WHERE (s.id IS NOT NULL OR g.code_key IN {_FIXED})
            AND (s.id IS NULL OR NOT (s.batch_id = %s AND s.pos = g.line))
        """,  # noqa: S608
        [batch_id, batch_id, campaign_id, campaign_id, batch_id],
    )


def refuse_repeated(batch_id: int, campaign_id: int) -> int:
    """Refused rows for what the staged rows say again and the campaign hasn't yet."""
    return _run(
        f"""
        INSERT INTO serials_refusedrow (batch_id, line, value, reason)
        SELECT %s, g.line, g.code, 'in_file' FROM serials_staging g
        JOIN (SELECT code_key, min(line) AS first FROM serials_staging
              GROUP BY code_key HAVING count(*) > 1) again
            ON again.code_key = g.code_key AND g.line > again.first
        WHERE NOT EXISTS (SELECT 1 FROM serials_serial s
                WHERE s.campaign_id = %s AND s.code_key = g.code_key)
            AND g.code_key NOT IN {_FIXED}
        """,  # noqa: S608
        [batch_id, campaign_id, campaign_id],
    )


def remove_serials(batch_id: int, first: int, last: int) -> int:
    """Delete a batch's free serials by their place in it; nobody has seen them."""
    return _run(
        "DELETE FROM serials_serial"
        " WHERE batch_id = %s AND state = 0 AND pos BETWEEN %s AND %s",
        [batch_id, first, last],
    )


def void_serials(batch_id: int, first: int, last: int) -> int:
    """Make a batch's free serials void by their place in it; returns how many."""
    return _run(
        "UPDATE serials_serial SET state = 2"
        " WHERE batch_id = %s AND state = 0 AND pos BETWEEN %s AND %s",
        [batch_id, first, last],
    )


def _run(sql: str, params: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def _copy(table: str, rows: Sequence[tuple[int | str, ...]]) -> None:
    """Append rows; `table` is one of ours, values hold no control characters."""
    if not rows:
        return
    columns = _COLUMNS[table]
    names = ", ".join(columns)
    with connection.cursor() as cursor, connection.wrap_database_errors:
        if connection.vendor == "postgresql":
            line = "\t".join(["%s"] * len(columns)) + "\n"
            text = "".join([line % row for row in rows]).replace("\\", "\\\\")
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                copy.write(text)
        else:
            marks = ", ".join(["%s"] * len(columns))
            # In one transaction, or each row is one of its own.
            with transaction.atomic():
                cursor.executemany(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
                    rows,
                )
