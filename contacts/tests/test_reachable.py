"""Finding contacts by LINE user id, and whether LINE reaches them."""

from datetime import timedelta

import pytest

from contacts.models import Contact
from contacts.services import find_or_make_line_contact, set_reachable
from testing.factories import instant, make_connection, make_contact

pytestmark = pytest.mark.django_db

NOON = instant("2026-05-01 12:00")
HANA = "U" + "a" * 32


def test_a_user_is_found_or_made_once_and_a_new_ones_name_is_due():
    connection = make_connection()

    made = find_or_make_line_contact(connection.pk, HANA, clock=lambda: NOON)
    found = find_or_make_line_contact(connection.pk, HANA)

    assert made == found
    assert Contact.objects.get().name_due_at == NOON


def test_a_known_contacts_name_is_not_asked_again():
    connection = make_connection()
    contact = make_contact(connection, line_user_id=HANA, name="Hana")

    find_or_make_line_contact(connection.pk, HANA)

    contact.refresh_from_db()
    assert contact.name_due_at is None


@pytest.mark.parametrize(
    ("first", "second", "is_reachable"),
    [
        ((True, 0), (False, 1), False),
        ((False, 1), (True, 0), False),
        ((False, 0), (True, 1), True),
        ((True, 1), (False, 0), True),
        ((True, 0), (False, 0), False),
        ((False, 0), (True, 0), False),
    ],
)
def test_the_newest_news_counts_in_whichever_order_it_comes(
    first, second, is_reachable
):
    contact = make_contact(make_connection())

    for value, minutes in (first, second):
        set_reachable(contact.pk, value, at=NOON + timedelta(minutes=minutes))

    contact.refresh_from_db()
    assert contact.is_reachable is is_reachable


def test_it_tells_whether_the_news_was_new():
    contact = make_contact(make_connection())

    assert set_reachable(contact.pk, False, at=NOON)
    assert not set_reachable(contact.pk, True, at=NOON - timedelta(seconds=1))
