"""How PostgreSQL looks for a free serial among a million, half of them taken.

Looked at are the statements that claims run, and have prepared, in that very session.
"""

import re
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from serials.models import Batch, Serial
from serials.services import ready_batches
from testing.factories import make_campaign

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]

CLAIMS = 7  # enough to have their statements prepared: see `prepare_threshold`
MOST_PAGES = 60  # that a claim may touch; the table has more than 10,000
MOST_LEFT_OUT = 2 * CLAIMS  # rows that the claims before have left in the index
NODES = {"ModifyTable", "Limit", "LockRows", "Index Scan"}
INDEXES = {"serial_free", "serials_serial_pkey"}
# Keys that go up, which their index takes quickest.
FILL = """
    INSERT INTO serials_serial
        (campaign_id, batch_id, pos, code, code_key, state, taken_at)
    SELECT campaign_id, id, n, key, key,
        CASE WHEN n <= %s THEN 1 ELSE 0 END, CASE WHEN n <= %s THEN now() END
    FROM serials_batch, generate_series(1, total) n,
        concat(id, '-', lpad(n::text, 7, '0')) key
    WHERE id = %s
"""


def read(sql, *values):
    """All rows, if it gives any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def make_stock(*batches):
    """A campaign's batches of (so many, of which so many are taken).

    TRUNCATE gives the table a new file, which goes when the test is rolled back.
    """
    campaign = make_campaign()
    read("SET LOCAL statement_timeout = 0")
    read("SET LOCAL session_replication_role = replica")  # no foreign keys to look up
    read("TRUNCATE serials_serial CASCADE")
    for total, taken in batches:
        batch = Batch.objects.create(
            campaign=campaign, kind="imported", state="ready", total=total
        )
        read(FILL, taken, taken, batch.pk)
    return ready_batches(campaign.pk)


# --- statements ----------------------------------------------------------------------


def statements_of_claims(batches):
    """What claims of these batches ask the table of serials: (sql, values) of each."""
    found: dict[tuple[str, int], tuple[Any, ...]] = {}

    def listen(execute, sql, params, many, context):
        if "serials_serial" in sql:
            found[sql, batch.pk] = params
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        for batch in batches:
            for number in range(2 * CLAIMS):
                Serial.objects.take(batch, at=timezone.now(), wait=number >= CLAIMS)
    return [(sql, values) for (sql, _), values in found.items()]


def name_of(sql):
    """The statement's name if this session has prepared it."""
    named = dict(read("SELECT statement, name FROM pg_prepared_statements"))
    return named.get(numbered(sql))


def numbered(sql):
    """With $1, $2 for its values, as it is prepared."""
    places = iter(range(1, 100))
    return re.sub("%s", lambda _: f"${next(places)}", sql)


def explained(sql, values):
    """The plan's nodes, as it was run; what it changed ends with our transaction."""
    options = "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON"
    [[[found]]] = read(f"EXPLAIN ({options}) {sql}", *values)
    return list(nodes(found["Plan"]))


def explained_for_good(sql, values):
    """The plan that suits all values, which a session keeps once it seems no worse."""
    places = ", ".join(["%s"] * len(values))
    read("SET LOCAL plan_cache_mode = force_generic_plan")
    plan = explained(f"EXECUTE {name_of(sql)} ({places})", values)
    read("SET LOCAL plan_cache_mode = auto")
    return plan


def nodes(plan):
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def is_short(plan):
    """Whether it is a walk along the index, as long whatever the table holds."""
    pages = plan[0]["Shared Hit Blocks"] + plan[0]["Shared Read Blocks"]
    return (
        {node["Node Type"] for node in plan} <= NODES
        and {node.get("Index Name") for node in plan} <= {*INDEXES, None}
        and sum(node.get("Rows Removed by Filter", 0) for node in plan) <= MOST_LEFT_OUT
        and pages <= MOST_PAGES
    )


# --- the tests -----------------------------------------------------------------------


def test_a_claim_among_a_million_walks_only_the_index_of_free_serials():
    batches = make_stock((100_000, 100_000), (900_000, 400_000))
    for is_known in (False, True):  # new to the planner, or looked at by ANALYZE
        if is_known:
            read("ANALYZE serials_serial")
        statements = statements_of_claims(batches)

        plans = [explained(*statement) for statement in statements]
        kept = [explained_for_good(*one) for one in statements if name_of(one[0])]

        assert [plan for plan in plans + kept if not is_short(plan)] == []
        first_looks = [sql for sql, _ in statements if "SKIP LOCKED" in sql]
        assert len(first_looks) == len(batches)
        assert all(name_of(sql) for sql in first_looks)
        assert "serial_free" in str(kept)


@pytest.mark.parametrize("naive", ["ordered by id", "without the index"])
def test_the_look_at_the_plan_catches_a_claim_that_steps_over_what_is_taken(naive):
    batches = make_stock((20_000, 10_000))
    read("ANALYZE serials_serial")
    [(sql, values)] = [
        one for one in statements_of_claims(batches) if "SKIP LOCKED" in one[0]
    ]
    assert is_short(explained(sql, values))

    if naive == "without the index":
        read("DROP INDEX serial_free")
    else:
        assert "ORDER BY pos" in sql
        sql = sql.replace("ORDER BY pos", "ORDER BY id")

    assert not is_short(explained(sql, values))
