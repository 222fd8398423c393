"""Work that webhooks leave for later. Losing or doubling a task changes nothing."""

from celery import shared_task
from django.utils import timezone

from contacts.naming import ask_names
from contacts.services import drop_old_imports
from serials.waking import nudge
from sync.processing import drop_old, work_off

LIMIT = 200  # events of one task


@shared_task(name="sync.tasks.process")
def process() -> None:
    """Apply what webhooks brought."""
    count = work_off(limit=LIMIT)
    if count == LIMIT:
        nudge(process)
    if count:
        nudge(name_contacts)


@shared_task(name="sync.tasks.name_contacts")
def name_contacts() -> None:
    """Ask LINE for the names of new contacts; apart, for LINE may be slow."""
    ask_names()


@shared_task(name="sync.tasks.sweep")
def sweep() -> None:
    """Everything that is due, lost nudges included, and what is past keeping."""
    work_off(limit=LIMIT)
    ask_names()
    drop_old()
    drop_old_imports(at=timezone.now())
