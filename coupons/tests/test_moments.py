"""Times in words: the zone is always named, an end is told as its last minute."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from campaigns.models import Campaign
from coupons.moments import Moment, interval_words, left_words, local
from testing.factories import instant


def words(text, zone, language="en", **options):
    with translation.override(language):
        return str(Moment(instant(text), ZoneInfo(zone), **options)).replace(
            "\xa0", " "
        )


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Asia/Tokyo", "Fri, May 1, 2026, 10:00 PM (Japan time)"),
        ("Asia/Kolkata", "Fri, May 1, 2026, 6:30 PM (Kolkata, UTC+5:30)"),
        ("America/New_York", "Fri, May 1, 2026, 9:00 AM (New York, UTC-4)"),
        ("America/St_Johns", "Fri, May 1, 2026, 10:30 AM (St Johns, UTC-2:30)"),
        ("UTC", "Fri, May 1, 2026, 1:00 PM (UTC)"),
    ],
)
def test_the_zone_is_named_with_its_offset_then(zone, told):
    assert words("2026-05-01 13:00", zone) == told


def test_an_end_at_midnight_is_the_last_minute_of_the_day_before():
    at = "2026-12-31 15:00"

    assert words(at, "Asia/Tokyo", is_end=True).startswith(
        "Thu, Dec 31, 2026, 11:59 PM"
    )
    assert words(at, "Asia/Tokyo").startswith("Fri, Jan 1, 2027, 12:00 AM")
    assert words(at, "Asia/Taipei", is_end=True).startswith(
        "Thu, Dec 31, 2026, 11:00 PM"
    )


@pytest.mark.parametrize(
    ("language", "zone", "told"),
    [
        ("ja", "Asia/Tokyo", "2026年12月31日(木) 23:59（日本時間）"),
        ("zh-hant", "Asia/Taipei", "2026年12月31日（四）23:00（台灣時間）"),
        ("th", "Asia/Bangkok", "พฤ. 31 ธ.ค. 2569 22:00 น. (เวลาไทย)"),
        ("ko", "Asia/Seoul", "2026년 12월 31일(목) 23:59(한국 시간)"),
    ],
)
def test_customers_read_the_date_as_their_country_writes_it(language, zone, told):
    assert words("2026-12-31 15:00", zone, language, is_end=True) == told


def test_a_leap_day_is_a_day_of_the_buddhist_year_too():
    told = words("2028-02-29 05:00", "Asia/Bangkok", "th")

    assert told.startswith("อ. 29 ก.พ. 2571 12:00 น.")


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


def test_staff_read_the_same_last_minute_in_figures():
    campaign = Campaign(time_zone="Asia/Tokyo")
    midnight = instant("2026-12-31 15:00")

    assert local(campaign, midnight, is_end=True) == "2026-12-31 23:59 (Asia/Tokyo)"
    assert local(campaign, midnight) == "2027-01-01 00:00 (Asia/Tokyo)"
    evening = instant("2026-12-31 09:30")
    assert local(campaign, evening, is_end=True) == "2026-12-31 18:30 (Asia/Tokyo)"
    exact = local(campaign, evening, has_seconds=True)
    assert exact == "2026-12-31 18:30:00 (Asia/Tokyo)"
