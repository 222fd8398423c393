"""Local times to instants: time zones, clock changes, ends of days."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from campaigns.clocks import end_of_day, to_instant
from testing.factories import instant


def at(text, zone, *, is_end=False):
    return to_instant(datetime.fromisoformat(text), ZoneInfo(zone), is_end=is_end)


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        ("Asia/Tokyo", "2026-04-30 15:00"),
        ("Asia/Bangkok", "2026-04-30 17:00"),
        ("UTC", "2026-05-01 00:00"),
        ("America/New_York", "2026-05-01 04:00"),
    ],
)
def test_midnight_is_another_instant_in_each_zone(zone, utc):
    assert at("2026-05-01 00:00", zone) == instant(utc)


def test_a_time_that_the_clocks_skip_moves_forward():
    # New York, 8 March 2026: 02:00 becomes 03:00.
    assert at("2026-03-08 02:30", "America/New_York") == instant("2026-03-08 07:30")


def test_a_time_that_comes_twice_is_the_earlier_for_a_start_the_later_for_an_end():
    # New York, 1 November 2026: 01:30 happens in summer time and again in winter time.
    start = at("2026-11-01 01:30", "America/New_York")
    end = at("2026-11-01 01:30", "America/New_York", is_end=True)

    assert start == instant("2026-11-01 05:30")
    assert end == instant("2026-11-01 06:30")


def test_until_a_day_means_its_next_midnight():
    assert end_of_day(date(2026, 12, 31)) == datetime(2027, 1, 1)  # noqa: DTZ001
    assert end_of_day(date(2028, 2, 28)) == datetime(2028, 2, 29)  # noqa: DTZ001
