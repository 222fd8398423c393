from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Campaign
from serials import importing, services
from serials.errors import ImportRefused, LeaseLost, OutOfStock
from serials.models import Batch, RefusedRow, Serial, UploadChunk
from serials.steps import LEASE
from serials.tasks import sweep, work
from serials.tests.files import (
    assert_exact,
    checked,
    codes,
    counts,
    imported,
    report,
    upload,
)
from testing.factories import make_campaign, make_fixed_batch, make_serials

pytestmark = pytest.mark.django_db
State = Batch.State


@pytest.fixture
def small_blocks(settings):
    """Three rows a commit, so that a short file has several."""
    settings.IMPORT_BLOCK = 3


def later(seconds=60):
    return lambda: timezone.now() + timedelta(seconds=seconds)


def numbered(count):
    return "serial\n" + "".join(f"N{n:04d}\n" for n in range(count))


def test_a_checked_file_has_brought_nothing_yet():
    batch = checked(numbered(5))

    assert batch.state == State.CHECKED
    assert counts(batch) == (5, 0, 0)
    assert not Serial.objects.exists()


def test_a_confirmed_file_becomes_stock_and_is_not_kept():
    batch = imported(numbered(5))

    assert_exact(batch)
    assert batch.ready_at is not None
    assert codes(batch)[0] == "N0000"
    assert not UploadChunk.objects.exists()


def test_the_same_file_again_adds_nothing_and_says_so():
    campaign = make_campaign()
    imported(numbered(5), campaign)

    again = checked(numbered(5), campaign)

    assert counts(again) == (0, 5, 0)
    assert {why for _row, why in report(again)} == {"in_campaign"}
    with pytest.raises(ImportRefused, match="Nothing in this file is new"):
        services.confirm(again)
    assert Serial.objects.count() == 5


def test_serials_of_another_campaign_are_not_in_the_way():
    imported(numbered(3))

    assert counts(imported(numbered(3))) == (3, 0, 0)


def test_several_files_fill_one_campaign():
    campaign = make_campaign()
    imported(numbered(3), campaign)

    batch = imported(numbered(5), campaign)

    assert counts(batch) == (2, 3, 0)
    assert_exact(batch)


def test_nothing_is_given_out_before_the_batch_is_whole(small_blocks):
    campaign = make_campaign()
    batch = checked(numbered(7), campaign)
    services.confirm(batch)

    assert importing.run(batch.pk, seconds=0)

    assert codes(batch) == ["N0000", "N0001"]
    with pytest.raises(OutOfStock):
        services.take_serial(services.ready_batches(campaign.pk), at=timezone.now())


def test_an_import_goes_on_from_its_checkpoint(small_blocks):
    batch = checked("serial\nA1\nA2\na1\nA3,x\n\nA4\nA2\nA5\n")
    services.confirm(batch)
    seen = []

    while importing.run(batch.pk, seconds=0):
        batch.refresh_from_db()
        seen.append((batch.done_to, *counts(batch)))

    batch.refresh_from_db()
    assert seen == [(3, 2, 0, 0), (6, 2, 1, 2), (9, 4, 2, 2)]
    assert_exact(batch)
    assert codes(batch) == ["A1", "A2", "A4", "A5"]


def test_the_next_worker_takes_over_from_one_that_died(small_blocks):
    batch = checked(numbered(7))
    services.confirm(batch)
    importing.run(batch.pk, seconds=0)
    # Killed at the start of its next block: the lease stays, nothing else.
    held = timezone.now() + LEASE
    Batch.objects.filter(pk=batch.pk).update(leased_until=held)

    assert not importing.run(batch.pk)
    batch.refresh_from_db()
    assert batch.state == State.IMPORTING
    importing.run(batch.pk, clock=later())

    batch.refresh_from_db()
    assert_exact(batch)


def test_a_worker_whose_lease_went_writes_nothing_more(small_blocks):
    batch = checked(numbered(7))
    services.confirm(batch)
    late = importing._claim(batch.pk, timezone.now)
    assert late is not None
    importing.run(batch.pk, clock=later())

    with pytest.raises(LeaseLost):
        importing._bring(late, float("inf"), timezone.now)

    batch.refresh_from_db()
    assert_exact(batch)


def test_a_doubled_task_changes_nothing():
    batch = imported(numbered(4))

    work(batch.pk)
    work(batch.pk)

    assert_exact(batch)


def test_a_check_that_was_cut_off_starts_again_from_the_top(small_blocks):
    batch = upload("serial\nA1\n,\n\n;\nA2\n")
    # What a killed check leaves: part of the report and a lease.
    RefusedRow.objects.create(batch=batch, line=3, value=",", reason="columns")
    Batch.objects.filter(pk=batch.pk).update(
        done_to=4, leased_until=timezone.now() + LEASE
    )

    importing.run(batch.pk, clock=later())

    batch.refresh_from_db()
    assert batch.state == State.CHECKED
    assert counts(batch) == (2, 0, 3)
    assert report(batch) == [(3, "columns"), (4, "empty"), (5, "columns")]


def test_confirming_twice_is_confirming_once():
    batch = checked(numbered(3))

    services.confirm(batch)
    services.confirm(Batch.objects.get(pk=batch.pk))
    work(batch.pk)
    services.confirm(Batch.objects.get(pk=batch.pk))

    batch.refresh_from_db()
    assert_exact(batch)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_cancelled_import_leaves_the_stock_as_it_was(small_blocks, blocks):
    campaign = make_campaign()
    make_serials(campaign, ["N0001", "OLD"])
    batch = checked(numbered(9), campaign)
    services.confirm(batch)
    for _ in range(blocks):
        importing.run(batch.pk, seconds=0)

    services.cancel(Batch.objects.get(pk=batch.pk))
    work(batch.pk)

    batch.refresh_from_db()
    assert (batch.state, batch.done_to) == (State.CANCELLED, 0)
    assert set(Serial.objects.values_list("code", flat=True)) == {"N0001", "OLD"}
    assert not UploadChunk.objects.exists()
    assert counts(imported(numbered(9), campaign)) == (8, 1, 0)


def test_a_cancel_stops_the_worker_at_its_next_block(small_blocks):
    batch = checked(numbered(9))
    services.confirm(batch)
    at_work = importing._claim(batch.pk, timezone.now)
    assert at_work is not None

    services.cancel(Batch.objects.get(pk=batch.pk))

    with pytest.raises(LeaseLost):
        importing._bring(at_work, float("inf"), timezone.now)
    assert not Serial.objects.exists()


def test_a_ready_batch_cannot_be_cancelled():
    batch = imported(numbered(3))

    with pytest.raises(ImportRefused, match="finished already"):
        services.cancel(batch)

    assert_exact(batch)


def test_a_serial_that_came_meanwhile_is_counted_as_a_duplicate():
    campaign = make_campaign()
    batch = checked(numbered(4), campaign)
    make_serials(campaign, ["n0002"])

    services.confirm(batch)
    work(batch.pk)

    batch.refresh_from_db()
    assert counts(batch) == (3, 1, 0)
    assert report(batch) == [(4, "in_campaign")]
    assert_exact(batch)


def test_a_barcode_changed_after_the_check_is_obeyed():
    campaign = make_campaign(barcode="none")
    batch = checked("s\nab\nCD\n", campaign)
    campaign.barcode = "code39"
    campaign.save()

    services.confirm(batch)
    work(batch.pk)

    batch.refresh_from_db()
    assert codes(batch) == ["CD"]
    assert_exact(batch)


def test_a_barcode_changed_in_the_middle_refuses_the_batch(small_blocks):
    campaign = make_campaign(barcode="none")
    batch = checked("s\nab\ncd\nEF\nGH\nIJ\n", campaign)
    services.confirm(batch)
    importing.run(batch.pk, seconds=0)
    campaign.barcode = "code39"
    campaign.save()

    while importing.run(batch.pk):
        pass

    batch.refresh_from_db()
    assert batch.state == State.REFUSED
    assert "barcode was changed" in batch.problem
    assert not Serial.objects.exists()


def test_an_ended_campaign_takes_no_serials():
    with pytest.raises(ImportRefused, match="has ended") as refusal:
        upload(numbered(1), make_campaign(state="ended"))

    assert refusal.value.field == "campaign"


def test_an_unconfirmed_check_is_dropped_after_a_week():
    batch = checked(numbered(2))

    importing.tidy(later(seconds=8 * 86_400))
    importing.tidy(later(seconds=8 * 86_400))

    batch.refresh_from_db()
    assert batch.state == State.CANCELLED
    assert not UploadChunk.objects.exists()


def test_the_sweep_finds_what_waits_and_leaves_what_is_at_work():
    waiting, at_work, done = upload(numbered(1)), upload(numbered(1)), checked("s\nA")
    Batch.objects.filter(pk=at_work.pk).update(leased_until=timezone.now() + LEASE)

    due = Batch.objects.due(timezone.now())
    sweep()

    assert list(due) == [waiting]
    assert done.state == State.CHECKED


def test_an_upload_goes_by_the_campaign_as_it_is_now():
    loaded = make_campaign(barcode="none")
    Campaign.objects.filter(pk=loaded.pk).update(state=Campaign.State.ENDED)

    with pytest.raises(ImportRefused, match="has ended"):
        upload(numbered(1), loaded)

    assert not Batch.objects.exists()


def test_what_a_campaign_asks_of_its_serials_is_read_anew():
    batch = upload(numbered(1))
    Campaign.objects.filter(pk=batch.campaign_id).update(
        is_case_sensitive=True, barcode="code39"
    )

    rules = importing.rules_of(batch)

    assert (rules.barcode, rules.is_case_sensitive) == ("code39", True)


def test_the_text_of_a_fixed_serial_is_no_serial_of_ones_own(small_blocks):
    campaign = make_campaign(barcode="none")
    make_fixed_batch(campaign, code="SPRING")
    make_fixed_batch(make_campaign(), code="A1")
    file = "serial\nA1\nspring\nA2\nSpring\nA2\n"
    left_out = [(3, "in_campaign"), (5, "in_campaign"), (6, "in_file")]

    batch = checked(file, campaign)
    assert (counts(batch), report(batch)) == ((2, 3, 0), left_out)
    services.confirm(batch)
    work(batch.pk)

    batch.refresh_from_db()
    assert_exact(batch)
    assert report(batch) == left_out
    assert codes(batch) == ["A1", "A2"]


def test_a_fixed_serial_made_after_the_check_is_left_out_too():
    campaign = make_campaign(barcode="none")
    batch = checked("serial\nA1\nSPRING\n", campaign)
    make_fixed_batch(campaign, code="SPRING")

    services.confirm(batch)
    work(batch.pk)

    batch.refresh_from_db()
    assert_exact(batch)
    assert (codes(batch), report(batch)) == (["A1"], [(3, "in_campaign")])


def test_a_fixed_serial_that_slipped_in_beside_a_block_stops_the_import(small_blocks):
    campaign = make_campaign(barcode="none")
    batch = checked(numbered(5), campaign)
    services.confirm(batch)
    importing.run(batch.pk, seconds=0)
    # As when it was made while the block that has it was not committed yet.
    make_fixed_batch(campaign, code="N0000")

    while importing.run(batch.pk):
        pass

    batch.refresh_from_db()
    assert batch.state == State.REFUSED
    assert "Upload the file again" in batch.problem
    assert not Serial.objects.exists()
