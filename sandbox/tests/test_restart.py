"""What outlives the process, and how it starts and stops."""

import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import requests

from sandbox.testing import start_sandbox
from sandbox.tests.client import KEY, TEXT, call, push
from sandbox.tests.conftest import HANA, KEN, LIN, TOKEN


def test_a_file_keeps_friends_messages_keys_counts_and_settings(tmp_path):
    data = str(tmp_path / "sandbox.sqlite3")
    with start_sandbox(data=data, token=TOKEN, quota=10) as first:
        first.add_friend(HANA, "Hana")
        first.add_friend(KEN, "Ken")
        first.unfollow(KEN)
        push(first, key=KEY)
        first.say(HANA, "Thank you")
        chat = first.chat(HANA)

    with start_sandbox(data=data) as second:
        again = push(second, key=KEY)
        call(second, "message/broadcast", {"messages": [TEXT]})

        assert again.status_code == 409
        assert second.chat(HANA)[:2] == chat
        assert second.counts() == {HANA: 2}
        assert second.messages(KEN) == []
        assert call(second, "message/quota", method="GET").json()["value"] == 10
        used = call(second, "message/quota/consumption", method="GET").json()
        assert used == {"totalUsage": 2}


def test_reset_forgets_all_but_the_channels(tmp_path):
    data = str(tmp_path / "sandbox.sqlite3")
    with start_sandbox(data=data, token=TOKEN) as line:
        line.add_friend(HANA, "Hana")
        push(line, key=KEY)
        line.reset()
        assert line.counts() == {}

    with start_sandbox(data=data) as line:
        line.add_friend(LIN, "Lin")
        assert line.messages(HANA) == []
        assert push(line, LIN, key=KEY).status_code == 200


def address(process):
    """Where a started program says it is."""
    return process.stdout.readline().split()[-1].rstrip("/")


@pytest.fixture
def start(tmp_path):
    """Starts `python -m sandbox` with nothing but its environment."""
    running = []

    def start(port="0"):
        env = os.environ | {
            "SANDBOX_PORT": port,
            "SANDBOX_DATA": str(tmp_path / "var" / "sandbox.sqlite3"),
            "SANDBOX_LINE_TOKEN": TOKEN,
            "SANDBOX_FRIENDS": f"Hana={HANA}, Ken",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_where_it_is_and_stops_when_told(start, number):
    process = start()
    url = address(process)
    page = requests.get(url, timeout=5)

    process.send_signal(number)
    _, errors = process.communicate(timeout=10)

    assert "Hana" in page.text
    assert "Ken" in page.text
    assert (process.returncode, errors) == (0, "")


def test_a_killed_program_remembers_all_but_the_last_moment(start):
    process = start()
    url = address(process)
    push(SimpleNamespace(url=url), key=KEY)
    time.sleep(0.5)
    process.kill()
    process.wait()

    again = start()
    url = address(again)

    assert push(SimpleNamespace(url=url), key=KEY).status_code == 409


def test_a_taken_port_is_a_sentence(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(str(taken.getsockname()[1]))
        _, errors = process.communicate(timeout=10)

    assert process.returncode == 1
    assert "is taken" in errors
    assert "Traceback" not in errors
