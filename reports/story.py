"""A coupon's story: its steps and what was refused, oldest first, day by day."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from connections.models import SECRETS
from coupons.errors import MESSAGES
from coupons.models import Attempt, Coupon, Event, Verification
from coupons.moments import Moment
from reports.refunds import refunds_in
from stores.naming import name_of
from sync.models import Use

MOST_ATTEMPTS = 200  # refused ones shown, the newest
Words = str | Promise

WAYS: dict[str, Words] = {
    "push": _("message on LINE"),
    "page": _("on the coupon page"),
    "scan": _("by scan"),
    "staff": _("by staff"),
    "api": _("through the API"),
    "paddle": _("at Paddle's checkout"),
    "vivoldi": _("at Vivoldi"),
}
VERIFIED_WAYS: dict[str, Words] = {
    Verification.Way.SCAN: WAYS["scan"],
    Verification.Way.BUTTON: _("button on the coupon page"),
    Verification.Way.PASSWORD: _("store password on the coupon page"),
    Verification.Way.API: WAYS["api"],
    Verification.Way.PADDLE: WAYS["paddle"],
    Verification.Way.VIVOLDI: WAYS["vivoldi"],
}


@dataclass(frozen=True)
class Step:
    """One line of the story.

    A verification that was taken back has it in `undone`; the taking back itself has
    that verification in `of`.
    """

    at: datetime
    what: Words
    how: Words = ""
    store: str = ""
    who: str = ""
    reason: str = ""  # as a person wrote it
    why: Words = ""  # of a refusal, in our words
    is_refused: bool = False
    kind: str = ""
    undone: Verification | None = None
    of: Verification | None = None
    till_time: datetime | None = None
    their_time: datetime | None = None  # a provider's
    url: str = ""  # where more of it is told

    @property
    def undone_by(self) -> str:
        return name_of(self.undone.undone_by) if self.undone else ""


@dataclass(frozen=True)
class Day:
    """A day of the campaign's zone on which something happened."""

    on: date
    steps: list[Step]


@dataclass(frozen=True)
class Story:
    """What has become of a coupon; times in `zone`."""

    zone: ZoneInfo
    days: list[Day]
    not_shown: int  # refused attempts before the shown ones
    ends_at: datetime | None  # None: its end says nothing any more
    is_over: bool  # it ended unused

    @property
    def last_minute(self) -> datetime | None:
        """The end as it is shown: midnight is the day before's last minute."""
        if self.ends_at is None:
            return None
        return Moment(self.ends_at, self.zone, is_end=True).for_staff


def story_of(coupon: Coupon, *, at: datetime) -> Story:
    """The story as it stands at `at`, in five queries, or six when much was refused."""
    zone = coupon.campaign.zone
    refused = coupon.attempts.exclude(reason="ok")
    attempts = refused.select_related("store", "staff").order_by("-pk")
    newest = list(attempts[: MOST_ATTEMPTS + 1])
    is_cut = len(newest) > MOST_ATTEMPTS
    refusals = map(_refusal, reversed(newest[:MOST_ATTEMPTS]))
    steps = [*_steps(coupon), *_at_providers(coupon), *refusals]
    steps.sort(key=lambda step: step.at)  # stable: at one instant, as they were written
    return Story(
        zone=zone,
        days=by_day(steps, zone),
        not_shown=refused.count() - MOST_ATTEMPTS if is_cut else 0,
        ends_at=_end(coupon, at),
        is_over=coupon.is_expired(at),
    )


def _end(coupon: Coupon, at: datetime) -> datetime | None:
    is_revoked = coupon.status == Coupon.Status.REVOKED
    was_used = coupon.status == Coupon.Status.VERIFIED and at >= coupon.ends_at
    return None if is_revoked or was_used else coupon.ends_at


def by_day(steps: Iterable[Step], zone: ZoneInfo) -> list[Day]:
    """Steps in their order, gathered under the days of the zone."""
    days = groupby(steps, key=lambda step: step.at.astimezone(zone).date())
    return [Day(on, list(of_day)) for on, of_day in days]


@dataclass
class _Verifications:
    """Which verification an event speaks of: both carry the same instant."""

    rows: list[Verification]
    seen: set[tuple[int, str]] = field(default_factory=set)

    def next(self, event: Event) -> Verification | None:
        time = "undone_at" if event.kind == Event.Kind.UNDONE else "at"
        for row in self.rows:
            if getattr(row, time) == event.at and (row.pk, time) not in self.seen:
                self.seen.add((row.pk, time))
                return row
        return None


def _steps(coupon: Coupon) -> Iterator[Step]:
    verifications = _Verifications(
        list(
            coupon.verifications.select_related("store", "undone_by").order_by("pk"),
        )
    )
    for event in coupon.events.select_related("actor", "store").order_by("pk"):
        yield _step(event, verifications)


def _step(event: Event, verifications: _Verifications) -> Step:
    spoken_of = None
    if event.kind in (Event.Kind.VERIFIED, Event.Kind.UNDONE):
        spoken_of = verifications.next(event)
    is_verified = event.kind == Event.Kind.VERIFIED
    clock = spoken_of.pos_time if is_verified and spoken_of else None
    is_theirs = event.way in (Verification.Way.PADDLE, Verification.Way.VIVOLDI)
    return Step(
        at=event.at,
        what=_what(event),
        how=_how(event, spoken_of),
        store=str(event.store or ""),
        who=name_of(event.actor),
        reason=event.reason,
        kind=event.kind,
        undone=spoken_of if is_verified and spoken_of and spoken_of.undone_at else None,
        of=None if is_verified else spoken_of,
        till_time=None if is_theirs else clock,
        their_time=clock if is_theirs else None,
    )


def _what(event: Event) -> Words:
    if event.kind == Event.Kind.UNDONE:
        return _("verification taken back")
    return Event.Kind(event.kind).label


def _how(event: Event, verification: Verification | None) -> Words:
    if event.kind == Event.Kind.SENT and event.way == "staff":
        return _("link handed over by staff")
    if event.kind == Event.Kind.VERIFIED and verification is not None:
        return VERIFIED_WAYS[verification.way]
    return WAYS.get(event.way, event.way)


def _at_providers(coupon: Coupon) -> Iterator[Step]:
    """Uses at providers that came too late to change anything here, and refunds."""
    if coupon.serial_id is None:
        return
    uses = Use.objects.filter(coupon__serial=coupon.serial_id)
    told = uses.exclude(source=Use.Source.MIRROR).select_related("connection")
    rows = list(told.defer(*(f"connection__{name}" for name in SECRETS)).order_by("pk"))
    yield from _used_again(rows)
    yield from _refunded(rows)


def _refunded(uses: list[Use]) -> Iterator[Step]:
    accounts = {use.coupon_id: use.connection.name for use in uses}
    for coupon_id, refunds in refunds_in(uses).items():
        for refund in refunds:
            yield Step(
                at=refund.at,
                what=_("refunded at %(account)s") % {"account": accounts[coupon_id]},
                how=refund.words,
                why=_(
                    "Nothing was taken back here because of it: that is for you to decide."
                ),
                kind="refunded",
            )


def _used_again(uses: list[Use]) -> Iterator[Step]:
    late = (Use.Outcome.KNOWN, Use.Outcome.REVOKED)
    for use in (use for use in uses if use.outcome in late):
        what = _("used at %(account)s as well") % {"account": use.connection.name}
        yield Step(
            at=use.seen_at,
            what=what,
            why=f"{capfirst(use.get_outcome_display())}.",
            is_refused=True,
            kind="used",
            their_time=use.happened_at,
        )


def _refusal(attempt: Attempt) -> Step:
    if attempt.action == Attempt.Action.REDEEM:
        what = _("redeem refused")
    elif attempt.nonce is not None:
        what = _("scan refused")
    else:
        what = _("verification refused")
    return Step(
        at=attempt.at,
        what=what,
        store=str(attempt.store or ""),
        who=name_of(attempt.staff),
        why=MESSAGES.get(attempt.reason, attempt.reason),
        is_refused=True,
        kind="refused",
    )
