"""Telling people something once: a lease on its row while the mail goes out.

The kinds of row have `telling_until` in common. Who sets it has the telling to itself;
who dies with it, or can't send, lets it run out, and the next sweep tries again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from reports import mailing

LEASE = timedelta(minutes=10)  # longer than a mail to each of many people takes

Row = TypeVar("Row", bound=Model)


def idle(now: datetime) -> Q:
    """Rows that nobody is telling of at `now`."""
    return Q(telling_until=None) | Q(telling_until__lte=now)


def is_idle(until: datetime | None, now: datetime) -> bool:
    """The same of a row's `telling_until`."""
    return until is None or until <= now


def hold(untold: QuerySet[Row], pk: int, now: datetime) -> QuerySet[Row] | None:
    """Take one of the untold rows to tell of it; None when another worker does.

    What comes back finds the row while it is still ours.
    """
    lease = now + LEASE
    if not untold.filter(idle(now), pk=pk).update(telling_until=lease):
        return None
    rows: QuerySet[Row] = untold.model._default_manager.all()
    return rows.filter(pk=pk, telling_until=lease)


def tell(
    held: QuerySet[Row],
    words: tuple[str, str],
    *,
    to: Sequence[str],
    about: str,
    **told: Any,
) -> None:
    """Mail subject and body, and write down `told`; what can't be sent stays untold."""
    if mailing.send(*words, to=to, about=about):
        # Who dies before this line has it told once more: rather twice than never.
        release(held, **told)


def release(held: QuerySet[Row], **changes: Any) -> None:
    """Let go of the row."""
    held.update(telling_until=None, **changes)
