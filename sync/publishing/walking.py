"""Closing, changing, clearing: a publication's coupons get their errands, in pieces.

A million rows are not told in one transaction. Whoever dies in the middle leaves it to
the next: what a row is to do can be seen from the row and its publication.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from connections.errors import SecretUnreadable
from connections.health import note_error
from connections.models import Connection
from connections.pacing import book
from coupons.retrying import retrying
from providers.errors import ProviderError
from sync.models import Publication, RemoteCoupon
from sync.ports.choosing import port_of
from sync.ports.paddle import PaddlePort
from sync.ports.port import Kind
from sync.publishing.preparing import held as held_of
from sync.publishing.preparing import prepare, take_lease, to_prepare
from sync.publishing.settling import count, finish, locked
from sync.publishing.spending import clear
from sync.publishing.working import may_ask

Clock = Callable[[], datetime]
State = Publication.State
Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand

PIECE = 1_000  # rows of one transaction


def to_walk(now: datetime) -> list[int]:
    """Publications whose rows nobody writes or tells at the moment, and should be."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    ids = list(to_prepare().filter(free).values_list("pk", flat=True))
    ids += _to_tell().filter(free).values_list("pk", flat=True)
    return sorted(set(ids))


def to_prepare_at(connection_id: int, now: datetime) -> list[int]:
    """Publications of an account with rows to write, such as one that has waited until
    what it replaces was gone."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    waiting = to_prepare().filter(free, connection_id=connection_id)
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def _to_tell() -> QuerySet[Publication]:
    """Publications being closed, and those that are wholly prepared with new terms or
    with spent codes to take back."""
    to_do = Q(is_changing=True) | Q(is_clearing=True)
    prepared = Q(to_do, state=State.OPEN, prepared_at__isnull=False)
    return Publication.objects.filter(
        Q(state=State.CLOSING) | prepared, pause_reason=""
    )


def walk_all(
    publication_id: int, *, seconds: float = 10, clock: Clock = timezone.now
) -> int | None:
    """Walk this publication, then whatever else waits; where to go on, or None.

    So a thousand publications are one message, not a thousand with each sweep.
    """
    ends = time.monotonic() + seconds
    todo, seen = [publication_id], set()
    while todo:
        if time.monotonic() >= ends:
            return todo[0]
        now_at = todo.pop()
        seen.add(now_at)
        if walk(now_at, seconds=max(ends - time.monotonic(), 0), clock=clock):
            return now_at
        if not todo:
            todo = [pk for pk in reversed(to_walk(clock())) if pk not in seen]
    return None


def walk(
    publication_id: int, *, seconds: float = 10, clock: Clock = timezone.now
) -> bool:
    """Write the publication's rows, or tell them what to do; True when more is to do."""
    ends = time.monotonic() + seconds
    if prepare(publication_id, seconds=seconds, clock=clock):
        return True
    lease = take_lease(_to_tell(), publication_id, clock())
    if lease is None:
        return False
    try:
        return _tell(publication_id, lease, ends, clock)
    finally:
        held_of(publication_id, lease).update(leased_until=None)


def _tell(publication_id: int, lease: datetime, ends: float, clock: Clock) -> bool:
    found = held_of(publication_id, lease).defer("onsite_password").first()
    if found is None:
        return False
    # Read first: the lease seems to end a little early, never late.
    ends = min(ends, time.monotonic() + settings.SYNC_LEASE.total_seconds() / 2)
    if found.state == State.CLOSING:
        return _close(publication_id, ends, clock)
    if found.is_changing:
        # First, while nothing is under way: then Paddle changes all of them at once.
        return _change(found, ends, clock)
    return clear(publication_id, ends, clock)


# --- taking back ------------------------------------------------------------------------


def _close(publication_id: int, ends: float, clock: Clock) -> bool:
    while time.monotonic() < ends:
        if _drop_untried(publication_id, clock()):
            continue
        is_over = _tell_all(publication_id, Errand.DELETE, ends, clock)
        if is_over:
            finish(publication_id, at=clock())
            return False
    return True


@retrying
@transaction.atomic
def _drop_untried(publication_id: int, at: datetime) -> int:
    """End up to a thousand rows of which the provider has never heard; how many."""
    if not _is_still(publication_id, State.CLOSING):
        return 0
    rows = RemoteCoupon.objects.filter(
        publication_id=publication_id,
        status=Status.WAITING,
        first_try_at=None,
        leased_until=None,
    )
    locked_rows = rows.select_for_update(skip_locked=True, of=("self",))
    ids = list(locked_rows.values_list("pk", flat=True)[:PIECE])
    ended = rows.filter(pk__in=ids).update(
        status=Status.GONE, errand="", next_try_at=None, gone_at=at, failures=0
    )
    moved = Counter({(publication_id, str(Status.WAITING), str(Status.GONE)): ended})
    count(publication_id, moved, at=at)
    return ended


def _is_still(publication_id: int, state: Publication.State) -> bool:
    found = locked([publication_id]).get(publication_id)
    return found is not None and found.state == state and not found.pause_reason


# --- changing ---------------------------------------------------------------------------


def _change(publication: Publication, ends: float, clock: Clock) -> bool:
    """Give every coupon that is there the new terms: by group where Paddle can."""
    if _is_group_whole(publication):
        is_done = _change_group(publication, ends, clock)
        if is_done is not None:
            return is_done
    if not _tell_all(publication.pk, Errand.UPDATE, ends, clock):
        return True
    return not _end_change(publication)


def _end_change(publication: Publication) -> bool:
    """False when there are newer terms: whoever sent them waits for our lease's end."""
    same = Publication.objects.filter(pk=publication.pk, terms_no=publication.terms_no)
    return bool(same.update(is_changing=False))


def _is_group_whole(publication: Publication) -> bool:
    """Whether one update of Paddle's group does for all: nothing is under way, and no
    coupon has a number of uses of its own."""
    if publication.connection.provider != Connection.Provider.PADDLE:
        return False
    rows = RemoteCoupon.objects.filter(
        connection_id=publication.connection_id, publication_id=publication.pk
    )
    if rows.exclude(errand="").exists():
        return False
    return not rows.filter(batch__isnull=False).exists()


def _change_group(publication: Publication, ends: float, clock: Clock) -> bool | None:
    """True when more is to do, False when it is done, None when it can't be so."""
    kind = _ask_group(publication, clock)
    if kind == Kind.REFUSED:
        return None
    if kind != Kind.DONE:
        return False  # the next sweep asks again: absolute values, so no harm
    for ids in _pieces(publication.pk, ends):
        _mark_changed(publication, ids)
    if _behind(publication).exists():
        return True
    return not _end_change(publication)


def _ask_group(publication: Publication, clock: Clock) -> Kind:
    connection_id, now = publication.connection_id, clock()
    try:
        connection = Connection.objects.get(pk=connection_id)
        if not may_ask(connection, now):
            return Kind.UNREACHABLE
        port = port_of(connection)
    except (SecretUnreadable, ProviderError, Connection.DoesNotExist):
        return Kind.UNREACHABLE  # the work on single coupons says why
    if not isinstance(port, PaddlePort):
        return Kind.REFUSED
    pace = port.pace("update")
    starts_at = book(
        connection_id,
        pace.endpoint,
        1,
        rate=pace.rate,
        now=now,
        latest=now + timedelta(seconds=settings.SYNC_DEADLINE),
    )
    if starts_at is None:
        return Kind.SLOW
    time.sleep(max((starts_at - now).total_seconds(), 0))
    terms = {**publication.terms, "allowed_uses": 1}
    outcome = port.update_group(str(publication.terms.get("group", "")), terms)
    if outcome.error is not None:
        note_error(connection_id, outcome.error, at=clock())
    return outcome.kind


def _behind(publication: Publication) -> QuerySet[RemoteCoupon]:
    return RemoteCoupon.objects.filter(
        publication_id=publication.pk,
        status=Status.LIVE,
        errand="",
        terms_no__lt=publication.terms_no,
    )


@retrying
@transaction.atomic
def _mark_changed(publication: Publication, ids: list[int]) -> None:
    _behind(publication).filter(pk__in=ids).update(
        terms_no=publication.terms_no, failures=0, detail=""
    )


# --- telling rows ------------------------------------------------------------------------


def _tell_all(publication_id: int, errand: Errand, ends: float, clock: Clock) -> bool:
    """Give each coupon that is there its errand; False when time ran out before."""
    for ids in _pieces(publication_id, ends):
        _tell_piece(publication_id, ids, errand, clock())
    return time.monotonic() < ends


def _pieces(publication_id: int, ends: float) -> Iterator[list[int]]:
    """Ids of coupons that are there, walked by the index (publication, status, id)."""
    last = 0
    while time.monotonic() < ends:
        rows = RemoteCoupon.objects.filter(
            publication_id=publication_id, status=Status.LIVE, pk__gt=last
        )
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:PIECE])
        if not ids:
            return
        yield ids
        last = ids[-1]


@retrying
@transaction.atomic
def _tell_piece(
    publication_id: int, ids: list[int], errand: Errand, at: datetime
) -> int:
    """Those that are busy are left to their workers: `settle` tells them what is next.

    One whose last errand was refused waits for a person.
    """
    found = locked([publication_id]).get(publication_id)
    wanted = State.CLOSING if errand == Errand.DELETE else State.OPEN
    if found is None or found.state != wanted:
        return 0
    rows = RemoteCoupon.objects.filter(
        pk__in=ids, status=Status.LIVE, failures=0, leased_until=None
    )
    if errand == Errand.DELETE:
        rows = rows.filter(errand__in=["", Errand.UPDATE])
    else:
        rows = rows.filter(errand="", terms_no__lt=found.terms_no)
    return rows.update(errand=errand, next_try_at=at, first_try_at=None)
