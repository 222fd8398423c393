"""Two imports of the same serials at once, on a database that lets both write."""

import threading
import time

import pytest
from django.db import connection, transaction

from campaigns.models import Campaign
from serials import importing, services
from serials.models import Batch, Serial
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


def test_two_people_import_the_same_file_and_each_serial_comes_once(settings):
    settings.IMPORT_BLOCK = 700
    for _ in range(5):
        campaign = make_campaign()
        first = checked(numbered(range(4_000)), campaign)
        second = checked(numbered(reversed(range(4_000))), campaign)
        for batch in (first, second):
            services.confirm(batch)

        at_once(lambda a=first: work_off(a), lambda b=second: work_off(b))

        for batch in (first, second):
            batch.refresh_from_db()
            assert_exact(batch)
        assert first.new + second.new == 4_000
        assert Serial.objects.filter(campaign=campaign).count() == 4_000


def test_many_workers_on_one_import_do_each_block_once(settings):
    settings.IMPORT_BLOCK = 500
    batch = checked(numbered(range(5_000)))
    services.confirm(batch)

    def worker():
        for _ in range(30):
            importing.run(batch.pk, seconds=0)

    at_once(*[worker] * 5)
    work_off(batch)

    batch.refresh_from_db()
    assert_exact(batch)


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

    stays.refresh_from_db()
    assert_exact(stays)
    assert not Serial.objects.filter(batch=goes).exists()


def test_a_check_that_two_workers_want_is_done_by_one():
    batch = upload(numbered(range(20_000)))

    at_once(*[lambda: work_off(batch)] * 4)

    batch.refresh_from_db()
    assert (batch.state, batch.new) == (Batch.State.CHECKED, 20_000)


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
