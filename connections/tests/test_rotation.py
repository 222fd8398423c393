"""`rotate_field_keys`: a new key takes over, and the old one may go."""

import io
from contextlib import contextmanager

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection as database

from connections.models import SECRETS, Connection, IssuedToken
from connections.rotating import BLOCK, all_stored
from sync.models import Publication
from testing.factories import instant, make_connection, make_publication

pytestmark = pytest.mark.django_db

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
# Of a connection's encrypted fields all but the access token and the secret are empty.
REST = f"{len(SECRETS) - 2} empty, 0 unreadable.\n"
TOKEN, SECRET = "canary-token-0123456789", "canary-secret-0123456789"


@pytest.fixture(autouse=True)
def old_key_alone(settings):
    settings.FIELD_KEYS = [OLD]


@pytest.fixture
def connection():
    return make_connection(access_token=TOKEN, secret=SECRET)


def command(*options):
    """What the command says, and its exit code."""
    out = io.StringIO()
    try:
        call_command("rotate_field_keys", *options, stdout=out, stderr=out)
    except SystemExit as end:
        return out.getvalue(), end.code
    return out.getvalue(), 0


def stored(pk, field="access_token"):
    """The column as it lies in the table."""
    with database.cursor() as cursor:
        cursor.execute(
            f"SELECT {field} FROM connections_connection WHERE id = %s",  # noqa: S608
            [pk],
        )
        return cursor.fetchone()[0]


def test_after_it_the_new_key_alone_reads_everything(connection, settings):
    settings.FIELD_KEYS = [NEW, OLD]

    said, code = command()

    assert code == 0
    assert said == f"2 encrypted anew, 0 up to date already, {REST}"
    settings.FIELD_KEYS = [NEW]
    found = Connection.objects.get()
    assert (found.access_token, found.secret) == (TOKEN, SECRET)
    assert found.old_secret == stored(connection.pk, "old_secret") == ""


def test_running_it_again_changes_nothing(connection, settings):
    settings.FIELD_KEYS = [NEW, OLD]
    command()
    before = stored(connection.pk)

    said, code = command()

    assert (said, code) == (
        f"0 encrypted anew, 2 up to date already, {REST}",
        0,
    )
    assert stored(connection.pk) == before


def test_check_says_when_the_old_key_may_go_and_changes_nothing(connection, settings):
    settings.FIELD_KEYS = [NEW, OLD]
    before = stored(connection.pk)

    assert command("--check") == (
        f"2 still need an older key, 0 up to date already, {REST}",
        1,
    )
    assert stored(connection.pk) == before
    command()
    assert command("--check") == (
        f"0 still need an older key, 2 up to date already, {REST}",
        0,
    )


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_what_no_key_fits_is_named_without_content_and_the_rest_is_done(
    connection, settings, options
):
    settings.FIELD_KEYS = [LOST]
    lost = make_connection(access_token=TOKEN, secret="")
    settings.FIELD_KEYS = [NEW, OLD]
    before = stored(lost.pk)

    said, code = command(*options)

    assert code == 1
    assert (
        f"connections.Connection {lost.pk}: access_token fits none of FIELD_KEYS."
        in said
    )
    assert "1 unreadable." in said
    assert "canary" not in said
    assert before not in said
    assert stored(lost.pk) == before
    if not options:
        settings.FIELD_KEYS = [NEW]
        assert Connection.objects.get(pk=connection.pk).secret == SECRET


@pytest.mark.parametrize("damaged", ["x", "gAAAAA", "日本", "   "])
def test_what_is_no_token_at_all_is_named_too(connection, settings, damaged):
    with database.cursor() as cursor:
        cursor.execute("UPDATE connections_connection SET secret = %s", [damaged])

    said, code = command()

    assert code == 1
    assert "secret fits none of FIELD_KEYS." in said


def test_more_rows_than_are_read_at_once_are_all_done(settings):
    Connection.objects.bulk_create(
        Connection(name=f"C{n}", account_id=f"U{n:032x}", access_token=TOKEN)
        for n in range(BLOCK + 3)
    )
    settings.FIELD_KEYS = [NEW, OLD]

    said, _ = command()

    assert said.startswith(f"{BLOCK + 3} encrypted anew")
    assert {c.access_token for c in Connection.objects.all()} == {TOKEN}


@contextmanager
def just_before_the_update(change):
    """Somebody else's `change()` comes between the command's read and its write."""
    waiting = [change]

    def execute(run, sql, params, many, context):
        if waiting and sql.startswith("UPDATE"):
            waiting.pop()()
        return run(sql, params, many, context)

    with database.execute_wrapper(execute):
        yield


def test_a_token_pasted_meanwhile_is_not_overwritten(settings):
    connection = make_connection(access_token=TOKEN, secret="")
    settings.FIELD_KEYS = [NEW, OLD]

    def paste():
        Connection.objects.filter(pk=connection.pk).update(access_token="pasted")

    with just_before_the_update(paste):
        said, code = command()

    assert code == 0
    assert said.startswith("0 encrypted anew, 1 up to date already")
    assert Connection.objects.get().access_token == "pasted"


def test_a_token_pasted_meanwhile_by_a_process_with_the_old_keys_is_read_again(
    settings,
):
    connection = make_connection(access_token=TOKEN, secret="")
    settings.FIELD_KEYS = [NEW, OLD]

    def paste():
        settings.FIELD_KEYS = [OLD]
        Connection.objects.filter(pk=connection.pk).update(access_token="pasted")
        settings.FIELD_KEYS = [NEW, OLD]

    with just_before_the_update(paste):
        said, _ = command()

    assert said.startswith("1 encrypted anew")
    settings.FIELD_KEYS = [NEW]
    assert Connection.objects.get().access_token == "pasted"


def test_a_row_deleted_meanwhile_is_passed_over(settings):
    connection = make_connection(access_token=TOKEN, secret="")
    settings.FIELD_KEYS = [NEW, OLD]

    def delete():
        Connection.objects.filter(pk=connection.pk).delete()

    with just_before_the_update(delete):
        said, code = command()

    assert code == 0
    assert said.startswith("0 encrypted anew")


class Killed(BaseException):
    """The process is gone between two statements."""


@pytest.mark.django_db(transaction=True)
def test_killed_half_way_it_has_lost_nothing_and_goes_on_when_run_again(settings):
    for _ in range(3):
        make_connection(access_token=TOKEN, secret=SECRET)
    settings.FIELD_KEYS = [NEW, OLD]
    updates = 0

    def die_at_the_fourth(run, sql, params, many, context):
        nonlocal updates
        updates += sql.startswith("UPDATE")
        if updates == 4:
            raise Killed
        return run(sql, params, many, context)

    with database.execute_wrapper(die_at_the_fourth), pytest.raises(Killed):
        command()

    assert {c.secret for c in Connection.objects.all()} == {SECRET}
    said, code = command()
    assert code == 0
    assert said.startswith("3 encrypted anew, 3 up to date already")


def test_it_looks_at_every_encrypted_field_there_is(connection):
    make_publication(connection=connection)
    IssuedToken.objects.create(
        connection=connection,
        token=TOKEN,
        issued_at=instant("2026-05-01 12:00"),
        good_until=instant("2026-05-08 12:00"),
    )

    assert {(s.model, s.field) for s in all_stored()} == {
        (Connection, "access_token"),
        (Connection, "secret"),
        (Connection, "old_secret"),
        (Connection, "private_key"),
        (Connection, "next_private_key"),
        (Connection, "issued_token"),
        (IssuedToken, "token"),
        (Publication, "onsite_password"),
    }


def test_a_password_for_a_providers_page_gets_the_new_key_too(settings):
    publication = make_publication(onsite_password="4711-canary")
    settings.FIELD_KEYS = [NEW, OLD]

    command()

    settings.FIELD_KEYS = [NEW]
    found = Publication.objects.get(pk=publication.pk)
    assert found.onsite_password == "4711-canary"
