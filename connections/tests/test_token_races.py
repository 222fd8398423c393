"""Twenty workers at once need a LINE token: LINE is asked for one."""

from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from connections import tokens
from connections.health import note_error
from connections.models import Connection
from connections.tokens import access_token_of
from providers.errors import Unauthorised
from testing.races import THREADS, rounds

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

REFUSED = Unauthorised("Authentication failed", 401)


def asked(channel):
    return len(channel.requests("token_stateless")) + len(
        channel.requests("token_v2_1")
    )


def forget_it():
    Connection.objects.update(issued_token="", issued_at=None, issued_until=None)


def naive_token_of(pk):
    """Look, then ask: what the lease is there against."""
    row = Connection.objects.get(pk=pk)
    if row.has_fresh_token_at(timezone.now()):
        return row.issued_token
    began = timezone.now()
    issued = tokens.issue(row, at=began)
    until = began + timedelta(seconds=issued.expires_in)
    values = tokens.token_values(issued, began=began, until=until)
    Connection.objects.filter(pk=pk).update(**values)
    return issued.token


@pytest.mark.parametrize("kind", ["stateless", "signed"])
def test_line_is_asked_once_and_everybody_gets_that_token(
    racers, channel, request, kind
):
    account = request.getfixturevalue(kind)
    for number in range(1, rounds(5) + 1):
        forget_it()

        found = racers.race(lambda _n: access_token_of(account))

        assert len(found) == THREADS
        assert set(found) == {Connection.objects.get().issued_token}
        assert asked(channel) == number


def test_the_same_race_without_a_lease_asks_many_times(racers, channel, stateless):
    racers.race(lambda _n: naive_token_of(stateless.pk))

    assert asked(channel) > 1


def test_while_one_renews_nobody_waits_for_a_line_that_hangs(
    racers, channel, stateless
):
    """The old token is good: only the renewer notices that LINE takes its time."""
    old = access_token_of(stateless)
    late = timezone.now() + timedelta(minutes=12)
    channel.fault("token_stateless", "slow", times=1, seconds=2.0)

    found = racers.race(lambda _n: access_token_of(stateless, clock=lambda: late))

    assert asked(channel) == 2
    assert found.count(old) == THREADS - 1


def test_a_killed_renewer_is_replaced_by_one_other(racers, channel, stateless):
    Connection.objects.update(renewing_until=timezone.now() - timedelta(seconds=1))

    found = racers.race(lambda _n: access_token_of(stateless))

    assert asked(channel) == 1
    assert len(set(found)) == 1


def test_twenty_reports_of_one_refused_token_cost_one_new_one(
    racers, channel, stateless
):
    token = access_token_of(stateless)

    def report(_number):
        note_error(stateless.pk, REFUSED, at=timezone.now(), token=token)
        return access_token_of(stateless)

    found = racers.race(report)

    assert Connection.objects.get().state == "active"
    assert set(found) == {Connection.objects.get().issued_token}
    assert asked(channel) == 2


def test_nothing_is_locked_while_line_is_asked(racers, channel, stateless):
    """A press of Pause goes through while a renewal hangs."""
    channel.fault("token_stateless", "slow", times=1, seconds=2.0)
    ends = []

    def job(number):
        if number == 0:
            token = access_token_of(stateless)
            ends.append(token)
            return token
        if number == 1:
            with database.cursor() as cursor:
                cursor.execute("SET lock_timeout = '500ms'")
            Connection(pk=stateless.pk).pause("by hand", by_hand=True)
            return "before" if not ends else "after"
        return None

    assert racers.race(job)[1] == "before"
