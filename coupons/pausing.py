"""When somebody scans too much, or too much that is not ours: a pause against guessing."""

import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F, Q

from coupons.models import ScanPace

logger = logging.getLogger(__name__)

SCANS = 120
MISSES = 20
WITHIN = timedelta(minutes=1)
PAUSE = timedelta(seconds=30)


def begin_scan(user: User, *, at: datetime) -> timedelta | None:
    """Count a scan, and a miss until `not_a_miss`; how long to wait instead, if at all.

    One guarded statement, so all stores and devices of the person count together and
    a hundred guesses at once are no more than a hundred one after the other.
    """
    adapt = connection.ops.adapt_datetimefield_value
    now, over = adapt(at), adapt(at - WITHIN)
    with connection.cursor() as cursor:
        cursor.execute(BEGIN, [user.pk, now, over, over, over, now, over])
        if cursor.rowcount:
            return None
    return _pause(user, at)


# SCANS and MISSES are our own numbers.
BEGIN = f"""
    INSERT INTO coupons_scanpace AS pace (staff_id, since, scans, misses)
    VALUES (%s, %s, 1, 1)
    ON CONFLICT (staff_id) DO UPDATE SET
        since = CASE WHEN pace.since <= %s THEN excluded.since ELSE pace.since END,
        scans = CASE WHEN pace.since <= %s THEN 1 ELSE pace.scans + 1 END,
        misses = CASE WHEN pace.since <= %s THEN 1 ELSE pace.misses + 1 END
    WHERE (pace.paused_until IS NULL OR pace.paused_until <= %s)
    AND (pace.since <= %s OR (pace.scans < {SCANS} AND pace.misses < {MISSES}))
"""  # noqa: S608


def not_a_miss(user: User, *, at: datetime) -> None:
    """What was scanned at `at` is ours, or a repeat: it does not count as a guess."""
    ours = ScanPace.objects.filter(staff=user, since__lte=at, misses__gt=0)
    ours.update(misses=F("misses") - 1)


def _pause(user: User, at: datetime) -> timedelta:
    going = Q(paused_until=None) | Q(paused_until__lte=at)
    ends = at + PAUSE
    # Counting starts anew when the pause is over.
    begun = ScanPace.objects.filter(going, staff=user).update(
        paused_until=ends, since=ends, scans=0, misses=0
    )
    if begun:
        logger.warning("scan.paused", extra={"user_id": user.pk})
    until = ScanPace.objects.values_list("paused_until", flat=True).get(staff=user)
    return max((until or ends) - at, timedelta(seconds=1))
