"""LINE's own coupon as a message: who gets it, once, and only while it can be used."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from contacts.models import Contact
from coupons.models import Coupon, Tally
from coupons.services import redeem
from deliveries import tasks
from deliveries.errors import DeliveryError
from deliveries.messages import native_period, native_template
from deliveries.models import Delivery, Dispatch, Recipient, Result
from deliveries.native import NativeCoupon
from deliveries.preparing import Reason, prepare
from deliveries.sending import check, stop_late
from deliveries.services import (
    cancel_native,
    count_audience,
    pause,
    resume,
    start_native,
)
from deliveries.tests.helpers import fresh, later, numbers, send
from reports.ledger import find_breaks
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_contacts,
    make_coupon,
    make_list,
)

pytestmark = pytest.mark.django_db


def coupon(shop, *, starts=-1, ends=30):
    """One that LINE has, from so many days from now to so many."""
    now = timezone.now()
    return NativeCoupon(
        coupon_id=shop.line.make_coupon(),
        title="Spring at the café",
        starts_at=now + timedelta(days=starts),
        ends_at=now + timedelta(days=ends),
    )


def friends(shop, count):
    made = make_contacts(shop.connection, count)
    for contact in made:
        shop.line.add_friend(contact.line_user_id, contact.name)
    return made


def start(shop, native, contacts=2, **fields):
    if "contact" not in fields and "contact_list" not in fields:
        fields["contact_list"] = make_list(*friends(shop, contacts))
    fields.setdefault("nonce", uuid4())
    return start_native(
        shop.campaign, shop.connection, native, by=shop.editor, **fields
    )


def test_each_contact_gets_the_coupon_itself_once(shop):
    native = coupon(shop)

    delivery = start(shop, native, 3, tag="spring_26")
    prepare(delivery.pk)
    send()
    send()

    assert numbers(delivery) == (3, 0, 0, 0)
    assert set(shop.counts().values()) == {1}
    for user_id in shop.counts():
        [message] = shop.line.messages(user_id)
        assert message == {
            "type": "coupon",
            "couponId": native.coupon_id,
            "deliveryTag": "spring_26",
        }


def test_without_a_tag_none_is_sent(shop):
    delivery = start(shop, coupon(shop), 1)
    prepare(delivery.pk)
    send()

    [user_id] = shop.counts()
    assert "deliveryTag" not in shop.line.messages(user_id)[0]


def test_it_makes_no_coupon_and_takes_no_stock(shop):
    delivery = start(shop, coupon(shop))
    prepare(delivery.pk)
    send()

    assert not Coupon.objects.exists()
    assert not Tally.objects.exists()
    assert list(Recipient.objects.values_list("coupon", flat=True)) == [None, None]
    assert fresh(delivery).state == Delivery.State.DONE
    assert find_breaks(now=timezone.now()) == []


def test_it_needs_no_serials(shop):
    campaign = make_campaign()

    delivery = start_native(
        campaign,
        shop.connection,
        coupon(shop),
        nonce=uuid4(),
        by=shop.editor,
        contact=friends(shop, 1)[0],
    )
    prepare(delivery.pk)
    send()

    assert numbers(delivery) == (1, 0, 0, 0)


def test_the_same_press_twice_is_one_delivery(shop):
    nonce, native, chosen = uuid4(), coupon(shop), make_list(*friends(shop, 1))

    first = start(shop, native, contact_list=chosen, nonce=nonce)
    second = start(shop, native, contact_list=chosen, nonce=nonce)

    assert first == second
    assert Delivery.objects.count() == 1


def test_who_cannot_be_reached_is_left_out_and_who_is_at_the_limit_is_not(shop):
    fine, blocked, nameless, full = friends(shop, 4)
    Contact.objects.filter(pk=blocked.pk).update(is_reachable=False)
    Contact.objects.filter(pk=nameless.pk).update(line_user_id=None)
    shop.campaign.limit_per_contact = 1
    shop.campaign.save(update_fields=["limit_per_contact"])
    redeem(make_coupon(shop.campaign, full, status="sent").token, source=TEST)
    chosen = make_list(fine, blocked, nameless, full)

    count = count_audience(
        shop.campaign, shop.connection, contact_list=chosen, is_native=True
    )
    delivery = start(shop, coupon(shop), contact_list=chosen)
    prepare(delivery.pk)

    assert count.recipients == 2
    assert count.left_out == {Reason.BLOCKED: 1, Reason.NO_LINE_ID: 1}
    assert (fresh(delivery).total, fresh(delivery).left_out) == (2, 2)


# --- the same bytes, the same key ----------------------------------------------------


def test_a_retry_repeats_the_same_bytes_and_the_contact_gets_one(shop):
    shop.line.fault("push", "accept_then_drop", times=1)
    delivery = start(shop, coupon(shop), 1, tag="a_tag")
    prepare(delivery.pk)

    send()
    Delivery.objects.filter(pk=delivery.pk).update(native_title="Another name")
    send(clock=later(minutes=1))

    assert numbers(delivery) == (1, 0, 0, 0)
    assert list(shop.counts().values()) == [1]
    dispatch = Dispatch.objects.get()
    assert dispatch.tries == 2


def test_the_message_is_fixed_at_the_press():
    body = native_template("01ABC", tag="t")

    assert body == '\t{"messages":[{"couponId":"01ABC","deliveryTag":"t",' + (
        '"type":"coupon"}],"to":"\x02to\x03"}'
    )


@pytest.mark.parametrize("tag", ["a" * 31, "é", "a b", "a-b", "\0", "全"])
def test_a_tag_that_line_does_not_take_is_refused_in_words(shop, tag):
    with pytest.raises(DeliveryError) as refusal:
        start(shop, coupon(shop), tag=tag)

    assert refusal.value.code == "bad_tag"
    assert not Delivery.objects.exists()


# --- only while it can be used ---------------------------------------------------------


def test_one_that_has_ended_is_not_started(shop):
    with pytest.raises(DeliveryError) as refusal:
        start(shop, coupon(shop, starts=-3, ends=-1))

    assert refusal.value.code == "too_late"


def test_one_that_has_not_begun_waits_for_its_time(shop):
    native = coupon(shop, starts=1)

    with pytest.raises(DeliveryError) as refusal:
        start(shop, native)
    delivery = start(shop, native, 1, send_at=native.starts_at)
    prepare(delivery.pk)
    send()
    early = dict(shop.counts())
    send(clock=later(days=1, minutes=1))

    assert refusal.value.code == "too_early"
    assert early == {}
    assert list(shop.counts().values()) == [1]


def test_ended_before_preparing_it_is_cancelled_in_words(shop):
    delivery = start(shop, coupon(shop, ends=1))

    prepare(delivery.pk, clock=later(days=2))

    assert fresh(delivery).state == Delivery.State.CANCELLED
    assert "ended" in fresh(delivery).pause_reason
    assert not Recipient.objects.exists()


def test_ended_before_sending_it_is_cancelled_for_everybody(shop):
    delivery = start(shop, coupon(shop, ends=1))
    prepare(delivery.pk)

    send(clock=later(days=2))
    stop_late(later(days=2)())
    tasks.clear(delivery.pk)

    assert shop.counts() == {}
    assert numbers(delivery) == (0, 0, 0, 2)
    assert fresh(delivery).state == Delivery.State.CANCELLED
    reasons = set(Recipient.objects.values_list("reason", flat=True))
    assert reasons == {"The coupon on LINE ended before it could be sent."}


def test_ended_between_the_claim_and_the_call_it_stays_unsent(shop):
    delivery = start(shop, coupon(shop, ends=1), 1)
    prepare(delivery.pk)
    delivery, now = fresh(delivery), timezone.now()
    [row] = Dispatch.objects.claim(
        1, of=[delivery.pk], now=now, lease=timedelta(seconds=30)
    )

    before = check(row, delivery, Recipient.objects.get(), now)
    after = check(row, delivery, Recipient.objects.get(), now + timedelta(days=2))

    assert isinstance(before, bytes)
    assert isinstance(after, Result)
    assert after.status == Dispatch.Status.CANCELLED
    assert "ended" in after.detail


# --- closed while it is being sent --------------------------------------------------------


def test_closing_the_coupon_cancels_what_still_waits(shop):
    native = coupon(shop)
    waiting = start(shop, native)
    prepare(waiting.pk)
    unprepared, other = start(shop, native), start(shop, coupon(shop), 1)
    prepare(other.pk)

    stopped = cancel_native(native.coupon_id, reason="It was taken back.")
    for delivery in (waiting, unprepared):
        prepare(delivery.pk)
        tasks.clear(delivery.pk)
    send()

    assert stopped == 2
    assert numbers(waiting) == (0, 0, 0, 2)
    assert fresh(unprepared).pause_reason == "It was taken back."
    assert numbers(other) == (1, 0, 0, 0)
    assert sum(shop.counts().values()) == 1


def test_a_paused_one_is_cancelled_too_and_cannot_be_resumed(shop):
    native = coupon(shop)
    delivery = start(shop, native)
    prepare(delivery.pk)
    pause(delivery.pk, by=shop.editor)

    cancel_native(native.coupon_id, reason="It was taken back.")

    with pytest.raises(DeliveryError):
        resume(delivery.pk, by=shop.editor)
    send()
    assert shop.counts() == {}


def test_what_line_may_have_taken_before_the_closing_is_unclear(shop):
    shop.line.fault("push", "accept_then_drop", times=1)
    native = coupon(shop)
    delivery = start(shop, native, 1)
    prepare(delivery.pk)
    send()

    cancel_native(native.coupon_id, reason="It was taken back.")
    tasks.clear(delivery.pk)

    assert numbers(delivery) == (0, 0, 1, 0)
    assert list(shop.counts().values()) == [1]


def test_nothing_is_cancelled_twice(shop):
    native = coupon(shop)
    start(shop, native)

    assert cancel_native(native.coupon_id, reason="Closed.") == 1
    assert cancel_native(native.coupon_id, reason="Closed again.") == 0
    assert Delivery.objects.get().pause_reason == "Closed."


# --- the table -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "native"},
        {"kind": "card", "native_coupon_id": "01ABC"},
        {"kind": "card", "delivery_tag": "tag"},
    ],
)
def test_the_table_takes_no_half_of_it(shop, fields):
    delivery = start(shop, coupon(shop), 1)

    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(
            campaign=shop.campaign,
            connection=shop.connection,
            contact_list=delivery.contact_list,
            send_at=timezone.now(),
            template="",
            nonce=UUID(int=1),
            **fields,
        )


def test_the_period_is_told_in_the_campaigns_zone(shop):
    shop.campaign.time_zone = "Asia/Tokyo"
    delivery = Delivery(
        campaign=shop.campaign,
        native_starts_at=instant("2026-12-01 00:00"),
        native_ends_at=instant("2026-12-31 15:00"),
    )

    words = native_period(delivery).replace("\u00a0", " ")

    assert words == (
        "Tue, Dec 1, 2026, 9:00 AM to Thu, Dec 31, 2026, 11:59 PM (Japan time)"
    )
