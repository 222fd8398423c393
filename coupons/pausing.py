"""When somebody scans too much that is not ours: a short pause against guessing."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User

from coupons.models import Attempt

MISSES = 20
WITHIN = timedelta(minutes=1)
PAUSE = timedelta(seconds=30)


def pause_left(user: User, *, at: datetime) -> timedelta | None:
    """How long this person has to wait before the next scan; None if not at all.

    Counted in the rows that scans leave behind, so all stores and all of the person's
    devices count together.
    """
    misses = list(
        Attempt.objects.filter(
            staff=user,
            action=Attempt.Action.VERIFY,
            reason="invalid",
            at__gt=at - WITHIN - PAUSE,
        )
        .order_by("-at")
        .values_list("at", flat=True)[:MISSES]
    )
    if len(misses) < MISSES or misses[0] - misses[-1] >= WITHIN:
        return None
    left = misses[0] + PAUSE - at
    return left if left > timedelta(0) else None
