"""Workers killed in the middle: each contact still gets exactly one message.

Real processes on a real database; messages are counted by LINE's look-alike.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as live_settings
from django.db import connection

from providers.line import Kind, LineClient
from providers.line_messages import push_body, text_message
from sandbox.testing import start_sandbox

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

ROOT = Path(live_settings.BASE_DIR)


class Processes:
    """Processes with one database, one queue and one LINE of their own."""

    def __init__(self, folder, line):
        self.folder = folder
        self.line = line
        self.env = os.environ | {
            "VAR_DIR": str(folder),
            "DATABASE_URL": self.database(),
            "LINE_API_URL": line.url,
            "SEND_LEASE": "3",
            "SEND_DEADLINE": "2",
            "SEND_THREADS": "8",
            "SEND_RATE": "60",
            "SWEEP_EVERY": "1",
            "LOG_LEVEL": "WARNING",
            "REDIS_URL": "",
        }

    def database(self):
        if connection.vendor == "sqlite":
            return f"sqlite:///{self.folder / 'test.sqlite3'}"
        name = connection.settings_dict["NAME"]
        return os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"

    def prepare_database(self):
        if connection.vendor == "sqlite":
            self.run("manage.py", "migrate", "--verbosity", "0", "--skip-checks")

    def run(self, *command, **env):
        return subprocess.run(
            [sys.executable, *command],
            env=self.env | env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def step(self, *command):
        done = self.run("-m", "deliveries.tests.far", *command)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    def celery(self, name, *command):
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "couponadmin", *command],
                env=self.env,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def worker(self, name):
        options = ("--concurrency", "1", "--loglevel", "WARNING")
        return self.celery(name, "worker", "-n", f"{name}@%h", *options)

    @contextmanager
    def beat(self):
        process = self.celery("beat", "beat", "-s", str(self.folder / "schedule"))
        try:
            yield
        finally:
            kill(process)

    def logs(self):
        return "\n".join(p.read_text()[-2000:] for p in self.folder.glob("*.log"))


def kill(process):
    """The whole group at once, as when the machine loses its power."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@pytest.fixture
def processes(tmp_path):
    with start_sandbox(token="token") as line:
        found = Processes(tmp_path, line)
        found.prepare_database()
        yield found


def start(processes, count):
    users = processes.step("start", str(count))
    for number, user in enumerate(users):
        processes.line.add_friend(user, f"Friend {number}")
    return users


def taken(line):
    return sum(line.counts().values())


def wait_until(ready, processes, seconds=90):
    ends = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > ends:
            counts = taken(processes.line)
            report = processes.step("report")
            pytest.fail(f"{counts} taken, {report}\n{processes.logs()}")
        time.sleep(0.05)


def test_killed_workers_lose_nobody_and_message_nobody_twice(processes):
    line = processes.line
    users = start(processes, 200)
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
    "place", ["before_http", "after_http_before_commit", "after_commit"]
)
def test_a_worker_that_dies_at_a_chosen_place_leaves_it_to_the_next(processes, place):
    line = processes.line
    users = start(processes, 12)
    processes.step("prepare")
    sending = ("-m", "deliveries.tests.far", "send")

    died = processes.run(*sending, "1", KILL_AT=f"{place}:1")
    time.sleep(3.1)  # the dead worker's lease
    processes.step("send", "4")

    assert died.returncode == -signal.SIGKILL
    assert line.counts() == dict.fromkeys(users, 1)
    assert processes.step("report")["accepted"] == 12


def test_the_count_would_show_a_second_message(processes):
    """The control: what all of this prevents is something that the harness sees."""
    line = processes.line
    [user] = start(processes, 1)
    processes.step("prepare")
    processes.step("send", "2")

    client = LineClient(line.url, "token", allow_local=True)
    body = push_body(user, [text_message("Once more, under another key")])
    outcome = client.push(body, retry_key=uuid4())

    assert outcome.kind == Kind.ACCEPTED
    assert line.counts() == {user: 2}
