"""Contacts from a CSV: what is read, what is refused and why, and the two pages."""

import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from contacts import importing
from contacts.errors import ContactError
from contacts.models import Contact, ContactImport, ContactList
from contacts.services import go_on_with_import, start_import
from testing.factories import make_connection, make_contact, make_list, make_user

pytestmark = pytest.mark.django_db

A, B, C = ("U" + letter * 32 for letter in "abc")


def read(text, encoding="utf-8"):
    return importing.read(text.encode(encoding))


def read_rows(text):
    return [(row.line, row.user_id, row.name, row.language) for row in read(text).rows]


# --- reading ---------------------------------------------------------------------------


def test_rows_with_and_without_names_are_read():
    text = f"line_user_id,name,language\n{A},Hana Sato,ja\n{B},,\n"

    assert read_rows(text) == [(2, A, "Hana Sato", "ja"), (3, B, "", "")]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffline_user_id,name\r\n{A},花子\r\n",
        f"name,LINE User ID\n花子,{A}\n",
        f'"name","line_user_id"\n"花子"," {A} "\n',
        f"line_user_id,phone,name\n\n{A},090,花子\n,,\n",
        f"line_user_id,name\n{A},\u200b花子\ufeff",
    ],
)
def test_the_file_may_be_written_in_many_ways(text):
    [row] = read(text).rows

    assert (row.user_id, row.name) == (A, "花子")


def test_columns_that_are_not_read_are_named():
    assert read(f"line_user_id,phone,name\n{A},1,x\n").unused == ["phone"]


def test_a_guard_against_formulas_is_taken_off_again():
    text = f"line_user_id,name\n{A},'=Hana\n{B},'Hana\n"

    assert [row.name for row in read(text).rows] == ["=Hana", "'Hana"]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",Hana,", "missing"),
        ("U123,Hana,", "U and 32"),
        (A.upper() + ",Hana,", "U and 32"),
        (A + "a,Hana,", "U and 32"),
        (f"{B},{'x' * 101},", "longer than 100"),
        (f"{B},nul\x00,", "cannot be shown"),
        (f"{B},Hana,japanese!", "no code"),
        (f"{A},Hana,", "on line 2"),
    ],
)
def test_a_bad_row_is_left_out_with_its_line_and_the_reason(cells, reason):
    checked = read(f"line_user_id,name,language\n{A},first,\n{cells}\n{C},last,\n")

    assert [row.user_id for row in checked.rows] == [A, C]
    [problem] = checked.problems
    assert problem.line == 3
    assert reason in problem.reason


def test_the_line_is_right_after_a_name_with_a_line_break():
    checked = read(f'line_user_id,name\n{A},"two\nlines"\nnonsense,x\n')

    assert [problem.line for problem in checked.problems] == [2, 4]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"line_user_id,name\n", "empty"),
        (b"name,language\nHana,ja\n", "header"),
        (f"{A}\n{B}\n".encode(), "header"),
        (f"line_user_id;name\n{A};Hana\n".encode(), "header"),
        (f"line_user_id,line_user_id\n{A},{A}\n".encode(), "header"),
        (f"line_user_id,name\n{A},花子\n".encode("cp932"), "encoding"),
        (f"line_user_id,name\n{A},花子\n".encode("utf-16"), "encoding"),
        (b"line_user_id,name\n" + b"x" * 200_000, "broken"),
        (b"line_user_id\n" + b"x" * 10_000_000, "too_big"),
        (b"line_user_id\n" + b"x\n" * 300_001, "too_many_rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(raw, code):
    with pytest.raises(ContactError) as refusal:
        importing.read(raw)

    assert refusal.value.code == code


# --- writing ---------------------------------------------------------------------------


def test_new_ones_are_made_known_ones_updated_and_all_put_on_the_list():
    connection = make_connection()
    known = make_contact(connection, line_user_id=A, name="Old", language="ja")
    same = make_contact(connection, line_user_id=B, name="Same", language="ja")
    target = make_list(same)
    rows = read(f"line_user_id,name\n{A},New\n{B},\n{C},Third\n").rows

    written = importing.write(rows, connection_id=connection.pk, list_id=target.pk)

    assert written == importing.Written(new=1, changed=1)
    known.refresh_from_db()
    same.refresh_from_db()
    assert (known.name, known.language) == ("New", "ja")
    assert same.name == "Same"
    assert Contact.objects.count() == 3
    assert target.contacts.count() == 3


def test_the_same_file_again_changes_nothing():
    connection = make_connection()
    rows = read(f"line_user_id,name\n{A},Hana\n{B},Ken\n").rows
    importing.write(rows, connection_id=connection.pk)

    written = importing.write(rows, connection_id=connection.pk)

    assert written == importing.Written()
    assert Contact.objects.count() == 2


def test_an_import_does_not_make_a_blocked_contact_reachable():
    connection = make_connection()
    contact = make_contact(connection, line_user_id=A, is_reachable=False)

    importing.write(
        read(f"line_user_id,name\n{A},Hana\n").rows, connection_id=connection.pk
    )

    contact.refresh_from_db()
    assert not contact.is_reachable


def test_the_same_ids_of_another_account_are_other_people():
    mine, other = make_connection(), make_connection()
    rows = read(f"line_user_id\n{A}\n").rows

    importing.write(rows, connection_id=mine.pk)
    importing.write(rows, connection_id=other.pk)

    assert Contact.objects.count() == 2


def test_what_one_request_cannot_import_the_next_goes_on_with():
    connection, target = make_connection(), make_list()
    lines = "\n".join(f"U{n:032x},Name {n}" for n in range(1_201))

    waiting = start_import(
        f"line_user_id,name\n{lines}\n".encode(),
        connection=connection,
        contact_list=target,
        new_list="",
        by=make_user("Editor"),
    )

    first = go_on_with_import(waiting, seconds=0)
    assert (first, waiting.next_row, Contact.objects.count()) == (False, 500, 500)
    again = ContactImport.objects.get()
    second = go_on_with_import(again)

    assert second
    assert (again.new, again.changed) == (1_201, 0)
    assert target.contacts.count() == 1_201
    assert not ContactImport.objects.exists()


def test_two_tabs_that_import_at_once_share_the_rows_out():
    connection = make_connection()
    lines = "\n".join(f"U{n:032x}" for n in range(600))
    one = start_import(
        f"line_user_id\n{lines}\n".encode(),
        connection=connection,
        contact_list=None,
        new_list="",
        by=make_user("Editor"),
    )
    other = ContactImport.objects.get()

    go_on_with_import(one, seconds=0)

    assert not go_on_with_import(other)
    assert go_on_with_import(one)
    assert not go_on_with_import(other)
    assert Contact.objects.count() == 600
    assert one.new == 600


# --- the pages -------------------------------------------------------------------------

UPLOAD = "admin:contacts_contact_import_contacts"


@pytest.fixture
def editor(client):
    user = make_user("Editor")
    client.force_login(user)
    client.user = user
    return client


def upload(client, connection, text, **fields):
    file = io.BytesIO(text.encode())
    file.name = "people.csv"
    return client.post(
        reverse(UPLOAD), {"connection": connection.pk, "file": file} | fields
    )


def test_upload_check_and_yes_import_into_a_new_list(editor):
    connection = make_connection()
    make_contact(connection, line_user_id=A)

    uploaded = upload(
        editor,
        connection,
        f"line_user_id,name\n{A},Hana\n{B},Ken\nnonsense,x\n",
        new_list="Spring",
    )
    page = editor.get(uploaded.url).content.decode()
    assert "nonsense" in page
    assert A not in page
    assert Contact.objects.count() == 1
    done = editor.post(uploaded.url, {"yes": "1"}, follow=True)

    assert "1 new contacts, 1 changed." in done.content.decode()
    assert ContactList.objects.get(name="Spring").contacts.count() == 2
    assert not ContactImport.objects.exists()


def test_no_discards_the_file(editor):
    uploaded = upload(editor, make_connection(), f"line_user_id\n{A}\n")

    editor.post(uploaded.url, {"no": "1"})

    assert not ContactImport.objects.exists()
    assert not Contact.objects.exists()


def test_a_second_yes_in_another_tab_imports_nothing_twice(editor):
    uploaded = upload(editor, make_connection(), f"line_user_id\n{A}\n")
    editor.post(uploaded.url, {"yes": "1"})

    again = editor.post(uploaded.url, {"yes": "1"}, follow=True)

    assert "already" in again.content.decode()
    assert Contact.objects.count() == 1


def test_a_file_that_cannot_be_read_is_explained_at_the_field(editor):
    answer = upload(editor, make_connection(), "name\nHana\n")

    assert answer.status_code == 400
    assert "line_user_id,name,language" in answer.content.decode()
    assert not ContactImport.objects.exists()


def test_an_empty_file_and_no_file_are_explained(editor):
    connection = make_connection()

    empty = upload(editor, connection, "")
    missing = editor.post(reverse(UPLOAD), {"connection": connection.pk})

    assert "The file is empty." in empty.content.decode()
    assert missing.status_code == 400


def test_a_list_and_a_new_list_at_once_are_refused(editor):
    text = f"line_user_id\n{A}\n"
    chosen = make_list(name="Spring")

    both = upload(
        editor, make_connection(), text, contact_list=chosen.pk, new_list="Other"
    )
    taken = upload(editor, make_connection(), text, new_list="Spring")

    assert "not both" in both.content.decode()
    assert "choose it above" in taken.content.decode()


def test_only_the_uploader_sees_the_file(editor, client):
    uploaded = upload(editor, make_connection(), f"line_user_id,name\n{A},Hana\n")
    client.force_login(make_user("Editor"))

    assert client.get(uploaded.url).status_code == 302
    assert client.post(uploaded.url, {"yes": "1"}).status_code == 302
    assert not Contact.objects.exists()


@pytest.mark.parametrize("role", ["Viewer", "Store staff"])
def test_others_may_not_import(client, role):
    client.force_login(make_user(role))

    assert client.get(reverse(UPLOAD)).status_code in (302, 403)
    assert upload(client, make_connection(), "x").status_code in (302, 403)


def test_a_file_nobody_said_yes_to_is_forgotten_after_a_day(editor):
    upload(editor, make_connection(), f"line_user_id\n{A}\n")
    ContactImport.objects.update(created_at=timezone.now() - timedelta(days=2))

    upload(editor, make_connection(), f"line_user_id\n{B}\n")

    assert ContactImport.objects.count() == 1


def test_what_is_in_the_file_is_escaped(editor):
    uploaded = upload(
        editor, make_connection(), f"line_user_id,name\n{A},<b>x</b>\n<script>,y\n"
    )

    page = editor.get(uploaded.url).content.decode()

    assert "<b>x</b>" not in page
    assert "&lt;script&gt;" in page
