"""Freezing an audience: everybody once, whatever dies in between."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.services import move
from contacts.models import Contact, Membership
from coupons.models import Coupon
from deliveries.errors import DeliveryError
from deliveries.models import Delivery, Dispatch, Recipient, retry_key
from deliveries.preparing import Reason, preparable, prepare
from deliveries.services import count_audience
from deliveries.tests.helpers import fresh, later, send
from testing.factories import (
    make_connection,
    make_contact,
    make_contacts,
    make_coupon,
    make_fixed_batch,
    make_list,
)

pytestmark = pytest.mark.django_db


class Died(Exception):
    """A worker's sudden end, thrown out of the clock that it reads."""


def dies_at(reading):
    """A clock that works until its n-th reading."""
    readings = iter(range(1, 1_000))

    def clock():
        if next(readings) == reading:
            raise Died
        return timezone.now()

    return clock


def test_each_reachable_contact_becomes_one_recipient_with_a_coupon(shop):
    delivery = shop.start(25)

    more = prepare(delivery.pk, piece=10)

    delivery.refresh_from_db()
    assert more is False
    assert delivery.state == Delivery.State.READY
    assert (delivery.total, delivery.left_out) == (25, 0)
    assert Recipient.objects.values("contact").distinct().count() == 25
    assert Coupon.objects.filter(status="issued").count() == 25
    numbers = list(delivery.dispatches.order_by("number").values_list("number"))
    assert numbers == [(n,) for n in range(1, 26)]
    assert delivery.leased_until is None


def test_retry_keys_are_the_same_whenever_it_is_prepared(shop):
    delivery = shop.ready(2)

    keys = delivery.dispatches.order_by("number").values_list("retry_key", flat=True)

    assert list(keys) == [
        retry_key(shop.connection.pk, delivery.nonce, number) for number in (1, 2)
    ]


def test_a_crash_between_pieces_loses_and_doubles_nobody(shop):
    delivery = shop.start(25)
    # The lease is read first; each piece reads the clock twice.
    with pytest.raises(Died):
        prepare(delivery.pk, piece=10, clock=dies_at(4))
    assert fresh(delivery).total == 10
    send()
    assert shop.counts() == {}

    assert prepare(delivery.pk, piece=10) is False  # the dead one's lease still runs
    assert fresh(delivery).total == 10
    prepare(delivery.pk, piece=10, clock=later(seconds=61))

    assert fresh(delivery).state == Delivery.State.READY
    assert fresh(delivery).total == 25
    assert Recipient.objects.values("contact").distinct().count() == 25
    assert Coupon.objects.count() == 25


def test_a_second_worker_stays_out(shop):
    delivery = shop.start(5)
    Delivery.objects.update(leased_until=timezone.now() + timedelta(seconds=30))

    prepare(delivery.pk)

    assert fresh(delivery).total == 0
    assert preparable(timezone.now()) == []
    assert preparable(timezone.now() + timedelta(seconds=31)) == [delivery.pk]


def test_a_dead_workers_preparation_waits_no_longer_than_its_lease(shop, settings):
    delivery = shop.start(5)
    with pytest.raises(Died):
        prepare(delivery.pk, clock=dies_at(2))

    prepare(delivery.pk)
    assert fresh(delivery).total == 0
    after = timezone.now() + settings.SEND_LEASE + timedelta(seconds=1)
    prepare(delivery.pk, clock=lambda: after)

    assert fresh(delivery).state == Delivery.State.READY


def test_prepared_twice_it_stays_as_it_is(shop):
    delivery = shop.ready(5)

    prepare(delivery.pk)

    assert Dispatch.objects.count() == 5


def test_out_of_time_it_goes_on_later_and_nothing_is_lost(shop):
    delivery = shop.start(5)

    assert prepare(delivery.pk, seconds=0) is True
    assert fresh(delivery).leased_until is None
    assert prepare(delivery.pk) is False

    assert fresh(delivery).total == 5


def test_who_cannot_get_it_is_left_out_and_counted_by_reason(shop):
    make_fixed_batch(shop.campaign)
    fine, blocked, done = make_contacts(shop.connection, 3)
    Contact.objects.filter(pk=blocked.pk).update(is_reachable=False)
    make_coupon(shop.campaign, done, status="redeemed")
    nameless = make_contact(external_id="shop-1")
    other = make_contact(make_connection())
    chosen = make_list(fine, blocked, done, nameless, other)

    count = count_audience(shop.campaign, shop.connection, contact_list=chosen)
    delivery = shop.ready(contact_list=chosen)

    assert count.recipients == 1
    assert count.left_out == dict.fromkeys(Reason, 1)
    assert (delivery.total, delivery.left_out) == (1, 4)
    assert delivery.recipients.get().contact == fine


def test_without_a_limit_who_redeemed_gets_it_again(shop):
    make_fixed_batch(shop.campaign)
    shop.campaign.limit_per_contact = 0
    shop.campaign.save()
    [contact] = make_contacts(shop.connection, 1)
    make_coupon(shop.campaign, contact, status="redeemed")

    delivery = shop.ready(contact_list=make_list(contact))

    assert delivery.total == 1


def test_who_joins_the_list_afterwards_gets_nothing(shop):
    delivery = shop.ready(2)
    [late] = make_contacts(shop.connection, 1)
    Membership.objects.create(contact_list=delivery.contact_list, contact=late)

    prepare(delivery.pk)
    send()

    assert late.line_user_id not in shop.counts()


def test_when_all_have_left_meanwhile_it_is_done_at_once(shop):
    delivery = shop.start(2)
    Contact.objects.update(is_reachable=False)

    prepare(delivery.pk)

    assert fresh(delivery).state == Delivery.State.DONE
    assert (fresh(delivery).total, fresh(delivery).left_out) == (0, 2)


def test_a_campaign_paused_meanwhile_pauses_it_and_says_so(shop):
    delivery = shop.start(2)
    move(shop.campaign.pk, "pause")

    prepare(delivery.pk)

    delivery = fresh(delivery)
    assert delivery.state == Delivery.State.PAUSED
    assert "campaign was paused" in delivery.pause_reason
    assert Coupon.objects.count() == 0


def test_a_campaign_ended_meanwhile_cancels_it_and_says_so(shop):
    delivery = shop.start(2)
    move(shop.campaign.pk, "end")

    prepare(delivery.pk)

    delivery = fresh(delivery)
    assert delivery.state == Delivery.State.CANCELLED
    assert "sending period is over" in delivery.pause_reason


def test_a_delivery_for_a_later_sending_period_is_prepared_when_that_begins(shop):
    begins = timezone.now() + timedelta(hours=2)
    shop.campaign.send_starts_at = begins
    shop.campaign.save()
    with pytest.raises(DeliveryError) as refusal:
        shop.start(1)
    assert refusal.value.code == "too_early"

    delivery = shop.start(1, send_at=begins)
    prepare(delivery.pk)
    assert preparable(timezone.now()) == []
    assert fresh(delivery).state == Delivery.State.PREPARING
    prepare(delivery.pk, clock=later(hours=2))

    assert fresh(delivery).state == Delivery.State.READY


def test_one_contact_is_an_audience_too(shop):
    [contact] = make_contacts(shop.connection, 1)

    delivery = shop.ready(contact=contact)
    send()

    assert shop.counts() == {contact.line_user_id: 1}
    assert fresh(delivery).state == Delivery.State.DONE
