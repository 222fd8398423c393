"""Workers killed while they publish: each code is there exactly once, nothing unclear.

Real processes on a real database; the providers are look-alikes that lose the answers to
a share of what they have done. The long version, with DATABASE_URL and REDIS_URL given:
`PUBLISH_CODES=2000 make test ARGS=sync/tests/test_publishing_chaos.py`.
"""

import os
import time

import psycopg
import pytest

from sandbox.testing import start_sandbox
from sync.tests.publishing import is_open, stage
from testing.databases import database_for
from testing.processes import Processes, kill

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True),
]

CODES = int(os.environ.get("PUBLISH_CODES", "60"))
KILLS = 5
DROPPED = 0.15
CALLS = {
    "line": ("coupon_create", "coupon_close"),
    "paddle": ("paddle_create", "paddle_delete"),
    "vivoldi": ("vivoldi_create", "vivoldi_delete"),
}


@pytest.fixture
def database(tmp_path):
    return database_for(tmp_path)


@pytest.fixture
def sandbox():
    with start_sandbox(token="token") as found:
        stage(found)
        for calls in CALLS.values():
            for call in calls:
                found.fault(call, "accept_then_drop", share=DROPPED, seed=11)
        yield found


@pytest.fixture
def processes(tmp_path, sandbox, database):
    return Processes(
        tmp_path,
        DATABASE_URL=database,
        LINE_API_URL=sandbox.url,
        PADDLE_API_URL=sandbox.paddle_url,
        VIVOLDI_API_URL=sandbox.vivoldi_url,
        LINE_COUPON_RATE="60",
        PADDLE_RATE="3600",
        VIVOLDI_RATE="3600",
        SYNC_LEASE="5",
        SYNC_DEADLINE="2",
        SYNC_SETTLE="1",
        SYNC_EVERY="86400",
        SYNC_THREADS="8",
    )


class Progress:
    """How far it is, read from the database itself."""

    def __init__(self, database):
        self.database = database

    def ask(self, question):
        with psycopg.connect(self.database) as database:
            return database.execute(question).fetchone()[0]

    def share(self):
        settled = self.ask(
            "SELECT count(*) FROM sync_remotecoupon WHERE status <> 'waiting'"
        )
        return settled / (3 * CODES)

    def is_done(self):
        left = "SELECT count(*) FROM sync_remotecoupon WHERE errand <> ''"
        waits = "SELECT count(*) FROM sync_publication WHERE prepared_at IS NULL"
        return self.ask(waits) == 0 and self.ask(left) == 0

    def is_closed(self):
        left = "SELECT count(*) FROM sync_publication WHERE state <> 'closed'"
        return self.ask(left) == 0


def until(ready, processes, seconds):
    ends = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > ends:
            pytest.fail(f"{processes.step('report', of='sync')}\n{processes.logs()}")
        time.sleep(0.1)


def publish(processes, count):
    processes.step("start", str(count), of="sync")
    for first in range(0, count, 200):
        few = str(min(200, count - first))
        processes.step("start_line", str(first), few, of="sync")


def start_workers(processes):
    return [processes.worker(name, concurrency=2) for name in ("one", "two")]


def test_whatever_dies_each_code_is_there_exactly_once(processes, sandbox, database):
    publish(processes, CODES)
    progress = Progress(database)
    longest = 120 + CODES / 2

    with processes.beat():
        workers = start_workers(processes)
        try:
            for number in range(1, KILLS + 1):
                share = number / (KILLS + 1)
                until(lambda share=share: progress.share() >= share, processes, longest)
                for worker in workers:
                    kill(worker)
                workers = start_workers(processes)
            until(progress.is_done, processes, longest)
        finally:
            for worker in workers:
                kill(worker)

    report = processes.step("report", of="sync")
    expected = sorted(f"CODE{n:08d}" for n in range(CODES))
    assert sorted(c["code"] for c in sandbox.paddle_coupons()) == expected
    assert sorted(c["cpnNo"] for c in sandbox.vivoldi_coupons()) == expected
    assert sorted(c["couponId"] for c in sandbox.coupons()) == report["line"]["names"]
    for found in report.values():
        assert found["statuses"] == {"live": CODES}
        assert (found["live"], found["total"]) == (CODES, CODES)
        assert found["states"] == {"open": found["states"]["open"]}
    dropped = [a for a in sandbox.requests() if a.status == 0]
    assert len(dropped) > CODES * DROPPED  # there was something to look for


def test_whatever_dies_all_of_it_can_be_taken_back(processes, sandbox, database):
    publish(processes, CODES // 4)
    progress = Progress(database)

    with processes.beat():
        workers = start_workers(processes)
        try:
            until(lambda: progress.share() >= 0.1, processes, 120)
            for worker in workers:
                kill(worker)
            processes.step("take_back", of="sync")
            workers = start_workers(processes)
            until(progress.is_closed, processes, 120 + CODES)
        finally:
            for worker in workers:
                kill(worker)

    assert sandbox.paddle_coupons() == []
    assert sandbox.vivoldi_coupons() == []
    assert [c for c in sandbox.coupons() if is_open(c)] == []


def test_the_count_would_show_a_second_coupon(sandbox):
    """The control: one who simply asks again makes a second one on LINE."""
    offer = {
        "title": "Twice",
        "visibility": "UNLISTED",
        "acquisitionCondition": {"type": "normal"},
    }

    sandbox.make_coupon(**offer)
    sandbox.make_coupon(**offer)

    assert [c["title"] for c in sandbox.coupons()] == ["Twice", "Twice"]
