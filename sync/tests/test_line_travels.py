"""A webhook's whole way, over real HTTP: LINE's look-alike, our server, a contact."""

import pytest
from django.urls import reverse

from connections.models import Connection
from contacts.models import Contact
from contacts.naming import ask_names
from sandbox.testing import start_sandbox
from sync.models import InboundEvent
from sync.processing import work_off
from testing.factories import make_connection

HANA = "U" + "a" * 32
BOT = "U" + "b" * 32


@pytest.fixture
def line(live_server, settings):
    """The look-alike, posting to our server, and the connection it posts to."""
    connection = make_connection(
        account_id=BOT, access_token="the-token", secret="the-secret"
    )
    hook = live_server.url + reverse("hooks:line", args=[connection.hook_key])
    with start_sandbox(
        token="the-token", secret="the-secret", bot_user_id=BOT, webhook_url=hook
    ) as sandbox:
        settings.LINE_API_URL = sandbox.url
        sandbox.add_friend(HANA, "Hana", follows=False)
        yield sandbox


def answers(sandbox):
    return [
        attempt["status"]
        for event in sandbox.webhook_log()
        for attempt in event["tries"]
    ]


def test_a_follow_on_the_phone_becomes_a_contact_with_a_name(line):
    line.follow(HANA)
    line.wait_for_webhooks()

    assert answers(line) == [200]
    work_off()
    ask_names()
    contact = Contact.objects.get()
    assert (contact.line_user_id, contact.name) == (HANA, "Hana")
    assert contact.connection == Connection.objects.get()
    assert contact.is_reachable


def test_blocking_and_unblocking_keep_the_contact_true(line):
    seen = []
    for act in (line.follow, line.unfollow, line.follow):
        act(HANA)
        line.wait_for_webhooks()
        line.advance(1)
        work_off()
        seen.append(Contact.objects.get().is_reachable)

    assert seen == [True, False, True]


def test_a_redelivered_event_has_no_second_effect(line):
    event_id = line.follow(HANA)
    line.wait_for_webhooks()
    work_off()
    line.redeliver(event_id)
    line.wait_for_webhooks()

    assert work_off() == 0
    assert answers(line) == [200, 200]
    assert InboundEvent.objects.count() == Contact.objects.count() == 1


def test_a_wrong_secret_is_answered_with_403_and_stores_nothing(line):
    Connection.objects.update(secret="another")

    line.follow(HANA)
    line.wait_for_webhooks()

    assert set(answers(line)) == {403}
    assert not InboundEvent.objects.exists()
