"""Adding and changing accounts at three providers, and not deleting those in use."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.urls import reverse

from connections.models import Connection
from deliveries.models import Delivery
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_list,
    make_publication,
    make_user,
)

pytestmark = pytest.mark.django_db

ADD = reverse("admin:connections_connection_add")


def pem_of(key):
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = pem_of(RSA)
PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PADDLE = {
    "name": "Shop",
    "account_id": "4711",
    "new_access_token": "0123456789abcdef",
    "public_key": PEM,
}
VIVOLDI = {"name": "Links", "new_access_token": "vivoldi-key-0001"}


def add(manager, provider, fields):
    return manager.post(f"{ADD}?provider={provider}", fields)


def errors_of(answer):
    assert answer.status_code == 200
    return answer.context["adminform"].form.errors


def change_url(connection):
    return reverse("admin:connections_connection_change", args=[connection.pk])


# --- which provider -----------------------------------------------------------------------


def test_the_first_step_offers_three_providers(manager):
    page = manager.get(ADD).content.decode()

    for provider in ("line", "paddle", "vivoldi"):
        assert f'href="?provider={provider}"' in page


@pytest.mark.parametrize("made_up", ["", "stripe", "%00", "line%00"])
def test_a_made_up_provider_leads_to_the_first_step(manager, made_up):
    answer = manager.get(f"{ADD}?provider={made_up}")

    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert 'href="?provider=paddle"' in answer.content.decode()


@pytest.mark.parametrize(
    ("provider", "own", "others"),
    [
        ("line", ("channel_id", "token_kind"), ("public_key", "calls_a_minute")),
        ("paddle", ("account_id", "public_key"), ("new_secret", "token_kind")),
        ("vivoldi", ("calls_a_minute", "new_secret"), ("account_id", "public_key")),
    ],
)
def test_each_provider_has_its_own_fields(manager, provider, own, others):
    page = manager.get(f"{ADD}?provider={provider}").content.decode()

    assert all(f'name="{name}"' in page for name in own)
    assert not any(f'name="{name}"' in page for name in others)


def test_the_first_step_keeps_what_else_is_asked(manager):
    """As when a form elsewhere opens it in a window of its own."""
    page = manager.get(f"{ADD}?_popup=1").content.decode()

    assert 'href="?_popup=1&amp;provider=vivoldi"' in page


def test_only_managers_add(client):
    client.force_login(make_user("Editor"))

    assert client.get(ADD).status_code == 403


# --- Paddle -------------------------------------------------------------------------------


def test_a_paddle_account_is_stored_encrypted_and_ready(manager):
    assert add(manager, "paddle", PADDLE).status_code == 302

    found = Connection.objects.get()
    assert (found.provider, found.account_id) == ("paddle", "4711")
    assert found.access_token == "0123456789abcdef"
    assert found.public_key == PEM.strip()


@pytest.mark.parametrize("typed", ["", "abc", "12 34", "-1", "0", "４７１１", "1e3"])
def test_a_vendor_id_is_a_number(manager, typed):
    errors = errors_of(add(manager, "paddle", PADDLE | {"account_id": typed}))

    assert "account_id" in errors
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Paste the auth code"),
        ("pdl_live_apikey_01", "Paddle Billing"),
        ("abc def", "Copy it again from Paddle"),
    ],
)
def test_an_auth_code_has_its_shape(manager, typed, words):
    errors = errors_of(add(manager, "paddle", PADDLE | {"new_access_token": typed}))

    assert words in str(errors["new_access_token"])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (PEM.replace("-----BEGIN PUBLIC KEY-----\n", ""), "first or last line"),
        (PEM.replace("-----END PUBLIC KEY-----\n", ""), "first or last line"),
        (PEM[:60] + PEM[90:], "missing inside"),
        (PRIVATE, "private key"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "another kind of key"),
        ("x" * 10_001, "at most 10000"),
    ],
)
def test_a_public_key_is_refused_in_words(manager, typed, words):
    errors = errors_of(add(manager, "paddle", PADDLE | {"public_key": typed}))

    assert words in str(errors["public_key"])
    assert not Connection.objects.exists()


def test_a_public_key_from_windows_is_the_same_key(manager):
    add(manager, "paddle", PADDLE | {"public_key": PEM.replace("\n", "\r\n")})

    assert Connection.objects.get().public_key == PEM.strip()


def test_empty_fields_keep_what_is_there(manager):
    add(manager, "paddle", PADDLE)
    connection = Connection.objects.get()

    fields = PADDLE | {"name": "Renamed", "new_access_token": ""}
    assert manager.post(change_url(connection), fields).status_code == 302

    connection.refresh_from_db()
    assert (connection.name, connection.access_token) == ("Renamed", "0123456789abcdef")


@pytest.mark.parametrize("provider", ["line", "paddle"])
def test_an_account_that_is_connected_already_is_refused_in_words(manager, provider):
    account = "4711" if provider == "paddle" else "U" + "a" * 32
    make_connection(provider=provider, account_id=account)

    answer = add(manager, provider, PADDLE | {"account_id": account})

    assert "has this account already" in str(errors_of(answer)["account_id"])


def test_the_same_number_at_two_providers_is_two_accounts(manager):
    make_connection(provider="line", account_id="4711")

    assert add(manager, "paddle", PADDLE).status_code == 302


# --- Vivoldi ------------------------------------------------------------------------------


def test_a_vivoldi_account_with_its_plan(manager):
    given = VIVOLDI | {"calls_a_minute": "300", "new_secret": "hook-secret-0001"}

    assert add(manager, "vivoldi", given).status_code == 302

    found = Connection.objects.get()
    assert (found.provider, found.calls_a_minute) == ("vivoldi", 300)
    assert (found.access_token, found.secret) == (
        "vivoldi-key-0001",
        "hook-secret-0001",
    )


def test_without_a_figure_the_usual_one_holds(manager):
    add(manager, "vivoldi", VIVOLDI | {"calls_a_minute": ""})

    assert Connection.objects.get().calls_a_minute is None


@pytest.mark.parametrize("typed", ["0", "-1", "6001", "many", "1.5", "９９９９９"])
def test_calls_a_minute_are_a_sensible_number(manager, typed):
    answer = add(manager, "vivoldi", VIVOLDI | {"calls_a_minute": typed})

    assert "calls_a_minute" in errors_of(answer)


def test_the_plans_are_a_table_on_vivoldis_page_alone(manager):
    assert "Business Plus" in manager.get(f"{ADD}?provider=vivoldi").content.decode()
    assert "Business Plus" not in manager.get(f"{ADD}?provider=line").content.decode()


def test_a_new_webhook_secret_keeps_the_old_one_for_a_while(manager):
    connection = make_connection(provider="vivoldi", secret="old-secret-0001")

    fields = VIVOLDI | {"new_secret": "new-secret-0001"}
    manager.post(change_url(connection), fields)

    connection.refresh_from_db()
    assert connection.secret == "new-secret-0001"
    assert connection.old_secret == "old-secret-0001"
    assert "forget_old_secret" in manager.get(change_url(connection)).content.decode()


# --- LINE ---------------------------------------------------------------------------------


def test_stateless_tokens_want_channel_id_and_secret(manager):
    given = {"name": "Shop", "token_kind": "stateless"}

    errors = errors_of(add(manager, "line", given))

    assert set(errors) == {"channel_id", "new_secret"}


def test_a_kept_secret_is_enough(manager):
    connection = make_connection(secret="s" * 32)

    fields = {"name": "Shop", "token_kind": "stateless", "channel_id": "123"}
    assert manager.post(change_url(connection), fields).status_code == 302

    connection.refresh_from_db()
    assert (connection.token_kind, connection.channel_id) == ("stateless", "123")


@pytest.mark.parametrize("typed", ["abc", "12 3", "１２３", "-5", "1" * 21])
def test_a_channel_id_has_digits_alone(manager, typed):
    given = {"name": "Shop", "token_kind": "v2_1", "channel_id": typed}

    assert "channel_id" in errors_of(add(manager, "line", given))


@pytest.mark.parametrize("typed", ["4711", "U123", "U" + "g" * 32, "u" + "a" * 32])
def test_an_account_id_has_its_shape(manager, typed):
    given = {"name": "Shop", "account_id": typed}

    assert "account_id" in errors_of(add(manager, "line", given))


def test_other_credentials_let_the_next_call_issue_a_new_token(manager, stateless):
    Connection.objects.update(issued_token="old", issued_until="2030-01-01T00:00Z")
    fields = {"name": "Shop", "token_kind": "stateless", "channel_id": "1234567890"}

    manager.post(change_url(stateless), fields)
    stateless.refresh_from_db()
    assert stateless.issued_token == "old"

    manager.post(change_url(stateless), fields | {"new_secret": "x" * 32})
    stateless.refresh_from_db()
    assert (stateless.issued_token, stateless.issued_until) == ("", None)


def test_a_made_up_kind_of_token_is_refused(manager):
    errors = errors_of(add(manager, "line", {"name": "Shop", "token_kind": "magic"}))

    assert "token_kind" in errors


# --- the list, and deleting -----------------------------------------------------------------


def test_the_list_names_each_provider_and_only_line_has_a_quota(manager):
    make_connection(quota=500, quota_used=12)
    make_connection(provider="paddle")

    page = manager.get(reverse("admin:connections_connection_changelist"))
    words = page.content.decode()

    assert "Paddle Classic" in words
    assert "12 of 500" in words


@pytest.mark.parametrize("provider", ["line", "paddle", "vivoldi"])
def test_each_page_says_what_its_provider_cannot_tell(manager, provider):
    connection = make_connection(provider=provider)

    assert "t tell" in manager.get(change_url(connection)).content.decode()


def with_contacts(connection):
    make_contact(connection)


def with_delivery(connection):
    Delivery.objects.create(
        campaign=make_campaign(),
        connection=connection,
        contact_list=make_list(),
        send_at="2026-05-01T12:00Z",
        nonce="6f1c39c5-9b5e-4f6e-8a55-3a1f1f3f7d11",
        template="[]",
    )


def with_publication(connection):
    make_publication(connection=connection)


@pytest.mark.parametrize(
    ("hold", "name"),
    [
        (with_contacts, "Contacts"),
        (with_delivery, "Deliveries"),
        (with_publication, "Publications"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_connection_in_use_is_not_deleted_and_says_why(manager, hold, name, method):
    connection = make_connection()
    hold(connection)
    url = reverse("admin:connections_connection_delete", args=[connection.pk])

    answer = getattr(manager, method)(url, {"post": "yes"}, follow=True)

    words = answer.content.decode()
    assert answer.redirect_chain == [(change_url(connection), 302)]
    assert f"these belong to it: {name}" in words
    assert "Press Pause" in words
    assert Connection.objects.filter(pk=connection.pk).exists()


def test_one_that_nothing_belongs_to_is_deleted(manager):
    connection = make_connection()
    url = reverse("admin:connections_connection_delete", args=[connection.pk])

    assert manager.post(url, {"post": "yes"}).status_code == 302

    assert not Connection.objects.exists()
    assert "cannot be deleted" not in manager.get(ADD).content.decode()
