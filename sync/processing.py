"""Working off what webhooks brought: each event once, in one transaction."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from contacts.importing import is_line_user_id
from contacts.services import find_or_make_line_contact, set_reachable
from sync.models import InboundEvent
from sync.models.inbound import REFUNDS
from sync.uses import note_refund, note_use, refund_in, use_in

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]

MAX_TRIES = 10
FIRST_WAIT = timedelta(seconds=10)  # doubles with every try
LONGEST_WAIT = timedelta(hours=1)
KEPT = timedelta(days=30)

# Each of these says that LINE reaches the user, or (False) no longer does. Whoever
# writes to us has not blocked us.
REACHES = {"follow": True, "message": True, "postback": True, "unfollow": False}


def work_off(*, limit: int = 200, clock: Clock = timezone.now) -> int:
    """Apply up to `limit` events that are due; how many were looked at.

    Raises OperationalError when the database is away; what was not reached stays due.
    """
    due = (
        InboundEvent.objects.filter(
            processed_at=None, dead_at=None, next_try_at__lte=clock()
        )
        .order_by("next_try_at", "pk")
        .values_list("pk", flat=True)[:limit]
    )
    pks = list(due)
    for pk in pks:
        work_off_one(pk, clock=clock)
    return len(pks)


def work_off_one(pk: int, *, clock: Clock = timezone.now) -> None:
    """Apply one event unless somebody did; after a failure it is due again later."""
    try:
        _apply_once(pk, clock)
    except (OperationalError, InterfaceError, SoftTimeLimitExceeded):
        raise  # not the event's fault: it stays due
    except Exception as error:  # noqa: BLE001 (one bad event must not hold up the rest)
        _note_failure(pk, error, at=clock())


@transaction.atomic
def _apply_once(pk: int, clock: Clock) -> None:
    event = (
        InboundEvent.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(pk=pk, processed_at=None, dead_at=None)
        .first()
    )
    if event is None:
        return
    apply(event, clock=clock)
    # `processed_at` and the effect are committed together or not at all.
    InboundEvent.objects.filter(pk=pk).update(processed_at=clock(), problem="")


def apply(event: InboundEvent, *, clock: Clock = timezone.now) -> None:
    """Do what the event says. What we do not know, or need not, changes nothing.

    Events come late, twice and out of order: whatever is done here counts by the time
    at which the provider says it happened.
    """
    use = use_in(event)
    if use is not None:
        note_use(use, clock=clock)
    elif event.kind in REFUNDS:
        note_refund(refund_in(event), clock=clock)
    else:
        _note_reachable(event, clock)


def _note_reachable(event: InboundEvent, clock: Clock) -> None:
    """Whether LINE still reaches who did it; nothing for events of another kind."""
    is_reachable = REACHES.get(event.kind)
    user_id = _user_of(event)
    if is_reachable is None or user_id is None:
        return
    contact = find_or_make_line_contact(event.connection_id, user_id, clock=clock)
    if not set_reachable(contact.pk, is_reachable, at=event.occurred_at):
        logger.debug("inbound.older", extra={"inbound": event.pk})


def _user_of(event: InboundEvent) -> str | None:
    """Who did it, in a chat with us alone: in a group they need not be our friend."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    source = payload.get("source")
    if not isinstance(source, dict) or source.get("type") != "user":
        return None
    user_id = source.get("userId")
    if isinstance(user_id, str) and is_line_user_id(user_id):
        return user_id
    return None


def _note_failure(pk: int, error: Exception, *, at: datetime) -> None:
    event = InboundEvent.objects.filter(pk=pk, processed_at=None).first()
    if event is None:
        return
    tries = event.tries + 1
    is_dead = tries >= MAX_TRIES
    InboundEvent.objects.filter(pk=pk, processed_at=None, tries=event.tries).update(
        tries=tries,
        next_try_at=at + min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT),
        dead_at=at if is_dead else None,
        problem=f"{type(error).__name__}: {error}"[:500],
    )
    # The error's own words stay in the table: they may name a person.
    logger.log(
        logging.ERROR if is_dead else logging.WARNING,
        "inbound.dead" if is_dead else "inbound.failed",
        extra={"inbound": pk, "tries": tries, "why": type(error).__name__},
    )


def drop_old(*, limit: int = 1_000, clock: Clock = timezone.now) -> int:
    """Delete the oldest settled events past their 30 days, a few at a time."""
    before = clock() - KEPT
    oldest = InboundEvent.objects.order_by("pk").values_list(
        "pk", "received_at", "processed_at", "dead_at"
    )[:limit]
    old = [
        pk
        for pk, received_at, processed_at, dead_at in oldest
        if received_at < before and (processed_at or dead_at)
    ]
    return InboundEvent.objects.filter(pk__in=old).delete()[0]
