"""Start, pause, resume, cancel: each once, each with a clear no."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from campaigns.services import move
from contacts.models import Contact
from coupons.models import Coupon
from coupons.services import Source, revoke
from deliveries import tasks
from deliveries.errors import DeliveryError
from deliveries.models import Delivery, Dispatch
from deliveries.outages import beat
from deliveries.preparing import prepare
from deliveries.sending import stop_late
from deliveries.services import cancel, pause, resume, send_test, supply_of
from deliveries.settling import cancel_some
from deliveries.tests.helpers import (
    fresh,
    later,
    numbers,
    outcomes,
    send,
    statuses,
)
from testing.factories import (
    make_campaign,
    make_contact,
    make_contacts,
    make_coupon,
    make_fixed_batch,
    make_list,
    make_serials,
)

pytestmark = pytest.mark.django_db


def code_of(refusal):
    return refusal.value.code


def test_pressing_send_twice_makes_one_delivery(shop):
    nonce = uuid4()
    chosen = make_list(*make_contacts(shop.connection, 2))

    first = shop.start(nonce=nonce, contact_list=chosen)
    second = shop.start(nonce=nonce, contact_list=chosen)

    assert first.pk == second.pk
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(
    ("action", "code"), [("pause", "campaign_paused"), ("end", "campaign_ended")]
)
def test_a_campaign_that_does_not_run_is_not_sent(shop, action, code):
    move(shop.campaign.pk, action)
    shop.campaign.refresh_from_db()

    with pytest.raises(DeliveryError) as refusal:
        shop.start()

    assert code_of(refusal) == code


def test_a_draft_is_not_sent(shop):
    shop.campaign.state = "draft"

    with pytest.raises(DeliveryError) as refusal:
        shop.start()

    assert code_of(refusal) == "campaign_draft"


def test_after_the_sending_period_nothing_can_be_planned(shop):
    shop.campaign.send_ends_at = timezone.now() + timedelta(hours=1)

    with pytest.raises(DeliveryError) as refusal:
        shop.start(send_at=timezone.now() + timedelta(hours=2))

    assert code_of(refusal) == "too_late"
    assert "sending period ends on" in refusal.value.message


def test_a_paused_account_sends_nothing_new(shop):
    shop.connection.pause("The token is old.")
    shop.connection.refresh_from_db()

    with pytest.raises(DeliveryError) as refusal:
        shop.start()

    assert code_of(refusal) == "connection_paused"
    assert "The token is old." in refusal.value.message


def test_a_list_that_reaches_nobody_is_refused(shop):
    chosen = make_list(make_contact(external_id="a"))

    with pytest.raises(DeliveryError) as refusal:
        shop.start(contact_list=chosen)

    assert code_of(refusal) == "nobody"


def test_a_message_that_line_would_refuse_is_refused_first(shop):
    with pytest.raises(DeliveryError) as refusal:
        shop.start(kind=Delivery.Kind.TEXT, text=" ")

    assert code_of(refusal) == "bad_message"


def test_a_test_goes_to_one_contact_with_a_real_coupon(shop):
    contact = make_contact(shop.connection)

    delivery = send_test(shop.campaign, contact, by=shop.editor)
    prepare(delivery.pk)
    send()

    assert shop.counts() == {contact.line_user_id: 1}
    assert Coupon.objects.get().contact == contact


def test_a_test_to_somebody_without_account_says_so(shop):
    with pytest.raises(DeliveryError) as refusal:
        send_test(shop.campaign, make_contact(external_id="a"), by=shop.editor)

    assert code_of(refusal) == "no_account"


def test_cancel_ends_what_waits_and_keeps_what_went_out(shop):
    delivery = shop.ready(3)
    [row] = Dispatch.objects.claim(
        1, of=[delivery.pk], now=timezone.now(), lease=timedelta(seconds=30)
    )

    cancel(delivery.pk, by=shop.editor)
    tasks.clear(delivery.pk)

    assert statuses(delivery) == {"cancelled": 2, "sending": 1}
    assert outcomes(delivery) == {"cancelled": 2, "queued": 1}
    assert numbers(delivery) == (0, 0, 0, 2)
    assert "Cancelled by" in delivery.recipients.filter(outcome="cancelled")[0].reason
    send(clock=later(minutes=1))
    assert shop.counts() == {}
    tasks.clear(delivery.pk)
    row.refresh_from_db()
    assert row.status == Dispatch.Status.UNKNOWN  # its worker died: it may have gone
    assert numbers(delivery) == (0, 0, 1, 2)


def test_cancel_leaves_a_doubtful_one_to_a_person(shop):
    delivery = shop.ready(1)
    shop.line.fault("push", "accept_then_drop", times=1)
    send()

    cancel(delivery.pk, by=shop.editor)
    tasks.clear(delivery.pk)

    assert numbers(delivery) == (0, 0, 1, 0)
    assert "may have arrived" in delivery.recipients.get().reason


def test_cancelling_while_preparing_makes_nothing_more(shop):
    delivery = shop.start(3)

    cancel(delivery.pk, by=shop.editor)
    prepare(delivery.pk)

    assert Dispatch.objects.count() == 0
    assert fresh(delivery).state == Delivery.State.CANCELLED


def test_paused_while_preparing_goes_on_preparing(shop):
    delivery = shop.start(3)
    pause(delivery.pk, by=shop.editor)
    prepare(delivery.pk)
    assert Dispatch.objects.count() == 0

    resume(delivery.pk, by=shop.editor)
    assert fresh(delivery).state == Delivery.State.PREPARING
    prepare(delivery.pk)

    assert fresh(delivery).state == Delivery.State.READY


@pytest.mark.parametrize("action", [pause, resume, cancel])
def test_what_is_done_stays_done(shop, action):
    delivery = shop.ready(1)
    send()

    with pytest.raises(DeliveryError) as refusal:
        action(delivery.pk, by=shop.editor)

    assert code_of(refusal) == "wrong_state"
    assert fresh(delivery).state == Delivery.State.DONE


def test_when_the_sending_period_ends_the_rest_is_cancelled(shop):
    delivery = shop.ready(3)
    shop.campaign.send_ends_at = timezone.now()
    shop.campaign.save()

    send()
    assert stop_late(timezone.now()) == [delivery.pk]
    tasks.clear(delivery.pk)

    assert shop.counts() == {}
    assert numbers(delivery) == (0, 0, 0, 3)
    assert delivery.state == Delivery.State.CANCELLED
    assert "sending period" in delivery.pause_reason


def test_cancelling_goes_in_pieces(shop):
    delivery = shop.ready(2)

    assert cancel_some(delivery.pk, reason="x", at=timezone.now()) == 2
    assert cancel_some(delivery.pk, reason="x", at=timezone.now()) == 0


# --- after an outage ---------------------------------------------------------------


def test_after_a_long_silence_sending_waits_for_a_person(shop):
    delivery = shop.ready(2)
    beat()

    stopped = beat(clock=later(minutes=11))
    send()

    assert stopped == [delivery.pk]
    assert fresh(delivery).state == Delivery.State.PAUSED
    assert "No worker ran for 11 minutes" in fresh(delivery).pause_reason
    assert shop.counts() == {}
    resume(delivery.pk, by=shop.editor)
    assert beat(clock=later(minutes=12)) == []
    send()
    assert numbers(delivery) == (2, 0, 0, 0)


def test_a_short_silence_changes_nothing(shop):
    delivery = shop.ready(1)
    beat()

    assert beat(clock=later(minutes=9)) == []
    assert fresh(delivery).state == Delivery.State.READY


def test_a_message_left_over_in_the_queue_does_not_send_after_an_outage(shop):
    delivery = shop.ready(1)
    beat(clock=later(minutes=-11))

    tasks.send_due()

    assert shop.counts() == {}
    assert fresh(delivery).state == Delivery.State.PAUSED


# --- tasks ----------------------------------------------------------------------------


def test_tasks_that_come_twice_change_nothing(shop):
    delivery = shop.start(3)

    for task in (tasks.prepare, tasks.prepare):
        task(delivery.pk)
    for _ in range(2):
        tasks.send_due()
        tasks.sweep()

    assert numbers(delivery) == (3, 0, 0, 0)
    assert set(shop.counts().values()) == {1}
    assert len(shop.line.requests("push")) == 3


def test_the_sweep_hands_back_what_a_dead_worker_held(shop):
    delivery = shop.ready(1)
    pause(delivery.pk, by=shop.editor)
    Dispatch.objects.update(
        status="sending",
        tries=1,
        first_try_at=timezone.now(),
        leased_until=timezone.now() - timedelta(seconds=1),
    )

    tasks.sweep()

    assert statuses(delivery) == {"queued": 1}


def test_an_erased_contact_gets_nothing(shop):
    delivery = shop.ready(1)
    Contact.objects.update(line_user_id=None)

    send()

    assert numbers(delivery) == (0, 0, 0, 1)


def test_supply_is_what_is_free_against_what_is_still_out():
    campaign = make_campaign()
    make_serials(campaign, 5, voided=1)
    make_fixed_batch(campaign, quantity=10)
    for status in ("issued", "sent", "issued", "redeemed", "redeemed"):
        coupon = make_coupon(campaign, status=status)
    before, after = Coupon.objects.filter(status="issued")[0], coupon
    for withdrawn in (before, after):
        revoke(withdrawn.pk, source=Source("staff"), reason="a mistake")

    supply = supply_of(campaign)

    assert (supply.free, supply.out, supply.has_serials) == (12, 2, True)
    assert not supply.is_short_for(10)
    assert supply.is_short_for(11)


def test_units_taken_of_a_fixed_serial_are_not_free():
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=3)
    make_coupon(campaign, status="redeemed")

    assert supply_of(campaign).free == 2


def test_an_unlimited_serial_is_never_short():
    campaign = make_campaign()
    make_serials(campaign, 1)
    make_fixed_batch(campaign, quantity=None)

    assert not supply_of(campaign).is_short_for(1_000_000)


def test_without_a_ready_batch_everybody_is_too_many():
    campaign = make_campaign()
    make_serials(campaign, 5, state="importing")

    supply = supply_of(campaign)

    assert not supply.has_serials
    assert supply.is_short_for(1)
