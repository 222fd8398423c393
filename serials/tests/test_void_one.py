"""One serial that was used before anybody got it is never handed out."""

import pytest
from django.utils import timezone

from serials import importing
from serials.errors import OutOfStock
from serials.models import Batch, Serial
from serials.services import ready_batches, take_serial, void, void_one
from testing.factories import make_campaign, make_serials

pytestmark = pytest.mark.django_db
State = Serial.State


@pytest.fixture
def batch():
    return make_serials(make_campaign(), ["A-1", "B-2", "C-3"])


def take(batch):
    return take_serial(ready_batches(batch.campaign_id), at=timezone.now()).serial


def test_it_is_stepped_over_and_counted_as_void(batch):
    first = batch.serials.get(pos=1)

    assert void_one(first.pk) is True

    batch.refresh_from_db()
    assert take(batch).code == "B-2"
    assert (batch.voided, batch.state) == (1, Batch.State.READY)
    assert Serial.objects.get(pk=first.pk).state == State.VOID


def test_a_second_time_changes_nothing(batch):
    first = batch.serials.get(pos=1)

    assert [void_one(first.pk) for _ in range(3)] == [True, False, False]

    batch.refresh_from_db()
    assert batch.voided == 1


def test_what_somebody_has_stays_theirs(batch):
    taken = take(batch)

    assert void_one(taken.pk) is False

    taken.refresh_from_db()
    batch.refresh_from_db()
    assert (taken.state, batch.voided) == (State.TAKEN, 0)


def test_when_all_are_void_nothing_is_left(batch):
    for serial in batch.serials.all():
        void_one(serial.pk)

    with pytest.raises(OutOfStock):
        take(batch)


def test_making_the_rest_of_the_batch_void_counts_each_once(batch):
    void_one(batch.serials.get(pos=2).pk)
    take(batch)
    batch.refresh_from_db()

    void(batch)
    importing.run(batch.pk)

    batch.refresh_from_db()
    assert (batch.state, batch.voided) == (Batch.State.VOID, 2)
    assert sorted(batch.serials.values_list("state", flat=True)) == [1, 2, 2]
