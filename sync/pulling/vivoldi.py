"""Looking at Vivoldi's numbers: one by one, for it has no list.

`validate` says no to a number that has not begun, is over, is used up or is not there,
and tells those apart in words alone, in whatever language. So what a no means is decided
by what we know, and where that leaves two answers, a person is asked. Source: Vivoldi's
coupon API, "validate"; its rate limits are those of the account's plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from providers.errors import ProviderError, Refused
from providers.reading import decimal_of
from providers.vivoldi import VivoldiCoupon
from serials.models import Serial
from sync.models import Publication, RemoteCoupon
from sync.ports.vivoldi import VivoldiPort
from sync.pulling.comparing import REFUSED_THERE, USED_THERE, comparing, sent_of
from sync.pulling.counting import count_uses, known_uses
from sync.pulling.looking import Look, oddity_words, unreadable
from sync.pulling.paddle import used_of
from sync.pulling.planning import budget, first_of, next_planned
from sync.pulling.runs import Clock
from sync.pulling.storing import Told
from sync.pulling.turn import Turn

# Vivoldi doesn't say in which time zone its days begin, nor whether the last one counts:
# no day of theirs is earlier than the first of these hours, or later than the second.
EARLIEST, LATEST = timedelta(hours=14), timedelta(hours=12)
SAID_NO = 200  # HTTP: Vivoldi's own no comes with it, in `code`
SETTLED = timedelta(days=2)  # after its end nothing changes any more


@dataclass
class VivoldiTurn(Turn):
    """A worker's turn at a Vivoldi account."""

    port: VivoldiPort

    def work(self, ends: float) -> bool:
        if self.stage == "":
            self._plan()
        plan = self.held.run.cursor.get("plan", [])
        look = Look(
            self.held,
            self.pool,
            self.port.pace("find"),
            self.port.client.deadline,
            lambda row: self.port.client.validate(row.remote_id),
            reading(self.held.clock),
            lambda after, limit: next_planned(self.held.run, plan, after, limit),
            comparing(self.port),
            after_block=lambda rows: count_uses(rows, self.held.clock),
        )
        return look.work(ends)

    @transaction.atomic
    def _plan(self) -> None:
        rows = changeable(self.held.run.connection_id, self.held.clock())
        limit = budget(self.port.pace("find").rate)
        # Whom nobody has got can't have been used: those wait behind the others.
        is_out = Q(serial__state=Serial.State.TAKEN) | Q(batch__isnull=False)
        plan = first_of([rows.filter(is_out), rows], limit)
        self.held.keep(
            cursor={"stage": "single", "plan": plan}, listed=F("listed") + len(plan)
        )


def changeable(connection_id: int, at: datetime) -> QuerySet[RemoteCoupon]:
    """Ours that are there and may still be used, or be taken away by somebody."""
    is_open = (
        Q(ends_at=None)
        | Q(ends_at__gt=at - SETTLED)
        | Q(asked_at__lt=F("ends_at") + SETTLED)
    )
    return RemoteCoupon.objects.filter(
        is_open,
        connection_id=connection_id,
        status=RemoteCoupon.Status.LIVE,
        publication__state__in=Publication.CURRENT,
    ).exclude(told=USED_THERE)


def reading(
    clock: Clock,
) -> Callable[[RemoteCoupon, VivoldiCoupon | ProviderError], Told]:
    """What to write down of an answer, judged at the time of the clock."""

    def read(row: RemoteCoupon, answer: VivoldiCoupon | ProviderError) -> Told:
        if isinstance(answer, Refused) and answer.status == SAID_NO:
            return refused(row, clock())
        if isinstance(answer, ProviderError):
            return unreadable(row, answer)
        return told_of(row, answer)

    return read


def told_of(row: RemoteCoupon, coupon: VivoldiCoupon) -> Told:
    """A number that can be used now; its days begin where the campaign is at home."""
    zone = row.publication.campaign.zone if row.publication else UTC
    values: dict[str, Any] = {
        "title": coupon.name,
        "told": "",
        "raw": coupon.raw,
        "starts_at": midnight(coupon.starts_on, zone),
        "ends_at": midnight(coupon.ends_on, zone, days=1),
    }
    return Told(
        row.pk,
        values | used_of(coupon.use_count),
        problem=oddity_words(coupon.oddities),
    )


def midnight(day: date | None, zone: tzinfo, *, days: int = 0) -> datetime | None:
    """The beginning of a day, or of one so many days later; None for no such day."""
    if day is None:
        return None
    try:
        return datetime.combine(day + timedelta(days=days), time(), zone)
    except OverflowError:
        return None


def refused(row: RemoteCoupon, at: datetime) -> Told:
    """What a no to `validate` means, from what we know of the number."""
    if row.missing_since is not None:  # a person has looked, or it was clear before
        return Told(row.pk, is_missing=True)
    sent = sent_of(row)
    starts, ends = day_of(sent.get("strtYmd")), day_of(sent.get("endYmd"))
    if starts is not None and (at - LATEST).astimezone(UTC).date() < starts:
        return Told(row.pk, {"told": ""})
    if ends is not None and (at + EARLIEST).astimezone(UTC).date() >= ends:
        return Told(row.pk, {"told": "", **_end_of(row, ends)})
    limit = decimal_of(sent.get("useLimit"))
    if limit == 0:  # as often as anybody likes: so it isn't used up
        return Told(row.pk, is_missing=True)
    if limit is not None and max(row.used or 0, known_uses(row)) >= limit:
        return Told(row.pk, {"told": USED_THERE})
    return Told(row.pk, {"told": REFUSED_THERE})


def _end_of(row: RemoteCoupon, ends: date) -> dict[str, datetime | None]:
    """Its end, where no look has told it: what is over need not be asked about."""
    zone = row.publication.campaign.zone if row.publication else UTC
    return {} if row.ends_at else {"ends_at": midnight(ends, zone, days=1)}


def day_of(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None
