"""A pause for whoever scans too much, or too much that is not ours."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from coupons.models import ScanPace
from coupons.pausing import MISSES, SCANS, begin_scan, not_a_miss
from testing.factories import make_user
from testing.races import ROUNDS, THREADS

MINUTE = timedelta(minutes=1)


@pytest.mark.django_db
def test_hits_are_free_up_to_the_scans_of_a_minute():
    clerk, at = make_user(), timezone.now()
    for _ in range(SCANS):
        assert begin_scan(clerk, at=at) is None
        not_a_miss(clerk, at=at)

    assert begin_scan(clerk, at=at) == timedelta(seconds=30)


@pytest.mark.django_db
def test_misses_of_the_minute_before_are_forgotten():
    clerk, at = make_user(), timezone.now()
    for _ in range(MISSES - 1):
        begin_scan(clerk, at=at)

    assert begin_scan(clerk, at=at + MINUTE) is None
    assert ScanPace.objects.get().misses == 1


@pytest.mark.django_db
def test_an_answer_that_comes_late_takes_nothing_off_the_next_minute():
    clerk, at = make_user(), timezone.now()
    begin_scan(clerk, at=at)
    begin_scan(clerk, at=at + MINUTE)

    not_a_miss(clerk, at=at)

    assert ScanPace.objects.get().misses == 1


@pytest.mark.django_db
def test_the_pause_is_not_made_longer_by_scanning_on_and_counts_anew_after():
    clerk, at = make_user(), timezone.now()
    for _ in range(MISSES):
        begin_scan(clerk, at=at)
    begin_scan(clerk, at=at)

    later = at + timedelta(seconds=20)
    assert begin_scan(clerk, at=later) == timedelta(seconds=10)
    assert begin_scan(clerk, at=at + timedelta(seconds=30)) is None
    assert ScanPace.objects.get().misses == 1


# --- guesses that arrive together ------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_guesses_that_arrive_together_get_no_further_than_one_after_the_other(racers):
    at = timezone.now()
    for _ in range(ROUNDS):
        clerk = make_user()
        for _ in range(MISSES - 5):
            begin_scan(clerk, at=at)

        waits = racers.race(lambda n, clerk=clerk: begin_scan(clerk, at=at))

        assert waits.count(None) == 5
        assert waits.count(timedelta(seconds=30)) == THREADS - 5


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("naive_tables")
def test_the_harness_catches_a_limit_that_counts_afterwards(racers):
    def guess(n):
        with connection.cursor() as cursor:
            with transaction.atomic():
                cursor.execute("SELECT used FROM naive_counter")
                may = cursor.fetchone()[0] < 5
                cursor.execute("SELECT pg_sleep(0.01)")
            if may:
                cursor.execute("UPDATE naive_counter SET used = used + 1")
        return may

    worst = 0
    for _ in range(ROUNDS):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE naive_counter")
            cursor.execute("INSERT INTO naive_counter VALUES (0, 5)")
        worst = max(worst, sum(racers.race(guess)))

    assert worst > 5
