"""The pages of contacts and lists."""

import pytest
from django.urls import reverse

from contacts.models import Contact, ContactList
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_contacts,
    make_coupon,
    make_list,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def url(name, *args):
    return reverse(f"admin:contacts_{name}", args=args)


def test_the_list_shows_line_ids_shortened(editor):
    contact = make_contact(make_connection(), line_user_id="Uabc" + "d" * 29)

    page = editor.get(url("contact_changelist")).content.decode()

    assert "Uabc…" in page
    assert contact.line_user_id not in page


def test_contacts_are_found_by_name_own_id_and_whole_line_id(editor):
    connection = make_connection()
    make_contact(connection, name="Hana", line_user_id="U" + "a" * 32)
    make_contact(name="Ken", external_id="shop-77")

    def found(text):
        page = editor.get(url("contact_changelist"), {"q": text})
        return {contact.name for contact in page.context["cl"].result_list}

    assert found("han") == {"Hana"}
    assert found("shop-77") == {"Ken"}
    assert found("U" + "a" * 32) == {"Hana"}
    assert found("U" + "a" * 31) == set()


def test_contacts_are_filtered_by_list_account_and_reach(editor):
    connection = make_connection()
    on_list = make_contact(connection)
    make_contact(connection, is_reachable=False)
    target = make_list(on_list)

    def found(**query):
        page = editor.get(url("contact_changelist"), query)
        return len(page.context["cl"].result_list)

    assert found(lists__id__exact=target.pk) == 1
    assert found(is_reachable__exact=0) == 1
    assert found(connection__id__exact=connection.pk) == 2


def test_pages_ask_the_database_as_often_for_many_as_for_one(
    editor, django_assert_max_num_queries
):
    contacts = make_contacts(make_connection(), 50)
    for _ in range(20):
        make_list(*contacts[:3])

    with django_assert_max_num_queries(12):
        assert editor.get(url("contact_changelist")).status_code == 200
    with django_assert_max_num_queries(8):
        page = editor.get(url("contactlist_changelist"))

    assert [one.size for one in page.context["cl"].result_list] == [3] * 20


def test_ids_that_are_empty_are_kept_as_none_so_that_many_may_be(editor):
    for name in ("Hana", "Ken"):
        answer = editor.post(
            url("contact_add"),
            {
                "name": name,
                "line_user_id": "",
                "external_id": "",
                "memberships-TOTAL_FORMS": "0",
                "memberships-INITIAL_FORMS": "0",
            },
        )
        assert answer.status_code == 302

    assert Contact.objects.filter(line_user_id=None, external_id=None).count() == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"line_user_id": "U" + "a" * 32}, "Choose the LINE account"),
        ({"line_user_id": "nonsense"}, "U and 32"),
        ({"external_id": "taken"}, "has this id of the shop already"),
    ],
)
def test_a_contact_that_cannot_be_is_explained(editor, fields, words):
    make_contact(external_id="taken")

    page = editor.post(
        url("contact_add"),
        {"name": "x", "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
        | fields,
    )

    assert page.status_code == 200
    assert words in page.content.decode()


def test_saving_a_contact_does_not_undo_a_block_that_came_meanwhile(editor):
    contact = make_contact(make_connection())
    Contact.objects.filter(pk=contact.pk).update(is_reachable=False)

    editor.post(
        url("contact_change", contact.pk),
        {
            "name": "Renamed",
            "is_reachable": "on",
            "memberships-TOTAL_FORMS": "0",
            "memberships-INITIAL_FORMS": "0",
        },
    )

    contact.refresh_from_db()
    assert (contact.name, contact.is_reachable) == ("Renamed", False)


def test_a_contact_with_coupons_cannot_be_deleted(editor):
    contact = make_contact(make_connection())
    make_coupon(make_campaign(), contact)

    page = editor.get(url("contact_change", contact.pk)).content.decode()
    answer = editor.post(url("contact_delete", contact.pk), {"post": "yes"})

    assert url("contact_delete", contact.pk) not in page
    assert answer.status_code == 403
    assert Contact.objects.filter(pk=contact.pk).exists()


def test_a_contact_without_any_can_be_deleted(editor):
    contact = make_contact()

    editor.post(url("contact_delete", contact.pk), {"post": "yes"})

    assert not Contact.objects.exists()


def test_deleting_a_list_names_it_and_keeps_its_contacts(
    editor, django_assert_max_num_queries
):
    target = make_list(*make_contacts(make_connection(), 200))

    with django_assert_max_num_queries(12):
        page = editor.get(url("contactlist_delete", target.pk)).content.decode()
    editor.post(url("contactlist_delete", target.pk), {"post": "yes"})

    assert "its contacts stay" in page
    assert not ContactList.objects.exists()
    assert Contact.objects.count() == 200


def test_the_list_page_leads_to_its_contacts(editor):
    target = make_list()

    page = editor.get(url("contactlist_change", target.pk)).content.decode()

    assert f"?lists__id__exact={target.pk}" in page


def test_there_is_no_deleting_in_bulk(editor):
    contact = make_contact()

    editor.post(
        url("contact_changelist"),
        {"action": "delete_selected", "_selected_action": contact.pk, "post": "yes"},
    )

    assert Contact.objects.exists()


@pytest.mark.parametrize("name", ["contact_changelist", "contactlist_changelist"])
def test_viewers_look_and_store_staff_do_not(client, name):
    client.force_login(make_user("Viewer"))
    assert client.get(url(name)).status_code == 200
    assert client.get(url("contact_add")).status_code == 403

    client.force_login(make_user("Store staff"))
    assert client.get(url(name)).status_code == 302
