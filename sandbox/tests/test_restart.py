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
from sandbox.tests.assertions import JWT_BEARER, assertion, jwk_of, new_key
from sandbox.tests.client import KEY, LOTTERY, TEXT, call, created, push
from sandbox.tests.conftest import HANA, KEN, LIN, TOKEN
from sandbox.tests.pictures import PNG


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


def test_a_file_keeps_coupons_tickets_pictures_keys_and_tokens(tmp_path, gallery):
    data, key = str(tmp_path / "sandbox.sqlite3"), new_key()
    with start_sandbox(data=data, token=TOKEN, channel_id="1655000001") as first:
        first.add_friend(HANA, "Hana")
        kid = first.register_key(jwk_of(key))
        issued = issue(first, assertion(key, kid, "1655000001"))
        coupon_id = created(
            first, imageUrl=f"{gallery.url}/a.png", maxUseCountPerTicket=-1
        )
        lottery = created(first, acquisitionCondition=LOTTERY)
        closed, draft, gone = (first.make_coupon(is_draft=True) for _ in range(3))
        first.delete_draft(gone)
        first.publish_draft(closed)
        first.stop_coupon(closed)
        first.decide_draws(False)
        first.acquire(lottery, HANA)
        first.acquire(coupon_id, HANA)
        first.use(coupon_id, HANA)
        made = first.coupons()

    with start_sandbox(data=data) as second:
        found = second.coupons()
        for row in (*made, *found):
            row["imageUrl"] = row.get("imageUrl", "").rpartition("/")[2]
        picture = call(second, "coupon/" + coupon_id, method="GET").json()["imageUrl"]

        assert found == made
        assert [row["status"] for row in found] == [
            "DRAFT",
            "CLOSED",
            "RUNNING",
            "RUNNING",
        ]
        assert requests.get(picture, timeout=5).content == PNG
        second.use(coupon_id, HANA)
        with pytest.raises(ValueError, match="had a turn"):
            second.acquire(lottery, HANA)
        assert draft in [row["couponId"] for row in found]
        assert call(second, "info", method="GET", token=issued).status_code == 200
        assert issue(second, assertion(key, kid, "1655000001"))
        assert created(second) > coupon_id


def issue(line, signed):
    """A token v2.1 for an assertion."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": signed,
    }
    answer = requests.post(f"{line.url}/oauth2/v2.1/token", data=form, timeout=5)
    return answer.json()["access_token"]


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

    def start(port="0", **more):
        env = os.environ | {
            "SANDBOX_PORT": port,
            "SANDBOX_DATA": str(tmp_path / "var" / "sandbox.sqlite3"),
            "SANDBOX_LINE_TOKEN": TOKEN,
            "SANDBOX_FRIENDS": f"Hana={HANA}, Ken",
            **more,
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


def test_the_program_has_the_accounts_of_its_environment(start):
    process = start(
        SANDBOX_PADDLE_VENDOR_ID="4711",
        SANDBOX_PADDLE_AUTH_CODE="abc",
        SANDBOX_VIVOLDI_API_KEY="vivoldi-key",
        SANDBOX_VIVOLDI_PLAN="business",
        SANDBOX_VIVOLDI_WEBHOOK_URL="http://127.0.0.1:1/hooks/vivoldi/x/",
    )
    url = address(process)

    paddle = requests.get(f"{url}/paddle/account", timeout=5).text
    vivoldi = requests.get(f"{url}/vivoldi/account", timeout=5).text

    assert "4711" in paddle
    assert "BEGIN PUBLIC KEY" in paddle
    assert "vivoldi-key" in vivoldi
    assert "Business, 480 calls a minute" in vivoldi
    assert "/hooks/vivoldi/x/" in vivoldi


def test_a_webhook_address_that_a_person_set_outlives_a_restart(start):
    def begin(port):
        return start(
            SANDBOX_PADDLE_WEBHOOK_URL=f"http://127.0.0.1:{port}/hooks/paddle/a/",
            SANDBOX_VIVOLDI_WEBHOOK_URL=f"http://127.0.0.1:{port}/hooks/vivoldi/b/",
        )

    process = begin(1)
    form = {"webhook_url": "http://127.0.0.1:1/hooks/paddle/by-hand/"}
    requests.post(f"{address(process)}/paddle/account", data=form, timeout=5)
    process.terminate()
    process.wait(timeout=10)
    url = address(begin(2))

    paddle = requests.get(f"{url}/paddle/account", timeout=5).text
    vivoldi = requests.get(f"{url}/vivoldi/account", timeout=5).text
    assert "http://127.0.0.1:1/hooks/paddle/by-hand/" in paddle
    assert "http://127.0.0.1:2/hooks/vivoldi/b/" in vivoldi


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
