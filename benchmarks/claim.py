"""Taking one serial of a million, against the same in bare SQL: at least 0.6.

Eight processes take from a batch of which nothing, half, or nine tenths are taken already,
each serial in a transaction of its own, and each time the campaign's ready batches are
read first, as a redeem does. The limit is the same two statements, prepared, between
BEGIN and COMMIT. A batch that is nearly empty may not be slower: at least 0.75 of the
fastest.
"""

import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

import psycopg
from _house import ROUNDS, prepared_database
from _stock import COLUMNS, MILLION, settle

BAR = 0.6
EVEN_BAR = 0.75
CLIENTS = 8
CLAIMS = 500  # by each client, in a turn
WARMING = 10  # claims before: statements are prepared once they come again
TAKEN = (0, 50, 90)  # per cent
CLAIM = """
    UPDATE serials_serial SET state = 1, taken_at = %s
    WHERE id = (
        SELECT id FROM serials_serial WHERE batch_id = %s AND state = 0
        ORDER BY pos LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING *
"""
FILL = f"""
    INSERT INTO serials_serial ({COLUMNS}, taken_at)
    SELECT %(campaign)s, %(batch)s, pos, 'S' || pos, 's' || pos,
        (pos <= %(taken)s)::int, CASE WHEN pos <= %(taken)s THEN now() END
    FROM generate_series(1, %(rows)s) pos
"""  # noqa: S608 - our own text

Claim = Callable[[], object]
Rates = dict[int, list[float]]  # by the per cent that are taken, one a round

processes = multiprocessing.get_context("fork")
gate = processes.Barrier(CLIENTS, timeout=60)  # all start at once


def client(make_claim: Callable[[int], Claim], batch: int) -> list[float]:
    """When this client began and ended its turn; runs in a process of its own."""
    claim = make_claim(batch)
    for _ in range(WARMING):
        claim()
    gate.wait()
    started = time.perf_counter()
    for _ in range(CLAIMS):
        if claim() is None:
            raise SystemExit("Too few serials were prepared.")
    return [started, time.perf_counter()]


def our_claim(batch: int) -> Claim:
    """As the house takes a serial."""
    from django.db import transaction
    from django.utils import timezone

    from serials.models import Batch
    from serials.services import ready_batches, take_serial

    campaign = Batch.objects.get(pk=batch).campaign_id

    def claim() -> object:
        with transaction.atomic():
            ready = ready_batches(campaign)
            return take_serial(ready, at=timezone.now()).serial

    return claim


def bare_claim(batch: int) -> Claim:
    from serials.services import ready_sql

    connection = psycopg.connect(os.environ["DATABASE_URL"])
    find_campaign = "SELECT campaign_id FROM serials_batch WHERE id = %s"
    with connection.transaction():
        [campaign] = connection.execute(find_campaign, [batch]).fetchone() or [0]

    def claim() -> object:
        with connection.transaction():
            ready = connection.execute(ready_sql(), [campaign]).fetchall()
            # The first column of the first batch is its id.
            row = connection.execute(CLAIM, [datetime.now(UTC), ready[0][0]])
            return row.fetchone()

    return claim


def fill(taken: int) -> int:
    """A batch of a million in a campaign of its own, so many per cent taken."""
    from testing.factories import make_campaign, make_serials

    batch = make_serials(make_campaign(), 0)
    values = {
        "campaign": batch.campaign_id,
        "batch": batch.pk,
        "rows": MILLION,
        "taken": MILLION * taken // 100,
    }
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(FILL, values)
    return int(batch.pk)


def turn(
    pool: ProcessPoolExecutor,
    make_claim: Callable[[int], Claim],
    batch: int,
) -> float:
    """Serials a second, taken by all clients together."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        settle(connection, "serials_serial")
    turns = [pool.submit(client, make_claim, batch) for _ in range(CLIENTS)]
    starts, ends = zip(*(turn.result() for turn in turns), strict=True)
    return float(CLIENTS * CLAIMS / (max(ends) - min(starts)))


def main() -> int:
    with prepared_database():
        from django.db import connections

        batches = {taken: fill(taken) for taken in TAKEN}
        connections.close_all()  # no process may inherit one
        ours: Rates = {taken: [] for taken in TAKEN}
        limits: Rates = {taken: [] for taken in TAKEN}
        with ProcessPoolExecutor(CLIENTS, mp_context=processes) as pool:
            for _, taken in itertools.product(range(ROUNDS), TAKEN):
                ours[taken].append(turn(pool, our_claim, batches[taken]))
                limits[taken].append(turn(pool, bare_claim, batches[taken]))
    return conclude(ours, limits)


def conclude(ours: Rates, limits: Rates) -> int:
    ratios = {}
    for taken in TAKEN:
        pairs = zip(ours[taken], limits[taken], strict=True)
        ratios[taken] = float(statistics.median(rate / bare for rate, bare in pairs))
        print(
            f"{taken} % taken: {told(ours[taken])} a second, {told(limits[taken])} bare"
        )
    worst = min(TAKEN, key=lambda taken: ratios[taken])
    middles = [statistics.median(ours[taken]) for taken in TAKEN]
    even = min(middles) / max(middles)
    result = {
        "name": "claim",
        "figure": round(statistics.median(ours[worst])),
        "unit": "serials/s",
        "limit": round(statistics.median(limits[worst])),
        "ratio": round(ratios[worst], 3),
        "bar": BAR,
        "taken_percent": worst,
        "evenness": round(even, 3),
        "evenness_bar": EVEN_BAR,
    }
    print(json.dumps(result))
    return 0 if ratios[worst] >= BAR and even >= EVEN_BAR else 1


def told(rates: list[float]) -> str:
    return ", ".join(f"{rate:.0f}" for rate in rates)


if __name__ == "__main__":
    sys.exit(main())
