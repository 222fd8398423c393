"""The look for creations that LINE did not answer: long, interrupted, and resumed.

The long version: `SEARCH_PAGES=300 make test ARGS=sync/tests/test_line_search.py`.
"""

import json
import os
import signal
import time
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.utils import timezone

from connections.models import Connection
from providers.errors import ProviderError, Refused, Unclear
from providers.line_coupons import LineCoupons
from sandbox.testing import start_sandbox
from sync.models import Publication, RemoteCoupon, Search
from sync.publishing import looking, searching
from sync.services.publishing import pause, resume
from sync.tests.publishing import (
    an_offer,
    later,
    numbers,
    only,
    prepare_all,
    running_accounts,
)
from testing.databases import database_for
from testing.processes import Processes

PAGES = int(os.environ.get("SEARCH_PAGES", "12"))
LOST = 5
LIMIT = 60 + PAGES  # seconds


@pytest.fixture
def accounts(db, settings):
    with running_accounts(settings) as found:
        yield found


@pytest.fixture
def short_turns(monkeypatch):
    """A turn is over before its second page."""
    monkeypatch.setattr(looking, "SECONDS", 0.001)


def fill(sandbox, pages):
    """So many pages of others' coupons, newer than ours: ours are at the list's end."""
    for number in range(pages * 100):
        coupon_id = sandbox.make_coupon(title=f"Other {number}")
        if number < pages * 100 - 4_900:  # LINE has room for 5,000 that run
            sandbox.stop_coupon(coupon_id)


def lose(accounts, count=LOST, **fields):
    """Creations that LINE has done and not answered."""
    found = [accounts.publish("line", an_offer(**fields)) for _number in range(count)]
    prepare_all()
    accounts.sandbox.fault("coupon_create", "accept_then_drop", times=count)
    accounts.turn("line")
    assert len(accounts.sandbox.coupons()) == count
    return found


def calls(accounts, call="coupon_list"):
    return len(accounts.sandbox.requests(call))


# --- a worker that dies ------------------------------------------------------------------


@pytest.fixture
def line():
    with start_sandbox(token="token") as found:
        yield found


@pytest.fixture
def processes(tmp_path, line):
    return Processes(
        tmp_path,
        DATABASE_URL=database_for(tmp_path),
        LINE_API_URL=line.url,
        SYNC_LEASE="5",
        SYNC_DEADLINE="2",
        SYNC_SETTLE="1",
    )


def far(processes, *command):
    return json.loads(processes.must_run("-m", "sync.tests.search_far", *command))


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_long_look_ends_although_calls_fail_and_its_worker_dies(processes, line):
    """At one failure in ten no look of many pages would ever come through at once."""
    line.fault("coupon_create", "accept_then_drop", times=LOST)
    far(processes, "start", str(LOST))
    fill(line, PAGES)
    line.fault("coupon_list", "drop", share=0.1, seed=5)
    line.fault("coupon_detail", "drop", share=0.1, seed=6)
    began = time.monotonic()

    killed_at = f"searched_before_commit:{PAGES * 9 // 10}"
    go_on = ("-m", "sync.tests.search_far", "go_on", str(LIMIT))
    died = processes.run(*go_on, KILL_AT=killed_at)
    asked = len(line.requests("coupon_list"))
    report = far(processes, "go_on", str(LIMIT))

    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    assert report["statuses"] == {"live": LOST}
    ours = [c for c in line.coupons() if c["title"].startswith("Offer")]
    assert report["ids"] == sorted(c["couponId"] for c in ours)
    assert len(ours) == LOST
    # It went on near the end: nothing like all the pages again.
    assert len(line.requests("coupon_list")) - asked <= PAGES // 2
    assert time.monotonic() - began < LIMIT


# --- turn by turn ------------------------------------------------------------------------


def test_a_look_goes_on_page_by_page_over_many_turns(accounts, short_turns):
    publications = lose(accounts)
    fill(accounts.sandbox, 4)

    for number in range(12):
        accounts.turn("line", clock=later(minutes=5, seconds=number))

    assert {numbers(found) for found in publications} == {(1, 1, 0, 0, 0)}
    assert calls(accounts) == 5
    assert calls(accounts, "coupon_detail") == LOST
    assert calls(accounts, "coupon_create") == LOST


@pytest.mark.parametrize("trouble", ["500", "drop", "html", "429_rate"])
def test_what_fails_costs_the_call_and_not_the_look(accounts, trouble):
    publications = lose(accounts)
    fill(accounts.sandbox, 4)
    accounts.sandbox.fault("coupon_list", trouble, share=0.5, seed=3)
    accounts.sandbox.fault("coupon_detail", trouble, share=0.2, seed=4)

    rows = RemoteCoupon.objects.filter(publication__in=publications, status="waiting")
    failures = set()
    for number in range(30):
        accounts.turn("line", clock=later(minutes=5 + 3 * number))
        Connection.objects.update(resting_until=None)
        failures |= set(rows.values_list("failures", flat=True))

    assert {numbers(found) for found in publications} == {(1, 1, 0, 0, 0)}
    assert len(accounts.there("line")) == LOST + 400
    assert failures <= {1}  # that of the creation


def test_a_look_in_trouble_waits_longer_each_time_and_no_coupon_pays_for_it(accounts):
    [publication] = lose(accounts, 1)
    accounts.sandbox.fault("coupon_list", "500")
    waits = []
    for number in range(5):
        accounts.turn("line", clock=later(hours=1 + number))
        row = only(publication)
        waits.append(row.next_try_at - timezone.now() - timedelta(hours=1 + number))
        Connection.objects.update(resting_until=None)

    assert [round(wait.total_seconds()) for wait in waits] == pytest.approx(
        [1, 2, 4, 8, 16], rel=0.5, abs=1
    )
    assert row.failures == 1  # that of its creation
    assert Search.objects.get().failures == 5


def test_a_row_in_doubt_does_not_pay_for_others_of_its_block(accounts):
    """A plain creation that is slowed down ends the block before the look's turn."""
    [lost] = lose(accounts, 1)
    before = only(lost)
    for _number in range(3):
        accounts.publish("line", an_offer())
    prepare_all()
    accounts.sandbox.fault("coupon_create", "429_rate", times=1)

    accounts.turn("line", clock=later(minutes=5))

    row = only(lost)
    if row.status == "waiting":
        assert row.failures == before.failures
        assert row.next_try_at < timezone.now() + timedelta(minutes=5, seconds=10)
    accounts.turn("line", clock=later(minutes=5, seconds=30))
    assert only(lost).status == "live"


def test_a_row_in_doubt_gets_its_turn_among_many_of_the_same_content(accounts):
    period = {
        "name": "The same",
        "use_starts_at": timezone.now(),
        "use_ends_at": timezone.now() + timedelta(days=9),
    }
    [lost] = lose(accounts, 1, **period)
    for _number in range(30):
        accounts.publish("line", an_offer(**period))
    prepare_all()

    accounts.turn("line", clock=later(minutes=5))

    assert only(lost).status == "live"


def test_what_is_lost_while_a_look_goes_on_has_the_next_one(accounts, short_turns):
    first = lose(accounts, 1)
    fill(accounts.sandbox, 2)
    accounts.turn("line", clock=later(minutes=5))
    second = accounts.publish("line", an_offer())
    prepare_all()
    accounts.sandbox.fault("coupon_create", "accept_then_drop", times=1)
    accounts.turn("line", clock=later(minutes=5, seconds=1))
    assert only(second).status == "waiting"

    for number in range(12):
        accounts.turn("line", clock=later(minutes=10, seconds=number))

    assert {numbers(found) for found in [*first, second]} == {(1, 1, 0, 0, 0)}
    assert calls(accounts, "coupon_create") == 2


def test_a_row_whose_publication_pauses_keeps_what_was_found(accounts, short_turns):
    paused, other = lose(accounts, 2)
    fill(accounts.sandbox, 2)
    accounts.turn("line", clock=later(minutes=5))
    pause(paused.pk, by=accounts.editor)
    for number in range(12):
        accounts.turn("line", clock=later(minutes=5, seconds=1 + number))
    assert (only(paused).status, only(other).status) == ("waiting", "live")
    before = calls(accounts)

    resume(paused.pk, by=accounts.editor)
    accounts.turn("line", clock=later(minutes=6))

    assert only(paused).status == "live"
    assert only(paused).remote_id != only(other).remote_id
    assert calls(accounts) == before


def test_a_later_doubt_is_not_settled_by_an_earlier_look(accounts):
    """What a dead worker left of a look that found nothing says nothing of the next try."""
    [publication] = lose(accounts, 1)
    doubt = only(publication)
    cursor = searching.Cursor(verdicts={str(doubt.pk): ("2020-01-01T00:00:00", "")})
    Search.objects.create(connection=accounts.line, cursor=asdict(cursor))

    accounts.settle("line")

    assert len(accounts.sandbox.coupons()) == 1
    assert only(publication).status == "live"


def test_who_comes_while_another_looks_waits(accounts):
    [publication] = lose(accounts, 1)
    clock = later(minutes=5)
    held = searching.take(accounts.line.pk, clock)

    accounts.turn("line", clock=clock)

    assert calls(accounts) == 0
    assert (only(publication).status, only(publication).failures) == ("waiting", 1)
    held.let_go(has_failed=False)
    accounts.turn("line", clock=later(minutes=6))
    assert only(publication).status == "live"


def test_a_worker_that_comes_back_late_writes_nothing(accounts):
    late = searching.take(accounts.line.pk, timezone.now)
    other = searching.take(accounts.line.pk, later(minutes=5))

    with pytest.raises(searching.Lost):
        late.keep(searching.Cursor(pages=7))
    other.keep(searching.Cursor(pages=2))

    assert Search.objects.get().cursor["pages"] == 2


def test_a_page_token_that_has_become_old_starts_the_list_again(accounts, short_turns):
    publications = lose(accounts, 1)
    fill(accounts.sandbox, 2)
    accounts.turn("line", clock=later(minutes=5))
    accounts.sandbox.advance(25 * 3600)

    for number in range(12):
        accounts.turn("line", clock=later(hours=25, seconds=number))

    assert {numbers(found) for found in publications} == {(1, 1, 0, 0, 0)}
    assert len(accounts.sandbox.requests("coupon_create")) == 1


def test_a_row_that_is_put_off_stays_in_the_look(accounts, short_turns):
    """Its turn comes later than that of the others: the look has not forgotten it."""
    first, second = lose(accounts, 2)
    fill(accounts.sandbox, 3)
    accounts.turn("line", clock=later(minutes=5))
    RemoteCoupon.objects.filter(publication=first).update(
        next_try_at=timezone.now() + timedelta(minutes=20)
    )
    for number in range(12):
        accounts.turn("line", clock=later(minutes=6, seconds=number))
    before = calls(accounts)

    accounts.turn("line", clock=later(minutes=30))

    assert (only(first).status, only(second).status) == ("live", "live")
    assert calls(accounts) == before


def test_a_list_without_an_end_leaves_what_it_has_not_found_in_doubt(
    accounts, monkeypatch
):
    """Taken for whole, it would have the coupon made a second time."""
    [publication] = lose(accounts, 1)
    fill(accounts.sandbox, 4)
    monkeypatch.setattr(looking, "MOST_PAGES", 2)

    for number in range(3):
        accounts.turn("line", clock=later(hours=1 + number))

    row = only(publication)
    assert (row.status, row.errand) == ("waiting", "create")
    assert "come to an end" in row.detail
    assert calls(accounts, "coupon_create") == 1


# --- what LINE never tells ---------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [Refused("no", 400), Unclear("HTTP 500")], ids=lambda e: type(e).__name__
)
def test_one_coupon_that_line_never_tells_of_keeps_no_other_from_being_found(
    accounts, monkeypatch, error: ProviderError
):
    """One of our name, made in LINE's manager, whose details LINE can't give."""
    [publication] = lose(accounts, 1)
    title = accounts.sandbox.coupons()[0]["title"]
    dumb = accounts.sandbox.make_coupon(title=title)
    real = LineCoupons.detail

    def detail(self, coupon_id):
        if coupon_id == dumb:
            raise error
        return real(self, coupon_id)

    monkeypatch.setattr(LineCoupons, "detail", detail)
    for number in range(looking.PATIENCE + 4):
        accounts.turn("line", clock=later(hours=1 + number))
        Connection.objects.update(resting_until=None)

    assert only(publication).status == "live"
    assert only(publication).remote_id != dumb
    assert calls(accounts, "coupon_create") == 1


@pytest.mark.parametrize("seconds", [10, 0.001], ids=["three tries", "one try"])
def test_details_that_never_come_end_the_look_in_doubt(accounts, monkeypatch, seconds):
    """LINE answers otherwise. Taken for whole, the coupon would be made once more.

    A call that times out may take longer than a turn: then there is one try in each.
    """
    monkeypatch.setattr(looking, "SECONDS", seconds)
    [publication] = lose(accounts, 1)
    accounts.sandbox.fault("coupon_detail", "500")
    for number in range(looking.PATIENCE + 3):
        accounts.turn("line", clock=later(hours=1 + number))
        Connection.objects.update(resting_until=None)
    row = only(publication)
    assert (row.status, row.failures) == (
        "waiting",
        2,
    )  # its creation's, and the look's

    accounts.sandbox.clear_faults()
    for number in range(3):
        accounts.turn("line", clock=later(hours=30, minutes=number))

    assert only(publication).status == "live"
    assert calls(accounts, "coupon_create") == 1


def test_while_line_gives_no_answer_at_all_a_look_is_kept(accounts):
    [publication] = lose(accounts, 1)
    accounts.sandbox.fault("coupon_detail", "500")
    accounts.turn("line", clock=later(hours=1))
    accounts.sandbox.fault("coupon_list", "500")
    for number in range(looking.PATIENCE + 4):
        accounts.turn("line", clock=later(hours=2 + number))
        Connection.objects.update(resting_until=None)
    assert only(publication).failures == 1
    assert Search.objects.get().cursor["ids"]

    accounts.sandbox.clear_faults()
    before = calls(accounts)
    accounts.turn("line", clock=later(hours=30))

    assert only(publication).status == "live"
    assert calls(accounts) == before


def test_page_tokens_that_become_old_time_and_again_never_end_the_look(
    accounts, short_turns
):
    """An account that is paused again and again, for more than a day each time."""
    [publication] = lose(accounts, 1)
    fill(accounts.sandbox, 2)
    days = 4 * looking.RESTARTS
    for day in range(days):
        accounts.turn("line", clock=later(hours=25 * day + 1))
        accounts.sandbox.advance(25 * 3600)

    for number in range(12):
        accounts.turn("line", clock=later(hours=25 * days + 2, minutes=5 * number))

    assert only(publication).status == "live"
    assert calls(accounts, "coupon_create") == 1


# --- whose it is --------------------------------------------------------------------------


def test_two_that_differ_in_their_picture_alone_are_not_under_way_at_once(accounts):
    """LINE doesn't tell pictures: of one that is lost the other would be taken for it."""
    period = {
        "name": "The same",
        "use_starts_at": timezone.now(),
        "use_ends_at": timezone.now() + timedelta(days=9),
    }
    first, second = (
        accounts.publish("line", an_offer(**period)) for _number in range(2)
    )
    picture = {"imageUrl": "https://shop.example/other.png"}
    Publication.objects.filter(pk=second.pk).update(terms=second.terms | picture)
    prepare_all()
    accounts.sandbox.fault("coupon_create", "drop", times=1)
    accounts.sandbox.fault("coupon_create", "accept_then_drop", times=1)

    accounts.settle("line")

    made = {
        one["couponId"]: bool(one.get("imageUrl")) for one in accounts.sandbox.coupons()
    }
    assert made == {only(first).remote_id: False, only(second).remote_id: True}


def test_what_has_become_another_rows_is_not_taken(accounts, short_turns):
    """Taken, it would undo its whole block's answers, time and again."""
    [publication] = lose(accounts, 1)
    accounts.turn("line", clock=later(minutes=5))  # the list, not the details
    [coupon_id] = Search.objects.get().cursor["ids"]
    other = accounts.published("line", an_offer())
    RemoteCoupon.objects.filter(publication=other).update(
        remote_id=coupon_id, status="live", errand="", next_try_at=None
    )

    for number in range(6):
        accounts.turn("line", clock=later(minutes=6 + number))

    assert only(publication).remote_id != coupon_id
