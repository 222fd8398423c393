"""A webhook's way in: signature, storing once, and what is refused."""

import json
import logging

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from linebot.v3 import SignatureValidator, WebhookParser

from connections.models import Connection
from sync.models import InboundEvent
from sync.tasks import process
from sync.tests.webhooks import make_body, make_event, post, sign
from testing.factories import instant, make_connection

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection():
    return make_connection()


def test_signed_webhook_is_stored_and_answered_with_200(client, connection):
    event = make_event("follow", event_id="01A")

    answer = post(client, connection, make_body(connection, event))

    assert answer.status_code == 200
    stored = InboundEvent.objects.get()
    assert (stored.event_id, stored.kind) == ("01A", "follow")
    assert stored.occurred_at == instant("2026-05-01 12:00")
    assert stored.payload == event
    assert stored.processed_at is None


def test_what_lines_own_sdk_takes_for_signed_we_take_too(client, connection):
    raw = make_body(connection, make_event("follow", follow={"isUnblocked": False}))
    signature = sign(connection.secret, raw)
    assert SignatureValidator(connection.secret).validate(raw.decode(), signature)
    [event] = WebhookParser(connection.secret).parse(raw.decode(), signature)
    assert event.type == "follow"

    answer = post(client, connection, raw)

    assert answer.status_code == 200
    assert InboundEvent.objects.count() == 1


def test_lines_published_example_is_taken(client):
    """The test vector of LINE's page on verifying signatures."""
    connection = make_connection(
        account_id="U8e742f61d673b39c7fff3cecb7536ef0",
        secret="8c570fa6dd201bb328f1c1eac23a96d8",
    )
    raw = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'

    answer = client.post(
        reverse("hooks:line", args=[connection.hook_key]),
        data=raw,
        content_type="application/json",
        headers={"x-line-signature": "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="},
    )

    assert answer.status_code == 200
    assert not InboundEvent.objects.exists()


def test_events_of_one_call_are_stored_in_one_statement(
    client, connection, django_assert_num_queries
):
    raw = make_body(connection, *(make_event() for _ in range(20)))

    # Whose key is it, and one INSERT; on SQLite it stands in a transaction.
    with django_assert_num_queries(2) as queries:
        answer = post(client, connection, raw)

    assert answer.status_code == 200
    assert InboundEvent.objects.count() == 20
    assert sum("INSERT" in query["sql"] for query in queries.captured_queries) == 1


def test_the_same_event_twice_is_stored_once(client, connection):
    event = make_event(event_id="01A")
    again = event | {"deliveryContext": {"isRedelivery": True}}

    first = post(client, connection, make_body(connection, event, event))
    second = post(client, connection, make_body(connection, again))

    assert (first.status_code, second.status_code) == (200, 200)
    assert InboundEvent.objects.count() == 1


def test_the_same_event_id_of_another_account_is_another_event(client, connection):
    other = make_connection()

    for account in (connection, other):
        post(client, account, make_body(account, make_event(event_id="01A")))

    assert InboundEvent.objects.count() == 2


@pytest.mark.parametrize(
    "signature",
    [None, "", "x", "é", "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="],
)
def test_missing_or_wrong_signature_is_refused_and_nothing_stored(
    client, connection, caplog, signature
):
    caplog.set_level(logging.WARNING)
    raw = make_body(connection, make_event())

    answer = post(client, connection, raw, **{"X-Line-Signature": signature})

    assert answer.status_code == 403
    assert not InboundEvent.objects.exists()
    [line] = [r for r in caplog.records if r.getMessage() == "webhook.refused"]
    assert (line.reason, line.connection) == ("signature", connection.pk)


def test_a_changed_byte_is_refused(client, connection):
    raw = make_body(connection, make_event())
    signature = sign(connection.secret, raw)

    answer = post(client, connection, raw + b" ", **{"X-Line-Signature": signature})

    assert answer.status_code == 403


def test_unknown_address_is_refused_like_a_wrong_signature(client, connection):
    raw = make_body(connection, make_event())

    answer = client.post(
        reverse("hooks:line", args=["nobodys-key"]),
        data=raw,
        content_type="application/json",
        headers={"X-Line-Signature": sign(connection.secret, raw)},
    )

    assert answer.status_code == 403
    assert answer.content == b""
    assert not InboundEvent.objects.exists()


def test_another_accounts_secret_is_refused(client, connection):
    other = make_connection()

    answer = post(
        client, connection, make_body(connection, make_event()), secret=other.secret
    )

    assert answer.status_code == 403


def test_a_connection_without_a_secret_takes_nothing(client, connection):
    Connection.objects.filter(pk=connection.pk).update(secret="")
    raw = make_body(connection, make_event())

    answer = post(client, connection, raw, **{"X-Line-Signature": sign("", raw)})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'{"events": 5}', b"\xff\xfe", b"[" * 100_000],
)
def test_bad_json_is_400_when_signed_and_403_when_not(client, connection, raw):
    signed = post(client, connection, raw)
    forged = post(client, connection, raw, secret="wrong")

    assert (signed.status_code, forged.status_code) == (400, 403)
    assert not InboundEvent.objects.exists()


def test_lines_try_of_the_address_without_events_is_200(client, connection):
    raw = b'{"destination":"Uffffffffffffffffffffffffffffffff","events":[]}'

    assert post(client, connection, raw).status_code == 200
    assert not InboundEvent.objects.exists()


def test_unknown_types_and_odd_events_are_stored_and_answered_with_200(
    client, connection
):
    odd = [
        make_event("levitate" * 20),
        {"type": "follow"},
        {},
        make_event("message", message={"text": "nul \u0000 half \ud800 😀"}),
        make_event(at_ms=10**30),
    ]

    answer = post(client, connection, make_body(connection, *odd))

    assert answer.status_code == 200
    assert InboundEvent.objects.count() == len(odd)


def test_webhook_of_another_account_is_refused_and_staff_are_told(client, connection):
    raw = json.dumps({"destination": "Ufff", "events": [make_event()]}).encode()

    answer = post(client, connection, raw)

    assert answer.status_code == 403
    assert not InboundEvent.objects.exists()
    connection.refresh_from_db()
    assert "Ufff" in connection.last_error


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_other_methods_are_405(client, connection, method):
    address = reverse("hooks:line", args=[connection.hook_key])

    assert getattr(client, method)(address).status_code == 405


def test_a_body_that_is_too_long_is_413_without_being_read(client, connection):
    class Unread:
        def read(self, *size):
            raise AssertionError("the body was read")

        readline = read

    answer = client.generic(
        "POST",
        reverse("hooks:line", args=[connection.hook_key]),
        **{"CONTENT_LENGTH": "1000001", "wsgi.input": Unread()},
    )

    assert answer.status_code == 413


def test_a_body_of_the_full_size_is_taken(client, connection):
    event = make_event("message", message={"text": "x" * 900_000})

    assert post(client, connection, make_body(connection, event)).status_code == 200


def test_no_csrf_token_and_no_cookie_is_needed(connection):
    strict = Client(enforce_csrf_checks=True)

    answer = post(strict, connection, make_body(connection, make_event()))

    assert answer.status_code == 200
    assert not answer.cookies


def test_the_previous_secret_counts_for_a_day(client, connection):
    old = connection.secret
    connection.change_secret("new-secret", at=instant("2026-05-01 12:00"))

    assert connection.secrets_at(instant("2026-05-02 11:59")) == ["new-secret", old]
    assert connection.secrets_at(instant("2026-05-02 12:00")) == ["new-secret"]


def test_webhook_signed_with_the_previous_secret_is_taken(client, connection):
    old = connection.secret
    connection.change_secret("new-secret", at=timezone.now())
    connection.save()
    raw = make_body(connection, make_event())

    assert post(client, connection, raw, secret=old).status_code == 200
    assert post(client, connection, raw, secret="new-secret").status_code == 200
    assert InboundEvent.objects.count() == 1


def test_a_secret_that_cannot_be_read_is_503_so_that_line_sends_again(
    client, connection, settings
):
    raw = make_body(connection, make_event())
    settings.FIELD_KEYS = ["b3RoZXIta2V5LTMyLWJ5dGVzLWxvbmctMDAwMDAwMDA="]

    answer = post(client, connection, raw)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"


def test_a_paused_connection_still_takes_webhooks(client, connection):
    connection.pause("by hand", by_hand=True)

    assert (
        post(client, connection, make_body(connection, make_event())).status_code == 200
    )
    assert InboundEvent.objects.count() == 1


@pytest.fixture
def broken_broker():
    """A queue at an address where nobody listens."""
    app = process.app
    kept = {
        name: app.conf[name]
        for name in ("broker_write_url", "broker_transport_options")
    }
    app.conf.update(
        broker_write_url="redis://127.0.0.1:1/0",
        broker_transport_options={"max_retries": 1, "interval_start": 0},
    )
    del app.amqp  # it keeps the old address's connections
    yield
    app.conf.update(kept)
    del app.amqp


@pytest.mark.django_db(transaction=True)
def test_with_the_broker_away_the_webhook_is_stored_and_answered(
    client, connection, broken_broker, caplog
):
    answer = post(client, connection, make_body(connection, make_event()))

    assert answer.status_code == 200
    assert InboundEvent.objects.count() == 1
    assert "broker.away" in caplog.text


def test_the_log_has_ids_only(client, connection, caplog):
    caplog.set_level(logging.DEBUG)
    raw = make_body(connection, make_event("message", message={"text": "canary-words"}))

    post(client, connection, raw)
    post(client, connection, raw, secret="wrong")

    written = "\n".join(str(record.__dict__) for record in caplog.records)
    for canary in ("canary-words", connection.secret, "U" + "a" * 32):
        assert canary not in written
