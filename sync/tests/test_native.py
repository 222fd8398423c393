"""LINE's own coupon is sent as a message only while it is there and can be used."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from deliveries.preparing import prepare
from sync.models import Publication, RemoteCoupon
from sync.native import native_of, stop_native
from sync.services.native import sendable, start_native
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_publication,
    make_remote_coupon,
    make_user,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def published(told="RUNNING", state="open", **fields):
    """A campaign at LINE with its one coupon."""
    publication = make_publication(
        make_campaign(), make_connection(), state=state, live=1
    )
    fields.setdefault("ends_at", timezone.now() + 30 * DAY)
    make_remote_coupon(publication, told=told, **fields)
    return publication


def start(publication, **fields):
    fields.setdefault("contact", make_contact(publication.connection))
    return start_native(publication.pk, nonce=uuid4(), by=make_user("Editor"), **fields)


def why_not(publication):
    return sendable(publication, at=timezone.now())


def test_a_running_coupon_can_be_sent_and_the_delivery_knows_it():
    ends = timezone.now() + 3 * DAY
    publication = published(title="Spring", remote_id="01ABC", ends_at=ends)

    delivery = start(publication, tag="spring")

    assert why_not(publication) == ""
    assert delivery.native_coupon_id == "01ABC"
    assert (delivery.native_title, delivery.native_ends_at) == ("Spring", ends)
    assert (delivery.campaign, delivery.connection, delivery.delivery_tag) == (
        publication.campaign,
        publication.connection,
        "spring",
    )


def test_what_line_has_not_told_yet_is_what_it_was_given():
    publication = published(told="", ends_at=None)
    publication.terms = {
        "title": "Spring",
        "startTimestamp": 1_800_000_000,
        "endTimestamp": 1_900_000_000,
    }
    RemoteCoupon.objects.update(own={"title": "Summer"})

    native = native_of(publication)

    assert native.title == "Summer"
    assert native.starts_at.timestamp() == 1_800_000_000
    assert native.ends_at.timestamp() == 1_900_000_000


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"told": "DRAFT"}, "a draft on LINE"),
        ({"told": "CLOSED"}, "closed on LINE"),
        ({"missing_since": timezone.now()}, "closed on LINE"),
        ({"status": "gone"}, "taken back"),
        ({"errand": "delete"}, "taken back"),
        ({"status": "unknown"}, "not certain"),
        ({"status": "refused"}, "not certain"),
        ({"status": "waiting", "remote_id": ""}, "not on LINE yet"),
        ({"state": "closing"}, "taken back"),
        ({"ends_at": timezone.now() - DAY}, "ended on"),
    ],
)
def test_what_cannot_be_used_is_not_sent_and_says_why(fields, words):
    publication = published(**fields)

    with pytest.raises(DeliveryError) as refusal:
        start(publication)

    assert words in why_not(publication)
    assert refusal.value.code == "not_sendable"
    assert words in refusal.value.message
    assert not Delivery.objects.exists()


def test_a_coupon_elsewhere_than_on_line_is_no_message():
    publication = make_publication(
        make_campaign(), make_connection(provider="paddle"), live=1
    )
    make_remote_coupon(publication)

    assert "Only a coupon on LINE" in why_not(publication)


def test_one_that_begins_later_can_be_planned():
    publication = published(starts_at=timezone.now() + DAY)

    with pytest.raises(DeliveryError) as refusal:
        start(publication)
    delivery = start(publication, send_at=timezone.now() + 2 * DAY)

    assert refusal.value.code == "too_early"
    assert delivery.send_at > delivery.native_starts_at


def test_the_same_press_is_the_same_delivery_even_once_the_coupon_is_closed():
    publication, nonce = published(), uuid4()
    contact, by = make_contact(publication.connection), make_user("Editor")

    first = start_native(publication.pk, nonce=nonce, by=by, contact=contact)
    RemoteCoupon.objects.update(told="CLOSED")
    second = start_native(publication.pk, nonce=nonce, by=by, contact=contact)

    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"told": "CLOSED"},
        {"status": "gone"},
        {"missing_since": timezone.now()},
        {"errand": "delete", "next_try_at": timezone.now()},
    ],
)
def test_the_sweep_cancels_what_was_closed_meanwhile(change):
    closed, running = start(published()), start(published())
    rows = RemoteCoupon.objects.filter(remote_id=closed.native_coupon_id)
    rows.update(**change)

    assert stop_native() == 1
    prepare(closed.pk)

    closed.refresh_from_db()
    running.refresh_from_db()
    assert closed.state == Delivery.State.CANCELLED
    assert closed.pause_reason
    assert running.state == Delivery.State.PREPARING


def test_the_sweep_asks_for_no_coupon_when_nothing_is_under_way(
    django_assert_num_queries,
):
    published(told="CLOSED")

    with django_assert_num_queries(1):
        assert stop_native() == 0


def test_a_coupon_of_another_account_with_the_same_id_changes_nothing():
    delivery = start(published(remote_id="01ABC"))
    other = make_publication(
        make_campaign(), make_connection(), state=Publication.State.OPEN
    )
    make_remote_coupon(other, remote_id="01ABC", told="CLOSED")

    stop_native()

    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.PREPARING
