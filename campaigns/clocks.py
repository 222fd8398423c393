"""Local dates and times as people type them, to instants and back."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MOST_CHANGES = 4
STRIDE = timedelta(days=2)  # no zone changes its clocks twice within it
MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class ClockChange:
    """When a zone's clocks are changed, and by how much; forward is positive."""

    at: datetime
    shift: timedelta

    @property
    def is_forward(self) -> bool:
        return self.shift > timedelta(0)

    @property
    def minutes(self) -> int:
        return abs(int(self.shift.total_seconds())) // 60


def to_instant(local: datetime, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """The instant (in UTC) of a local time that a person wrote down.

    A time that a clock change skips moves forward by the gap. One that happens twice
    is the earlier for a start, the later for an end.
    """
    first = local.replace(tzinfo=zone, fold=0)
    second = local.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    is_skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local
    # For a skipped time fold=0 reads with the offset before the change, which is
    # the gap later on the new clock.
    chosen = first if is_skipped or not is_end else second
    return chosen.astimezone(UTC)


def to_local(at: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clocks show then, to the second, as a person would type it."""
    return at.astimezone(zone).replace(tzinfo=None, microsecond=0, fold=0)


def end_of_day(day: date) -> datetime:
    """“Until 31 December” means the next midnight."""
    return datetime.combine(day + timedelta(days=1), time())


def day_ended_by(at: datetime, zone: ZoneInfo) -> date | None:
    """The day whose end this instant is in the zone, or None."""
    local = to_local(at, zone)
    if local.time() != time():
        return None
    day = local.date() - timedelta(days=1)
    return day if to_instant(end_of_day(day), zone, is_end=True) == at else None


def end_of_next_month(day: date) -> date:
    """The last day of the month after this day's."""
    year, month = (day.year + day.month // 12, day.month % 12 + 1)
    return date(year, month, calendar.monthrange(year, month)[1])


def clock_changes(
    zone: ZoneInfo, starts: datetime, ends: datetime, *, most: int = MOST_CHANGES
) -> list[ClockChange]:
    """The first changes of the zone's clocks with `starts` < change < `ends`."""
    found: list[ClockChange] = []
    at = starts.astimezone(UTC)
    ends = ends.astimezone(UTC)
    while at < ends and len(found) < most:
        following = min(at + STRIDE, ends)
        before, after = offset(zone, at), offset(zone, following)
        if before != after:
            changed = first_with(zone, after, at, following)
            if changed < ends:
                found.append(ClockChange(changed, after - before))
        at = following
    return found


def first_with(
    zone: ZoneInfo, wanted: timedelta, early: datetime, late: datetime
) -> datetime:
    """The first whole second after `early` with this offset, which `late` has."""
    while late - early > MOMENT:
        middle = early + (late - early) / 2
        if offset(zone, middle) == wanted:
            late = middle
        else:
            early = middle
    # Halving leaves parts of a second; clocks change on a whole one.
    whole = late.replace(microsecond=0)
    return whole if offset(zone, whole) == wanted else whole + MOMENT


def offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)
