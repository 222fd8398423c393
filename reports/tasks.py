"""What workers do for reports."""

from celery import shared_task
from django.utils import timezone

from reports import auditing
from serials.waking import nudge


@shared_task(name="reports.tasks.sweep")
def sweep() -> None:
    """Start the night's audit when it is due, and make a lost or killed one good."""
    now = timezone.now()
    auditing.tell_broken(now)
    auditing.tell_unfinished(now)
    if auditing.due(now):
        nudge(audit_ledger)


# A million coupons take a quarter of a minute; the lease, not the queue, says who is at it.
@shared_task(name="reports.tasks.audit_ledger", soft_time_limit=3_000, time_limit=3_300)
def audit_ledger() -> None:
    """Audit the ledger if tonight's audit is due and nobody is at it."""
    auditing.audit_night()
