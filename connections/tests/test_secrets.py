"""Credentials: never in clear in the database, in a repr, on a page or in the history."""

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.db import connection as database
from django.urls import reverse
from django.utils import timezone

from connections.errors import SecretUnreadable
from connections.fields import cipher
from connections.models import Connection
from connections.services import check, note_error
from connections.tokens import access_token_of
from providers.errors import Unauthorised, Unclear
from testing.factories import make_connection, make_user

pytestmark = pytest.mark.django_db

TOKEN = "canary-token-0123456789-wxyz"
SECRET = "canary-secret-0123456789abcd"


@pytest.fixture
def connection():
    return make_connection(access_token=TOKEN, secret=SECRET)


def raw_row(connection):
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM connections_connection WHERE id = %s", [connection.pk]
        )
        return repr(cursor.fetchone())


def change_url(connection):
    return reverse("admin:connections_connection_change", args=[connection.pk])


def test_the_database_never_holds_them_in_clear(connection):
    row = raw_row(connection)

    assert TOKEN not in row
    assert SECRET not in row
    assert Connection.objects.get().access_token == TOKEN


def test_two_equal_secrets_look_different_in_the_database(connection):
    row = raw_row(connection)
    Connection.objects.get().save()

    assert raw_row(connection) != row


def test_repr_and_str_do_not_show_them(connection):
    shown = f"{connection!r} {connection} {connection._meta.get_field('secret')!r}"

    assert "canary" not in shown


def test_no_page_shows_them_but_the_last_four_characters(manager, connection):
    pages = [
        manager.get(reverse("admin:connections_connection_changelist")),
        manager.get(change_url(connection)),
        manager.get(
            reverse("admin:connections_connection_history", args=[connection.pk])
        ),
    ]

    for page in pages:
        assert page.status_code == 200
        assert "canary" not in page.content.decode()
    assert "…wxyz" in pages[1].content.decode()
    assert "…abcd" in pages[1].content.decode()


def test_a_form_with_mistakes_does_not_give_back_what_was_typed(manager, connection):
    page = manager.post(
        change_url(connection),
        {"name": "", "account_id": "", "new_access_token": "canary-typed-just-now"},
    )

    assert page.status_code == 200
    assert "canary" not in page.content.decode()


def test_empty_fields_keep_them_and_the_history_names_fields_only(manager, connection):
    manager.post(
        change_url(connection),
        {"name": "Shop", "account_id": "", "new_access_token": "", "new_secret": ""},
    )

    connection.refresh_from_db()
    assert (connection.name, connection.access_token) == ("Shop", TOKEN)
    assert connection.secret == SECRET


def test_a_new_secret_is_stored_the_old_one_kept_for_a_while(manager, connection):
    answer = manager.post(
        change_url(connection),
        {
            "name": connection.name,
            "account_id": connection.account_id,
            "new_access_token": " canary-token-new \n",
            "new_secret": "canary-secret-new",
        },
    )

    assert answer.status_code == 302
    connection.refresh_from_db()
    assert connection.access_token == "canary-token-new"
    assert (connection.secret, connection.old_secret) == ("canary-secret-new", SECRET)
    assert connection.old_secret_until is not None
    assert "canary" not in LogEntry.objects.get().change_message


def test_the_previous_secret_can_be_forgotten_at_once(manager, connection):
    form = {"name": connection.name, "account_id": connection.account_id}
    manager.post(change_url(connection), form | {"new_secret": "another-secret-1"})

    manager.post(change_url(connection), form | {"forget_old_secret": "on"})

    connection.refresh_from_db()
    assert (connection.secret, connection.old_secret) == ("another-secret-1", "")
    assert connection.old_secret_until is None


@pytest.mark.parametrize("typed", ["with space", "tab\there", "naïve", "日本"])
def test_what_cannot_be_a_credential_is_refused_with_words(manager, connection, typed):
    page = manager.post(
        change_url(connection), {"name": "x", "new_access_token": typed}
    )

    assert page.status_code == 200
    assert "Copy it again" in page.content.decode()
    connection.refresh_from_db()
    assert connection.access_token == TOKEN


def test_a_new_key_reads_what_the_old_key_wrote(connection, settings):
    old, new = settings.FIELD_KEYS, [Fernet.generate_key().decode()]
    settings.FIELD_KEYS = [*new, *old]

    found = Connection.objects.get()
    found.save()

    settings.FIELD_KEYS = new
    assert Connection.objects.get().access_token == TOKEN
    assert cipher().decrypt(cipher().encrypt(b"x")) == b"x"


def test_a_lost_key_is_an_error_with_a_name_not_an_empty_secret(connection, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(SecretUnreadable):
        Connection.objects.get()


def test_with_a_lost_key_the_pages_still_work_and_take_new_credentials(
    manager, connection, settings
):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    listed = manager.get(reverse("admin:connections_connection_changelist"))
    page = manager.get(change_url(connection))
    saved = manager.post(
        change_url(connection),
        {
            "name": "Shop",
            "account_id": connection.account_id,
            "new_access_token": "token-anew",
            "new_secret": "secret-anew",
        },
    )

    assert listed.status_code == 200
    assert "paste it again" in page.content.decode()
    assert saved.status_code == 302
    found = Connection.objects.get()
    assert (found.access_token, found.secret) == ("token-anew", "secret-anew")


@pytest.mark.parametrize("role", ["Editor", "Viewer", "Store staff"])
def test_only_managers_reach_connections(client, connection, role):
    client.force_login(make_user(role))

    for address in (
        reverse("admin:connections_connection_changelist"),
        change_url(connection),
    ):
        assert client.get(address).status_code in (302, 403)
    for name in ("test", "pause", "resume"):
        address = reverse(f"admin:connections_connection_{name}", args=[connection.pk])
        assert client.post(address).status_code in (302, 403)
    connection.refresh_from_db()
    assert connection.state == "active"


def test_issuing_renewing_and_failing_log_no_secret(caplog, channel, signed):
    caplog.set_level("DEBUG")
    kept = Connection.objects.get()
    token = access_token_of(signed)
    Connection.objects.update(issued_until=None)
    channel.fault("token_v2_1", "500", times=1)
    with pytest.raises(Unclear):
        access_token_of(signed)
    note_error(signed.pk, Unauthorised("no", 401), at=timezone.now(), token=token)
    check(signed.pk)

    logged = repr([record.__dict__ for record in caplog.records])

    assert "token.not_renewed" in logged
    for secret in (token, kept.secret, kept.private_key.splitlines()[1]):
        assert secret not in logged
