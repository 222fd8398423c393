"""Two imports of the same serials at once, on a database that lets both write."""

import threading

import pytest
from django.db import connection

from serials import importing, services
from serials.models import Batch, Serial
from serials.tests.files import assert_exact, checked, upload
from testing.factories import make_campaign

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
