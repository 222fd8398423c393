"""Wake-ups for imports. The row is the message: a lost or doubled one changes nothing."""

from celery import shared_task
from django.utils import timezone

from serials import importing
from serials.models import Batch
from serials.waking import nudge


@shared_task(name="serials.tasks.work")
def work(batch_id: int) -> None:
    """Do a slice of a batch's check or import, then ask for the next."""
    if importing.run(batch_id):
        nudge(work, batch_id)


@shared_task(name="serials.tasks.sweep")
def sweep() -> None:
    """Go on with every batch that waits for a worker or whose worker is gone."""
    importing.tidy()
    due = Batch.objects.due(timezone.now()).order_by("pk")
    for batch_id in due.values_list("pk", flat=True)[:20]:
        nudge(work, batch_id)
