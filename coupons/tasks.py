"""What workers do for coupons. Tasks carry ids; rows say what is to be done."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from coupons import ends
from serials.waking import nudge


@shared_task(name="coupons.tasks.sweep")
def sweep() -> None:
    """Go on with every change of ends that waits for a worker or whose worker is gone."""
    waiting = ends.due(timezone.now()).order_by("pk")
    for change_id in waiting.values_list("pk", flat=True)[:20]:
        nudge(give_ends, change_id)


@shared_task(name="coupons.tasks.give_ends")
def give_ends(change_id: int) -> None:
    """Give the coupons that are out their new ends, for a slice of time."""
    if ends.run(change_id, seconds=_seconds()):
        nudge(give_ends, change_id)


def _seconds() -> float:
    """How long a task may go on before its last chunk, within the soft time limit."""
    limit: float = settings.CELERY_TASK_SOFT_TIME_LIMIT
    return max(limit - settings.SEND_LEASE.total_seconds() - 5, 5)
