"""A campaign's periods and the clocks of a coupon, as they are drawn in its form.

Pure: it asks neither the database nor the wall clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from campaigns.clocks import ClockChange, clock_changes, to_instant
from campaigns.models import Campaign

NOON = time(13)  # when the example coupons are sent and redeemed, if they may be
PAUSE = timedelta(hours=2)  # from sending to redeeming in the example
MINUTE = timedelta(minutes=1)
LATEST = datetime(9990, 1, 1, tzinfo=UTC)


class Clock(StrEnum):
    """What can end a coupon."""

    USE_END = "use_end"
    FROM_SENDING = "from_sending"
    FROM_REDEMPTION = "from_redemption"


@dataclass(frozen=True)
class End:
    """When one of the clocks ends a coupon."""

    clock: Clock
    at: datetime


@dataclass(frozen=True)
class Example:
    """A coupon's story: sent, perhaps redeemed, and when each of its clocks ends it."""

    sent_at: datetime
    redeemed_at: datetime | None
    ends: Sequence[End]  # the earliest first
    changes: Sequence[ClockChange]  # of the clocks, while its own clock runs
    is_late: bool = False  # the one that the use period cuts short

    @property
    def wins(self) -> End:
        return self.ends[0]

    @property
    def others(self) -> Sequence[End]:
        return self.ends[1:]


@dataclass(frozen=True)
class Period:
    """A span of the drawing; `left` and `width` are per cent of it."""

    starts_at: datetime | None
    ends_at: datetime
    left: float
    width: float


class Warn(StrEnum):
    """What a marketer may not have meant."""

    OVER = "over"
    NEVER_SENT = "never_sent"
    SENDING_ENDS_WITH_USE = "sending_ends_with_use"
    DEAD_BEFORE_USE = "dead_before_use"
    INTERVAL_TOO_LONG = "interval_too_long"


@dataclass(frozen=True)
class Timeline:
    sending: Period
    use: Period
    now: float | None  # where today is, per cent; None outside the drawing
    changes: Sequence[tuple[ClockChange, float]]
    examples: Sequence[Example]
    warnings: Sequence[Warn]
    dead_until: datetime | None = None  # sent earlier, it is over before it can be used


def timeline(campaign: Campaign, *, now: datetime) -> Timeline:
    """What the form draws of the campaign's dates, which have to run forward.

    Its start and end of use have to be set; an interval may be missing as yet.
    """
    starts, ends = sending_window(campaign, now)
    first = min(starts, campaign.use_starts_at)
    last = max(ends, campaign.use_ends_at)
    if campaign.send_ends_at:
        last = max(last, campaign.send_ends_at)

    def place(at: datetime) -> float:
        return round(100 * ((at - first) / (last - first)), 3)

    def period(begins: datetime | None, from_: datetime, to: datetime) -> Period:
        return Period(begins, to, place(from_), place(max(to, from_)) - place(from_))

    changes = clock_changes(campaign.zone, first, last)
    return Timeline(
        sending=period(campaign.send_starts_at, starts, campaign.send_ends_at or ends),
        use=period(
            campaign.use_starts_at, campaign.use_starts_at, campaign.use_ends_at
        ),
        now=place(now) if first <= now < last else None,
        changes=[(change, place(change.at)) for change in changes],
        examples=examples(campaign, now),
        warnings=warnings(campaign, now),
        dead_until=dead_until(campaign, now),
    )


def sending_window(campaign: Campaign, now: datetime) -> tuple[datetime, datetime]:
    """When coupons can really be sent: from now where no start is set."""
    ends = min(campaign.send_ends_at or campaign.use_ends_at, campaign.use_ends_at)
    starts = campaign.send_starts_at or min(now, campaign.use_starts_at, ends)
    return starts, ends


def examples(campaign: Campaign, now: datetime) -> list[Example]:
    """A usual coupon, and one so late that the use period cuts its own clock short."""
    sent = example_sent(campaign, now)
    if sent is None:
        return []
    usual = example(campaign, sent, example_redeemed(campaign, sent))
    found = [usual]
    is_own = usual.wins.clock != Clock.USE_END
    late = late_example(campaign, now) if is_own else None
    return [*found, late] if late else found


def example_sent(campaign: Campaign, now: datetime) -> datetime | None:
    """A likely time to send: an early afternoon in both periods, else while it may."""
    starts, ends = sending_window(campaign, now)
    if starts >= ends:
        return None
    usable = max(starts, campaign.use_starts_at)
    if usable < now < ends:
        usable = now
    if usable < ends:
        return early_afternoon(usable, ends, campaign.zone)
    # Sending ends before the use period begins: the last day of it.
    return early_afternoon(max(starts, ends - timedelta(days=1)), ends, campaign.zone)


def example_redeemed(campaign: Campaign, sent: datetime) -> datetime | None:
    if campaign.expiry != Campaign.Expiry.FROM_REDEMPTION:
        return None
    starts, ends = campaign.use_starts_at, campaign.use_ends_at
    pressed = sent + PAUSE
    if pressed < starts:
        return early_afternoon(starts, ends, campaign.zone)
    return pressed if pressed < ends else sent + (ends - sent) / 2


def late_example(campaign: Campaign, now: datetime) -> Example | None:
    """One whose clock starts half an interval before the use period ends, if it may."""
    started = whole_minute(campaign.use_ends_at - campaign.interval / 2)
    if started + campaign.interval <= campaign.use_ends_at:
        return None
    starts, ends = sending_window(campaign, now)
    if campaign.expiry == Campaign.Expiry.FROM_SENDING:
        is_allowed = starts <= started < ends
        made = example(campaign, started, None, is_late=True)
        return made if is_allowed else None
    sent = example_sent(campaign, now)
    if sent is None or started <= max(sent, campaign.use_starts_at):
        return None
    return example(campaign, sent, started, is_late=True)


def example(
    campaign: Campaign,
    sent: datetime,
    redeemed: datetime | None,
    *,
    is_late: bool = False,
) -> Example:
    ends = [End(Clock.USE_END, campaign.use_ends_at)]
    started = own_start(campaign, sent, redeemed)
    if started is not None:
        clock = Clock(campaign.expiry)
        ends.insert(0, End(clock, later(started, campaign.interval)))
    # Of two at once the use period's is named: it holds for everybody.
    ends.sort(key=lambda end: (end.at, end.clock != Clock.USE_END))
    runs_from = started or sent
    changes: Sequence[ClockChange] = ()
    if ends[0].clock != Clock.USE_END:
        changes = clock_changes(campaign.zone, runs_from, ends[0].at)
    return Example(sent, redeemed, ends, changes, is_late)


def own_start(
    campaign: Campaign, sent: datetime, redeemed: datetime | None
) -> datetime | None:
    """When the coupon's own clock started, if it has one beside the use period's."""
    if not campaign.interval:
        return None
    starts = {Clock.FROM_SENDING: sent, Clock.FROM_REDEMPTION: redeemed}
    return starts.get(Clock(campaign.expiry))


def warnings(campaign: Campaign, now: datetime) -> list[Warn]:
    starts, ends = sending_window(campaign, now)
    has_interval = campaign.expiry != Campaign.Expiry.USE_END and campaign.interval
    earliest = starts
    if campaign.expiry == Campaign.Expiry.FROM_REDEMPTION:
        earliest = max(starts, campaign.use_starts_at)
    sends_on = campaign.send_ends_at and campaign.send_ends_at > campaign.use_ends_at
    found = {
        Warn.OVER: campaign.use_ends_at <= now,
        Warn.NEVER_SENT: starts >= ends,
        Warn.SENDING_ENDS_WITH_USE: sends_on,
        Warn.DEAD_BEFORE_USE: dead_until(campaign, now) is not None,
        Warn.INTERVAL_TOO_LONG: has_interval
        and later(earliest, campaign.interval) >= campaign.use_ends_at,
    }
    return [warn for warn, holds in found.items() if holds]


def dead_until(campaign: Campaign, now: datetime) -> datetime | None:
    """Until when what is sent is over before the use period begins, or None."""
    if campaign.expiry != Campaign.Expiry.FROM_SENDING or not campaign.interval:
        return None
    starts, ends = sending_window(campaign, now)
    safe = campaign.use_starts_at - campaign.interval
    # The end belongs to the interval no more, so one that ends at the start is dead.
    return min(safe, ends) if starts <= safe and starts < ends else None


def early_afternoon(starts: datetime, ends: datetime, zone: ZoneInfo) -> datetime:
    """The first 13:00 from `starts` on, before `ends`; else `starts`."""
    day = starts.astimezone(zone).date()
    for date in (day, day + timedelta(days=1)):
        at = to_instant(datetime.combine(date, NOON), zone, is_end=False)
        if starts <= at < ends:
            return at
    return starts


def later(at: datetime, interval: timedelta) -> datetime:
    return at + min(interval, LATEST - at)


def whole_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
