"""Our RSA key at LINE: made here, shown as its public half, put to use once proven."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from connections.keys import make_private_key, public_jwk
from connections.models import Connection, IssuedToken
from connections.services import discard_key, make_key, use_key
from connections.tokens import access_token_of
from testing.factories import make_user

pytestmark = pytest.mark.django_db


def row():
    return Connection.objects.get()


def waiting_jwk():
    return json.loads(public_jwk(row().next_private_key))


def page_of(manager, connection):
    url = reverse("admin:connections_connection_change", args=[connection.pk])
    return manager.get(url).content.decode()


def press(manager, connection, name, **fields):
    url = reverse(f"admin:connections_connection_{name}", args=[connection.pk])
    return manager.post(url, fields, follow=True).content.decode()


def test_the_public_key_is_what_lines_console_wants():
    jwk = json.loads(public_jwk(make_private_key()))

    assert set(jwk) == {"kty", "alg", "use", "e", "n"}
    assert (jwk["kty"], jwk["alg"], jwk["use"], jwk["e"]) == (
        "RSA",
        "RS256",
        "sig",
        "AQAB",
    )
    assert len(jwk["n"]) == 342  # 2048 bits as base64 without padding


def test_two_keys_are_never_the_same():
    assert public_jwk(make_private_key()) != public_jwk(make_private_key())


def test_the_old_key_stays_in_use_until_the_new_one_is_proven(channel, signed):
    before = row()

    make_key(signed.pk)
    refused = use_key(signed.pk, "not-registered")

    now = row()
    assert not refused.is_ok
    assert "our key not-registered" in refused.words
    assert (now.private_key, now.key_id) == (before.private_key, before.key_id)
    assert now.state == "active"
    assert now.next_private_key
    assert access_token_of(signed)


def test_a_proven_key_takes_over_with_its_first_token(channel, signed):
    before = row()
    make_key(signed.pk)
    key_id = channel.register_key(waiting_jwk())

    used = use_key(signed.pk, key_id)

    now = row()
    assert used.is_ok
    assert now.key_id == key_id
    assert now.private_key != before.private_key
    assert (now.next_private_key, now.next_key_id) == ("", "")
    assert access_token_of(signed) == now.issued_token
    assert IssuedToken.objects.get().token == now.issued_token


def test_a_key_may_be_proven_before_its_kind_of_token_is_chosen(channel, stateless):
    make_key(stateless.pk)
    key_id = channel.register_key(waiting_jwk())

    assert use_key(stateless.pk, key_id).is_ok
    assert row().issued_token == ""
    Connection.objects.update(token_kind="v2_1")
    assert access_token_of(stateless)


def test_pressing_use_twice_is_fine(channel, signed):
    make_key(signed.pk)
    key_id = channel.register_key(waiting_jwk())
    use_key(signed.pk, key_id)

    again = use_key(signed.pk, key_id)

    assert again.is_ok
    assert "in use" in again.words


def test_without_a_new_key_there_is_nothing_to_use(signed):
    assert "make one first" in use_key(signed.pk, "some-id").words


def test_line_away_leaves_everything_as_it_was(channel, signed):
    make_key(signed.pk)
    before = row()
    channel.fault("token_v2_1", "500")

    assert not use_key(signed.pk, "some-id").is_ok

    assert row().key_id == before.key_id
    assert row().next_private_key == before.next_private_key
    assert row().next_key_id == "some-id"


def test_a_key_can_be_discarded(signed):
    make_key(signed.pk)

    discard_key(signed.pk)

    assert row().next_private_key == ""
    assert row().private_key


# --- the page ---------------------------------------------------------------------------


def test_the_page_leads_from_key_to_use(manager, channel, stateless):
    Connection.objects.update(token_kind="v2_1")
    assert "Make a key" in page_of(manager, stateless)

    page = press(manager, stateless, "make_key")
    assert waiting_jwk()["n"] in page
    assert "Assertion Signing Key" in page

    key_id = channel.register_key(waiting_jwk())
    page = press(manager, stateless, "use_key", key_id=f" {key_id} ")
    assert "the key is in use from now on" in page
    assert f"In use: {key_id}." in page
    messages = " ".join(LogEntry.objects.values_list("change_message", flat=True))
    assert "Made a key" in messages


def test_no_page_shows_a_private_key(manager, signed):
    make_key(signed.pk)
    kept = row()

    page = page_of(manager, signed)

    assert "PRIVATE" not in page
    for secret in (kept.private_key, kept.next_private_key):
        assert secret.splitlines()[1] not in page


@pytest.mark.parametrize("typed", ["", "with space", "日本", "x" * 81])
def test_what_cannot_be_a_key_id_is_refused_with_words(manager, signed, typed):
    make_key(signed.pk)

    page = press(manager, signed, "use_key", key_id=typed)

    assert "key id" in page or "at most 80" in page
    assert row().next_private_key


def test_the_page_of_a_pasted_token_speaks_of_no_key(manager, channel, stateless):
    assert "Our key at LINE" not in page_of(manager, stateless)


def test_with_a_lost_key_of_ours_the_page_still_works(manager, signed, settings):
    make_key(signed.pk)
    settings.FIELD_KEYS = ["b3RoZXIta2V5LTMyLWJ5dGVzLWxvbmctMDAwMDAwMDA="]

    assert "Make a new key" in page_of(manager, signed)


@pytest.mark.parametrize("name", ["make_key", "use_key", "discard_key"])
def test_the_buttons_are_managers_and_posts_alone(client, manager, signed, name):
    url = reverse(f"admin:connections_connection_{name}", args=[signed.pk])
    assert manager.get(url).status_code == 405
    client.force_login(make_user("Editor"))

    assert client.post(url).status_code in (302, 403)
    assert row().next_private_key == ""


def test_only_a_line_account_has_a_key(manager, signed):
    Connection.objects.update(provider="paddle")
    url = reverse("admin:connections_connection_make_key", args=[signed.pk])

    assert manager.post(url).status_code == 403
