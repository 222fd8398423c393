"""Two events of one new user at the same moment, on a database server."""

import pytest
from django.utils import timezone

from contacts.models import Contact
from sync.models import InboundEvent
from sync.processing import work_off, work_off_one
from sync.tests.webhooks import HANA, make_event
from testing.factories import make_connection
from testing.races import ROUNDS, Racers

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def racers():
    racers = Racers(8)
    yield racers
    racers.stop()


def make_follows(connection, count):
    at = timezone.now()
    return InboundEvent.objects.bulk_create(
        InboundEvent(
            connection=connection,
            event_id=f"{connection.pk}-{n}",
            kind="follow",
            occurred_at=at,
            payload=make_event("follow"),
            next_try_at=at,
        )
        for n in range(count)
    )


def test_follows_of_one_new_user_in_many_threads_make_one_contact(racers):
    for _ in range(ROUNDS):
        connection = make_connection()
        events = make_follows(connection, racers.count)

        results = racers.race(lambda n, events=events: work_off_one(events[n].pk))

        assert results == [None] * racers.count
        made = Contact.objects.filter(connection=connection, line_user_id=HANA)
        assert made.count() == 1
        assert not InboundEvent.objects.filter(processed_at=None).exists()
        assert not InboundEvent.objects.filter(tries__gt=0).exists()


def test_many_workers_apply_each_event_once(racers):
    connection = make_connection()
    make_follows(connection, 100)

    racers.race(lambda n: work_off())

    assert not InboundEvent.objects.filter(processed_at=None).exists()
    assert not InboundEvent.objects.filter(tries__gt=0).exists()
    assert Contact.objects.count() == 1
