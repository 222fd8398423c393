"""Sending exactly one coupon that exists already: that one, once, and only while it holds."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from contacts.models import Contact
from coupons.models import Coupon
from coupons.services import Source, reissue, revoke
from deliveries.errors import DeliveryError
from deliveries.models import Delivery, Recipient
from deliveries.preparing import prepare
from deliveries.services import send_coupon
from deliveries.tests.helpers import fresh, later, numbers, send
from testing.factories import make_contact, make_coupon, make_list

pytestmark = pytest.mark.django_db


@pytest.fixture
def contact(shop):
    contact = make_contact(shop.connection, name="Hana")
    shop.line.add_friend(contact.line_user_id, contact.name)
    return contact


@pytest.fixture
def coupon(shop, contact):
    """Issued in place of a revoked one, and not sent."""
    return another(shop, contact)


def another(shop, contact):
    by = Source("staff", shop.editor)
    old = make_coupon(shop.campaign, contact, status="sent")
    revoke(old.pk, source=by, reason="Lost")
    return reissue(old.pk, source=by)


def withdraw(coupon, shop):
    revoke(coupon.pk, source=Source("staff", shop.editor), reason="A mistake")


def test_the_contact_gets_exactly_this_coupon(shop, contact, coupon):
    count = Coupon.objects.count()

    delivery = send_coupon(coupon, by=shop.editor)
    prepare(delivery.pk)
    send()

    assert shop.counts() == {contact.line_user_id: 1}
    assert coupon.token in str(shop.line.messages(contact.line_user_id))
    assert Coupon.objects.count() == count
    recipient = Recipient.objects.get(delivery=delivery)
    assert (recipient.coupon, recipient.contact) == (coupon, contact)
    coupon.refresh_from_db()
    assert coupon.status == "sent"
    kinds = list(coupon.events.values_list("kind", flat=True))
    assert kinds == ["issued", "sent"]
    assert fresh(delivery).state == Delivery.State.DONE
    assert numbers(delivery) == (1, 0, 0, 0)


def test_asked_twice_it_is_one_delivery_even_after_it_went_out(shop, contact, coupon):
    first = send_coupon(coupon, by=shop.editor)
    second = send_coupon(coupon, by=shop.editor)
    prepare(first.pk)
    send()
    coupon.refresh_from_db()

    third = send_coupon(coupon, by=shop.editor)

    assert {first.pk, second.pk, third.pk} == {first.pk}
    assert Delivery.objects.count() == 1
    assert shop.counts() == {contact.line_user_id: 1}


def test_revoked_before_preparing_it_is_cancelled_in_words(shop, coupon):
    delivery = send_coupon(coupon, by=shop.editor)
    withdraw(coupon, shop)

    prepare(delivery.pk)
    send()

    delivery = fresh(delivery)
    assert delivery.state == Delivery.State.CANCELLED
    assert "withdrawn" in delivery.pause_reason
    assert delivery.leased_until is None
    assert not Recipient.objects.exists()
    assert shop.counts() == {}


def test_revoked_between_preparing_and_sending_it_is_cancelled_too(shop, coupon):
    delivery = send_coupon(coupon, by=shop.editor)
    prepare(delivery.pk)
    withdraw(coupon, shop)

    send()

    assert shop.counts() == {}
    assert numbers(delivery) == (0, 0, 0, 1)
    assert "withdrawn" in Recipient.objects.get().reason


def test_expired_between_preparing_and_sending_it_is_cancelled_too(shop, coupon):
    delivery = send_coupon(coupon, by=shop.editor)
    prepare(delivery.pk)
    Coupon.objects.filter(pk=coupon.pk).update(ends_at=timezone.now())

    send()

    assert shop.counts() == {}
    assert numbers(delivery) == (0, 0, 0, 1)
    assert "expired" in Recipient.objects.get().reason


def test_blocked_before_preparing_it_is_cancelled_in_words(shop, coupon):
    delivery = send_coupon(coupon, by=shop.editor)
    Contact.objects.filter(pk=coupon.contact_id).update(is_reachable=False)

    prepare(delivery.pk)
    send()

    delivery = fresh(delivery)
    assert delivery.state == Delivery.State.CANCELLED
    assert "can't be reached" in delivery.pause_reason
    assert shop.counts() == {}


def test_ended_before_preparing_it_is_cancelled_in_words(shop, coupon):
    Coupon.objects.filter(pk=coupon.pk).update(
        ends_at=timezone.now() + timedelta(hours=1)
    )
    delivery = send_coupon(coupon, by=shop.editor)

    prepare(delivery.pk, clock=later(hours=2))

    assert fresh(delivery).state == Delivery.State.CANCELLED
    assert "ended" in fresh(delivery).pause_reason


def test_an_unclear_answer_is_tried_again_with_the_same_coupon(shop, contact, coupon):
    delivery = send_coupon(coupon, by=shop.editor)
    prepare(delivery.pk)
    shop.line.fault("push", "accept_then_drop", times=1)

    send()
    send(clock=later(minutes=1))

    assert shop.counts() == {contact.line_user_id: 1}
    assert numbers(delivery) == (1, 0, 0, 0)


def test_what_line_refuses_shows_on_the_delivery(shop):
    shop.line.add_channel(refuse_unknown=True)
    stranger = make_contact(shop.connection)  # LINE knows nobody of this id
    coupon = another(shop, stranger)
    delivery = send_coupon(coupon, by=shop.editor)
    prepare(delivery.pk)

    send()

    assert numbers(delivery) == (0, 1, 0, 0)
    coupon.refresh_from_db()
    assert coupon.status == "issued"


def test_whoever_blocked_the_account_is_not_sent_to(shop, contact, coupon):
    Contact.objects.filter(pk=contact.pk).update(is_reachable=False)
    coupon = Coupon.objects.get(pk=coupon.pk)

    with pytest.raises(DeliveryError) as refusal:
        send_coupon(coupon, by=shop.editor)

    assert refusal.value.code == "nobody"


@pytest.mark.parametrize("given", [None, "without an account"])
def test_without_a_line_account_there_is_no_delivery(shop, given):
    contact = make_contact(external_id="a") if given else None

    with pytest.raises(DeliveryError) as refusal:
        send_coupon(another(shop, contact), by=shop.editor)

    assert refusal.value.code == "no_account"


@pytest.mark.parametrize("status", ["sent", "redeemed"])
def test_a_coupon_that_is_out_is_not_sent_once_more(shop, contact, status):
    coupon = make_coupon(shop.campaign, contact, status=status)

    with pytest.raises(DeliveryError) as refusal:
        send_coupon(coupon, by=shop.editor)

    assert refusal.value.code == "not_waiting"


def test_a_coupon_that_another_delivery_carries_is_not_sent_once_more(shop):
    shop.ready(1)

    with pytest.raises(DeliveryError) as refusal:
        send_coupon(Coupon.objects.get(), by=shop.editor)

    assert refusal.value.code == "not_waiting"


def test_a_revoked_coupon_is_not_sent(shop, coupon):
    withdraw(coupon, shop)
    coupon.refresh_from_db()

    with pytest.raises(DeliveryError) as refusal:
        send_coupon(coupon, by=shop.editor)

    assert refusal.value.code == "not_waiting"


def test_the_table_itself_keeps_one_coupon_to_one_contact(shop, contact, coupon):
    send_coupon(coupon, by=shop.editor)
    to_all = shop.start(contact_list=make_list(contact))

    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.filter(pk=to_all.pk).update(coupon=another(shop, contact))
    to_one = shop.start(contact=contact)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.filter(pk=to_one.pk).update(coupon=coupon)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_asked_by_twenty_at_once_it_is_one_delivery_and_one_message(
    racers, shop, contact, coupon
):
    found = racers.race(
        lambda n: (
            send_coupon(
                Coupon.objects.select_related("contact").get(pk=coupon.pk),
                by=shop.editor,
            ).pk
        )
    )
    racers.race(lambda n: prepare(found[0]))
    send()

    assert set(found) == {Delivery.objects.get().pk}
    assert shop.counts() == {contact.line_user_id: 1}
