"""Names of new contacts, asked of LINE: once, and a few times more if LINE is away."""

from datetime import timedelta

import pytest

from contacts.models import Contact
from contacts.naming import MAX_TRIES, ask_names
from sandbox.testing import start_sandbox
from testing.factories import instant, make_connection, make_contact

pytestmark = pytest.mark.django_db

NOON = instant("2026-05-01 12:00")
HANA, KEN = "U" + "a" * 32, "U" + "b" * 32


@pytest.fixture
def line(settings):
    with start_sandbox(token="good", secret="s") as sandbox:
        settings.LINE_API_URL = sandbox.url
        sandbox.add_friend(HANA, "Hana")
        yield sandbox


def make_nameless(user_id=HANA, connection=None, **fields):
    connection = connection or make_connection(access_token="good")
    fields.setdefault("name_due_at", NOON)
    return make_contact(connection, line_user_id=user_id, name="", **fields)


def ask(at=NOON):
    return ask_names(clock=lambda: at)


def test_a_name_is_asked_once(line):
    contact = make_nameless()

    assert (ask(), ask(NOON + timedelta(days=1))) == (1, 0)

    contact.refresh_from_db()
    assert (contact.name, contact.language) == ("Hana", "en")
    assert len(line.requests()) == 1


def test_a_name_that_was_put_in_meanwhile_stays(line):
    contact = make_nameless()
    Contact.objects.update(name="Ms Sato", language="ja")

    ask()

    contact.refresh_from_db()
    assert (contact.name, contact.language) == ("Ms Sato", "ja")


def test_somebody_line_does_not_know_stays_nameless_and_is_not_asked_again(line):
    contact = make_nameless(KEN)

    assert (ask(), ask(NOON + timedelta(days=1))) == (1, 0)

    contact.refresh_from_db()
    assert (contact.name, contact.name_due_at) == ("", None)


def test_while_line_is_away_it_is_asked_a_few_times_at_most(line):
    line.fault("*", "500")
    contact = make_nameless()
    at, waits = NOON, []

    for _ in range(MAX_TRIES + 2):
        ask(at)
        contact.refresh_from_db()
        if contact.name_due_at is None:
            break
        waits.append(contact.name_due_at - at)
        at = contact.name_due_at

    assert len(line.requests()) == MAX_TRIES
    assert waits == [timedelta(minutes=m) for m in (10, 20, 40)]
    assert contact.name == ""


def test_an_account_that_does_not_answer_is_left_alone_for_this_time(line):
    line.fault("*", "500")
    connection = make_connection(access_token="good")
    make_nameless(HANA, connection)
    make_nameless(KEN, connection)

    assert ask() == 1
    assert len(line.requests()) == 1


def test_a_refused_token_pauses_the_connection_and_nobody_else_is_asked(line):
    connection = make_connection(access_token="expired")
    make_nameless(HANA, connection)
    make_nameless(KEN, connection)

    assert (ask(), ask(NOON + timedelta(days=1))) == (1, 0)

    connection.refresh_from_db()
    assert connection.state == "paused"


def test_nobody_is_asked_of_a_paused_connection(line):
    make_nameless(connection=make_connection(access_token="good", state="paused"))

    assert ask() == 0


def test_imported_contacts_are_not_asked_about(line):
    make_nameless(name_due_at=None)

    assert ask() == 0
