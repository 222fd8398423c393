"""The ledger audited every night, and people told of what is wrong with it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from coupons.models import Coupon
from deliveries.models import Dispatch
from reports import mailing, telling
from reports.ledger import NAMES, Break, find_break, patience
from reports.models import Audit

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

# In settings.TIME_ZONE. Until the second, one that was lost or killed is made good.
STARTS, LAST_START = time(3, 30), time(6, 0)
LEASE = timedelta(minutes=10)  # much longer than a check takes
MOST_TRIES = 3  # of one night
MAILED_ROWS = 5  # of each break
TELL_FOR = timedelta(days=2)  # from the end of its lease


# --- when --------------------------------------------------------------------------


def due(now: datetime) -> date | None:
    """The night whose audit should start at `now`, or be taken over; None if none."""
    local = timezone.localtime(now, timezone.get_default_timezone())
    if local.time() < STARTS:
        return None
    if local.time() >= LAST_START and not _is_overdue(now, local.date()):
        return None
    night = local.date()
    audit = Audit.objects.filter(night=night).first()
    return night if audit is None or _is_free(audit, now) else None


def _is_overdue(now: datetime, today: date) -> bool:
    """Whether nights went by without an audit: the workers sleep at that hour, say."""
    newest = Audit.objects.order_by("-night").values_list("night", flat=True).first()
    if newest is not None:
        return newest < today - timedelta(days=1)
    first = Coupon.objects.order_by("pk").values_list("issued_at", flat=True).first()
    return first is not None and first < now - timedelta(days=2)


def next_start(now: datetime) -> datetime:
    """When the next audit begins, in settings.TIME_ZONE."""
    local = timezone.localtime(now, timezone.get_default_timezone())
    day = local.date() + timedelta(days=local.time() >= STARTS)
    # By way of UTC: on the night the clocks change there may be no such time.
    start = datetime.combine(day, STARTS, tzinfo=local.tzinfo)
    return start.astimezone(UTC).astimezone(local.tzinfo)


def _is_free(audit: Audit, now: datetime) -> bool:
    return (
        audit.ended_at is None
        and audit.leased_until <= now
        and audit.tries < MOST_TRIES
    )


# --- one night ---------------------------------------------------------------------


def audit_night(*, clock: Clock = timezone.now) -> Audit | None:
    """Audit the ledger if it is due; None when it isn't, or somebody else is at it.

    A night has one audit, however often this is asked for. One whose worker was killed
    is taken over once its lease is over.
    """
    night = due(clock())
    audit = night and _take(night, clock())
    if not audit:
        return None
    # After an outage the sweep may not have come to this yet; it is no break.
    while Dispatch.objects.release_expired(now=clock()):
        pass
    try:
        found = _look(audit, clock)
    except Exception:
        # Free again at once: the next sweep tries once more.
        _mine(audit).update(leased_until=clock())
        raise
    if found is None or not _finish(audit, found, clock()):
        return None
    return audit


def _take(night: date, now: datetime) -> Audit | None:
    try:
        with transaction.atomic():
            return Audit.objects.create(
                night=night, started_at=now, leased_until=now + LEASE
            )
    except IntegrityError:
        free = Audit.objects.filter(
            night=night, ended_at=None, leased_until__lte=now, tries__lt=MOST_TRIES
        )
        if not free.update(leased_until=now + LEASE, tries=F("tries") + 1):
            return None
        logger.warning("ledger.taken_over", extra={"night": str(night)})
        return Audit.objects.get(night=night)


def _mine(audit: Audit) -> QuerySet[Audit]:
    """The row, while nobody has taken it over: every take counts a try."""
    return Audit.objects.filter(pk=audit.pk, ended_at=None, tries=audit.tries)


def _look(audit: Audit, clock: Clock) -> list[Break] | None:
    """All checks, the lease renewed after each; None when somebody took over."""
    found = []
    with patience():
        for name in NAMES:
            broken = find_break(name, now=clock())
            if broken is not None:
                found.append(broken)
                note(broken)
            if not _mine(audit).update(leased_until=clock() + LEASE):
                return None
    return found


def note(broken: Break) -> None:
    """One line in the log."""
    logger.error("ledger.break", extra={"check": broken.check, "count": broken.count})


def _finish(audit: Audit, found: Sequence[Break], now: datetime) -> bool:
    """Store what was found and tell people of it, once; False when not ours any more."""
    ended = _mine(audit).update(
        ended_at=now,
        checks=len(NAMES),
        breaks=len(found),
        report=[asdict(broken) for broken in found],
    )
    if not ended:
        return False
    logger.info("ledger.audited", extra={"checks": len(NAMES), "breaks": len(found)})
    tell_broken(now)
    return True


# --- what people see of it ----------------------------------------------------------


def result_of(audit: Audit) -> tuple[str, str]:
    """How an audit ended: clean, broken, unfinished or running, and that in words."""
    if audit.ended_at is None:
        if audit.leased_until > timezone.now():
            return "running", _("under way")
        return "unfinished", _("did not finish")
    if not audit.breaks:
        return "clean", _("no break")
    words = ngettext("%(count)s break", "%(count)s breaks", audit.breaks)
    return "broken", words % {"count": audit.breaks}


@dataclass(frozen=True)
class LastAudit:
    """The newest audit for the overview; without one, when the first begins."""

    kind: str
    words: str
    starts_at: datetime
    audit: Audit | None = None


def last_audit(now: datetime) -> LastAudit:
    """The last audit that ended, or that should have."""
    for audit in Audit.objects.defer("report")[:2]:
        kind, words = result_of(audit)
        if kind != "running":
            return LastAudit(kind, words, next_start(now), audit)
    return LastAudit("none", "", next_start(now))


# --- telling people ------------------------------------------------------------------


def tell_broken(now: datetime) -> None:
    """Mail people what an audit found, once; tried again for a day if it can't be sent."""
    for audit in _untold(now).filter(breaks__gt=0, ended_at__isnull=False):
        _tell(audit, now, *words_of([Break(**row) for row in audit.report]))


def tell_unfinished(now: datetime) -> None:
    """Tell people, once, of each audit that ended without a result and has no try left."""
    for audit in _untold(now).filter(ended_at=None, leased_until__lte=now):
        if due(now) == audit.night:
            continue
        logger.error("ledger.unfinished", extra={"night": str(audit.night)})
        _tell(
            audit,
            now,
            _("The nightly check of the coupon ledger did not finish"),
            _(
                "The check that began on %(when)s stopped before its end, so nobody "
                "knows whether anything is wrong.\n\n"
                "1. Ask whoever runs the server to look at the worker's log of that "
                "time.\n"
                "2. Have it run by hand: python manage.py audit_ledger\n\n"
                "docs/ledger.md says more."
            )
            % {"when": _local(audit.started_at)},
        )


def _untold(now: datetime) -> QuerySet[Audit]:
    """Audits of which nobody has been told, and nobody is telling at `now`."""
    recent = Audit.objects.filter(leased_until__gt=now - TELL_FOR)
    return recent.filter(telling.idle(now), mailed_at=None)


def _tell(audit: Audit, now: datetime, subject: str, body: str) -> None:
    """Mail it unless another worker does. One that fails, or dies, leaves it untold."""
    held = telling.hold(_untold(now), audit.pk, now)
    if held is not None:
        # A mail that can't be sent is a line in the log: the audit itself stands.
        words = (subject, body)
        telling.tell(held, words, to=addresses(), about="ledger", mailed_at=now)


def words_of(found: Sequence[Break]) -> tuple[str, str]:
    """Subject and body of the mail about breaks: plain words, ids only."""
    subject = ngettext(
        "The coupon ledger does not add up: %(count)s break",
        "The coupon ledger does not add up: %(count)s breaks",
        len(found),
    ) % {"count": len(found)}
    parts = [
        _(
            "The nightly check of %(site)s looked at every coupon, serial, limit and "
            "delivery, and found what should never be:"
        )
        % {"site": settings.SITE_URL},
        *map(_paragraph, found),
        _(
            "What to do first:\n"
            "1. Pause the campaigns it is about (back office, Campaigns, Pause), so that "
            "no more goes out while it is looked into.\n"
            "2. Call the developer and pass this mail on. Change nothing by hand: the "
            "rows are the evidence.\n"
            "3. To look again: python manage.py audit_ledger\n\n"
            "docs/ledger.md says what each of them means."
        ),
    ]
    return subject, "\n\n".join(parts)


def _paragraph(broken: Break) -> str:
    rows = broken.rows[:MAILED_ROWS]
    lines = [f"{broken.check}: {broken.count}", broken.what, *(f"- {r}" for r in rows)]
    if broken.count > len(rows):
        lines.append(_("and %(count)s more") % {"count": broken.count - len(rows)})
    return "\n".join(lines)


def _local(at: datetime) -> str:
    zone = timezone.get_default_timezone()
    local = date_format(timezone.localtime(at, zone), "DATETIME_FORMAT")
    return f"{local} ({settings.TIME_ZONE})"


def addresses() -> list[str]:
    """Who is told: settings.ALERT_EMAILS, else every active superuser with an address."""
    return list(settings.ALERT_EMAILS) or mailing.superusers()
