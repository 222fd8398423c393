"""Writing down what became of dispatches: rows, recipients, coupons, numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from coupons.retrying import retrying
from coupons.services import Source, mark_sent
from deliveries.models import Delivery, Dispatch, Recipient, Result

Status = Dispatch.Status
State = Delivery.State

CANCEL_PIECE = 1_000  # dispatches of one transaction


@retrying
@transaction.atomic
def settle(results: Sequence[Result], *, at: datetime) -> set[int]:
    """Store the results of claimed dispatches; the ids of those that still counted.

    All of it or nothing: a worker that dies before the commit leaves its rows to the
    next one, which repeats the requests with the same keys. The delivery's own row is
    the hottest and is written last.
    """
    ours = Dispatch.objects.write(results, at=at)
    counted = [result for result in results if result.dispatch.pk in ours]
    ends = [result for result in counted if result.status != Status.QUEUED]
    _end_recipients(ends)
    sent = {
        result.dispatch.pk: result.dispatch.first_try_at or at
        for result in ends
        if result.status == Status.ACCEPTED
    }
    _mark_coupons(sent)
    _count(Counter((end.dispatch.delivery_id, end.status) for end in ends), at=at)
    return ours


def _end_recipients(ends: Iterable[Result]) -> None:
    by_words: dict[tuple[str, str], list[int]] = {}
    for end in ends:
        by_words.setdefault((end.status, end.detail), []).append(end.dispatch.pk)
    for (status, words), ids in by_words.items():
        Recipient.objects.filter(dispatch_id__in=ids).update(
            outcome=status, reason=words[:500]
        )


def _mark_coupons(sent: dict[int, datetime]) -> None:
    """A coupon went out with the first try that LINE may have accepted."""
    rows = Recipient.objects.filter(dispatch_id__in=sent, coupon__isnull=False)
    coupons = {
        coupon_id: sent[dispatch_id]
        for coupon_id, dispatch_id in rows.values_list("coupon_id", "dispatch_id")
        if coupon_id is not None
    }
    if coupons:
        mark_sent(coupons, source=Source("push"))


def _count(ended: Counter[tuple[int, str]], *, at: datetime) -> None:
    for delivery_id in sorted({delivery_id for delivery_id, _status in ended}):
        Delivery.objects.filter(pk=delivery_id).update(
            **{
                status: F(status) + count
                for (of, status), count in ended.items()
                if of == delivery_id
            }
        )
        finish(delivery_id, at=at)


def finish(delivery_id: int, *, at: datetime) -> bool:
    """Mark a wholly prepared delivery done once each recipient has an outcome."""
    everyone = F("accepted") + F("refused") + F("unknown") + F("cancelled")
    complete = Delivery.objects.filter(
        pk=delivery_id, prepared_at__isnull=False, total=everyone
    )
    found = complete.first()
    return found is not None and found.move(
        (State.READY, State.PAUSED), State.DONE, done_at=at, pause_reason=""
    )


def cancel_some(delivery_id: int, *, reason: str, at: datetime) -> int:
    """Cancel up to a thousand waiting dispatches of a delivery; how many.

    Those that LINE may have accepted in an earlier try become unclear instead. What
    is being sent at this moment is left to its worker.
    """
    with transaction.atomic():
        waiting = Dispatch.objects.filter(delivery_id=delivery_id, status=Status.QUEUED)
        locked = waiting.select_for_update(skip_locked=True).order_by("pk")
        rows = list(locked.values_list("pk", "first_try_at")[:CANCEL_PIECE])
        untried = [pk for pk, first_try_at in rows if first_try_at is None]
        tried = [pk for pk, first_try_at in rows if first_try_at is not None]
        ended = {
            Status.CANCELLED: _end_waiting(untried, Status.CANCELLED, reason, at),
            Status.UNKNOWN: _end_waiting(tried, Status.UNKNOWN, doubt(reason), at),
        }
        _count(
            Counter({(delivery_id, to): n for to, n in ended.items() if n}),
            at=at,
        )
    return len(rows)


def _end_waiting(ids: list[int], to: Status, reason: str, at: datetime) -> int:
    if not ids:
        return 0
    waiting = Dispatch.objects.filter(pk__in=ids, status=Status.QUEUED)
    ended = waiting.update(status=to, settled_at=at, detail=reason[:500])
    if ended != len(ids):
        raise RuntimeError("Another worker has claimed a dispatch to be cancelled.")
    Recipient.objects.filter(dispatch_id__in=ids).update(
        outcome=to, reason=reason[:500]
    )
    return ended


def doubt(reason: str) -> str:
    return _(
        "%(reason)s An earlier try got no answer: the message may have arrived."
    ) % {"reason": reason}
