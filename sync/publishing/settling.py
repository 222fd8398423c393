"""Writing down what became of errands: the rows and the publication's numbers."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import F

from coupons.retrying import retrying
from sync.models import Difference, Publication, RemoteCoupon, Step

State = Publication.State
Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand
P = ParamSpec("P")
R = TypeVar("R")

COUNTED = (Status.LIVE, Status.GONE, Status.REFUSED, Status.UNKNOWN)
TRIES = 3  # when somebody else wrote the same name at the same moment


@dataclass(frozen=True)
class Result:
    """What became of one claimed errand.

    `errand` is what is left to do, at `next_try_at`; "" for nothing. `is_doubtful`: the
    provider may have done it without our learning of it. `failures` is the new count.
    Empty `remote_id`, None `own` and None `terms_no` leave what there is. `is_good`: it
    was told to go as spent, and stays because it no longer is.
    """

    coupon: RemoteCoupon
    status: str
    errand: str = ""
    next_try_at: datetime | None = None
    is_doubtful: bool = False
    failures: int = 0
    detail: str = ""
    remote_id: str = ""
    own: dict[str, Any] | None = None
    terms_no: int | None = None
    is_good: bool = False


def sorry(function: Callable[P, R]) -> Callable[P, R]:
    """Run a transaction again when another one wrote the same unique value first."""

    @wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        for _number in range(TRIES - 1):
            try:
                return function(*args, **kwargs)
            except IntegrityError:
                if transaction.get_connection().in_atomic_block:
                    raise
        return function(*args, **kwargs)

    return attempt


@sorry
@retrying
@transaction.atomic
def settle(results: Sequence[Result], *, at: datetime) -> set[int]:
    """Store results; the ids of the coupons whose result still counted.

    A result whose row was handed to another worker meanwhile does not. Publications are
    locked first, as by whoever closes or changes one: a coupon that is made while its
    publication is being closed is told to go by one of the two, never by neither.
    """
    found = locked(result.coupon.publication_id for result in results)
    counted: set[int] = set()
    moved: Counter[tuple[int, str, str]] = Counter()
    for result in results:
        publication = found.get(result.coupon.publication_id or 0)
        final = follow(result, publication, at)
        if not _write(final, at):
            continue
        counted.add(final.coupon.pk)
        if publication is not None and final.status != final.coupon.status:
            moved[publication.pk, final.coupon.status, final.status] += 1
    for publication in found.values():
        count(publication.pk, moved, at=at)
    return counted


def locked(ids: Iterable[int | None]) -> dict[int, Publication]:
    """These publications, locked in the order of their ids, without their secrets."""
    wanted = {pk for pk in ids if pk is not None}
    rows = Publication.objects.select_for_update(no_key=True, of=("self",))
    rows = rows.filter(pk__in=wanted).defer("onsite_password").order_by("pk")
    return {publication.pk: publication for publication in rows}


def follow(result: Result, publication: Publication | None, at: datetime) -> Result:
    """What is to be done next with a coupon whose errand has ended."""
    if publication is None or result.errand or result.status != Status.LIVE:
        return result
    if result.failures:  # it can't be taken back: a person has to look
        return result
    if publication.state == State.CLOSING:
        return _next(result, Errand.DELETE, at)
    had = result.coupon.terms_no if result.terms_no is None else result.terms_no
    if had < publication.terms_no and result.coupon.errand != Errand.REDEEM:
        return _next(result, Errand.UPDATE, at)
    return result


def _next(result: Result, errand: Errand, at: datetime) -> Result:
    return Result(
        result.coupon,
        result.status,
        errand,
        at,
        detail=result.detail,
        remote_id=result.remote_id,
        own=result.own,
        terms_no=result.terms_no,
        is_good=result.is_good,
    )


def _write(result: Result, at: datetime) -> bool:
    row = result.coupon
    changes: dict[str, Any] = {
        "status": result.status,
        "errand": result.errand,
        "next_try_at": result.next_try_at if result.errand else None,
        "leased_until": None,
        "failures": result.failures,
        "detail": result.detail[:500],
    }
    if not result.is_doubtful:
        changes["first_try_at"] = None
    if result.own is not None:
        changes["own"] = result.own
    if result.terms_no is not None:
        changes["terms_no"] = result.terms_no
    if result.is_good:
        changes["is_spent"] = False
    if result.status == Status.GONE:
        changes["gone_at"] = at
    ours = RemoteCoupon.objects.filter(
        pk=row.pk, tries=row.tries, errand=row.errand, status=row.status
    ).exclude(leased_until=None)
    if result.remote_id and result.remote_id != row.remote_id:
        if not ours.exists():
            return False
        changes["remote_id"] = result.remote_id
        changes |= absorb(row, result.remote_id)
    return bool(ours.update(**changes))


# What a look at the account may have kept of a coupon before we knew that it is ours.
SEEN = (
    "title",
    "told",
    "raw",
    "starts_at",
    "ends_at",
    "made_at",
    "used",
    "listed_at",
    "asked_at",
)


def absorb(row: RemoteCoupon, remote_id: str) -> dict[str, Any]:
    """Make one of two rows where a look has found our coupon before its answer came.

    What the look kept, to be written into ours; its own row goes.
    """
    ghosts = RemoteCoupon.objects.select_for_update().filter(
        connection_id=row.connection_id, remote_id=remote_id, publication=None
    )
    ghost = ghosts.exclude(pk=row.pk).first()
    if ghost is None:
        return {}
    Step.objects.filter(coupon=ghost).update(coupon=row)
    Difference.objects.filter(coupon=ghost).delete()
    ghost.delete()
    return {name: getattr(ghost, name) for name in SEEN}


def count(
    publication_id: int, moved: Counter[tuple[int, str, str]], *, at: datetime
) -> None:
    """Add up what moved from one status to another, and end a closing that is over."""
    sums: Counter[str] = Counter()
    for (of, was, to), number in moved.items():
        if of == publication_id:
            sums[was] -= number
            sums[to] += number
    changes = {name: F(name) + sums[name] for name in COUNTED if sums[name]}
    if changes:
        Publication.objects.filter(pk=publication_id).update(**changes)
    finish(publication_id, at=at)


def finish(publication_id: int, *, at: datetime) -> bool:
    """Close a publication of which nothing is left at the provider."""
    over = Publication.objects.filter(
        pk=publication_id,
        state=State.CLOSING,
        live=0,
        unknown=0,
        total=F("gone") + F("refused"),
    )
    found = over.defer("onsite_password").first()
    return found is not None and found.move(
        (State.CLOSING,), State.CLOSED, closed_at=at, pause_reason=""
    )
