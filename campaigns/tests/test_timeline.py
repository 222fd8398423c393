"""The clocks of a campaign as its form draws them: every mode and every edge."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from campaigns.clocks import (
    clock_changes,
    day_ended_by,
    end_of_day,
    end_of_next_month,
    to_instant,
    to_local,
)
from campaigns.models import Campaign
from campaigns.timeline import Clock, Warn, timeline

BERLIN = ZoneInfo("Europe/Berlin")
TOKYO = ZoneInfo("Asia/Tokyo")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def local(text, zone=TOKYO, *, is_end=False):
    return to_instant(datetime.fromisoformat(text), zone, is_end=is_end)


def campaign(**fields):
    """Usable in May 2026, Tokyo's time."""
    zone = ZoneInfo(fields.get("time_zone", "Asia/Tokyo"))
    fields.setdefault("time_zone", "Asia/Tokyo")
    fields.setdefault("use_starts_at", local("2026-05-01", zone))
    fields.setdefault("use_ends_at", local("2026-06-01", zone, is_end=True))
    return Campaign(**fields)


def drawn(now=NOW, **fields):
    return timeline(campaign(**fields), now=now)


def from_sending(amount, unit="hours", **fields):
    return {
        "expiry": "from_sending",
        "expiry_amount": amount,
        "expiry_unit": unit,
        **fields,
    }


def from_redemption(amount, unit="hours", **fields):
    return from_sending(amount, unit, **fields) | {"expiry": "from_redemption"}


# --- whose clock wins ------------------------------------------------------------------


def test_sent_at_one_and_three_hours_from_sending_ends_at_four():
    usual, late = drawn(**from_sending(3)).examples

    assert usual.sent_at == local("2026-05-01T13:00")
    assert usual.wins.clock == Clock.FROM_SENDING
    assert usual.wins.at == local("2026-05-01T16:00")
    assert [end.clock for end in usual.others] == [Clock.USE_END]
    assert late.wins.clock == Clock.USE_END
    assert late.others[0].at > late.wins.at == local("2026-06-01")


def test_without_an_interval_the_use_period_ends_it_alone():
    (only,) = drawn().examples

    assert only.wins.clock == Clock.USE_END
    assert only.wins.at == local("2026-06-01")
    assert only.others == []


def test_the_redeeming_clock_starts_with_the_press():
    usual, late = drawn(**from_redemption(30, "minutes")).examples

    assert usual.redeemed_at == usual.sent_at + 2 * HOUR
    assert usual.wins.at == usual.redeemed_at + timedelta(minutes=30)
    assert usual.wins.clock == Clock.FROM_REDEMPTION
    assert late.redeemed_at < local("2026-06-01")
    assert late.wins.clock == Clock.USE_END


def test_of_two_ends_at_once_the_use_period_is_named():
    (only,) = drawn(
        **from_sending(1, "days", use_ends_at=local("2026-05-02T13:00"))
    ).examples[:1]

    assert only.wins.clock == Clock.USE_END
    assert only.others[0].at == only.wins.at


def test_an_interval_longer_than_the_use_period_is_told_and_never_wins():
    found = drawn(**from_sending(62, "days"))

    assert Warn.INTERVAL_TOO_LONG in found.warnings
    assert [example.wins.clock for example in found.examples] == [Clock.USE_END]


def test_an_interval_as_long_as_the_use_period_never_wins_either():
    sent = {"send_starts_at": local("2026-05-01")}

    as_long = drawn(**from_sending(31, "days", **sent))
    shorter = drawn(**from_sending(30, "days", **sent))

    assert Warn.INTERVAL_TOO_LONG in as_long.warnings
    assert Warn.INTERVAL_TOO_LONG not in shorter.warnings


def test_a_missing_interval_is_no_clock():
    (only,) = drawn(expiry="from_sending", expiry_amount=None).examples

    assert only.wins.clock == Clock.USE_END


def test_the_longest_interval_that_the_form_takes_is_drawn():
    far = {"use_ends_at": datetime(2100, 12, 31, tzinfo=UTC)}

    (only,) = drawn(**from_redemption(10_000, "days", **far)).examples[:1]

    assert only.wins.at == only.redeemed_at + timedelta(days=10_000)


# --- when one is sent ------------------------------------------------------------------


def test_the_example_is_sent_in_both_periods_and_not_before_today():
    before = drawn(send_starts_at=local("2026-05-10T15:00")).examples[0]
    today = drawn(now=local("2026-05-20T18:00")).examples[0]

    assert before.sent_at == local("2026-05-11T13:00")
    assert today.sent_at == local("2026-05-21T13:00")


def test_a_period_shorter_than_till_one_o_clock_is_sent_at_its_start():
    short = {"use_ends_at": local("2026-05-01T02:00")}

    assert drawn(**short).examples[0].sent_at == local("2026-05-01")


def test_sending_may_end_before_the_use_period_begins():
    found = drawn(send_ends_at=local("2026-04-20"))

    assert found.examples[0].sent_at == local("2026-04-19T13:00")


def test_what_is_over_before_it_can_be_used_is_told_with_its_moment():
    found = drawn(**from_sending(3))
    sent_in_time = drawn(**from_sending(3, send_starts_at=local("2026-04-30T21:01")))
    too_early = drawn(**from_sending(3, send_starts_at=local("2026-04-30T21:00")))

    assert found.dead_until == local("2026-04-30T21:00")
    assert Warn.DEAD_BEFORE_USE in too_early.warnings
    assert Warn.DEAD_BEFORE_USE not in sent_in_time.warnings


def test_sending_that_begins_at_the_end_of_use_never_happens():
    ends = local("2026-06-01")
    found = drawn(send_starts_at=ends)

    assert Warn.NEVER_SENT in found.warnings
    assert found.examples == []
    assert Warn.NEVER_SENT not in drawn(send_starts_at=ends - HOUR).warnings


def test_sending_for_longer_than_the_use_period_is_told():
    ends = local("2026-06-01")

    assert Warn.SENDING_ENDS_WITH_USE not in drawn(send_ends_at=ends).warnings
    assert Warn.SENDING_ENDS_WITH_USE in drawn(send_ends_at=ends + HOUR).warnings


def test_the_use_period_is_over_at_its_end_and_not_a_moment_before():
    ends = local("2026-06-01")
    moment = timedelta(microseconds=1)

    assert Warn.OVER in drawn(now=ends).warnings
    assert Warn.OVER not in drawn(now=ends - moment).warnings


# --- the drawing -----------------------------------------------------------------------


def test_bars_share_one_scale():
    found = drawn(
        now=local("2026-05-01"),
        send_starts_at=local("2026-04-01"),
        send_ends_at=local("2026-05-01"),
        use_starts_at=local("2026-05-01"),
        use_ends_at=local("2026-05-31"),
    )

    assert (found.sending.left, found.sending.width) == (0, 50)
    assert (found.use.left, found.use.width) == (50, 50)
    assert found.now == 50


@pytest.mark.parametrize("mode", ["use_end", "from_sending", "from_redemption"])
def test_every_drawing_stays_within_its_frame(mode):
    for starts, ends in [(None, None), (-90, -60), (-10, 3), (5, 100), (40, 50)]:
        fields = {"expiry": mode, "expiry_amount": 5, "expiry_unit": "days"}
        if starts is not None:
            fields["send_starts_at"] = local("2026-05-01") + starts * DAY
            fields["send_ends_at"] = local("2026-05-01") + ends * DAY
        for day in (-100, 0, 15, 200):
            found = drawn(now=local("2026-05-01") + day * DAY, **fields)
            for period in (found.sending, found.use):
                assert 0 <= period.left <= 100
                assert 0 <= period.width <= 100.001 - period.left


# --- clock changes ---------------------------------------------------------------------


def test_a_change_of_the_clocks_is_found_with_its_moment_and_its_size():
    forward, back = clock_changes(
        BERLIN, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    )

    assert forward.at == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert (forward.is_forward, forward.minutes) == (True, 60)
    assert back.at == datetime(2026, 10, 25, 1, tzinfo=UTC)
    assert (back.is_forward, back.minutes) == (False, 60)


def test_a_change_counts_inside_the_interval_and_not_at_its_edges():
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    second = timedelta(seconds=1)

    assert clock_changes(BERLIN, change - second, change + second)
    assert not clock_changes(BERLIN, change, change + DAY)
    assert not clock_changes(BERLIN, change - DAY, change)


def test_half_an_hour_is_a_change_too():
    (change, *_) = clock_changes(
        ZoneInfo("Australia/Lord_Howe"), NOW, NOW + timedelta(days=10)
    )

    assert change.minutes == 30
    assert not change.is_forward


def test_tokyo_never_changes_its_clocks():
    assert not clock_changes(TOKYO, NOW, NOW + timedelta(days=3_650))


def test_only_so_many_changes_are_listed():
    assert len(clock_changes(BERLIN, NOW, NOW + timedelta(days=36_500))) == 4


def test_a_day_from_sending_over_the_missing_hour_ends_an_hour_later_on_the_wall():
    found = drawn(
        now=datetime(2026, 3, 1, tzinfo=UTC),
        **from_sending(
            1,
            "days",
            time_zone="Europe/Berlin",
            use_starts_at=local("2026-03-28", BERLIN),
            use_ends_at=local("2026-04-30", BERLIN),
        ),
    )

    usual = found.examples[0]
    assert f"{to_local(usual.sent_at, BERLIN)}" == "2026-03-28 13:00:00"
    assert f"{to_local(usual.wins.at, BERLIN)}" == "2026-03-29 14:00:00"
    assert [change.minutes for change in usual.changes] == [60]


def test_a_day_over_the_repeated_hour_ends_an_hour_earlier_on_the_wall():
    found = drawn(
        **from_sending(
            1,
            "days",
            time_zone="Europe/Berlin",
            use_starts_at=local("2026-10-24", BERLIN),
            use_ends_at=local("2026-11-30", BERLIN),
        )
    )

    ends = to_local(found.examples[0].wins.at, BERLIN)
    assert f"{ends}" == "2026-10-25 12:00:00"
    assert not found.examples[0].changes[0].is_forward


def test_the_same_dates_in_another_zone_are_other_instants():
    tokyo = drawn().examples[0]
    berlin = drawn(time_zone="Europe/Berlin").examples[0]

    assert berlin.sent_at - tokyo.sent_at == 7 * HOUR


# --- dates without a time --------------------------------------------------------------


@pytest.mark.parametrize("day", ["2028-02-29", "2026-12-31", "2026-03-28"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Berlin", "Africa/Cairo"])
def test_a_day_comes_back_as_it_was_typed(day, zone):
    zone, day = ZoneInfo(zone), date.fromisoformat(day)

    assert day_ended_by(to_instant(end_of_day(day), zone, is_end=True), zone) == day


def test_a_midnight_that_the_clocks_skip_comes_back_as_a_time():
    cairo = ZoneInfo("Africa/Cairo")  # 24 April 2026 begins at 01:00
    ends = to_instant(end_of_day(date(2026, 4, 23)), cairo, is_end=True)

    assert day_ended_by(ends, cairo) is None
    assert f"{to_local(ends, cairo)}" == "2026-04-24 01:00:00"


def test_the_first_of_two_midnights_is_not_the_end_of_the_day():
    beirut = ZoneInfo("Asia/Beirut")  # 25 October 2026: 00:00 goes back to 23:00
    ends = to_instant(end_of_day(date(2026, 10, 24)), beirut, is_end=True)

    assert day_ended_by(ends, beirut) == date(2026, 10, 24)
    assert day_ended_by(ends - HOUR, beirut) is None


@pytest.mark.parametrize(
    ("day", "last"),
    [
        ("2026-11-21", "2026-12-31"),
        ("2026-12-01", "2027-01-31"),
        ("2027-01-31", "2027-02-28"),
        ("2028-01-01", "2028-02-29"),
    ],
)
def test_the_end_of_next_month(day, last):
    assert end_of_next_month(date.fromisoformat(day)) == date.fromisoformat(last)
