"""Looks at LINE: what they find, what they ask for, and what they say differs."""

import time
from datetime import UTC, datetime

import pytest

from connections.models import Connection
from sandbox.testing import start_sandbox
from sync.models import Difference, Publication, RemoteCoupon, Run, Step
from sync.pulling.line import terms_of
from sync.pulling.working import TRIES, pull
from sync.states import derived_state
from sync.tests.looks import SECONDS, make_publication, make_remote, watch_line

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def line(settings):
    with start_sandbox(token="token") as sandbox:
        settings.LINE_API_URL = sandbox.url
        yield sandbox


@pytest.fixture
def watch(line):
    return watch_line()


def asked(line):
    """How many details LINE was asked for since the last time."""
    count = len(line.requests("coupon_detail"))
    before = getattr(line, "details_before", 0)
    line.details_before = count
    return count - before


def test_first_look_finds_coupons_that_were_made_in_lines_own_manager(line, watch):
    running = line.make_coupon(title="Running")
    draft = line.make_coupon(title="Draft", is_draft=True)
    closed = line.make_coupon(title="Closed")
    line.stop_coupon(closed)
    referral = line.make_coupon(
        title="Referral", acquisitionCondition={"type": "referral"}
    )

    run = watch.look()

    rows = watch.coupons()
    assert (run.state, run.problem) == ("done", "")
    assert {key: row.told for key, row in rows.items()} == {
        running: "RUNNING",
        draft: "DRAFT",
        closed: "CLOSED",
        referral: "RUNNING",
    }
    assert {row.title for row in rows.values()} == {
        "Running",
        "Draft",
        "Closed",
        "Referral",
    }
    assert all(row.publication_id is None for row in rows.values())
    assert all(row.raw["couponId"] == key for key, row in rows.items())
    assert rows[running].ends_at > rows[running].starts_at
    assert watch.steps() == ["appeared"] * 4
    assert watch.differences() == []


def test_later_looks_ask_only_for_what_can_still_change(line, watch):
    ids = [line.make_coupon(title=f"Coupon {n}") for n in range(5)]
    draft = line.make_coupon(title="Draft", is_draft=True)
    line.stop_coupon(ids[0])
    watch.look()
    assert asked(line) == 6

    watch.look()
    assert asked(line) == 1  # the draft

    line.stop_coupon(ids[1])
    line.publish_draft(draft)
    new = line.make_coupon(title="New")
    watch.look()

    assert asked(line) == 3
    rows = watch.coupons()
    assert (rows[ids[1]].told, rows[draft].told) == ("CLOSED", "RUNNING")
    assert rows[new].raw["title"] == "New"
    watch.look()
    assert asked(line) == 0


def test_once_a_day_a_look_is_whole(line, watch):
    line.make_coupon()
    assert watch.look().is_whole
    assert not watch.look().is_whole
    asked(line)

    watch.clock.pass_(days=1)

    assert watch.look().is_whole
    assert asked(line) == 1


def test_drafts_that_were_deleted_are_missing_and_not_asked_about_again(line, watch):
    draft = line.make_coupon(title="Draft", is_draft=True)
    watch.look()
    line.delete_draft(draft)

    watch.look()

    row = watch.coupons()[draft]
    assert row.missing_since is not None
    assert watch.steps() == ["appeared", "vanished"]
    asked(line)
    watch.look()
    watch.look(is_whole=True)
    assert asked(line) == 0
    assert watch.steps() == ["appeared", "vanished"]


def publish_by_hand(line, watch, **fields):
    """A coupon at LINE, and a publication here that sent just that."""
    coupon_id = line.make_coupon(**fields)
    [raw] = [one for one in line.coupons() if one["couponId"] == coupon_id]
    publication = make_publication(watch.connection, terms=terms_of(raw))
    make_remote(publication, coupon_id)
    return coupon_id, publication


def test_what_is_as_it_was_sent_is_no_difference(line, watch):
    coupon_id, _publication = publish_by_hand(line, watch, title="Ours")

    watch.look()

    rows = watch.coupons()
    assert (rows[coupon_id].told, rows[coupon_id].title) == ("RUNNING", "Ours")
    assert of_coupons(watch) == []
    assert "appeared" not in watch.steps()


def of_coupons(watch):
    rows = Difference.objects.filter(ended_at=None, coupon__isnull=False)
    return list(rows.values_list("field", "ours", "theirs"))


def test_coupon_of_ours_closed_in_lines_manager_is_a_difference(line, watch):
    coupon_id, _publication = publish_by_hand(line, watch)
    watch.look()
    line.stop_coupon(coupon_id)

    watch.look()

    assert of_coupons(watch) == [("closed", "running", "closed")]
    row = watch.coupons()[coupon_id]
    assert derived_state(row, watch.clock()) == "closed_elsewhere"
    [told] = Step.objects.filter(kind="told")
    assert told.facts["was"] == "RUNNING"
    assert told.facts["told"] == "CLOSED"


def test_coupon_that_we_closed_is_none(line, watch):
    coupon_id, publication = publish_by_hand(line, watch)
    watch.look()
    line.stop_coupon(coupon_id)
    RemoteCoupon.objects.filter(remote_id=coupon_id).update(
        status="gone", gone_at=watch.clock()
    )
    Publication.objects.filter(pk=publication.pk).update(live=0, gone=1)

    watch.look()

    assert of_coupons(watch) == []
    assert watch.coupons()[coupon_id].told == "CLOSED"


def test_coupon_of_ours_that_expired_is_none(line, watch):
    now = int(time.time())
    coupon_id, _publication = publish_by_hand(line, watch, endTimestamp=now + 3600)
    watch.look()
    line.advance(7200)
    watch.clock.pass_(hours=2)

    watch.look()

    row = watch.coupons()[coupon_id]
    assert row.told == "CLOSED"
    assert derived_state(row, watch.clock()) == "expired"
    assert of_coupons(watch) == []


def test_coupon_that_lines_channel_does_not_have_is_missing(line, watch):
    publication = make_publication(watch.connection)
    make_remote(publication, "01NEVERMADE")

    watch.look()

    assert of_coupons(watch) == [("missing", "live", "missing")]
    assert watch.steps() == ["vanished", "differs"]


def test_coupon_that_was_taken_back_and_runs_all_the_same_is_a_difference(line, watch):
    coupon_id, _publication = publish_by_hand(line, watch)
    RemoteCoupon.objects.filter(remote_id=coupon_id).update(
        status="gone", gone_at=watch.clock()
    )

    watch.look()

    assert of_coupons(watch) == [("still_there", "gone", "running")]


def test_it_stays_a_difference_although_the_publication_is_closed(line, watch):
    coupon_id, publication = publish_by_hand(line, watch)
    RemoteCoupon.objects.filter(remote_id=coupon_id).update(
        status="gone", gone_at=watch.clock()
    )
    Publication.objects.filter(pk=publication.pk).update(
        state="closed", closed_at=watch.clock(), live=0, gone=1
    )

    watch.look()

    assert of_coupons(watch) == [("still_there", "gone", "running")]


def test_value_that_differs_is_shown_with_both_sides_and_ends_when_it_agrees(
    line, watch
):
    coupon_id, publication = publish_by_hand(line, watch, title="Theirs")
    Publication.objects.filter(pk=publication.pk).update(
        terms=publication.terms | {"title": "Ours"}
    )

    watch.look()
    [first] = Difference.objects.filter(ended_at=None, coupon__isnull=False)
    assert (first.field, first.ours, first.theirs) == ("title", "Ours", "Theirs")
    watch.look(is_whole=True)

    again = Difference.objects.get(pk=first.pk)
    assert again.seen_at == first.seen_at
    assert again.last_seen_at > first.last_seen_at
    assert watch.steps() == ["differs"]

    Publication.objects.filter(pk=publication.pk).update(terms=publication.terms)
    watch.look(is_whole=True)

    again.refresh_from_db()
    assert (again.ended_how, again.ended_by) == ("agreed", None)
    assert of_coupons(watch) == []


def test_page_token_that_is_too_old_starts_its_list_again(line, watch, settings):
    ids = {line.make_coupon(title=f"Coupon {n}") for n in range(150)}
    run = watch.start(is_whole=True)
    Run.objects.filter(pk=run.pk).update(
        cursor={"lists": ["RUNNING", "CLOSED"], "next": "from-yesterday"}
    )

    while pull(run.pk, seconds=SECONDS, clock=watch.clock):
        pass

    run.refresh_from_db()
    assert run.state == "done"
    assert set(watch.coupons()) == ids


def test_coupons_that_are_being_made_here_and_were_seen_first_do_not_stop_it(
    line, watch
):
    """Two rows for one coupon can't be: the one of the list gives way."""
    first = line.make_coupon(title="Seen")
    watch.look()
    publication = make_publication(watch.connection)
    make_remote(publication, "", status="waiting", errand="create", next_try_at=NOW)

    run = watch.look()

    assert run.state == "done"
    assert set(watch.coupons()) == {first, ""}


def test_paused_account_is_not_asked(line, watch):
    line.make_coupon()
    run = watch.start()
    watch.connection.pause("A new token is needed.")

    pull(run.pk, seconds=SECONDS, clock=watch.clock)

    run.refresh_from_db()
    assert run.state == "failed"
    assert "A new token is needed." in run.problem
    assert line.requests("coupon_list") == []


def test_wrong_token_pauses_the_account_and_stops_the_look(line, watch):
    Connection.objects.filter(pk=watch.connection.pk).update(access_token="")
    watch.connection.refresh_from_db()
    watch.connection.access_token = "wrong"
    watch.connection.save()

    run = watch.look()

    watch.connection.refresh_from_db()
    assert (run.state, watch.connection.state) == ("failed", "paused")
    assert "issue a new one" in run.problem


def test_look_that_gets_no_answers_waits_longer_each_time_and_then_stops(line, watch):
    line.make_coupon()
    line.fault("coupon_list", "500")
    run = watch.start()

    waits = []
    while run.state == "running":
        before = watch.clock()
        pull(run.pk, seconds=0.1, clock=watch.clock)
        run.refresh_from_db()
        if run.next_try_at:
            waits.append((run.next_try_at - before).total_seconds())
            watch.clock.pass_(seconds=waits[-1] + 1)

    assert run.state == "failed"
    assert "did not answer properly" in run.problem
    assert len(waits) == TRIES - 1
    assert waits == sorted(waits)
    assert waits[-1] > 60


def test_look_goes_on_after_an_outage(line, watch):
    ids = {line.make_coupon(title=f"Coupon {n}") for n in range(30)}
    line.fault("coupon_detail", "500", times=12)

    run = watch.look()
    while run.state == "running":
        watch.clock.pass_(seconds=10)
        pull(run.pk, seconds=SECONDS, clock=watch.clock)
        run.refresh_from_db()

    rows = watch.coupons()
    assert run.state == "done"
    assert set(rows) == ids
    assert all(row.raw and not row.problem for row in rows.values())


def test_being_too_fast_slows_the_look_down_and_loses_nothing(line, watch):
    ids = {line.make_coupon(title=f"Coupon {n}") for n in range(30)}
    line.fault("coupon_detail", "429_rate", times=5)

    run = watch.look()
    while run.state == "running":
        watch.clock.pass_(seconds=10)
        pull(run.pk, seconds=SECONDS, clock=watch.clock)
        run.refresh_from_db()

    assert run.state == "done"
    assert {row.remote_id for row in watch.coupons().values() if row.raw} == ids


@pytest.mark.parametrize("kind", ["html", "half_json"])
def test_answer_about_a_coupon_that_makes_no_sense_is_said_in_its_row(
    line, watch, kind
):
    """The others are looked at all the same, and the next look asks again."""
    ids = {line.make_coupon(title=f"Coupon {n}") for n in range(3)}
    line.fault("coupon_detail", kind, times=1)

    run = watch.look()

    rows = watch.coupons()
    odd = [row for row in rows.values() if row.problem]
    assert run.state == "done"
    assert len(odd) == 1
    assert set(rows) == ids
    assert sum(row.raw is not None for row in rows.values()) >= 2

    watch.look()

    assert [row.problem for row in watch.coupons().values()] == ["", "", ""]
