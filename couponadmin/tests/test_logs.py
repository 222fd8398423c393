"""What gets into the logs, and what never does."""

import json
import logging
import sys
from uuid import uuid4

import psycopg
import pytest
from celery.app.trace import LOG_FAILURE
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from connections.models import make_hook_key
from couponadmin.logs import JsonFormatter
from coupons.models import Attempt, make_token
from testing.factories import make_campaign, make_coupon, make_store, make_user

SECRET = "canary in the row"


def written(message, *args, exc_info=None, **extra):
    record = logging.LogRecord("test", 40, "x.py", 1, message, args, exc_info)
    record.__dict__ |= extra
    return JsonFormatter().format(record)


def raised(error, *, cause=None):
    """The line of an error that was raised and caught with its trace."""
    try:
        raise error from cause
    except type(error):
        return json.loads(written("it.failed", exc_info=sys.exc_info()))


def test_a_line_is_one_json_object_whatever_the_message_holds():
    line = written("a\nb\x1b[31m %s", "c", coupon_id=7)

    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["event"] == "a\nb\x1b[31m c"
    assert json.loads(line)["coupon_id"] == 7


@pytest.mark.parametrize("control", ["\n", "\r", "\x00", "\x1b[2J", "\u2028", "\x85"])
def test_no_value_can_begin_a_line_of_its_own(control):
    forged = f'x{control}{{"level": "info", "event": "all is well"}}'

    line = written("asked for %s", forged, path=forged, **{"key" + control: 1})

    assert line.isprintable()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["level"] == "error"


# --- what is masked in whatever is written ----------------------------------------------


def test_a_coupons_link_is_masked_in_message_extra_and_trace():
    token = make_token()
    try:
        raise RuntimeError(f"bad path /c/{token}/redeem")
    except RuntimeError:
        line = written(
            "GET %s", f"/c/{token}", exc_info=sys.exc_info(), path=f"/c/{token}"
        )

    assert token not in line
    assert json.loads(line)["event"] == "GET /c/…"


@pytest.mark.parametrize(
    "address",
    [
        "//c/{}",
        "/c//{}",
        "/coupon/{}",
        "/{}",
        "/{}/redeem",
        "/hooks/line/{}/",
        "/hooks/paddle/{}/",
    ],
)
def test_a_token_in_a_mangled_address_is_masked(address):
    for _ in range(50):  # tokens may begin or end with - and _
        token = make_token()
        assert token not in written("Not Found: %s", address.format(token))
        key = make_hook_key()
        assert key not in written("Not Found: %s", address.format(key))


def test_addresses_of_staff_pages_stay_readable():
    for address in ("/store/12/scan/", "/admin/campaigns/campaign/7/change/"):
        assert json.loads(written("Not Found: %s", address))["event"].endswith(address)


def test_what_was_searched_for_is_masked():
    line = written("Error handling request %s", "/admin/serials/serial/?q=WAY-1&p=2")

    assert json.loads(line)["event"] == (
        "Error handling request /admin/serials/serial/?…"
    )


def test_a_line_user_id_is_masked():
    user_id = "U" + "0123456789abcdef" * 2

    assert user_id not in written("profile of %s", user_id)
    assert user_id not in written("two lines\n%s", f"{user_id}\n{user_id}")


def test_a_password_in_an_address_is_masked():
    line = written("no answer from %s", "redis://default:hunter2@redis:6379/0")

    assert "hunter2" not in line
    assert "redis:6379" in line


# --- errors: where and which, never with whose data ---------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"invalid literal for int(): {SECRET!r}"),
        KeyError(SECRET),
        LookupError(SECRET),
        ValidationError(f"“{SECRET}” is no number"),
        DataError(f'invalid input syntax for type integer: "{SECRET}"'),
        AssertionError(SECRET),
        Exception(SECRET),
        TypeError(f"Field 'id' expected a number but got {SECRET!r}."),
        UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_errors_words_are_left_out_where_they_may_hold_data(error):
    later = RuntimeError("could not go on")

    alone, chained = raised(error), raised(later, cause=error)

    assert SECRET not in json.dumps([alone, chained])
    assert type(error).__name__ in alone["trace"].splitlines()[-1]
    assert "test_logs.py" in alone["trace"]
    first, last = chained["trace"].split("\nand then\n")
    assert type(error).__name__ in first.splitlines()[-1]
    assert last.endswith("RuntimeError: could not go on")


@pytest.mark.parametrize(
    "error",
    [
        ImproperlyConfigured("Set SITE_URL"),
        FileNotFoundError(2, "No such file", "var/x"),
        AttributeError("'NoneType' object has no attribute 'pk'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_speaks_of_the_program_or_the_machine_keeps_its_words(error):
    assert raised(error)["trace"].endswith(f"{type(error).__name__}: {error}")


def test_an_error_among_the_arguments_or_as_the_message_is_named_only():
    error = ValueError(SECRET)

    for line in (
        written("it failed: %r", error),
        written("it failed: %(why)s", {"why": error}),
        written(error),
        written("it failed", why=error),
    ):
        assert SECRET not in line
        assert "ValueError" in line


def test_celerys_line_of_a_failed_task_names_task_and_error_only():
    context = {
        "id": "0f9f",
        "name": "sync.tasks.sweep",
        "description": "raised unexpected",
        "exc": repr(IntegrityError(f"duplicate\nDETAIL:  Key (name)=({SECRET})")),
        "args": f"({SECRET!r},)",
        "traceback": f"Traceback:\nKey (name)=({SECRET})",
    }

    line = written(LOG_FAILURE, context, data=context)

    assert SECRET not in line
    assert json.loads(line)["event"] == (
        "Task sync.tasks.sweep[0f9f] raised unexpected: IntegrityError"
    )


def test_arguments_that_do_not_fit_are_not_written_raw(capsys):
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())

    handler.handle(
        logging.LogRecord("test", 40, "x.py", 1, "%d and %d", (SECRET,), None)
    )

    assert SECRET not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        f"DETAIL:  Key (token)=({SECRET}) already exists.",
        f"DETAIL:  Key (name)=(first\nsecond {SECRET}) already exists.",
        f"Failing row contains (2, {SECRET}, 9).",
        f"LINE 1: ...alues ('{SECRET}')\n     ^",
        f'CONTEXT:  unnamed portal parameter $1 = "{SECRET}"',
        repr(f"duplicate\nDETAIL:  Key (x)=({SECRET}'\")"),
    ],
)
def test_what_postgresql_repeats_is_masked_even_in_a_plain_text(words):
    for line in (written("refused: %s", words), written("refused", why=f"x\n{words}")):
        assert SECRET not in line
        assert json.loads(line)["event"].startswith("refused")


# --- the real thing ----------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("INSERT INTO canaries VALUES (2, %s, 1)", "23505 canaries_name_key canaries"),
        ("INSERT INTO canaries VALUES (3, %s || 'x', 9)", "23514 canaries_n_check"),
        ("INSERT INTO canaries VALUES (%s, 'x', 1)", "22P02"),
        ("SELECT 1 FRM canaries WHERE name = %s", "42601"),
        ("INSERT INTO canaries (n, name) VALUES (1, %s)", "23502 canaries id"),
    ],
)
def test_no_trace_of_postgresql_repeats_a_row(statement, code):
    secret = f"{SECRET}\nin two lines"
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE canaries (id int NOT NULL, name text UNIQUE, "
            "n int CHECK (n < 5))"
        )
        cursor.execute("INSERT INTO canaries VALUES (1, %s, 1)", [secret])
        try:
            with transaction.atomic():
                cursor.execute(statement, [secret])
        except Exception as error:  # noqa: BLE001 - whatever it raises is what we look at
            driver = error.__cause__
            line = written("it.failed", exc_info=sys.exc_info())

    assert isinstance(driver, psycopg.Error)
    assert SECRET in str(driver), "nothing to hide: the test shows nothing"
    assert SECRET not in line
    assert "in two lines" not in line
    assert code in json.loads(line)["trace"]


@pytest.fixture
def lines(caplog):
    """What everything logs meanwhile, as it would be written."""
    caplog.set_level(logging.INFO)
    return lambda: [JsonFormatter().format(record) for record in caplog.records]


@pytest.mark.django_db
def test_unknown_and_mangled_links_leave_no_token(client, lines):
    token = make_token()

    for path in (f"/c/{token}", f"/c/{token}/x", f"/coupon/{token}", f"/{token}"):
        assert client.get(path).status_code == 404
    client.post(f"/hooks/line/{token}/", "{}", content_type="application/json")

    assert any("Not Found" in line for line in lines())
    assert not any(token in line for line in lines())


@pytest.mark.django_db
def test_a_page_that_breaks_leaves_neither_link_nor_row(lines):
    coupon = make_coupon(make_campaign())
    client = Client(raise_request_exception=False)

    with connection.execute_wrapper(broken):
        response = client.get(f"/c/{coupon.token}")

    assert response.status_code == 500
    [line] = [line for line in lines() if "Internal Server Error" in line]
    assert coupon.token not in line
    assert SECRET not in line
    assert "ValueError" in json.loads(line)["trace"]


def broken(execute, sql, params, many, context):
    """As if the database held something that no code of ours expects."""
    raise ValueError(f"{SECRET} {params}")


@pytest.mark.django_db
def test_a_value_that_the_admin_chokes_on_is_logged_without_it(client, lines):
    client.force_login(make_user("Manager", is_superuser=True))

    response = client.get(
        reverse("admin:campaigns_campaign_changelist"), {"group__id__exact": SECRET}
    )

    assert response.status_code in (302, 400)
    assert not any(SECRET in line for line in lines())


@pytest.mark.django_db
def test_wrong_passwords_and_refused_scans_leave_nothing_typed(client, lines):
    clerk = make_user("Store staff")
    store = make_store(clerk)
    client.post(reverse("store:sign_in"), {"username": clerk, "password": SECRET})
    client.force_login(clerk)

    answer = client.post(
        reverse("store:check", args=[store.pk]), {"text": SECRET, "nonce": uuid4()}
    )

    assert Attempt.objects.get().reason == "invalid", answer.content
    assert not any(SECRET in line for line in lines())
