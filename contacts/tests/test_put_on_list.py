"""Contacts onto lists: the ticked ones, or everyone the filter finds."""

import pytest
from django.urls import reverse

from contacts.models import Contact, ContactList
from contacts.services import PIECE, add_to_list
from testing.factories import (
    make_connection,
    make_contact,
    make_contacts,
    make_list,
    make_user,
)

pytestmark = pytest.mark.django_db

LIST = "admin:contacts_contact_changelist"


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def press(client, contacts, query="", **fields):
    form = {
        "action": "put_on_list",
        "_selected_action": [contact.pk for contact in contacts],
        "select_across": "0",
    }
    return client.post(reverse(LIST) + query, form | fields)


def test_the_ticked_contacts_go_on_the_list_that_is_chosen(editor):
    chosen, other = make_contact(), make_contact()
    target = make_list()

    page = press(editor, [chosen], index="0")
    assert "1 contact will be put on the list" in page.content.decode()
    done = press(editor, [chosen], put="1", contact_list=target.pk)

    assert done.status_code == 302
    assert list(target.contacts.all()) == [chosen]
    assert other not in target.contacts.all()


def test_a_new_list_is_made_by_its_name(editor):
    press(editor, [make_contact()], put="1", new_list="Spring")

    assert ContactList.objects.get(name="Spring").contacts.count() == 1


def test_everyone_the_filter_finds_goes_on_the_list(editor):
    connection, target = make_connection(), make_list()
    make_contacts(connection, 120)
    blocked = make_contact(connection, is_reachable=False)
    first = Contact.objects.first()

    press(
        editor,
        [first],
        query="?is_reachable__exact=1",
        select_across="1",
        put="1",
        contact_list=target.pk,
    )

    assert target.contacts.count() == 120
    assert blocked not in target.contacts.all()


def test_those_who_are_on_it_already_stay_on_it_once(editor):
    contact = make_contact()
    target = make_list(contact)

    press(editor, [contact], put="1", contact_list=target.pk)

    assert target.contacts.count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Choose a list, or name a new one."),
        ({"new_list": "Taken"}, "choose it above"),
        ({"contact_list": "999999"}, "valid choice"),
        ({"after_id": "-5", "new_list": "New"}, "after_id"),
    ],
)
def test_a_form_that_cannot_be_used_is_shown_again(editor, fields, words):
    make_list(name="Taken")

    page = press(editor, [make_contact()], put="1", **fields)

    assert page.status_code == 200
    assert words in page.content.decode()


def test_what_one_press_cannot_do_the_next_one_goes_on_with():
    connection, target = make_connection(), make_list()
    make_contacts(connection, PIECE + 10)
    everyone = Contact.objects.all()

    first = add_to_list(target, everyone, seconds=0)
    second = add_to_list(
        target, everyone, after_id=first.last_id, count=first.count, seconds=0
    )

    assert (first.count, first.is_done) == (PIECE, False)
    assert (second.count, second.is_done) == (PIECE + 10, True)
    assert target.contacts.count() == PIECE + 10


def test_viewers_may_not(client):
    client.force_login(make_user("Viewer"))
    contact, target = make_contact(), make_list()

    press(client, [contact], put="1", contact_list=target.pk)

    assert target.contacts.count() == 0
