"""What differs about one coupon of ours, from what its row says now."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sync.models import RemoteCoupon
from sync.ports.port import Port
from sync.pulling.differences import CLOSED, DOUBTFUL, MISSING, STILL_THERE, Found
from sync.states import Derived, derived_state

Status = RemoteCoupon.Status
REFUSED_THERE = "REFUSED"  # Vivoldi: a no that nothing we know explains
USED_THERE = "USED"
# LINE's clock and ours: what it ends a little before our end has not been closed by hand.
SLACK = timedelta(minutes=5)
USABLE = ("RUNNING", "")


def comparing(port: Port) -> Callable[[RemoteCoupon, datetime], Sequence[Found]]:
    """How a row is compared, for `storing.store`."""

    def compare(row: RemoteCoupon, at: datetime) -> Sequence[Found]:
        state = of_state(row, at)
        if state or row.status != Status.LIVE or row.told == USED_THERE:
            return state
        return of_fields(port, row)

    return compare


def of_state(row: RemoteCoupon, at: datetime) -> list[Found]:
    """It is gone, closed, or still there: then its fields don't matter."""
    if row.status == Status.GONE:
        return _still_there(row, at)
    if row.status != Status.LIVE:
        return []
    if row.missing_since is not None:
        return [(MISSING, "live", "missing")]
    if derived_state(row, at + SLACK) == Derived.CLOSED_ELSEWHERE:
        return [(CLOSED, "running", "closed")]
    if row.told == REFUSED_THERE:
        return [(DOUBTFUL, "usable", "refused")]
    return []


def _still_there(row: RemoteCoupon, at: datetime) -> list[Found]:
    """We took it back, and a later look has seen that people can use it."""
    is_later = row.asked_at and row.gone_at and row.asked_at > row.gone_at
    is_over = row.ends_at is not None and row.ends_at <= at
    if not is_later or row.missing_since or is_over or row.told not in USABLE:
        return []
    return [(STILL_THERE, "gone", "running")]


def of_fields(port: Port, row: RemoteCoupon) -> Sequence[Found]:
    """What was sent against what is there; nothing was sent for an adopted one."""
    publication = row.publication
    if publication is None or publication.is_adopted or not isinstance(row.raw, dict):
        return []
    return port.differences(sent_of(row), row.raw)


def sent_of(row: RemoteCoupon) -> Mapping[str, Any]:
    """What it was made with: its publication's terms, and its own on top."""
    return row.sent(row.publication.terms if row.publication else {})
