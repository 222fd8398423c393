"""Twenty workers at once on PostgreSQL: nobody claims, prepares or books a thing twice."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from connections.pacing import book
from deliveries.models import Delivery, Dispatch, Recipient
from deliveries.preparing import prepare
from deliveries.services import start_delivery
from testing.factories import (
    make_campaign,
    make_connection,
    make_contacts,
    make_list,
    make_user,
)
from testing.races import THREADS

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
LEASE = timedelta(seconds=30)


@pytest.fixture
def planned():
    """What a delivery to 60 contacts is made of."""
    connection = make_connection()
    return {
        "campaign": make_campaign(),
        "connection": connection,
        "contact_list": make_list(*make_contacts(connection, 60)),
        "nonce": uuid4(),
        "by": make_user(),
    }


def failures(results):
    return [result for result in results if isinstance(result, Exception)]


def naive_claim(delivery_id):
    """Read, then write: what the guards are there against."""
    due = Dispatch.objects.filter(delivery_id=delivery_id, status="queued")
    ids = list(due.order_by("next_try_at").values_list("pk", flat=True)[:3])
    now = timezone.now()
    Dispatch.objects.filter(pk__in=ids).update(
        status="sending", first_try_at=now, leased_until=now + LEASE
    )
    return ids


def test_no_dispatch_is_claimed_twice(racers, planned):
    delivery = start_delivery(**planned)
    prepare(delivery.pk)
    now = timezone.now()

    def claim(number):
        rows = Dispatch.objects.claim(3, of=[delivery.pk], now=now, lease=LEASE)
        return [row.pk for row in rows]

    claimed = Counter(pk for ids in racers.race(claim) for pk in ids)

    assert len(claimed) == 60
    assert set(claimed.values()) == {1}


def test_the_same_race_with_a_naive_claim_doubles(racers, planned):
    delivery = start_delivery(**planned)
    prepare(delivery.pk)

    results = racers.race(lambda number: naive_claim(delivery.pk))

    claimed = Counter(pk for ids in results for pk in ids)
    assert max(claimed.values()) > 1


def test_one_press_arriving_twenty_times_makes_one_delivery(racers, planned):
    results = racers.race(lambda number: start_delivery(**planned).pk)

    assert failures(results) == []
    assert len(set(results)) == 1
    assert Delivery.objects.count() == 1


def test_twenty_workers_prepare_each_contact_once(racers, planned):
    delivery = start_delivery(**planned)

    results = racers.race(lambda number: prepare(delivery.pk, piece=7))

    assert failures(results) == []
    delivery.refresh_from_db()
    assert (delivery.state, delivery.total) == ("ready", 60)
    assert Recipient.objects.values("contact").distinct().count() == 60
    assert Recipient.objects.count() == 60


def test_booked_times_do_not_overlap(racers, planned):
    now = timezone.now()
    latest = now + timedelta(minutes=5)

    def take(number):
        which = planned["connection"].pk
        return book(which, "push", 100, rate=1_000, now=now, latest=latest)

    starts = sorted(racers.race(take))

    gaps = [after - before for before, after in zip(starts, starts[1:], strict=False)]
    assert len(starts) == THREADS
    assert set(gaps) == {timedelta(seconds=0.1)}
    none = book(
        planned["connection"].pk, "push", 1, rate=1_000, now=now, latest=starts[0]
    )
    assert none is None
