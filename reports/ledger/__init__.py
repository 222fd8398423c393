"""The ledger audited: what is always true of the house, looked up in its tables.

Each check is one statement. Nothing is locked, and no snapshot is held over them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection

from reports.ledger import coupons, deliveries, ends, limits, serials, sync
from reports.ledger.backstops import NAME as BACKSTOPS
from reports.ledger.backstops import find_missing_backstops
from reports.ledger.check import Break, Check

__all__ = [
    "CHECKS",
    "NAMES",
    "Break",
    "Check",
    "find_break",
    "find_breaks",
    "find_missing_backstops",
    "patience",
]

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        *coupons.CHECKS,
        *ends.CHECKS,
        *serials.CHECKS,
        *limits.CHECKS,
        *deliveries.CHECKS,
        *sync.CHECKS,
    )
}
NAMES = (*CHECKS, BACKSTOPS)  # all that an audit looks at
# A sweep frees a row every half minute once its lease is over; after this long none came.
LEFT_AFTER = timedelta(minutes=5)


def find_breaks(
    *, now: datetime, most_rows: int = 20, only: Collection[str] | None = None
) -> list[Break]:
    """Every kind of break that the tables hold at the moment, with its first rows.

    `only` names the checks to make; without it all of CHECKS are. Raises KeyError for
    a name that there is none of.
    """
    names = CHECKS if only is None else only
    found = (find_break(name, now=now, most_rows=most_rows) for name in names)
    return [broken for broken in found if broken is not None]


def find_break(name: str, *, now: datetime, most_rows: int = 20) -> Break | None:
    """What one of NAMES finds; None when all is well. Raises KeyError."""
    if name == BACKSTOPS:
        return find_missing_backstops()
    check = CHECKS[name]
    # The checks' own text; nothing in it comes from outside. Apart from the LIMIT, for
    # which PostgreSQL would choose a plan that is quick to a first row and slow to none.
    sql = f"""
        WITH broken AS MATERIALIZED ({check.sql})
        SELECT broken.*, (SELECT count(*) FROM broken) FROM broken
        ORDER BY 1 LIMIT %(most_rows)s
    """  # noqa: S608
    left_at = connection.ops.adapt_datetimefield_value(now - LEFT_AFTER)
    with connection.cursor() as cursor:
        cursor.execute(sql, {"left_at": left_at, "most_rows": max(most_rows, 1)})
        found = cursor.fetchall()
        columns = [column[0] for column in cursor.description]
    if not found:
        return None
    named = [dict(zip(columns, row, strict=True)) for row in found[:most_rows]]
    campaigns = campaigns_of(named)
    rows = [
        check.words % row + (f" (campaign {campaigns[n]})" if n in campaigns else "")
        for n, row in enumerate(named)
    ]
    return Break(name, str(check.what), found[0][-1], rows)


# Whose campaign can be told: that is what somebody pauses first.
OWNERS = {
    "coupon": "coupons_coupon",
    "batch": "serials_batch",
    "serial": "serials_serial",
    "delivery": "deliveries_delivery",
    "publication": "sync_publication",
    "remote": "sync_remotecoupon",
}


def campaigns_of(rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """The campaign's id by the row's place, for rows that do not name it themselves."""
    owner = next((name for name in OWNERS if rows and name in rows[0]), None)
    if owner is None or "campaign" in rows[0]:
        return {}
    ids = [row[owner] for row in rows]
    marks = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, campaign_id FROM {OWNERS[owner]} WHERE id IN ({marks})",  # noqa: S608
            ids,
        )
        found = dict(cursor.fetchall())
    return {n: found[pk] for n, pk in enumerate(ids) if found.get(pk)}


# The checks read whole tables. Walking one of them along an index, in no order that it
# lies in, takes ten times as long; and jit would compile each statement anew.
PATIENT = {
    "statement_timeout": "0",
    "work_mem": "64MB",
    "enable_indexscan": "off",
    "jit": "off",
}


@contextmanager
def patience() -> Iterator[None]:
    """Let this session's statements take as long as they need, and more memory.

    The connection goes on to other work afterwards and gets its own bounds back.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        for name, value in PATIENT.items():
            cursor.execute(f"SET {name} = '{value}'")
    try:
        yield
    finally:
        # A session that is lost has none of it either.
        with suppress(DatabaseError), connection.cursor() as cursor:
            for name in PATIENT:
                cursor.execute(f"RESET {name}")
