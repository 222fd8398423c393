"""After a long silence, sending waits for a person: it may be a restored backup."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import Delivery, Heartbeat

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

NAME = "sending"
LONGEST_GAP = timedelta(minutes=10)


@transaction.atomic
def beat(*, clock: Clock = timezone.now) -> list[int]:
    """Note that a worker is alive; the deliveries paused because none was for long.

    Called before anything is sent. What is restored from a backup may have gone out
    already, under keys that LINE has forgotten by now: a person looks first.
    """
    heart = Heartbeat.objects.select_for_update().filter(name=NAME).first()
    now = clock()
    if heart is None:
        Heartbeat.objects.bulk_create(
            [Heartbeat(name=NAME, at=now)], ignore_conflicts=True
        )
        return []
    stopped = _pause_all(now - heart.at) if now - heart.at > LONGEST_GAP else []
    Heartbeat.objects.filter(name=NAME, at__lt=now).update(at=now)
    return stopped


def _pause_all(gap: timedelta) -> list[int]:
    words = _(
        "No worker ran for %(minutes)s minutes: an outage, or a restored backup. Look "
        "at what was sent, then resume."
    ) % {"minutes": int(gap.total_seconds() // 60)}
    paused = []
    going = (Delivery.State.PREPARING, Delivery.State.READY)
    for delivery in Delivery.objects.filter(state__in=going).order_by("pk"):
        if delivery.move(
            going, Delivery.State.PAUSED, pause_reason=words, leased_until=None
        ):
            paused.append(delivery.pk)
            logger.error("send.paused_after_gap", extra={"delivery": delivery.pk})
    return paused
