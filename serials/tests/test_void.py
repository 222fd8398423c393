"""Making the rest of a batch void: what is taken stays, and nothing else is given out."""

import pytest
from django.utils import timezone

from serials import importing, services
from serials.errors import ImportRefused, OutOfStock, StockMoved
from serials.models import Batch, Serial, Stock
from serials.services import ready_batches, take_serial, take_unit
from serials.steps import LEASE
from serials.tests.files import checked
from testing.factories import make_campaign, make_fixed_batch, make_serials, make_user

pytestmark = pytest.mark.django_db
State = Batch.State
NOW = timezone.now()


def take(campaign, count=1):
    """Serials taken as a redeem takes them."""
    taken = []
    for _ in range(count):
        taken.append(take_serial(ready_batches(campaign.pk), at=timezone.now()))
        if taken[-1].is_counted:
            take_unit(taken[-1].batch)
    return taken


def states(batch):
    """How many of its serials are free, taken and void."""
    serials = Serial.objects.filter(batch=batch)
    return tuple(serials.filter(state=state).count() for state in (0, 1, 2))


def test_what_is_taken_stays_and_the_rest_is_void():
    campaign = make_campaign()
    batch = make_serials(campaign, 10)
    taken = take(campaign, 3)

    services.void(batch)
    importing.run(batch.pk)

    batch.refresh_from_db()
    assert (batch.state, batch.total, batch.voided) == (State.VOID, 10, 7)
    assert states(batch) == (0, 3, 7)
    kept = Serial.objects.filter(batch=batch, state=Serial.State.TAKEN)
    assert {serial.pk for serial in kept} == {one.serial.pk for one in taken}


def test_nothing_is_given_out_from_the_moment_it_is_asked_for():
    campaign = make_campaign()
    batch = make_serials(campaign, 10)

    services.void(batch)

    assert batch.state == State.VOIDING
    assert states(batch) == (10, 0, 0)
    with pytest.raises(OutOfStock):
        take(campaign)


def test_the_next_batch_is_given_out_instead():
    campaign = make_campaign()
    first, second = make_serials(campaign, 5), make_serials(campaign, 5)

    services.void(first)

    [taken] = take(campaign)
    assert taken.batch == second


def test_whoever_read_the_batch_before_takes_what_is_not_void_yet(settings):
    settings.IMPORT_BLOCK = 4
    campaign = make_campaign()
    batch = make_serials(campaign, 10)
    read_before = ready_batches(campaign.pk)
    services.void(batch)
    importing.run(batch.pk, seconds=0)

    taken = take_serial(read_before, at=NOW)
    importing.run(batch.pk)

    assert taken.serial.pos == 5
    with pytest.raises(OutOfStock):
        take_serial(read_before, at=NOW)
    batch.refresh_from_db()
    assert (states(batch), batch.voided) == ((0, 1, 9), 9)


def test_a_worker_that_dies_leaves_a_count_that_is_right_and_another_goes_on(settings):
    settings.IMPORT_BLOCK = 3
    batch = make_serials(make_campaign(), 10)
    services.void(batch)
    seen = []

    while importing.run(batch.pk, seconds=0):
        batch.refresh_from_db()
        seen.append((batch.state, batch.voided, states(batch)[2]))

    assert seen == [("voiding", count, count) for count in (3, 6, 9)]
    batch.refresh_from_db()
    assert (batch.state, batch.voided) == (State.VOID, 10)


def test_a_batch_whose_worker_is_gone_is_taken_over_once_the_lease_is_over(settings):
    settings.IMPORT_BLOCK = 3
    batch = make_serials(make_campaign(), 10)
    services.void(batch)
    importing.run(batch.pk, seconds=0)
    Batch.objects.filter(pk=batch.pk).update(leased_until=NOW + LEASE)

    importing.run(batch.pk, clock=lambda: NOW)
    held = Batch.objects.get(pk=batch.pk)
    importing.run(batch.pk, clock=lambda: NOW + LEASE)

    batch.refresh_from_db()
    assert (held.state, held.voided) == (State.VOIDING, 3)
    assert (batch.state, batch.voided) == (State.VOID, 10)


def test_pressing_twice_is_pressing_once():
    batch = make_serials(make_campaign(), 4)
    twin = Batch.objects.get(pk=batch.pk)

    services.void(batch)
    services.void(twin)
    importing.run(batch.pk)
    services.void(twin)

    batch.refresh_from_db()
    assert (batch.state, batch.voided) == (State.VOID, 4)


def test_a_batch_of_nothing_but_taken_serials_ends_void_too():
    campaign = make_campaign()
    batch = make_serials(campaign, 2)
    take(campaign, 2)

    services.void(batch)
    importing.run(batch.pk)

    batch.refresh_from_db()
    assert (batch.state, batch.voided) == (State.VOID, 0)


def test_only_a_ready_batch_can_be_made_void():
    batch = checked("s\nA\n")

    with pytest.raises(ImportRefused, match="ready"):
        services.void(batch)

    batch.refresh_from_db()
    assert batch.state == State.CHECKED


def test_void_serials_keep_their_place_in_the_campaign():
    campaign = make_campaign(barcode="none")
    batch = make_serials(campaign, ["A-1"])
    services.void(batch)
    importing.run(batch.pk)

    again = checked("s\nA-1\nA-2\n", campaign)

    assert (again.new, again.duplicate) == (1, 1)


# --- one text for everyone ------------------------------------------------------------


def test_the_units_left_of_a_fixed_text_are_void_at_once():
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=10)
    take(campaign, 3)

    services.void(batch)

    batch.refresh_from_db()
    stock = Stock.objects.get(batch=batch)
    assert (batch.state, batch.voided) == (State.VOID, 7)
    assert (stock.taken, stock.quantity) == (3, 3)
    with pytest.raises(OutOfStock):
        take(campaign)


def test_a_fixed_text_without_a_limit_is_void_at_once():
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=None)
    take(campaign, 3)

    services.void(batch)

    batch.refresh_from_db()
    assert (batch.state, batch.voided) == (State.VOID, 0)
    with pytest.raises(OutOfStock):
        take(campaign)


def test_the_last_step_of_a_redeem_finds_no_unit_of_a_void_text():
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=10)
    taken = take_serial(ready_batches(campaign.pk), at=NOW)

    services.void(batch)

    with pytest.raises(StockMoved):
        take_unit(taken.batch)


# --- the order ------------------------------------------------------------------------


def order(campaign):
    return [batch.name for batch in ready_batches(campaign.pk)]


def test_the_batch_put_first_goes_before_all_others_and_these_keep_their_order():
    campaign = make_campaign()
    _, b, c = (make_serials(campaign, 1, name=name) for name in "ABC")
    other = make_serials(make_campaign(), 1)

    services.give_first(c)
    first = order(campaign)
    services.give_first(b)

    assert first == ["C", "A", "B"]
    assert order(campaign) == ["B", "C", "A"]
    other.refresh_from_db()
    assert other.position == 0


def test_putting_the_first_batch_first_changes_nothing():
    campaign = make_campaign()
    first, _ = (make_serials(campaign, 1, position=3) for _ in range(2))

    services.give_first(first)

    assert set(Batch.objects.values_list("position", flat=True)) == {3}


def test_a_batch_with_the_highest_number_there_is_stays_behind():
    campaign = make_campaign()
    last = make_serials(campaign, 1, name="Z", position=2_147_483_647)
    make_serials(campaign, 1, name="A", position=2_147_483_646)
    b = make_serials(campaign, 1, name="B", position=2_147_483_647)

    services.give_first(b)

    assert order(campaign)[0] == "B"
    last.refresh_from_db()
    assert last.position == 2_147_483_647


# --- deleting -------------------------------------------------------------------------


def test_a_void_batch_that_gave_something_out_stays():
    campaign = make_campaign()
    one_time, fixed = make_serials(campaign, 2), make_fixed_batch(campaign)
    take(campaign, 3)
    for batch in (one_time, fixed):
        services.void(batch)
        importing.run(batch.pk)
        with pytest.raises(ImportRefused, match="has to stay"):
            services.delete(batch)

    assert Batch.objects.filter(campaign=campaign).count() == 2


def test_a_batch_without_a_serial_can_be_deleted():
    campaign = make_campaign()
    empty = make_serials(campaign, 0)
    cancelled = checked("s\nA\n", campaign)
    services.cancel(cancelled)

    for batch in (empty, cancelled):
        services.delete(batch)

    assert not Batch.objects.filter(campaign=campaign).exists()


def test_the_text_of_a_void_batch_can_not_be_used_by_a_serial_of_ones_own():
    campaign = make_campaign(barcode="none")
    batch = services.make_fixed(
        campaign, code="SAME", quantity=5, name="", by=make_user()
    )
    services.void(batch)

    again = checked("s\nSAME\nOTHER\n", campaign)

    assert (again.new, again.duplicate) == (1, 1)
