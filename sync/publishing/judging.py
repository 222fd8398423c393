"""What an answer makes of a coupon: pure decisions, one for each kind of errand."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings

from deliveries.sending import wait_after
from sync.models import RemoteCoupon
from sync.models.publishing import UNTOLD
from sync.ports.port import FAILED, Kind, Outcome
from sync.publishing.settling import Result

Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand


def judge(
    row: RemoteCoupon,
    terms_no: int,
    is_withdrawn: bool,
    outcome: Outcome,
    now: datetime,
) -> Result:
    """What is left to do, and when. `terms_no`: which terms the request had."""
    if outcome.kind in FAILED or outcome.kind in HELD_UP:
        return _again(row, outcome, now)
    if row.errand == Errand.CREATE and is_withdrawn:
        return _withdrawn(row, outcome, now)
    decide = {
        Errand.CREATE: _created,
        Errand.UPDATE: _updated,
        Errand.DELETE: _deleted,
        Errand.REDEEM: _redeemed,
    }[Errand(row.errand)]
    result = decide(row, outcome, now)
    return replace(result, terms_no=terms_no) if _has_terms(row, outcome) else result


HELD_UP = (Kind.SLOW, Kind.UNAUTHORISED, Kind.FORBIDDEN)


def _has_terms(row: RemoteCoupon, outcome: Outcome) -> bool:
    """An update that was refused counts as given: only a person tries it again."""
    is_made = row.errand == Errand.CREATE and outcome.kind == Kind.DONE
    return is_made or row.errand == Errand.UPDATE


def later(row: RemoteCoupon, now: datetime) -> Result:
    """Not started: as if it had not been claimed."""
    return Result(
        row,
        row.status,
        row.errand,
        now,
        is_doubtful=row.is_doubtful,
        failures=row.failures,
        detail=row.detail,
    )


def _again(row: RemoteCoupon, outcome: Outcome, now: datetime) -> Result:
    """No answer, or none about this coupon."""
    is_failure = outcome.kind in FAILED
    is_doubtful = row.is_doubtful or outcome.kind == Kind.UNCLEAR
    wait = timedelta(0)
    if is_failure:
        wait = wait_after(row.failures)
    elif outcome.kind == Kind.SLOW:
        # `tries` counts turns of a look, too: not so long that those would tell.
        wait = wait_after(min(row.tries - 1, 3))
    if outcome.kind == Kind.UNCLEAR and row.errand in LOOKED_UP:
        # What the provider is still busy with is done by then.
        wait = max(wait, settings.SYNC_SETTLE)
    return Result(
        row,
        row.status,
        row.errand,
        now + wait,
        is_doubtful=is_doubtful,
        failures=row.failures + is_failure,
        detail=outcome.detail,
    )


LOOKED_UP = (Errand.CREATE, Errand.REDEEM)


def _created(row: RemoteCoupon, outcome: Outcome, now: datetime) -> Result:
    if outcome.kind == Kind.DONE:
        return Result(row, Status.LIVE, remote_id=outcome.remote_id)
    if outcome.kind == Kind.ABSENT:
        return Result(row, row.status, Errand.CREATE, now, failures=row.failures)
    to = Status.UNKNOWN if outcome.kind == Kind.UNDECIDABLE else Status.REFUSED
    return Result(row, to, detail=outcome.detail)


def _withdrawn(row: RemoteCoupon, outcome: Outcome, now: datetime) -> Result:
    """One that was created in doubt, of a publication that is being taken back."""
    if outcome.kind == Kind.DONE and outcome.remote_id:  # found by a look at LINE
        return Result(row, Status.LIVE, Errand.DELETE, now, remote_id=outcome.remote_id)
    if outcome.kind in (Kind.DONE, Kind.ABSENT):
        return Result(row, Status.GONE)
    to = Status.UNKNOWN if outcome.kind == Kind.UNDECIDABLE else Status.REFUSED
    return Result(row, to, detail=outcome.detail)


def _updated(row: RemoteCoupon, outcome: Outcome, now: datetime) -> Result:
    words = "" if outcome.kind == Kind.DONE else outcome.detail
    return Result(row, row.status, detail=words)


def _deleted(row: RemoteCoupon, outcome: Outcome, now: datetime) -> Result:
    if outcome.kind == Kind.DONE:
        return Result(row, Status.GONE, detail=outcome.detail)
    # Left alone until a person has looked: see RemoteCoupon.failures.
    return Result(row, row.status, failures=1, detail=outcome.detail)


def _redeemed(row: RemoteCoupon, outcome: Outcome, now: datetime) -> Result:
    without = {key: value for key, value in row.own.items() if key != "redeem"}
    if outcome.kind == Kind.DONE:
        return Result(row, row.status, own=without)
    if outcome.kind == Kind.NOTED:
        own = {**without, "redeem": dict(outcome.notes or {})}
        return Result(row, row.status, Errand.REDEEM, now, own=own)
    if outcome.kind == Kind.ABSENT:
        return Result(row, row.status, Errand.REDEEM, now, failures=row.failures)
    if outcome.kind == Kind.UNDECIDABLE:
        return Result(row, Status.UNKNOWN, detail=outcome.detail)
    return Result(row, row.status, own={**without, UNTOLD: True}, detail=outcome.detail)
