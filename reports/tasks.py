"""What workers do for reports."""

from celery import shared_task
from django.utils import timezone

from reports import auditing, guessing, low_stock
from serials.waking import nudge


@shared_task(name="reports.tasks.sweep")
def sweep() -> None:
    """Hand out what is due: the night's audit, and mail that nobody has been sent yet."""
    now = timezone.now()
    auditing.tell_broken(now)
    auditing.tell_unfinished(now)
    if auditing.due(now):
        nudge(audit_ledger)
    for campaign_id in low_stock.due(now):
        nudge(warn_of_low_stock, campaign_id)
    for pace_id in guessing.due(now):
        nudge(warn_of_guessing, pace_id)


@shared_task(name="reports.tasks.warn_of_low_stock")
def warn_of_low_stock(campaign_id: int) -> None:
    """Mail Managers that a campaign runs low, unless somebody does or they know."""
    low_stock.warn(campaign_id, timezone.now())


@shared_task(name="reports.tasks.warn_of_guessing")
def warn_of_guessing(pace_id: int) -> None:
    """Mail Managers that a password is guessed at, unless somebody does or they know."""
    guessing.warn(pace_id, timezone.now())


# A million coupons take a quarter of a minute; the lease, not the queue, says who is at it.
@shared_task(name="reports.tasks.audit_ledger", soft_time_limit=3_000, time_limit=3_300)
def audit_ledger() -> None:
    """Audit the ledger if tonight's audit is due and nobody is at it."""
    auditing.audit_night()
