"""Work that webhooks leave for later. Losing or doubling a task changes nothing."""

from celery import shared_task
from django.utils import timezone

from contacts.naming import ask_names
from contacts.services import drop_old_imports
from serials.waking import nudge
from sync.mirroring import mirror
from sync.native import stop_native
from sync.parts import Parts
from sync.processing import drop_old, work_off
from sync.publishing.seats import seat
from sync.publishing.walking import to_prepare_at, to_walk, walk_all
from sync.publishing.working import accounts, work
from sync.pulling.runs import begin_due
from sync.pulling.working import pull as pull_for
from sync.pulling.working import turn_seconds

LIMIT = 200  # events of one task
PUBLISH_SECONDS = 10  # of a task, but for its last block of requests


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


@shared_task(name="sync.tasks.publish_prepare")
def publish_prepare(publication_id: int) -> None:
    """Write a publication's rows or tell them what to do, then let it be done."""
    if (left := walk_all(publication_id, seconds=PUBLISH_SECONDS)) is not None:
        nudge(publish_prepare, left)
    for connection_id in accounts(timezone.now()):
        nudge(publish_work, connection_id)


@shared_task(name="sync.tasks.publish_work")
def publish_work(connection_id: int) -> None:
    """Do an account's errands for a while, then leave the rest to the next task."""
    with seat(connection_id) as is_ours:
        if not is_ours:
            return
        is_more = work(connection_id, seconds=PUBLISH_SECONDS)
    if is_more:
        nudge(publish_work, connection_id)
    for publication_id in to_prepare_at(connection_id, timezone.now()):
        nudge(publish_prepare, publication_id)


@shared_task(name="sync.tasks.pull")
def pull(run_id: int) -> None:
    """Go on with a look at a provider, and leave the rest to the next task."""
    if pull_for(run_id, seconds=turn_seconds()):
        nudge(pull, run_id)


@shared_task(name="sync.tasks.sweep")
def sweep() -> None:
    """Everything that is due, lost nudges included, and what is past keeping.

    Whatever fails is logged, the rest has its turn, and the task has failed in the end.
    """
    parts = Parts()
    parts.run(work_off, limit=LIMIT)
    parts.run(drop_old)
    parts.run(drop_old_imports, at=timezone.now())
    parts.run(stop_native)
    parts.run(mirror)
    parts.run(_wake_publishing)
    parts.run(_wake_pulling, parts)
    parts.run(ask_names)  # last, for LINE may be slow
    parts.end()


def _wake_publishing() -> None:
    for publication_id in to_walk(timezone.now())[:1]:
        nudge(publish_prepare, publication_id)
    for connection_id in accounts(timezone.now()):
        nudge(publish_work, connection_id)


def _wake_pulling(parts: Parts) -> None:
    for run_id in begin_due(at=timezone.now(), parts=parts):
        nudge(pull, run_id)
