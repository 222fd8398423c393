"""What workers do for deliveries. Tasks carry ids; rows say what is to be done."""

import time

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from deliveries.models import Delivery, Dispatch
from deliveries.outages import beat
from deliveries.preparing import preparable
from deliveries.preparing import prepare as prepare_delivery
from deliveries.refusing import end_words
from deliveries.sending import send_due as send_what_is_due
from deliveries.sending import sendable, stop_late
from deliveries.settling import cancel_some
from serials.waking import nudge


@shared_task(name="deliveries.tasks.sweep")
def sweep() -> None:
    """Hand out what waits; lost or doubled messages are made good here."""
    beat()
    now = timezone.now()
    stop_late(now)
    Dispatch.objects.release_expired(now=now)
    for delivery_id in preparable(now):
        nudge(prepare, delivery_id)
    for delivery_id in to_clear():
        nudge(clear, delivery_id)
    ids = [pk for found in sendable(now).values() for pk in found]
    if Dispatch.objects.filter(delivery_id__in=ids).due(now).exists():
        nudge(send_due)


@shared_task(name="deliveries.tasks.prepare")
def prepare(delivery_id: int) -> None:
    """Freeze a delivery's audience, and start sending once it is ready."""
    if prepare_delivery(delivery_id, seconds=_seconds()):
        nudge(prepare, delivery_id)
    else:
        nudge(send_due)


@shared_task(name="deliveries.tasks.send_due")
def send_due() -> None:
    """Send due dispatches for a while, then leave the rest to the next one."""
    beat()
    if send_what_is_due(seconds=_seconds()):
        nudge(send_due)


@shared_task(name="deliveries.tasks.clear")
def clear(delivery_id: int) -> None:
    """Cancel what a cancelled delivery had still waiting."""
    delivery = Delivery.objects.get(pk=delivery_id)
    ends = time.monotonic() + _seconds()
    while delivery.state == Delivery.State.CANCELLED and time.monotonic() < ends:
        reason = delivery.pause_reason or end_words()
        if not cancel_some(delivery_id, reason=reason, at=timezone.now()):
            return


def to_clear() -> list[int]:
    """Cancelled deliveries that have waiting dispatches left."""
    queued = Dispatch.objects.filter(
        status=Dispatch.Status.QUEUED, delivery__state=Delivery.State.CANCELLED
    )
    return list(queued.values_list("delivery_id", flat=True).distinct())


def _seconds() -> float:
    """How long a task may go on before its last block, within the soft time limit."""
    limit: float = settings.CELERY_TASK_SOFT_TIME_LIMIT
    return max(limit - settings.SEND_LEASE.total_seconds() - 5, 5)
