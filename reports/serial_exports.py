"""Asking for an export of serials, and downloading it: who may, how often, how long."""

import logging
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from coupons.moments import local
from reports.models import SerialExport
from reports.numbers import stocks_of
from reports.serials_out import batches_of, fixed_lines, wanted_of
from serials.models import Batch

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Piece = TypeVar("Piece")
States = SerialExport.States

WORKS_FOR = timedelta(hours=1)
A_DAY = 20  # exports of one person
DAY = timedelta(hours=24)
LEASE = timedelta(seconds=60)  # of a download; after it the person may start another
RENEW_AFTER = 10.0  # seconds
# Each holds a web process for as long as it lasts; customers need the others.
AT_ONCE = 2
LONGEST = 600.0  # seconds
# Rows below the heading: an .xlsx sheet holds no more.
SHEET_ROWS = 1_048_575


class ExportRefused(Exception):
    """A no with its reason: `too_many`, `expired`, `busy` or `all_busy`."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class DownloadTooLong(Exception):
    """The line is too slow for a file of this size."""


@transaction.atomic
def make_export(
    owner: User,
    *,
    campaign: Campaign,
    batch: Batch | None,
    states: str,
    format: str,
    columns: str,
    clock: Clock = timezone.now,
) -> SerialExport:
    """An export that its owner may download for an hour.

    Raises ExportRefused: too_many.
    """
    _in_turn(owner)
    now = clock()
    made = SerialExport.objects.filter(owner=owner, created_at__gt=now - DAY)
    times = list(made.order_by("-created_at").values_list("created_at", flat=True))
    if len(times) >= A_DAY:
        again = local(campaign, times[A_DAY - 1] + DAY)
        raise ExportRefused("too_many", _too_many(again))
    return SerialExport.objects.create(
        owner=owner,
        campaign=campaign,
        batch=batch,
        states=states,
        format=format,
        columns=columns,
        created_at=now,
        expires_at=now + WORKS_FOR,
    )


def _in_turn(owner: User) -> None:
    """Let one transaction of this person look at their exports at a time."""
    # Not the key: rows that only refer to the person don't wait.
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)


def _too_many(again: str) -> str:
    return _(
        "You have made %(most)s exports in 24 hours, which is the most. The next one is "
        "possible from %(again)s. Until an hour after it was made, an export can be "
        "downloaded as often as you like."
    ) % {"most": A_DAY, "again": again}


@transaction.atomic
def start_download(export: SerialExport, *, clock: Clock = timezone.now) -> None:
    """Count a download and hold the person's one place for it.

    Raises ExportRefused: expired, busy, all_busy.
    """
    _in_turn(export.owner)
    now = clock()
    if export.is_expired(now):
        raise ExportRefused("expired")
    running = SerialExport.objects.filter(running_until__gt=now)
    if running.filter(owner=export.owner_id).exists():
        raise ExportRefused("busy")
    # Of different people who begin in the same moment one too many may slip through.
    if running.count() >= AT_ONCE:
        raise ExportRefused("all_busy")
    lease = now + LEASE
    SerialExport.objects.filter(pk=export.pk).update(
        downloads=F("downloads") + 1, downloaded_at=now, running_until=lease
    )
    export.running_until = lease


def held(
    export: SerialExport,
    pieces: Iterable[Piece],
    *,
    pulse: Callable[[], None] = lambda: None,
    longest: float = LONGEST,
    clock: Clock = timezone.now,
) -> Generator[Piece, None, None]:
    """The pieces, while the download's place is kept; it is given back at the end.

    However it ends: a browser that goes away closes this. `pulse` is called with each
    piece. Raises DownloadTooLong, which breaks the download off.
    """
    is_whole, started = False, time.monotonic()
    renewed = started
    try:
        for piece in pieces:
            yield piece
            pulse()
            now = time.monotonic()
            if now - started > longest:
                raise DownloadTooLong
            if now - renewed > RENEW_AFTER:
                _keep(export, clock() + LEASE)
                renewed = now
        is_whole = True
    finally:
        with suppress(DatabaseError):  # if that is away, the lease runs out by itself
            _keep(export, None)
        logger.info("export.ended", extra={"export": export.pk, "is_whole": is_whole})


def _keep(export: SerialExport, until: datetime | None) -> None:
    """Renew our own lease, or give it back; another download's is left alone."""
    own = SerialExport.objects.filter(pk=export.pk, running_until=export.running_until)
    if own.update(running_until=until):
        export.running_until = until


def count_lines(export: SerialExport) -> int:
    """About how many lines it has, the heading left out; from counters of batches."""
    batches = list(batches_of(export))
    stocks = stocks_of(batches)
    lines = len(fixed_lines(batches, wanted_of(export), str))
    for batch in batches:
        if not batch.is_fixed:
            stock = stocks[batch.pk]
            lines += {
                States.ALL: batch.total,
                States.FREE: stock.free,
                States.TAKEN: stock.taken,
                States.VOID: stock.void,
            }[States(export.states)]
    return lines
