"""Times in words: the zone is always named, an end is told as its last minute."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from coupons.moments import Moment, interval_words, left_words
from testing.factories import instant


def words(text, zone, language="en", **options):
    with translation.override(language):
        return str(Moment(instant(text), ZoneInfo(zone), **options)).replace(
            "\xa0", " "
        )


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Asia/Tokyo", "May 1, 2026, 10 p.m. (Tokyo, UTC+9)"),
        ("Asia/Kolkata", "May 1, 2026, 6:30 p.m. (Kolkata, UTC+5:30)"),
        ("America/New_York", "May 1, 2026, 9 a.m. (New York, UTC-4)"),
        ("America/St_Johns", "May 1, 2026, 10:30 a.m. (St Johns, UTC-2:30)"),
        ("UTC", "May 1, 2026, 1 p.m. (UTC)"),
    ],
)
def test_the_zone_is_named_with_its_offset_then(zone, told):
    assert words("2026-05-01 13:00", zone) == told


def test_an_end_at_midnight_is_the_last_minute_of_the_day_before():
    at = "2026-12-31 15:00"

    assert words(at, "Asia/Tokyo", is_end=True).startswith("Dec. 31, 2026, 11:59 p.m.")
    assert words(at, "Asia/Tokyo").startswith("Jan. 1, 2027, midnight")
    assert words(at, "Asia/Taipei", is_end=True).startswith("Dec. 31, 2026, 11 p.m.")


def test_japanese_customers_read_their_own_order():
    told = words("2026-12-31 15:00", "Asia/Tokyo", "ja", is_end=True)

    assert told == "2026年12月31日23:59 (Tokyo, UTC+9)"


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(days=2), "2 days"),
        (timedelta(days=29, hours=23), "29 days"),
        (timedelta(days=2) - timedelta(seconds=1), "47:59:59"),
        (timedelta(minutes=30), "0:30:00"),
        (timedelta(seconds=59.9), "0:00:59"),
        (timedelta(0), "0:00:00"),
        (timedelta(days=-3), "0:00:00"),
    ],
)
def test_time_left(left, told):
    assert left_words(left) == told


@pytest.mark.parametrize(
    ("unit", "count", "told"),
    [("minutes", 1, "1 minute"), ("hours", 3, "3 hours"), ("days", 30, "30 days")],
)
def test_intervals(unit, count, told):
    assert interval_words(unit, count) == told
