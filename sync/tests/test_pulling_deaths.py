"""Workers that die in the middle of a look, and late ones that come back."""

import json
import signal
import time
from datetime import timedelta

import pytest
from django.conf import settings

from sandbox.testing import start_sandbox
from sync.models import RemoteCoupon, Run
from sync.pulling import runs
from sync.pulling.runs import Lost
from sync.pulling.storing import Told, store
from sync.pulling.working import pull
from sync.tests.looks import SECONDS, watch_line
from testing.databases import database_for
from testing.processes import Processes

COUNT = 150
RATE = 40  # so that a look takes more than one block


@pytest.fixture
def line():
    with start_sandbox(token="token") as line:
        for number in range(COUNT):
            line.make_coupon(title=f"Coupon {number}")
        yield line


@pytest.fixture
def processes(tmp_path, line):
    return Processes(
        tmp_path,
        DATABASE_URL=database_for(tmp_path),
        LINE_API_URL=line.url,
        LINE_COUPON_RATE=str(RATE),
        SYNC_LEASE="5",
        SYNC_DEADLINE="2",
    )


def far(processes, *command):
    return json.loads(processes.must_run("-m", "sync.tests.looks_far", *command))


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "place",
    ["listed_before_commit:1", "looked_before_commit:1", "looked_after_commit:1"],
)
def test_look_of_a_worker_that_died_is_gone_on_with_where_it_stood(
    processes, line, place
):
    run_id = str(far(processes, "start"))
    looking = ("-m", "sync.tests.looks_far", "go_on", run_id)

    died = processes.run(*looking, "10", KILL_AT=place)
    time.sleep(max(far(processes, "report")["leased"], 0))
    while far(processes, "go_on", run_id, "10"):
        pass

    report = far(processes, "report")
    assert died.returncode == -signal.SIGKILL
    assert (report["state"], report["problem"]) == ("done", "")
    assert (report["rows"], report["read"], report["asked"]) == (COUNT, COUNT, COUNT)
    # Two blocks may have been under way, and their answers are asked for once more.
    twice = len(line.requests("coupon_detail")) - COUNT
    assert 0 <= twice < COUNT


@pytest.mark.django_db
def test_worker_that_comes_back_after_its_lease_writes_nothing(line, settings):
    settings.LINE_API_URL = line.url
    watch = watch_line()
    run = watch.start()
    late = runs.take(run.pk, watch.clock)
    row = RemoteCoupon.objects.create(connection=watch.connection, remote_id="X")
    watch.clock.pass_(seconds=settings.SYNC_LEASE.total_seconds() + 1)
    other = runs.take(run.pk, watch.clock)

    with pytest.raises(Lost):
        store(
            late,
            [Told(row.pk, {"title": "Late"})],
            asked_at=watch.clock(),
            compare=lambda row, at: [],
        )

    row.refresh_from_db()
    run.refresh_from_db()
    assert (row.title, row.asked_at) == ("", None)
    assert run.leased_until == other.run.leased_until
    late.end(Run.State.FAILED, "Nobody asked.")
    run.refresh_from_db()
    assert run.state == "running"


@pytest.mark.django_db
def test_run_that_is_held_is_left_alone_until_its_lease_is_over(line, settings):
    settings.LINE_API_URL = line.url
    watch = watch_line()
    run = watch.start()
    assert runs.take(run.pk, watch.clock) is not None

    assert pull(run.pk, seconds=1, clock=watch.clock) is False
    assert line.requests("coupon_list") == []
    assert runs.begin_due(at=watch.clock()) == []

    watch.clock.pass_(seconds=settings.SYNC_LEASE.total_seconds() + 1)
    assert runs.begin_due(at=watch.clock()) == [run.pk]
    while pull(run.pk, seconds=SECONDS, clock=watch.clock):
        pass
    run.refresh_from_db()
    assert run.state == "done"


@pytest.mark.django_db
def test_account_that_is_deleted_meanwhile_ends_its_look_without_an_error(
    line, settings
):
    settings.LINE_API_URL = line.url
    watch = watch_line()
    run = watch.start()
    held = runs.take(run.pk, watch.clock)
    watch.connection.delete()

    with pytest.raises(Lost):
        held.keep(calls=1)
    assert pull(run.pk, seconds=1, clock=watch.clock) is False


@pytest.mark.django_db
def test_schedule_looks_at_each_account_once_in_a_while(line, settings):
    settings.LINE_API_URL = line.url
    watch = watch_line()
    [run_id] = runs.begin_due(at=watch.clock())
    while pull(run_id, seconds=SECONDS, clock=watch.clock):
        pass

    assert runs.begin_due(at=watch.clock()) == []
    watch.clock.pass_(seconds=settings.SYNC_EVERY.total_seconds() + 1)
    [again] = runs.begin_due(at=watch.clock())

    assert again != run_id


@pytest.mark.django_db
def test_schedule_leaves_out_who_is_paused_resting_or_without_anything(settings):
    watch = watch_line()
    paused, resting, paddle = watch_line(), watch_line(), watch_line(provider="paddle")
    paused.connection.pause("A person did.")
    resting.connection.note_failures(10, "Nobody answers.", at=watch.clock())

    runs.begin_due(at=watch.clock())

    assert watch.runs().count() == 1
    for other in (paused, resting, paddle):
        assert not other.runs().exists()


@pytest.mark.django_db
def test_old_runs_are_forgotten():
    watch = watch_line()
    at = watch.clock()
    for number in range(runs.KEPT + 5):
        run = runs.begin(watch.connection, at=at + timedelta(seconds=number))
        held = runs.take(run.pk, lambda: at + timedelta(hours=1))
        held.end(Run.State.DONE)

    dropped = runs.drop_old(watch.connection.pk)

    assert dropped == 5
    assert watch.runs().count() == runs.KEPT
    assert watch.runs().last() == run


def test_lease_outlives_two_calls():
    assert settings.SYNC_LEASE.total_seconds() > 2 * settings.SYNC_DEADLINE
