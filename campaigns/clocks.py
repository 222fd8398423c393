"""Local dates and times as people type them, to instants and back."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


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


def end_of_day(day: date) -> datetime:
    """“Until 31 December” means the next midnight."""
    return datetime.combine(day + timedelta(days=1), time())
