"""Wake-ups for imports. The row is the message: a lost or doubled one changes nothing."""

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from serials import importing
from serials.models import Batch
from serials.waking import nudge


@shared_task(name="serials.tasks.work")
def work(batch_id: int) -> None:
    """Do a slice of a batch's work, then ask for the next, or for another batch."""
    if importing.run(batch_id):
        nudge(work, batch_id)
    elif waiting := Batch.objects.waiting_behind(batch_id, timezone.now()):
        nudge(work, waiting)


@shared_task(name="serials.tasks.sweep")
def sweep() -> None:
    """Go on with every batch that waits for a worker or whose worker is gone."""
    importing.tidy()
    # A check is one piece of work, and of a file of any size too much for a task.
    terminal = Q(state=Batch.State.CHECKING, is_any_size=True)
    due = Batch.objects.due(timezone.now()).exclude(terminal).order_by("pk")
    for batch_id in due.values_list("pk", flat=True)[:20]:
        nudge(work, batch_id)
