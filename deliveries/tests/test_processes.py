"""Workers killed in the middle: each contact still gets exactly one message.

Real processes on a real database; messages are counted by LINE's look-alike.
"""

import signal
import time
from uuid import uuid4

import pytest

from providers.line import Kind, LineClient
from providers.line_messages import push_body, text_message
from sandbox.testing import start_sandbox
from testing.databases import database_for
from testing.processes import Processes, kill
from testing.servers import quiet_port

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def line():
    with start_sandbox(token="token") as line:
        yield line


@pytest.fixture
def processes(tmp_path, line):
    database = database_for(tmp_path)
    return Processes(tmp_path, DATABASE_URL=database, LINE_API_URL=line.url)


def start(processes, line, count, kind="card"):
    users = processes.step("start", str(count), kind)
    for number, user in enumerate(users):
        line.add_friend(user, f"Friend {number}")
    return users


def taken(line):
    return sum(line.counts().values())


def wait_until(ready, processes, seconds=90):
    ends = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > ends:
            pytest.fail(f"{processes.step('report')}\n{processes.logs()}")
        time.sleep(0.2)


def test_killed_workers_lose_nobody_and_message_nobody_twice(processes, line):
    users = start(processes, line, 200)
    line.fault("push", "accept_then_drop", share=0.15, seed=7)

    with processes.beat():
        workers = [processes.worker(name) for name in ("one", "two")]
        try:
            for mark in (20, 80, 140):
                wait_until(lambda mark=mark: taken(line) >= mark, processes)
                for process in workers:
                    kill(process)
                workers = [processes.worker(name) for name in ("one", "two")]
            wait_until(lambda: processes.step("report")["state"] == "done", processes)
        finally:
            for process in workers:
                kill(process)

    report = processes.step("report")
    assert report["accepted"] == 200
    assert report["statuses"] == {"accepted": 200}
    assert line.counts() == dict.fromkeys(users, 1)
    assert len(line.requests("push")) > 200  # there was something to repeat


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("before_http", "card"),
        ("after_http_before_commit", "card"),
        ("after_commit", "card"),
        ("after_http_before_commit", "native"),
    ],
)
def test_a_worker_that_dies_at_a_chosen_place_leaves_it_to_the_next(
    processes, line, place, kind
):
    users = start(processes, line, 12, kind)
    processes.step("prepare")
    sending = ("-m", "deliveries.tests.far", "send")

    died = processes.run(*sending, "1", KILL_AT=f"{place}:1")
    time.sleep(3.1)  # the dead worker's lease
    processes.step("send", "4")

    assert died.returncode == -signal.SIGKILL
    assert line.counts() == dict.fromkeys(users, 1)
    assert processes.step("report")["accepted"] == 12


def test_after_a_long_outage_a_worker_sends_nothing_until_somebody_resumes(
    processes, line
):
    users = start(processes, line, 5)
    processes.step("age", "11")

    with processes.beat():
        worker = processes.worker("one")
        try:
            wait_until(lambda: processes.step("report")["state"] == "paused", processes)
            report = processes.step("report")
            assert "No worker ran for 11 minutes" in report["reason"]
            assert line.counts() == {}
            processes.step("go_on")
            wait_until(lambda: processes.step("report")["state"] == "done", processes)
        finally:
            kill(worker)

    assert line.counts() == dict.fromkeys(users, 1)


def test_the_count_would_show_a_second_message(processes, line):
    """The control: what all of this prevents is something that the harness sees."""
    [user] = start(processes, line, 1)
    processes.step("prepare")
    processes.step("send", "2")

    client = LineClient(line.url, "token", allow_local=True)
    body = push_body(user, [text_message("Once more, under another key")])
    outcome = client.push(body, retry_key=uuid4())

    assert outcome.kind == Kind.ACCEPTED
    assert line.counts() == {user: 2}


# --- the queue is away --------------------------------------------------------------


@pytest.mark.parametrize("broker", ["closed", "silent"])
def test_a_queue_that_is_away_only_delays_what_people_ask_for(processes, line, broker):
    """Every button that wakes a worker answers as always; the sweep does the work."""
    queue = processes.env["REDIS_URL"]
    processes.env["REDIS_URL"] = f"redis://127.0.0.1:{quiet_port()}/0"
    pressed = processes.step("press", broker)
    processes.env["REDIS_URL"] = queue

    assert pressed["answers"] == dict.fromkeys(
        ["send", "pause", "resume", "cancel", "upload", "confirm"], 302
    )
    with processes.beat():
        worker = processes.worker("one")
        try:
            wait_until(lambda: processes.step("left") == DONE_LATER, processes)
        finally:
            kill(worker)
    assert line.counts() == dict.fromkeys(pressed["users"], 1)


DONE_LATER = {"deliveries": ["done", "cancelled"], "batches": ["ready"]}
