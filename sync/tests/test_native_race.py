"""A coupon closed while it is being sent leaves no delivery behind, on PostgreSQL."""

from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries import services as deliveries
from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from sync.models import Publication
from sync.native import checked
from sync.services.native import start_native
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_publication,
    make_remote_coupon,
    make_user,
)
from testing.races import ROUNDS

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
CLOSERS = 2  # of the threads; the others send


def close(publication):
    """As taking a coupon back does: the state and the deliveries in one transaction."""
    with transaction.atomic():
        publication.move((Publication.State.OPEN,), Publication.State.CLOSING)
        deliveries.cancel_native(
            publication.coupons.get().remote_id, reason="It was taken back."
        )


def naive_start(publication_id, **fields):
    """Look, then send: what the lock is there against."""
    publication = Publication.objects.get(pk=publication_id)
    return deliveries.start_native(
        publication.campaign,
        publication.connection,
        checked(publication, at=timezone.now()),
        **fields,
    )


def left_behind(racers, start):
    """Deliveries of the closed coupon that nobody has cancelled, over all rounds."""
    by, found = make_user(), 0
    for _round in range(ROUNDS):
        publication = make_publication(make_campaign(), make_connection(), live=1)
        coupon = make_remote_coupon(publication, told="RUNNING")
        contact = make_contact(publication.connection)

        def run(number, publication=publication, contact=contact):
            if number < CLOSERS:
                return close(Publication.objects.get(pk=publication.pk))
            return start(publication.pk, nonce=uuid4(), by=by, contact=contact)

        for result in racers.race(run):
            if isinstance(result, Exception):
                assert isinstance(result, DeliveryError), result
        rows = Delivery.objects.filter(native_coupon_id=coupon.remote_id)
        found += rows.filter(state__in=Delivery.OPEN).count()
    return found


def test_whoever_closes_a_coupon_cancels_every_delivery_of_it(racers):
    assert left_behind(racers, start_native) == 0


def test_without_the_lock_some_are_left_behind(racers):
    assert left_behind(racers, naive_start) > 0
