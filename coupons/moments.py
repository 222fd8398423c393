"""Instants and spans of time in words, as a campaign's customers read them."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from django.utils.dateformat import DateFormat
from django.utils.formats import get_format
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign

TICKING = timedelta(days=2)  # with less left, the seconds are shown
BUDDHIST = 543  # years between our era and Thailand's
# Monday first. Django has no such short ones in these languages.
WEEKDAYS = {"ko": "월화수목금토일", "zh-hant": "一二三四五六日"}
# Those whose clock never changes: a name says it better than a city and an offset.
ZONES = {
    "Asia/Tokyo": _("Japan time"),
    "Asia/Taipei": _("Taiwan time"),
    "Asia/Bangkok": _("Thailand time"),
    "Asia/Seoul": _("Korea time"),
    "Asia/Hong_Kong": _("Hong Kong time"),
    "Asia/Singapore": _("Singapore time"),
}


class Written(DateFormat):
    """Writes a date as the reader's country does.

    In Thailand that is the year of the Buddhist era, on receipts, notices and in every
    browser's own Thai dates: 2026 looks foreign there, and 2569 is no other year.
    """

    data: datetime

    def D(self) -> str:
        days = WEEKDAYS.get(get_language() or "")
        return days[self.data.weekday()] if days else str(super().D())

    def Y(self) -> str:  # type: ignore[override]
        year = self.data.year + (BUDDHIST if get_language() == "th" else 0)
        return f"{year:04}"


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
        return gettext("%(moment)s (%(zone)s)") % {
            "moment": self.without_zone,
            "zone": zone_words(self.at.astimezone(self.zone)),
        }

    @cached_property
    def without_zone(self) -> str:
        return self._written("MOMENT_FORMAT")

    @property
    def day(self) -> str:
        """The day alone, for an end that is its last minute."""
        return self._written("DAY_FORMAT")

    @property
    def is_whole_day(self) -> bool:
        """Whether it is the end of a day, so that the day alone says it."""
        return self.is_end and self.at.astimezone(self.zone).time() == time.min

    @property
    def for_staff(self) -> datetime:
        """Its date and time of day in the zone, to be written in figures."""
        return self.at.astimezone(self.zone) - self._back

    @property
    def _back(self) -> timedelta:
        # To people a coupon "until 31 December" ends that day, not on the next.
        return timedelta(minutes=1 if self.is_whole_day else 0)

    def _written(self, name: str) -> str:
        at = self.at.astimezone(UTC)
        return written(at, self.zone, self._back, name, get_language() or "")

    @property
    def clock(self) -> str:
        return f"{self.at.astimezone(self.zone):%H:%M:%S}"

    @property
    def offset(self) -> int:
        """Seconds east of UTC."""
        shift = self.at.astimezone(self.zone).utcoffset() or timedelta(0)
        return int(shift.total_seconds())


def local(
    campaign: Campaign, at: datetime, *, is_end: bool = False, has_seconds: bool = False
) -> str:
    """An instant as staff read it everywhere: 2026-12-31 23:59 (Asia/Tokyo).

    An end at midnight is the last minute of the day before, as in forms and lists.
    """
    told = Moment(at, campaign.zone, is_end=is_end).for_staff
    shape = "%Y-%m-%d %H:%M:%S" if has_seconds else "%Y-%m-%d %H:%M"
    return f"{told:{shape}} ({campaign.time_zone})"


@lru_cache(maxsize=2_000)
def written(
    at: datetime, zone: ZoneInfo, back: timedelta, name: str, language: str
) -> str:
    """Kept, as all coupons of a campaign tell the same few times."""
    local = at.astimezone(zone) - back
    return Written(local).format(get_format(name, language))


def zone_words(local: datetime) -> str:
    """Such as "Japan time", "New York, UTC-4", never broken over two lines, or "UTC"."""
    name = str(local.tzinfo)
    if name in ZONES:
        return str(ZONES[name]).replace(" ", "\u00a0")
    shift = local.utcoffset() or timedelta(0)
    minutes = int(shift.total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    offset = f"UTC{sign}{hours}" + (f":{rest:02}" if rest else "") if minutes else "UTC"
    place = name.rpartition("/")[2].replace("_", " ")
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
