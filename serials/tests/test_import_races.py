"""Two imports of the same serials at once, on a database that lets both write."""

import threading
import time

import pytest
from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import Campaign
from reports.ledger import find_breaks
from serials import importing, services
from serials.models import Batch, RefusedRow, Serial
from serials.tests.files import assert_exact, checked, upload
from testing.factories import make_campaign, make_user

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def at_once(*jobs):
    """Run the jobs in threads of their own that start together; raises what they do."""
    barrier = threading.Barrier(len(jobs))
    failed = []

    def run(job):
        try:
            barrier.wait()
            job()
        except Exception as error:  # noqa: BLE001 (raised again below)
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def work_off(batch):
    while importing.run(batch.pk):
        pass


def numbered(order):
    return "serial\n" + "".join(f"N{n:06d}\n" for n in order)


def assert_each_row_once(batch):
    """Each row of the file is a serial or is listed, and the counts are those."""
    batch.refresh_from_db()
    assert_exact(batch)
    taken = Serial.objects.filter(batch=batch).values_list("pos", flat=True)
    listed = RefusedRow.objects.filter(batch=batch).values_list("line", flat=True)
    assert sorted([*taken, *listed]) == list(range(2, batch.lines + 2))


def assert_all_agrees():
    assert find_breaks(now=timezone.now()) == []


@pytest.mark.parametrize("is_reversed", [False, True])
def test_two_people_import_the_same_serials_and_each_comes_once(settings, is_reversed):
    settings.IMPORT_BLOCK = 700
    order = range(4_000)
    shares = []
    for _ in range(3):
        campaign = make_campaign()
        first = checked(numbered(order), campaign)
        second = checked(numbered(reversed(order) if is_reversed else order), campaign)
        for batch in (first, second):
            services.confirm(batch)

        at_once(lambda a=first: work_off(a), lambda b=second: work_off(b))

        for batch in (first, second):
            assert_each_row_once(batch)
        codes = Serial.objects.filter(campaign=campaign).values_list("code", flat=True)
        assert sorted(codes) == [f"N{n:06d}" for n in order]
        shares.append(min(first.new, second.new))
    if is_reversed:
        assert any(shares)  # so they met in the middle
    assert_all_agrees()


def naive_import(order):
    """Add what is not there yet, to a table without a unique key."""
    for first in range(0, len(order), 700):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO naive_serial SELECT n FROM unnest(%s::int[]) n"
                " WHERE NOT EXISTS (SELECT 1 FROM naive_serial WHERE code = n)",
                [list(order[first : first + 700])],
            )


def test_two_naive_imports_of_the_same_file_bring_serials_twice():
    """The control: the same rush, on code that looks before it writes."""
    order = range(4_000)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE naive_serial (code int)")
        try:
            for _ in range(5):
                cursor.execute("TRUNCATE naive_serial")
                at_once(*[lambda: naive_import(order)] * 2)
                cursor.execute("SELECT count(*) FROM naive_serial")
                [count] = cursor.fetchone()
                if count > len(order):
                    return
        finally:
            cursor.execute("DROP TABLE naive_serial")
    pytest.fail("It never brought one twice.")


def test_many_workers_on_one_import_do_each_block_once(settings):
    settings.IMPORT_BLOCK = 500
    batch = checked(numbered(range(5_000)))
    services.confirm(batch)

    def worker():
        for _ in range(30):
            importing.run(batch.pk, seconds=0)

    at_once(*[worker] * 5)
    work_off(batch)

    assert_each_row_once(batch)
    assert batch.new == 5_000
    assert_all_agrees()


def test_a_cancel_beside_a_running_import_leaves_no_serial(settings):
    settings.IMPORT_BLOCK = 200
    for _ in range(5):
        batch = checked(numbered(range(6_000)))
        services.confirm(batch)

        at_once(
            lambda a=batch: work_off(a),
            lambda b=batch: services.cancel(Batch.objects.get(pk=b.pk)),
        )
        work_off(batch)

        batch.refresh_from_db()
        assert batch.state == Batch.State.CANCELLED
        assert not Serial.objects.filter(batch=batch).exists()
    assert_all_agrees()


def test_an_import_beside_one_that_is_cancelled_stays_exact(settings):
    settings.IMPORT_BLOCK = 300
    campaign = make_campaign()
    stays = checked(numbered(range(3_000)), campaign)
    goes = checked(numbered(reversed(range(3_000))), campaign)
    for batch in (stays, goes):
        services.confirm(batch)
    importing.run(goes.pk, seconds=0)

    def drop():
        services.cancel(Batch.objects.get(pk=goes.pk))
        work_off(goes)

    at_once(drop, lambda: work_off(stays))

    assert_each_row_once(stays)
    assert not Serial.objects.filter(batch=goes).exists()
    assert_all_agrees()


def test_a_check_that_two_workers_want_is_done_by_one():
    batch = upload(numbered(range(20_000)))

    at_once(*[lambda: work_off(batch)] * 4)

    batch.refresh_from_db()
    assert (batch.state, batch.new) == (Batch.State.CHECKED, 20_000)
    assert_all_agrees()


def test_a_new_batch_waits_for_whoever_changes_how_keys_are_compared():
    loaded, person = make_campaign(barcode="none"), make_user()
    is_held = threading.Event()

    def flip():
        with transaction.atomic():
            campaign = Campaign.objects.select_for_update().get(pk=loaded.pk)
            is_held.set()
            time.sleep(0.3)
            assert not campaign.batches.exists()
            campaign.is_case_sensitive = True
            campaign.save()

    def make():
        is_held.wait()
        services.make_fixed(loaded, code="Abc", quantity=1, name="", by=person)

    at_once(flip, make)

    assert Batch.objects.get().code_key == "Abc"
    assert_all_agrees()
