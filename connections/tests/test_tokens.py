"""LINE tokens that we issue: renewed in time, one renewal at a time, 401 and all."""

import pytest
from django.db.models import F
from django.utils import timezone

from connections import tokens
from connections.clients import line_client, line_coupons
from connections.errors import IssueRefused, TokenAwaited
from connections.health import note_error
from connections.models import Connection, IssuedToken
from connections.tokens import access_token_of, reject
from providers.errors import TooMany, Unauthorised, Unclear, Unreachable
from testing.factories import instant, make_connection
from testing.races import JumpingClock

pytestmark = pytest.mark.django_db

NOON = instant("2026-05-01 12:00")
LAST_MOMENT = instant("2026-05-01 12:13")
KINDS = ("stateless", "signed")


@pytest.fixture(params=KINDS)
def account(request):
    """One account that issues its tokens, of each kind."""
    return request.getfixturevalue(request.param)


def issued(line):
    """How many tokens LINE was asked for."""
    return len(line.requests("token_stateless")) + len(line.requests("token_v2_1"))


def row_of(connection):
    return Connection.objects.get(pk=connection.pk)


def at(instant_):
    return lambda: instant_


def test_a_pasted_token_is_used_as_it_is_and_nobody_is_asked(channel):
    assert access_token_of(make_connection(access_token="pasted")) == "pasted"
    assert channel.requests() == []


def test_a_token_that_we_issued_opens_lines_calls(channel, account):
    assert line_client(account).bot_info().user_id.startswith("U")
    assert line_coupons(account).page().items == ()
    assert issued(channel) == 1


def test_it_is_kept_encrypted_and_never_shown(account):
    token = access_token_of(account)

    row = row_of(account)
    assert row.issued_token == token
    assert token not in repr(row.__dict__ | {"issued_token": ""})


def test_a_second_call_uses_the_same_token(channel, account):
    first = access_token_of(account)

    assert access_token_of(account) == first
    assert issued(channel) == 1


def test_a_stateless_token_is_renewed_with_a_third_of_its_life_left(channel, stateless):
    clock = JumpingClock(NOON)
    first = access_token_of(stateless, clock=clock)

    clock.jump(instant("2026-05-01 12:09"))
    assert access_token_of(stateless, clock=clock) == first

    clock.jump(instant("2026-05-01 12:10"))
    assert access_token_of(stateless, clock=clock) != first
    assert issued(channel) == 2


def test_a_v2_1_token_lives_a_week_and_is_renewed_days_before(channel, signed):
    clock = JumpingClock(timezone.now())
    first = access_token_of(signed, clock=clock)
    row = row_of(signed)

    clock.jump(clock.at + (row.issued_until - row.issued_at) / 2)
    assert access_token_of(signed, clock=clock) == first

    clock.jump(row.issued_until - (row.issued_until - row.issued_at) / 4)
    assert access_token_of(signed, clock=clock) != first
    assert (row.issued_until - row.issued_at).days == 7
    assert IssuedToken.objects.count() == 2


def test_while_another_worker_renews_the_old_token_is_used(channel, stateless):
    first = access_token_of(stateless, clock=at(NOON))
    Connection.objects.update(renewing_until=F("issued_until"))

    assert access_token_of(stateless, clock=at(LAST_MOMENT)) == first
    assert issued(channel) == 1


def test_a_token_about_to_end_is_not_begun_with(stateless):
    access_token_of(stateless, clock=at(NOON))
    Connection.objects.update(renewing_until=instant("2026-05-02 12:00"))
    nearly_over = at(instant("2026-05-01 12:14:30"))

    with pytest.raises(TokenAwaited):
        access_token_of(stateless, patience=0.0, clock=nearly_over)


def test_a_renewer_that_was_killed_holds_nobody_up_after_its_lease(channel, account):
    Connection.objects.update(renewing_until=NOON)

    assert access_token_of(account, clock=at(NOON))
    assert issued(channel) == 1
    assert row_of(account).renewing_until is None


@pytest.mark.parametrize("fault", ["500", "drop", "429_rate", "html"])
def test_when_line_gives_none_the_old_one_serves_while_it_is_good(
    channel, stateless, fault
):
    first = access_token_of(stateless, clock=at(NOON))
    channel.fault("token_stateless", fault)

    assert access_token_of(stateless, clock=at(LAST_MOMENT)) == first
    row = row_of(stateless)
    assert row.renewal_problem
    # Not asked again at once.
    assert access_token_of(stateless, clock=at(LAST_MOMENT)) == first
    assert issued(channel) == 2


def test_the_problem_is_forgotten_once_a_renewal_succeeds(channel, stateless):
    Connection.objects.update(renewal_problem="HTTP 500")

    access_token_of(stateless)

    assert row_of(stateless).renewal_problem == ""


def test_without_an_old_one_the_failure_is_the_callers_and_the_lease_is_free(
    channel, account
):
    channel.fault("*", "500", times=1)

    with pytest.raises(Unclear):
        access_token_of(account)

    assert access_token_of(account)


def test_after_a_429_line_is_left_alone_for_a_moment(channel, stateless):
    channel.fault("token_stateless", "429_rate", times=1)
    clock = JumpingClock(NOON)
    with pytest.raises(TooMany):
        access_token_of(stateless, clock=clock)
    assert row_of(stateless).renewing_until > NOON

    clock.jump(instant("2026-05-01 12:00:06"))
    assert access_token_of(stateless, clock=clock)


def test_a_wrong_secret_is_told_as_credentials_that_line_refuses(channel, stateless):
    Connection.objects.update(secret="wrong")

    with pytest.raises(IssueRefused):
        access_token_of(stateless)


def test_an_unknown_key_is_told_as_credentials_that_line_refuses(channel, signed):
    Connection.objects.update(key_id="unknown")

    with pytest.raises(IssueRefused):
        access_token_of(signed)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("channel_id", "channel id"), ("secret", "channel secret")],
)
def test_what_is_missing_is_named_and_line_is_not_asked(
    channel, stateless, missing, words
):
    Connection.objects.update(**{missing: ""})

    with pytest.raises(IssueRefused, match=words):
        access_token_of(row_of(stateless))
    assert channel.requests() == []


def test_until_there_is_a_key_the_pasted_token_goes_on_being_used(channel):
    connection = make_connection(
        token_kind="v2_1", channel_id="1234567890", access_token="pasted"
    )

    assert access_token_of(connection) == "pasted"


def test_a_key_that_is_damaged_is_told_without_a_crash(signed):
    Connection.objects.update(private_key="no key")

    with pytest.raises(IssueRefused):
        access_token_of(signed)


# --- LINE's 30 tokens -----------------------------------------------------------------


def fill_up(channel, account):
    """Thirty good tokens, of which the last is in use."""
    for _number in range(30):
        Connection.objects.update(issued_until=None)
        token = access_token_of(account)
    return token


def test_at_thirty_tokens_our_oldest_makes_room(channel, signed):
    in_use = fill_up(channel, signed)
    oldest = IssuedToken.objects.order_by("issued_at").first()
    Connection.objects.update(issued_until=None)

    token = access_token_of(signed)

    assert token != in_use
    assert len(channel.requests("token_revoke")) == 1
    assert not IssuedToken.objects.filter(pk=oldest.pk).exists()
    assert IssuedToken.objects.count() == 30
    assert line_client(signed).bot_info()


def test_tokens_that_nobody_knows_are_not_ours_to_revoke(channel, signed):
    fill_up(channel, signed)
    IssuedToken.objects.all().delete()
    Connection.objects.update(issued_until=None)

    with pytest.raises(IssueRefused, match="too many"):
        access_token_of(signed)


def test_tokens_that_ended_are_not_kept(channel, signed):
    access_token_of(signed)
    IssuedToken.objects.update(good_until=NOON)
    Connection.objects.update(issued_until=None)

    access_token_of(signed)

    assert IssuedToken.objects.count() == 1


# --- a lease that was lost ------------------------------------------------------------


def test_who_lost_the_lease_does_not_overwrite_the_newer_token(channel, stateless):
    late = row_of(stateless)
    lease = instant("2026-05-01 12:00:20")
    Connection.objects.update(issued_token="newer", issued_until=LAST_MOMENT)
    answer = tokens.issue(late, at=NOON)

    tokens.keep(late, answer, began=NOON, lease=lease)

    assert row_of(stateless).issued_token == "newer"


def test_a_v2_1_token_that_came_too_late_can_still_be_revoked(channel, signed):
    late = row_of(signed)
    answer = tokens.issue(late, at=NOON)

    tokens.keep(late, answer, began=NOON, lease=LAST_MOMENT)

    assert row_of(signed).issued_token == ""
    assert IssuedToken.objects.get().token == answer.token


def test_a_connection_deleted_meanwhile_is_no_crash(channel, signed):
    late = row_of(signed)
    answer = tokens.issue(late, at=NOON)
    Connection.objects.all().delete()

    tokens.keep(late, answer, began=NOON, lease=LAST_MOMENT)

    assert not IssuedToken.objects.exists()


def test_a_connection_that_is_gone_has_no_token(stateless):
    gone = row_of(stateless)
    stateless.delete()

    with pytest.raises(Unreachable):
        access_token_of(gone)


# --- when LINE refuses the token -------------------------------------------------------

REFUSED = Unauthorised("Authentication failed", 401)


def test_the_first_401_renews_the_token_and_pauses_nothing(channel, account):
    first = access_token_of(account)

    is_paused = note_error(account.pk, REFUSED, at=timezone.now(), token=first)

    assert not is_paused
    assert row_of(account).state == "active"
    assert access_token_of(account) != first


def test_a_second_401_in_a_row_pauses_and_says_what_to_do(channel, account):
    for _number in range(2):
        token = access_token_of(account)
        is_paused = note_error(account.pk, REFUSED, at=timezone.now(), token=token)

    assert is_paused
    row = row_of(account)
    assert row.state == "paused"
    assert "doesn't accept the access tokens that it issues" in row.pause_reason


def test_after_a_success_a_401_renews_again(channel, account):
    for _number in range(3):
        token = access_token_of(account)
        assert not note_error(account.pk, REFUSED, at=timezone.now(), token=token)
        account.note_success(at=timezone.now())

    assert row_of(account).state == "active"


def test_a_late_401_about_the_token_of_before_changes_nothing(channel, account):
    first = access_token_of(account)
    note_error(account.pk, REFUSED, at=timezone.now(), token=first)
    second = access_token_of(account)

    assert not note_error(account.pk, REFUSED, at=timezone.now(), token=first)

    assert access_token_of(account) == second


def test_a_report_without_its_token_is_taken_for_an_echo_just_after_a_renewal(
    channel, stateless
):
    clock = JumpingClock(NOON)
    access_token_of(stateless, clock=clock)
    assert not note_error(stateless.pk, REFUSED, at=NOON)
    second = access_token_of(stateless, clock=clock)

    assert not note_error(stateless.pk, REFUSED, at=instant("2026-05-01 12:00:59"))
    assert row_of(stateless).issued_token == second
    assert note_error(stateless.pk, REFUSED, at=instant("2026-05-01 12:01"))


def test_resume_gives_a_new_token_its_chance(channel, account):
    for _number in range(2):
        token = access_token_of(account)
        note_error(account.pk, REFUSED, at=timezone.now(), token=token)
    account.resume()

    token = access_token_of(account)

    assert not note_error(account.pk, REFUSED, at=timezone.now(), token=token)


def test_credentials_that_give_no_token_pause_at_once(channel, stateless):
    Connection.objects.update(secret="wrong")
    with pytest.raises(IssueRefused) as refusal:
        access_token_of(stateless)

    assert note_error(stateless.pk, refusal.value, at=NOON)

    reason = row_of(stateless).pause_reason
    assert "issues no access token for the channel 1234567890" in reason


def test_reject_leaves_a_pasted_token_to_people(channel):
    assert not reject(make_connection(), at=NOON)
