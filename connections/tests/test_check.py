"""The Test button: what it learns, and words for whatever goes wrong."""

import pytest
from django.urls import reverse

from connections.models import Connection
from connections.services import check
from sandbox.testing import start_sandbox
from testing.factories import instant, make_connection

pytestmark = pytest.mark.django_db

BOT = "U" + "b" * 32
NOON = instant("2026-05-01 12:00")


@pytest.fixture
def line(settings):
    with start_sandbox(token="good", secret="s", bot_user_id=BOT, quota=500) as sandbox:
        settings.LINE_API_URL = sandbox.url
        yield sandbox


def make_line(**fields):
    return make_connection(**{"access_token": "good", "account_id": ""} | fields)


def checked(connection):
    result = check(connection.pk, clock=lambda: NOON)
    connection.refresh_from_db()
    return result


def test_a_good_token_fills_in_account_quota_and_health(line):
    connection = make_line(last_error="old trouble", failures=3)

    result = checked(connection)

    assert result.is_ok
    assert connection.account_id == BOT
    assert (connection.quota, connection.quota_used) == (500, 0)
    assert connection.last_contact_at == NOON
    assert (connection.last_error, connection.failures) == ("", 0)


def test_an_account_without_a_limit_is_told_so(line):
    line.add_channel(quota=None)
    connection = make_line()

    result = checked(connection)

    assert "without a limit" in result.words
    assert connection.quota is None


def test_a_token_that_line_refuses_pauses_the_connection_and_says_what_to_do(line):
    connection = make_line(access_token="expired")

    result = checked(connection)

    assert not result.is_ok
    assert "issue a new one in the LINE Developers console" in result.words
    assert connection.state == Connection.State.PAUSED
    assert connection.last_error == result.words


def test_a_good_token_does_not_resume_a_paused_connection_by_itself(line):
    connection = make_line(state="paused", pause_reason="by hand")

    result = checked(connection)

    assert result.is_ok
    assert "press Resume" in result.words
    assert connection.state == Connection.State.PAUSED


def test_no_token_is_the_same_as_a_wrong_one(line):
    assert "issue a new one" in checked(make_line(access_token="")).words


def test_line_away_is_told_and_nothing_is_paused(settings):
    settings.LINE_API_URL = "http://127.0.0.1:9"
    connection = make_line()

    result = checked(connection)

    assert "could not be reached" in result.words
    assert "127.0.0.1" in result.words
    assert connection.state == Connection.State.ACTIVE
    assert connection.last_error == result.words


@pytest.mark.parametrize("fault", ["500", "drop"])
def test_no_proper_answer_is_told(line, fault):
    line.fault("*", fault)

    result = checked(make_line())

    assert not result.is_ok
    assert "Try again in a minute" in result.words


def test_an_answer_that_makes_no_sense_is_told(line):
    line.fault("*", "html")

    assert "could not be understood" in checked(make_line()).words


def test_too_many_questions_are_told(line):
    line.fault("*", "429_rate")

    assert "Wait a minute" in checked(make_line()).words


def test_a_token_of_another_account_is_refused_by_name(line):
    connection = make_line(account_id="U" + "c" * 32)

    result = checked(connection)

    assert not result.is_ok
    assert "another LINE account" in result.words
    assert connection.account_id == "U" + "c" * 32


def test_an_account_that_is_connected_already_is_not_connected_twice(line):
    make_line(account_id=BOT)
    connection = make_line()

    result = checked(connection)

    assert not result.is_ok
    assert "connected already" in result.words
    assert connection.account_id == ""


def test_credentials_that_cannot_be_read_are_told(line, settings):
    connection = make_line()
    settings.FIELD_KEYS = ["b3RoZXIta2V5LTMyLWJ5dGVzLWxvbmctMDAwMDAwMDA="]

    result = check(connection.pk)

    assert "FIELD_KEYS" in result.words


# --- the page ---------------------------------------------------------------------------


def button(connection, name):
    return reverse(f"admin:connections_connection_{name}", args=[connection.pk])


def test_the_button_shows_what_came_of_it(line, manager):
    connection = make_line()

    page = manager.post(button(connection, "test"), follow=True).content.decode()

    assert "LINE answers" in page
    assert "0 of 500" in page


def test_buttons_do_nothing_by_get(line, manager):
    connection = make_line()

    for name in ("test", "pause", "resume"):
        assert manager.get(button(connection, name)).status_code == 405
    assert line.requests() == []


def test_pause_and_resume(manager):
    connection = make_line(last_error="old trouble")

    manager.post(button(connection, "pause"))
    connection.refresh_from_db()
    assert connection.state == Connection.State.PAUSED
    assert "Paused by" in connection.pause_reason

    manager.post(button(connection, "resume"))
    connection.refresh_from_db()
    assert (connection.state, connection.pause_reason) == ("active", "")


def test_the_page_has_the_webhook_address_to_copy(manager, settings):
    settings.SITE_URL = "https://shop.example"
    connection = make_line()

    page = manager.get(
        reverse("admin:connections_connection_change", args=[connection.pk])
    ).content.decode()

    assert f"https://shop.example/hooks/line/{connection.hook_key}/" in page


def test_a_new_connection_is_a_line_one(manager):
    answer = manager.post(
        reverse("admin:connections_connection_add"),
        {"name": "Shop", "new_access_token": "t" * 20, "new_secret": "s" * 20},
    )

    assert answer.status_code == 302
    connection = Connection.objects.get()
    assert (connection.provider, connection.access_token) == ("line", "t" * 20)
    assert connection.old_secret == ""


def test_saving_the_form_does_not_undo_a_pause_made_meanwhile(manager):
    connection = make_line()
    connection.pause("LINE doesn't accept this access token")

    manager.post(
        reverse("admin:connections_connection_change", args=[connection.pk]),
        {"name": "Renamed", "account_id": ""},
    )

    connection.refresh_from_db()
    assert (connection.name, connection.state) == ("Renamed", "paused")


def test_the_list_asks_the_database_as_often_for_many_as_for_one(
    manager, django_assert_max_num_queries
):
    for _ in range(20):
        make_line()

    with django_assert_max_num_queries(8):
        page = manager.get(reverse("admin:connections_connection_changelist"))

    assert page.status_code == 200
