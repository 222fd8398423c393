"""Twenty claim a thousand serials at once: each serial goes to one, and none is lost.

Each claim is a transaction of its own, and one in ten is rolled back after it took. The
controls claim naively in the same harness, which has to catch them.
"""

import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from serials.errors import OutOfStock
from serials.models import Serial
from serials.services import Taken, ready_batches, take_serial
from testing.factories import make_campaign, make_serials
from testing.races import (
    Elsewhere,
    all_of,
    rounds,
    wait_until_somebody_waits_for_us,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

RUNS = rounds(3)
GIVEN_BACK = 0.1  # of all claims


# --- the controls --------------------------------------------------------------------


def take_unlocked(ready, *, at):
    """Look for the first free one, then mark it by its id."""
    for batch in ready:
        free = batch.serials.filter(state=Serial.State.FREE).order_by("pos")
        serial = free.first()
        if serial is not None:
            Serial.objects.filter(pk=serial.pk).update(state=1, taken_at=at)
            return Taken(batch, serial, is_counted=False)
    raise OutOfStock


def take_impatient(ready, *, at):
    """Step over what others hold, and never look again."""
    for batch in ready:
        serial = Serial.objects.take(batch, at=at, wait=False)
        if serial is not None:
            return Taken(batch, serial, is_counted=False)
    raise OutOfStock


def take_last(ready, *, at):
    """Take what was to be given out last; those before it are left for later."""
    for batch in reversed(ready):
        free = batch.serials.filter(state=Serial.State.FREE).order_by("-pos")
        serial = free.select_for_update(skip_locked=True).first()
        if serial is not None:
            Serial.objects.filter(pk=serial.pk).update(state=1, taken_at=at)
            return Taken(batch, serial, is_counted=False)
    raise OutOfStock


# --- the harness ---------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """One that was committed."""

    pk: int
    at: datetime
    place: int  # in the marketer's order, from 1
    furthest: int  # the place it may have at most


@dataclass(frozen=True)
class Refusal:
    """Somebody was told that there are none left."""

    free: int  # serials that were not taken for good at that moment


class Queue:
    """Twenty claimers in front of a campaign's serials.

    Whatever stands before a claimed serial is taken or held by somebody else. So its
    place is at most the number of claims begun until it is known, without those that
    had been given back before it was looked for.
    """

    def __init__(self, campaign, take):
        self.campaign = campaign
        self.take = take
        self.ready = ready_batches(campaign.pk)
        self.lock = threading.Lock()
        self.begun = self.given_back = 0

    def claim_until_none(self, dice):
        found: list[Claim | Refusal] = []
        while not found or isinstance(found[-1], Claim):
            found += self.claim(is_kept=dice.random() >= GIVEN_BACK)
        return found

    def claim(self, *, is_kept):
        """A committed claim, or a refusal; nothing when it was rolled back."""
        with self.lock:
            self.begun += 1
            given_back = self.given_back
        at = timezone.now()
        with transaction.atomic():
            try:
                serial = self.take(self.ready, at=at).serial
            except OutOfStock:
                return [Refusal(self.free())]
            furthest = self.begun - given_back
            transaction.set_rollback(not is_kept)
        if is_kept:
            return [Claim(serial.pk, at, self.place_of(serial), furthest)]
        with self.lock:
            self.given_back += 1
        return []

    def free(self):
        """As others see it: what a transaction holds is free until it commits."""
        return Serial.objects.filter(campaign=self.campaign, state=0).count()

    def place_of(self, serial):
        before = [batch.pk for batch in self.ready].index(serial.batch_id)
        return sum(batch.total for batch in self.ready[:before]) + serial.pos


def stock(*sizes):
    """A campaign with a batch of each size, the first one made to be given out last."""
    campaign = make_campaign()
    for number, size in enumerate(sizes):
        make_serials(campaign, size, position=len(sizes) - number)
    return campaign


def faults(racers, campaign, take, seed=0):
    """What went wrong while twenty claimed all that the campaign has."""
    queue = Queue(campaign, take)
    dice = [random.Random(f"{seed}/{n}") for n in range(racers.count)]  # noqa: S311
    found = all_of(racers.race(lambda n: queue.claim_until_none(dice[n])))
    claims = [one for one in found if isinstance(one, Claim)]
    refusals = [one for one in found if isinstance(one, Refusal)]
    assert len(refusals) == racers.count
    serials = Serial.objects.filter(campaign=campaign)
    times = serials.exclude(state=Serial.State.FREE).values_list("pk", "taken_at")
    signs = {
        "given twice": len({claim.pk for claim in claims}) < len(claims),
        "left over": queue.free() > 0,
        "refused while there were some": any(no.free for no in refusals),
        "not as written": dict(times) != {claim.pk: claim.at for claim in claims},
        "not in order": any(claim.place > claim.furthest for claim in claims),
    }
    return {fault for fault, is_seen in signs.items() if is_seen}


# --- the races -----------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1_000,), (300, 500, 200)])
def test_a_thousand_serials_go_to_one_claimer_each_in_order(racers, sizes):
    for number in range(RUNS):
        campaign = stock(*sizes)

        assert faults(racers, campaign, take_serial, seed=number) == set()

        taken = Serial.objects.filter(campaign=campaign, state=Serial.State.TAKEN)
        assert taken.count() == 1_000


def test_the_harness_catches_naive_claims(racers):
    unseen = {
        take_unlocked: "given twice",
        take_impatient: "refused while there were some",
        take_last: "not in order",
    }
    for number in range(rounds(10)):
        for naive, fault in list(unseen.items()):
            if fault in faults(racers, stock(20, 20), naive, seed=number):
                del unseen[naive]

    assert not unseen


def claim_one(campaign, take):
    """The claimed serial's code, or "none"."""
    with transaction.atomic():
        try:
            return take(ready_batches(campaign.pk), at=timezone.now()).serial.code
        except OutOfStock:
            return "none"


def test_whoever_finds_the_last_serial_held_waits_for_what_becomes_of_it():
    """Naive claims say at once that there are none left, also when it comes back."""
    for is_given_back, answer in ((True, "LAST"), (False, "none")):
        campaign = make_campaign()
        make_serials(campaign, ["LAST"])

        with transaction.atomic():
            claim_one(campaign, take_serial)
            naive = Elsewhere(partial(claim_one, campaign, take_impatient)).result()
            ours = Elsewhere(partial(claim_one, campaign, take_serial))
            wait_until_somebody_waits_for_us()
            transaction.set_rollback(is_given_back)

        assert naive == "none"
        assert ours.result() == answer
        assert not Serial.objects.filter(campaign=campaign, state=0).exists()


def test_a_held_serial_is_not_waited_for_while_a_later_batch_has_some():
    campaign = make_campaign()
    make_serials(campaign, ["FIRST"], position=1)
    make_serials(campaign, ["SECOND"], position=2)

    with transaction.atomic():
        claim_one(campaign, take_serial)
        other = Elsewhere(partial(claim_one, campaign, take_serial)).result()
        late = Elsewhere(partial(claim_one, campaign, take_serial))
        wait_until_somebody_waits_for_us()
        transaction.set_rollback(True)

    assert other == "SECOND"
    assert late.result() == "FIRST"


@contextmanager
def another_connection():
    """A second one in this thread, which does not commit by itself."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            yield other, cursor
    finally:
        other.rollback()
        other.close()


def test_what_was_taken_for_good_while_a_claim_waited_is_not_waited_for():
    """A claim leaves a lock on each row that it waited for and found taken in the end.

    Two claims that each waited for such a row of the other's would wait for ever.
    """
    campaign = make_campaign()
    make_serials(campaign, ["FIRST", "SECOND"])

    with another_connection() as (other, cursor):
        with transaction.atomic():
            assert claim_one(campaign, take_serial) == "FIRST"
            cursor.execute(
                "UPDATE serials_serial SET state = 1, taken_at = now()"
                " WHERE code = 'SECOND'"
            )
            late = Elsewhere(partial(claim_one, campaign, take_serial))
            wait_until_somebody_waits_for_us()
            other.commit()
            cursor.execute("SELECT 1 FROM serials_serial WHERE state = 1 FOR UPDATE")

        assert late.result() == "none"
