"""Whoever calls LINE does it with tokens that we issue: sends, names, the Test button."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from connections.models import Connection
from contacts.models import Contact
from contacts.naming import ask_names
from contacts.services import find_or_make_line_contact
from deliveries.models import Delivery
from deliveries.preparing import prepare
from deliveries.sending import send_due
from deliveries.services import start_delivery
from testing.factories import (
    make_campaign,
    make_contacts,
    make_fixed_batch,
    make_list,
    make_user,
)

pytestmark = pytest.mark.django_db

PERSON = "U" + "1" * 32


@pytest.fixture
def delivery(channel, stateless):
    """Three messages, ready to go."""
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=None)
    contacts = make_contacts(stateless, 3)
    for contact in contacts:
        channel.add_friend(contact.line_user_id, contact.name)
    made = start_delivery(
        campaign,
        stateless,
        contact_list=make_list(*contacts),
        nonce=uuid4(),
        by=make_user("Editor"),
    )
    prepare(made.pk)
    return made


def send(clock=timezone.now):
    send_due(seconds=0.01, clock=clock)


def accepted(delivery):
    delivery.refresh_from_db()
    return delivery.accepted


def row():
    return Connection.objects.get()


def test_a_send_issues_one_token_and_uses_it(channel, delivery):
    send()

    assert accepted(delivery) == 3
    assert len(channel.requests("token_stateless")) == 1


def test_a_token_that_line_ended_costs_a_round_and_pauses_nothing(
    channel, delivery, stateless
):
    stateless.refresh_from_db()
    now = timezone.now()
    Connection.objects.update(
        issued_token="ended", issued_at=now, issued_until=now + timedelta(minutes=15)
    )
    send()
    assert row().state == "active"

    send(clock=lambda: timezone.now() + timedelta(minutes=1))

    assert accepted(delivery) == 3
    assert set(channel.counts().values()) == {1}
    assert row().rejected_at is None


def test_a_wrong_secret_pauses_before_anything_is_sent(channel, delivery):
    Connection.objects.update(secret="wrong")

    send()

    assert "Copy both again" in row().pause_reason
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.READY
    assert channel.counts() == {}

    Connection.objects.update(secret="s" * 32)
    row().resume()
    send()
    assert accepted(delivery) == 3


def test_while_line_issues_none_the_messages_wait(channel, delivery):
    channel.fault("token_stateless", "500")
    send()
    assert accepted(delivery) == 0
    assert row().state == "active"
    assert row().failures > 0 or row().resting_until is not None

    channel.clear_faults()
    send(clock=lambda: timezone.now() + timedelta(minutes=2))
    assert accepted(delivery) == 3


def test_names_are_asked_with_an_issued_token(channel, stateless):
    channel.add_friend(PERSON, "Hana")
    find_or_make_line_contact(stateless.pk, PERSON)

    ask_names()

    assert Contact.objects.get().name == "Hana"
    assert len(channel.requests("token_stateless")) == 1


def test_names_wait_while_line_issues_no_token(channel, stateless):
    channel.fault("token_stateless", "500")
    channel.add_friend(PERSON, "Hana")
    find_or_make_line_contact(stateless.pk, PERSON)

    ask_names()

    contact = Contact.objects.get()
    assert contact.name != "Hana"
    assert contact.name_due_at is not None
    assert row().state == "active"


def test_names_pause_an_account_whose_secret_is_wrong(channel, stateless):
    Connection.objects.update(secret="wrong")
    find_or_make_line_contact(stateless.pk, PERSON)

    ask_names()

    assert row().state == "paused"
