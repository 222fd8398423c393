"""Workers, PostgreSQL and Redis die while it sends; the long version is `make chaos`."""

from uuid import uuid4

import pytest

from providers.line import Kind, LineClient
from providers.line_messages import push_body, text_message
from sandbox.testing import start_sandbox
from testing.chaos import Plan, Report, run_chaos
from testing.databases import give_shape

SHORT = Plan(
    contacts=500,
    kills=3,
    redis_kills=1,
    postgres_restarts=1,
    beat_kills=0,
    rate=100,
    lease=4.0,
    seed=20,
)


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.processes
@pytest.mark.django_db
def test_whatever_dies_each_contact_gets_exactly_one_message(tmp_path):
    report = run_chaos(SHORT, tmp_path, say=print, give_shape=give_shape)

    assert report.broken() == []
    assert sum(report.events.values()) == 5
    assert report.repeats > 0  # there was something to repeat


@pytest.mark.parametrize("is_naive", [True, False])
def test_the_harness_would_see_a_second_message(is_naive):
    """The control: a sender that makes up a new key for each try."""
    users = [f"U{n:032x}" for n in range(100)]
    with start_sandbox(token="token") as line:
        line.fault("push", "accept_then_drop", share=0.15, seed=3)
        client = LineClient(line.url, "token", allow_local=True)
        for user in users:
            body, key = push_body(user, [text_message("Hello")]), uuid4()
            while client.push(body, retry_key=key).kind != Kind.ACCEPTED:
                key = uuid4() if is_naive else key
        report = Report(
            users,
            line.counts(),
            line.requests("push"),
            state="done",
            statuses={"accepted": 100},
        )

    if is_naive:
        [broken] = report.broken()
        assert broken.endswith("contacts got more than one message")
    else:
        assert report.broken() == []


def test_the_harness_would_see_who_was_forgotten_and_what_went_wrong():
    report = Report(
        users=["U1", "U2"],
        counts={"U1": 1},
        requests=[],
        state="ready",
        statuses={"accepted": 1, "sending": 1},
        unsent=1,
        traces=["ValueError: no kill explains this"],
        audit="serial 7 is taken by nobody",
        recovery=61,
    )

    assert len(report.broken()) == 7
