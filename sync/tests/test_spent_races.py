"""Spent codes on PostgreSQL: workers killed, and tills that work while they are taken back."""

import os
import signal

import pytest
from django.db import connection, transaction
from django.utils import timezone

from coupons.models import Coupon
from coupons.services import verify
from serials.models import Batch
from sync.models import Publication, RemoteCoupon
from sync.publishing import spending
from sync.publishing.settling import Result, settle
from sync.publishing.spending import ask_back, clear, spent_among
from sync.publishing.walking import walk
from sync.services.publishing import close
from sync.tests.spent_helpers import make_void, redeemed, undone, verified
from sync.tests.uses_helpers import make_paddle, publish
from sync.uses import Told, note_use
from testing.factories import make_store, make_user
from testing.processes import Processes
from testing.races import THREADS, Elsewhere, wait_until_somebody_waits_for_us

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
CODES = [f"CODE{n:04d}" for n in range(THREADS)]


@pytest.fixture
def rows():
    return publish(make_paddle(), CODES)


@pytest.fixture
def publication(rows):
    return rows[CODES[0]].publication


def ask(publication):
    with transaction.atomic():
        ask_back(publication.pk)


def failures(results):
    return [result for result in results if isinstance(result, Exception)]


def codes(**which):
    found = RemoteCoupon.objects.filter(**which).values_list("serial_id", flat=True)
    return set(found)


def walk_all(publication):
    """Until all is told; nothing waits for a provider here."""
    for _turn in range(2 * THREADS):
        walk(publication.pk)
        if not Publication.objects.get(pk=publication.pk).is_clearing:
            return
    pytest.fail("the walk does not end")


def verified_serials():
    rows = Coupon.objects.filter(status="verified").values_list("serial_id", flat=True)
    return set(rows)


def test_whoever_undoes_or_verifies_at_the_same_time_is_before_or_after(
    racers, publication
):
    """Ten undo, nine verify, one walks: what goes was verified at one time at least."""
    campaign, clerk, store = publication.campaign, make_user(), make_store()
    taken = [verified(campaign) for _ in range(10)]
    held = [redeemed(campaign) for _ in range(9)]
    ever = {one.coupon.serial_id for one in taken} | {one.serial_id for one in held}
    ask(publication)

    def act(number):
        if number == 0:
            walk(publication.pk)
        elif number <= 10:
            undone(taken[number - 1])
        else:
            verify(held[number - 11].pk, store=store, staff=clerk)

    assert failures(racers.race(act)) == []
    assert codes(errand="delete") == codes(is_spent=True) <= ever
    ask(publication)
    walk_all(publication)

    assert verified_serials() == {one.serial_id for one in held}
    assert verified_serials() <= codes(errand="delete") <= ever


def undo_while_the_walk_waits(publication, verification, monkeypatch, walker):
    """The walk has read that it is verified; then it is undone; then the walk goes on."""
    real = spending._locked
    undoing: list[Elsewhere] = []

    def late(ids):
        if not undoing:
            undoing.append(Elsewhere(lambda: undone(verification)))
            undoing[0].result()
        return real(ids)

    monkeypatch.setattr(spending, "_locked", late)
    walker()
    return codes(errand="delete")


def test_undone_between_the_two_looks_of_a_piece_it_stays(publication, monkeypatch):
    verification = verified(publication.campaign)
    ask(publication)

    told = undo_while_the_walk_waits(
        publication, verification, monkeypatch, lambda: walk(publication.pk)
    )

    assert told == set()


def test_a_walk_that_looks_once_would_take_it(publication, monkeypatch):
    """The control: what was read before the locks is old behind them."""
    verification = verified(publication.campaign)
    ask(publication)
    seen: list[set[int]] = []

    def once(of, ids):
        if not seen:
            seen.append(spent_among(of, ids))
        return seen[0]

    monkeypatch.setattr(spending, "spent_among", once)
    told = undo_while_the_walk_waits(
        publication, verification, monkeypatch, lambda: walk(publication.pk)
    )

    assert told == {verification.coupon.serial_id}


def test_an_undo_that_comes_second_waits_and_finds_the_code_told(publication):
    verification = verified(publication.campaign)
    ask(publication)

    with transaction.atomic():
        clear(publication.pk, float("inf"), timezone.now)
        undoing = Elsewhere(lambda: undone(verification))
        wait_until_somebody_waits_for_us()
    assert undoing.result() is None

    assert codes(errand="delete") == {verification.coupon.serial_id}


def test_twenty_walkers_tell_each_code_once(racers, publication, monkeypatch):
    monkeypatch.setattr(spending, "PIECE", 7)
    make_void(publication.campaign)
    ask(publication)

    results = racers.race(
        lambda number: clear(publication.pk, float("inf"), timezone.now)
    )

    assert failures(results) == []
    assert len(codes(errand="delete")) in range(7, 14)  # until a piece's worth waits
    assert Publication.objects.get(pk=publication.pk).is_clearing


def test_closing_and_clearing_at_once_leave_nothing_behind(racers, publication):
    make_void(publication.campaign)
    ask(publication)

    def act(number):
        if number == 0:
            close(publication.pk, by=None)
        elif number < 5:
            walk(publication.pk)

    assert failures(racers.race(act)) == []
    walk(publication.pk)

    found = Publication.objects.get(pk=publication.pk)
    assert (found.state, found.is_clearing) == ("closing", False)
    assert len(codes(errand="delete")) == len(CODES)


def test_a_use_there_and_the_walk_at_once_do_not_wait_for_each_other(
    racers, publication
):
    """Uses lock the coupon there, then ours; so does the walk."""
    for _number in range(10):
        verified(publication.campaign)
    ask(publication)

    def act(number):
        if number == 0:
            walk(publication.pk)
        else:
            told = Told(publication.connection_id, CODES[number], f"order:{number}")
            note_use(told)

    assert failures(racers.race(act)) == []


def test_all_are_voided_while_the_walk_goes_on(racers, publication, monkeypatch):
    monkeypatch.setattr(spending, "PIECE", 3)
    verified(publication.campaign)
    ask(publication)

    def act(number):
        if number == 0:
            make_void(publication.campaign)
        elif number == 1:
            walk(publication.pk)

    assert failures(racers.race(act)) == []
    monkeypatch.setattr(spending, "PIECE", 1_000)
    ask(publication)
    walk_all(publication)

    assert len(codes(errand="delete")) == len(CODES)
    assert Batch.objects.get().state == "void"


# --- killed -------------------------------------------------------------------------------


@pytest.mark.processes
def test_a_walker_that_dies_leaves_the_rest_to_the_next(tmp_path, rows, publication):
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    processes = Processes(
        tmp_path,
        DATABASE_URL=f"{database}/{connection.settings_dict['NAME']}",
        SPENT_PIECE="4",
    )
    make_void(publication.campaign)
    ask(publication)
    walking = ("-m", "sync.tests.spent_helpers", "walk", str(publication.pk))

    died = processes.run(*walking, KILL_AT="clearing_before_commit:1")

    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    assert codes(errand="delete") == set()  # its transaction went with it
    taken = take_away(processes, walking)
    assert taken == [4, 4, 4, 4, 4]
    found = Publication.objects.get(pk=publication.pk)
    assert (found.gone, found.live, found.is_clearing) == (THREADS, 0, False)


def take_away(processes, walking):
    """Piece by piece, with a worker that dies in every second; how many each told."""
    taken = []
    for number in range(12):
        Publication.objects.update(leased_until=None)  # the dead one's is over
        kill_at = {"KILL_AT": "clearing_before_commit:1"} if number % 2 else {}
        processes.run(*walking, **kill_at)
        told = list(RemoteCoupon.objects.filter(errand="delete"))
        if told:
            taken.append(len(told))
        answer(told)
    return taken


def answer(told):
    """As a worker that has asked Paddle, which has taken them back."""
    now = timezone.now()
    for row in told:
        held = RemoteCoupon.objects.filter(pk=row.pk)
        held.update(leased_until=now, tries=row.tries)
    settle([Result(row, "gone") for row in told], at=now)
