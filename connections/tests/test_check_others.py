"""Test at Paddle and Vivoldi, and at LINE with tokens of our own."""

import pytest

from connections.health import note_error
from connections.models import Connection
from connections.services import check
from providers.errors import Refused, TooMany, Unauthorised, Unclear, Unreachable
from sandbox.testing import start_sandbox
from testing.factories import instant, make_connection

pytestmark = pytest.mark.django_db

NOON = instant("2026-05-01 12:00")
AUTH = "0123456789abcdef"


@pytest.fixture
def world(settings):
    with start_sandbox(token="t") as sandbox:
        sandbox.add_paddle(vendor_id=4711, auth_code=AUTH)
        sandbox.add_vivoldi(api_key="vivoldi-key-1", plan="personal")
        settings.LINE_API_URL = sandbox.url
        settings.PADDLE_API_URL = sandbox.paddle_url
        settings.VIVOLDI_API_URL = sandbox.vivoldi_url
        yield sandbox


def make_paddle(**fields):
    given = {"provider": "paddle", "account_id": "4711", "access_token": AUTH}
    return make_connection(**given | fields)


def make_vivoldi(**fields):
    given = {"provider": "vivoldi", "account_id": "", "access_token": "vivoldi-key-1"}
    return make_connection(**given | fields)


def checked(connection):
    result = check(connection.pk, clock=lambda: NOON)
    connection.refresh_from_db()
    return result


# --- Paddle -----------------------------------------------------------------------------


def test_paddle_says_that_it_takes_the_vendor_and_what_it_does_not_tell(world):
    connection = make_paddle(last_error="old", failures=3)

    result = checked(connection)

    assert result.is_ok
    assert "accepts the vendor id 4711" in result.words
    assert "neither the account's name nor a quota" in result.words
    assert "Without the public key" in result.words
    assert connection.last_contact_at == NOON
    assert (connection.last_error, connection.failures) == ("", 0)


def test_with_a_public_key_nothing_is_said_about_it(world):
    connection = make_paddle(public_key=world.paddle_public_key())

    assert "public key" not in checked(connection).words


def test_a_paddle_that_wants_a_product_knows_us_all_the_same(world):
    world.add_paddle(list_needs_product=True)

    assert checked(make_paddle()).is_ok


def test_the_question_makes_and_finds_no_coupon(world):
    checked(make_paddle())

    assert world.paddle_coupons() == []
    assert [attempt.call for attempt in world.requests()] == ["paddle_list"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"access_token": "ffff"}, "doesn't accept this vendor id with this auth code"),
        ({"account_id": "4712"}, "the vendor id is wrong"),
        ({"access_token": ""}, "doesn't accept this vendor id"),
    ],
)
def test_wrong_paddle_credentials_pause_and_say_where_to_look(world, fields, words):
    connection = make_paddle(**fields)

    result = checked(connection)

    assert not result.is_ok
    assert words in result.words
    assert "Developer Tools > Authentication" in result.words
    assert connection.state == Connection.State.PAUSED


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "Paddle did not answer properly"),
        ("html", "Paddle's answer could not be understood"),
        ("429_rate", "Paddle is being asked too often"),
    ],
)
def test_trouble_at_paddle_is_told_by_its_name_and_pauses_nothing(world, fault, words):
    world.fault("paddle_list", fault)
    connection = make_paddle()

    assert words in checked(connection).words
    assert connection.state == Connection.State.ACTIVE


def test_paddle_away_is_told_with_its_host(settings):
    settings.PADDLE_API_URL = "http://127.0.0.1:9"

    assert "Paddle could not be reached" in checked(make_paddle()).words


# --- Vivoldi ----------------------------------------------------------------------------


def test_vivoldi_knows_the_key_when_it_speaks_of_the_coupon(world):
    connection = make_vivoldi(last_error="old")

    result = checked(connection)

    assert result.is_ok
    assert "accepts the API key" in result.words
    assert "neither the account's name nor the plan" in result.words
    assert "it said: “" in result.words
    assert connection.last_error == ""


def test_a_wrong_vivoldi_key_pauses(world):
    connection = make_vivoldi(access_token="another-key")

    result = checked(connection)

    assert "doesn't accept this API key" in result.words
    assert connection.state == Connection.State.PAUSED


def test_a_403_names_key_plan_and_user_agent(world):
    world.add_vivoldi(blocked_agents=["coupon-back-office"])
    connection = make_vivoldi()

    result = checked(connection)

    assert "User-Agent" in result.words
    assert "Copy the API key again" in result.words
    assert connection.state == Connection.State.PAUSED


def test_a_plan_without_coupons_is_not_taken_for_a_yes(world):
    world.add_vivoldi(plan="free")
    connection = make_vivoldi()

    result = checked(connection)

    assert not result.is_ok
    assert "Personal plan or above" in result.words
    assert connection.state == Connection.State.ACTIVE


# --- LINE with tokens of our own ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["stateless", "signed"])
def test_line_says_until_when_an_issued_token_is_good(channel, request, kind):
    connection = request.getfixturevalue(kind)

    result = check(connection.pk)

    assert result.is_ok
    assert "issued by us, is good until" in result.words


def test_a_token_that_line_has_dropped_is_replaced_by_the_test(channel, stateless):
    check(stateless.pk)
    Connection.objects.update(issued_token="dropped")

    assert check(stateless.pk).is_ok
    stateless.refresh_from_db()
    assert stateless.state == "active"


def test_a_wrong_channel_secret_pauses_and_says_what_to_copy(channel, stateless):
    Connection.objects.update(secret="wrong")

    result = check(stateless.pk)

    assert "Copy both again" in result.words
    stateless.refresh_from_db()
    assert stateless.pause_reason == result.words


# --- what workers report ------------------------------------------------------------------

AWAY = Unreachable("Could not be reached: out of time.")


@pytest.mark.parametrize("provider", ["line", "paddle", "vivoldi"])
def test_a_refusal_of_the_credentials_pauses_every_kind(provider):
    connection = make_connection(provider=provider)

    assert note_error(connection.pk, Unauthorised("no", 401), at=NOON)

    connection.refresh_from_db()
    assert connection.state == "paused"
    assert connection.pause_reason == connection.last_error


def test_only_vivoldis_403_is_about_the_key():
    line, vivoldi = make_connection(), make_vivoldi()
    forbidden = Refused("no", 403)

    assert not note_error(line.pk, forbidden, at=NOON)
    assert note_error(vivoldi.pk, forbidden, at=NOON)


def test_a_clear_no_shows_that_the_provider_works():
    connection = make_paddle(last_error="old", failures=3)

    assert not note_error(connection.pk, Refused("duplicate", 200, 132), at=NOON)

    connection.refresh_from_db()
    assert (connection.last_error, connection.failures) == ("", 0)
    assert connection.last_contact_at == NOON


@pytest.mark.parametrize("error", [AWAY, Unclear("No whole answer.")])
def test_ten_failures_in_a_row_are_a_minutes_rest(error):
    connection = make_paddle()

    for _number in range(10):
        note_error(connection.pk, error, at=NOON)

    connection.refresh_from_db()
    assert connection.resting_until == instant("2026-05-01 12:01")
    assert connection.state == "active"
    assert "Paddle" in connection.last_error


def test_a_429_is_the_callers_and_changes_nothing():
    connection = make_paddle(last_error="old", failures=3)

    assert not note_error(connection.pk, TooMany("slow", 429), at=NOON)

    connection.refresh_from_db()
    assert (connection.last_error, connection.failures) == ("old", 3)


def test_a_report_about_a_connection_that_is_gone_is_no_crash():
    assert not note_error(999_999, Unauthorised("no", 401), at=NOON)


def test_a_report_needs_no_key_to_the_secrets(settings):
    connection = make_paddle()
    settings.FIELD_KEYS = ["b3RoZXIta2V5LTMyLWJ5dGVzLWxvbmctMDAwMDAwMDA="]

    assert note_error(connection.pk, Unauthorised("no", 401), at=NOON)


def test_what_is_not_filled_in_yet_is_named_and_pauses_nothing(channel, stateless):
    Connection.objects.update(token_kind="v2_1")

    result = check(stateless.pk)

    assert not result.is_ok
    assert result.words == "There is no key yet: make one on the connection's page."
    stateless.refresh_from_db()
    assert stateless.state == "active"
