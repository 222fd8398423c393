"""Instants and spans of time in words, as a campaign's customers read them."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import ngettext

from campaigns.models import Campaign

TICKING = timedelta(days=2)  # with less left, the seconds are shown


@dataclass(frozen=True)
class Moment:
    """An instant as the campaign's customers read it: in its zone, with its name."""

    at: datetime
    zone: ZoneInfo
    is_end: bool = False

    @property
    def iso(self) -> str:
        return self.at.isoformat()

    def __str__(self) -> str:
        return self.words

    @cached_property
    def words(self) -> str:
        return f"{self.without_zone} ({zone_words(self.at.astimezone(self.zone))})"

    @cached_property
    def without_zone(self) -> str:
        local = self.at.astimezone(self.zone)
        # To customers a coupon "until 31 December" ends that day, not on the next.
        if self.is_end and local.time() == time.min:
            local -= timedelta(minutes=1)
        return date_format(local, "DATETIME_FORMAT")

    @property
    def clock(self) -> str:
        return f"{self.at.astimezone(self.zone):%H:%M:%S}"

    @property
    def offset(self) -> int:
        """Seconds east of UTC."""
        shift = self.at.astimezone(self.zone).utcoffset() or timedelta(0)
        return int(shift.total_seconds())


def zone_words(local: datetime) -> str:
    """Such as "Tokyo, UTC+9", never broken over two lines, or "UTC"."""
    shift = local.utcoffset() or timedelta(0)
    minutes = int(shift.total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    offset = f"UTC{sign}{hours}" + (f":{rest:02}" if rest else "") if minutes else "UTC"
    place = str(local.tzinfo).rpartition("/")[2].replace("_", " ")
    return offset if place in ("UTC", "GMT", "") else f"{place},\u00a0{offset}"


def left_words(left: timedelta) -> str:
    """Whole days while there are two or more, then hours, minutes and seconds."""
    left = max(left, timedelta(0))
    if left >= TICKING:
        return ngettext("%(days)d day", "%(days)d days", left.days) % {
            "days": left.days
        }
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def interval_words(unit: str, count: int) -> str:
    words = {
        Campaign.Unit.MINUTES: ngettext("%(n)d minute", "%(n)d minutes", count),
        Campaign.Unit.HOURS: ngettext("%(n)d hour", "%(n)d hours", count),
        Campaign.Unit.DAYS: ngettext("%(n)d day", "%(n)d days", count),
    }
    return words[Campaign.Unit(unit)] % {"n": count}
