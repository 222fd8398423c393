"""Trouble on purpose, and what is true behind it."""

import pytest
import requests

from sandbox.tests.client import KEY, push
from sandbox.tests.conftest import HANA


@pytest.mark.parametrize(
    ("kind", "status"),
    [("500", 500), ("429_rate", 429), ("429_quota", 429), ("401", 401)],
)
def test_a_refusing_fault_answers_so_and_accepts_nothing(line, kind, status):
    line.fault("push", kind, times=1)

    struck = push(line, key=KEY)
    after = push(line, key=KEY)

    assert [struck.status_code, after.status_code] == [status, 200]
    assert line.counts() == {HANA: 1}


def test_accept_then_drop_and_a_retry_make_one_message(line):
    line.fault("push", "accept_then_drop", times=1)

    with pytest.raises(requests.ConnectionError):
        push(line, key=KEY)
    again = push(line, key=KEY)

    assert again.status_code == 409
    assert line.counts() == {HANA: 1}
    assert len(line.messages(HANA)) == 1
    dropped, retried = line.requests("push")
    assert (dropped.status, dropped.accepted, dropped.fault) == (
        0,
        True,
        "accept_then_drop",
    )
    assert (retried.status, retried.accepted) == (409, False)
    assert dropped.body_hash == retried.body_hash
    assert dropped.retry_key == retried.retry_key == KEY


def test_drop_accepts_nothing(line):
    line.fault("push", "drop", times=1)

    with pytest.raises(requests.ConnectionError):
        push(line, key=KEY)

    assert line.counts() == {}
    assert push(line, key=KEY).status_code == 200


def test_accept_then_500_accepted(line):
    line.fault("push", "accept_then_500", times=1)

    assert push(line, key=KEY).status_code == 500
    assert push(line, key=KEY).status_code == 409


def test_slow_accepts_at_once_and_answers_late(line):
    line.fault("push", "slow", times=1, seconds=0.5)

    with pytest.raises(requests.Timeout):
        push(line, key=KEY, timeout=0.1)

    assert line.counts() == {HANA: 1}


def test_trickle_never_trips_a_time_out_per_read(line):
    line.fault("push", "trickle", times=1, seconds=0.005)

    answer = push(line, key=KEY, timeout=1)

    assert answer.elapsed.total_seconds() < 1
    assert answer.json()["sentMessages"]


def test_html_and_half_json_are_200_and_accepted(line):
    line.fault("push", "html", times=1)
    line.fault("push", "half_json", times=1)

    page, half = push(line), push(line)

    assert [page.status_code, half.status_code] == [200, 200]
    assert page.headers["Content-Type"].startswith("text/html")
    with pytest.raises(requests.JSONDecodeError):
        half.json()
    assert line.counts() == {HANA: 2}


def test_a_share_is_the_same_each_time(line):
    seen = []
    for _ in range(2):
        line.fault("push", "500", share=0.3, seed=7)
        seen.append([push(line).status_code for _ in range(40)])
        line.clear_faults()

    assert seen[0] == seen[1]
    assert 4 <= seen[0].count(500) <= 20


def test_a_fault_hits_its_own_call_only(line):
    line.fault("multicast", "500")

    assert push(line).status_code == 200


def test_faults_are_set_listed_and_cleared_over_http(line):
    url = f"{line.url}/_control/faults"

    made = requests.post(
        url, json={"call": "push", "kind": "500", "times": 3}, timeout=5
    )
    wrong = requests.post(url, json={"call": "push", "kind": "flood"}, timeout=5)

    assert made.json()["times"] == 3
    assert wrong.status_code == 400
    assert "flood" in wrong.json()["error"]
    assert len(requests.get(url, timeout=5).json()["faults"]) == 1
    requests.delete(url, timeout=5)
    assert requests.get(url, timeout=5).json() == {"faults": []}
