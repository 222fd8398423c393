"""What events do to contacts: once, in LINE's order, and what a bad one may not do."""

import logging
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from contacts.models import Contact
from sync.models import InboundEvent
from sync.processing import MAX_TRIES, drop_old, work_off
from sync.tests.webhooks import HANA, NOON_MS, make_event
from testing.factories import instant, make_connection, make_contact

pytestmark = pytest.mark.django_db

NOON = instant("2026-05-01 12:00")
MINUTE_MS = 60_000


@pytest.fixture
def connection():
    return make_connection()


def make_inbound(connection, kind="follow", *, at_ms=NOON_MS, payload=None, **fields):
    event = make_event(kind, at_ms=at_ms)
    fields.setdefault("event_id", event["webhookEventId"])
    fields.setdefault("next_try_at", NOON)
    return InboundEvent.objects.create(
        connection=connection,
        kind=kind,
        occurred_at=NOON + timedelta(milliseconds=at_ms - NOON_MS),
        payload=event if payload is None else payload,
        **fields,
    )


def test_follow_makes_a_contact_that_is_reachable(connection):
    event = make_inbound(connection, "follow")

    work_off(clock=lambda: NOON)

    contact = Contact.objects.get()
    assert (contact.connection, contact.line_user_id) == (connection, HANA)
    assert contact.is_reachable
    assert contact.reach_changed_at == NOON
    event.refresh_from_db()
    assert event.processed_at == NOON


def test_unfollow_makes_the_contact_unreachable(connection):
    contact = make_contact(connection, line_user_id=HANA)
    make_inbound(connection, "unfollow")

    work_off(clock=lambda: NOON)

    contact.refresh_from_db()
    assert not contact.is_reachable


@pytest.mark.parametrize("kind", ["message", "postback"])
def test_whoever_writes_to_us_is_known_and_reachable(connection, kind):
    make_inbound(connection, "unfollow")
    make_inbound(connection, kind, at_ms=NOON_MS + MINUTE_MS)

    work_off(clock=lambda: NOON)

    assert Contact.objects.get().is_reachable


@pytest.mark.parametrize("late", ["follow", "message"])
def test_an_older_event_that_comes_late_does_not_overwrite_a_newer_unfollow(
    connection, late
):
    make_inbound(connection, "unfollow", at_ms=NOON_MS + MINUTE_MS)
    work_off(clock=lambda: NOON)
    make_inbound(connection, late, at_ms=NOON_MS)

    work_off(clock=lambda: NOON)

    contact = Contact.objects.get()
    assert not contact.is_reachable
    assert contact.reach_changed_at == NOON + timedelta(minutes=1)


@pytest.mark.parametrize("order", [("follow", "unfollow"), ("unfollow", "follow")])
def test_of_two_events_at_one_instant_the_block_wins_in_either_order(connection, order):
    for kind in order:
        make_inbound(connection, kind)

    work_off(clock=lambda: NOON)

    assert not Contact.objects.get().is_reachable


def test_an_event_has_its_effect_once(connection):
    make_inbound(connection, "unfollow")
    work_off(clock=lambda: NOON)
    Contact.objects.update(is_reachable=True, reach_changed_at=None)

    looked_at = work_off(clock=lambda: NOON)

    assert looked_at == 0
    assert Contact.objects.get().is_reachable


def test_the_same_user_of_two_accounts_is_two_contacts(connection):
    make_inbound(connection)
    make_inbound(make_connection())

    work_off(clock=lambda: NOON)

    assert Contact.objects.filter(line_user_id=HANA).count() == 2


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        {"source": None},
        {"source": {"type": "user"}},
        {"source": {"type": "user", "userId": 5}},
        {"source": {"type": "user", "userId": "U123"}},
        {"source": {"type": "group", "groupId": "C1", "userId": HANA}},
    ],
)
def test_events_without_a_user_of_ours_change_nothing_and_are_done(connection, payload):
    event = make_inbound(connection, "message", payload=payload)

    work_off(clock=lambda: NOON)

    event.refresh_from_db()
    assert event.processed_at == NOON
    assert not Contact.objects.exists()


def test_unknown_types_are_done_without_effect(connection):
    event = make_inbound(connection, "levitate")

    work_off(clock=lambda: NOON)

    event.refresh_from_db()
    assert event.processed_at == NOON
    assert not Contact.objects.exists()


REFUSE_ON = {
    "sqlite": [
        "CREATE TRIGGER no_new_contacts BEFORE INSERT ON contacts_contact"
        " BEGIN SELECT RAISE(ABORT, 'no new contacts'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION no_new_contacts() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no new contacts' USING ERRCODE = 'check_violation'; END $$",
        "CREATE TRIGGER no_new_contacts BEFORE INSERT ON contacts_contact"
        " FOR EACH ROW EXECUTE FUNCTION no_new_contacts()",
    ],
}
REFUSE_OFF = {
    "sqlite": "DROP TRIGGER no_new_contacts",
    "postgresql": "DROP TRIGGER no_new_contacts ON contacts_contact",
}


@pytest.fixture
def broken_contacts():
    """A database that takes no new contact; calling what it gives mends that."""
    with database.cursor() as cursor:
        for statement in REFUSE_ON[database.vendor]:
            cursor.execute(statement)

    def mend():
        with database.cursor() as cursor:
            cursor.execute(REFUSE_OFF[database.vendor])

    return mend


def work_off_at(at):
    return work_off(clock=lambda: at)


def fail_until_dead(event, *, rounds):
    """Work the event off at the times at which it is due."""
    for _ in range(rounds):
        event.refresh_from_db()
        work_off_at(event.next_try_at)
    event.refresh_from_db()


@pytest.fixture
def poison(connection):
    """An event that fails as long as contacts are broken."""
    return make_inbound(connection, "follow")


def test_ten_failures_end_in_the_dead_list_with_an_error_in_the_log(
    connection, poison, caplog, broken_contacts
):
    fail_until_dead(poison, rounds=MAX_TRIES + 2)

    assert poison.tries == MAX_TRIES
    assert poison.dead_at is not None
    assert poison.processed_at is None
    assert poison.problem
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.getMessage() for r in errors] == ["inbound.dead"]


def test_a_failure_is_tried_again_later_and_later(connection, poison, broken_contacts):
    waits = []
    for _ in range(4):
        poison.refresh_from_db()
        at = poison.next_try_at
        work_off_at(at)
        poison.refresh_from_db()
        waits.append((poison.next_try_at - at).total_seconds())

    assert waits == [10, 20, 40, 80]


def test_a_bad_event_does_not_hold_up_the_others(connection, poison, broken_contacts):
    good = make_inbound(connection, "levitate")

    work_off(clock=lambda: NOON)

    good.refresh_from_db()
    poison.refresh_from_db()
    assert good.processed_at == NOON
    assert poison.tries == 1


def test_an_event_that_failed_is_applied_once_the_cause_is_gone(
    connection, poison, broken_contacts
):
    work_off(clock=lambda: NOON)
    broken_contacts()

    work_off(clock=lambda: NOON + timedelta(seconds=10))

    poison.refresh_from_db()
    assert poison.processed_at is not None
    assert poison.problem == ""
    assert Contact.objects.filter(line_user_id=HANA).count() == 1


def test_the_log_of_a_failure_names_nobody(connection, poison, caplog, broken_contacts):
    work_off(clock=lambda: NOON)

    [line] = [r for r in caplog.records if r.getMessage() == "inbound.failed"]
    assert HANA not in str(line.__dict__)


def test_events_are_dropped_after_thirty_days_a_few_at_a_time(connection):
    now = timezone.now()
    done = [make_inbound(connection, processed_at=now) for _ in range(3)]
    waiting = make_inbound(connection)
    month_on = now + timedelta(days=31)

    first = drop_old(limit=2, clock=lambda: month_on)
    second = drop_old(limit=2, clock=lambda: month_on)

    assert (first, second) == (2, 1)
    assert list(InboundEvent.objects.all()) == [waiting]
    assert len(done) == 3


def test_nothing_is_dropped_before_its_time(connection):
    make_inbound(connection, processed_at=timezone.now())

    assert drop_old(clock=lambda: timezone.now() + timedelta(days=29)) == 0
