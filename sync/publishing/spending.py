"""Codes that are spent here and can be used at the provider all the same.

A code is spent here when its serial or its fixed text is void, when the coupon that has
its serial is verified, and when that one is revoked: then the customer has seen the code
and may have been given another. It is usable there while it is there and we know of no
use of it there: a code stands for one use, so one that was used there is used up. By the
uses of this very coupon, not by the way of its verification: that may name another
account. Where our verifications are told to the provider, they use it up there too.

Taking such codes back walks a publication's coupons by their ids, piece by piece, with a
checkpoint. A piece is given only once the one before it is nearly done, so that a
verification that is undone in time keeps its code.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from coupons.models import Coupon, Verification
from coupons.retrying import retrying
from deliveries.killpoints import killpoint
from serials.models import Batch, Serial
from sync.errors import SyncError
from sync.models import Publication, RemoteCoupon, SpentCount, Use
from sync.publishing.settling import locked

Clock = Callable[[], datetime]
State = Publication.State
Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand
Had = Coupon.Status

PIECE = 1_000  # coupons of one transaction, and those that wait to be taken back


@dataclass(frozen=True)
class Spent:
    """How many codes are spent here, by how."""

    void: int = 0
    used: int = 0
    revoked: int = 0

    @property
    def total(self) -> int:
        return self.void + self.used + self.revoked


# --- which ------------------------------------------------------------------------------


def count_spent(publication: Publication) -> Spent:
    """How many of its codes are spent here, usable there and not told to go yet.

    Reads every code of the campaign: about a second for a million.
    """
    counted: Counter[str] = Counter()
    for kind, rows in _kinds(publication):
        counted[kind] += rows.count()
    return Spent(**counted)


def spent_among(publication: Publication, ids: Collection[int]) -> set[int]:
    """Of these coupons of its, the same."""
    found: set[int] = set()
    for _kind, rows in _kinds(publication):
        found.update(rows.filter(pk__in=ids).values_list("pk", flat=True))
    return found


def _kinds(publication: Publication) -> Sequence[tuple[str, QuerySet[RemoteCoupon]]]:
    """Its spent codes by how they are; each code is in one of these at most.

    Apart, for PostgreSQL joins each by itself and can't join what an OR brings together.
    """
    campaign_id = publication.campaign_id
    there = RemoteCoupon.objects.filter(
        publication_id=publication.pk, status=Status.LIVE, missing_since=None
    ).exclude(errand=Errand.DELETE)
    unused = there.filter(~Exists(_uses()))
    void = Serial.objects.filter(campaign_id=campaign_id, state=Serial.State.VOID)
    texts = Batch.objects.filter(campaign_id=campaign_id, state=Batch.State.VOID)
    kinds = [
        ("void", unused.filter(serial__in=void.order_by().values("pk"))),
        ("void", there.filter(batch__in=texts.order_by().values("pk"))),
        ("revoked", unused.filter(serial__in=_had(campaign_id, Had.REVOKED))),
    ]
    if not publication.is_mirrored:
        kinds.append(
            ("used", unused.filter(serial__in=_had(campaign_id, Had.VERIFIED)))
        )
    return kinds


def _uses() -> QuerySet[Use]:
    """Uses there; one that is still to be told there is none yet."""
    untold = Q(source=Use.Source.MIRROR, put_at=None)
    return Use.objects.filter(~untold, coupon=OuterRef("pk"), count__gt=0)


def _had(campaign_id: int, status: Had) -> QuerySet[Coupon, Any]:
    """Serials of coupons in this state."""
    rows = Coupon.objects.filter(
        campaign_id=campaign_id, status=status, serial__isnull=False
    )
    return rows.values("serial")


def ended_serials(campaign_id: int, ids: Collection[int]) -> set[int]:
    """Of these serials, those whose coupon nobody may use any more."""
    rows = Coupon.objects.filter(
        campaign_id=campaign_id,
        serial__in=ids,
        status__in=[Had.VERIFIED, Had.REVOKED],
    )
    return {pk for pk in rows.values_list("serial", flat=True) if pk is not None}


def good_again(rows: Iterable[RemoteCoupon]) -> set[int]:
    """Of coupons that were told to go as spent: those whose verification was undone.

    Not of one that the provider may have let go of already.
    """
    told = {
        row.serial_id: row.pk
        for row in rows
        if row.errand == Errand.DELETE
        and row.status == Status.LIVE
        and row.is_spent
        and not row.is_doubtful
        and row.serial_id is not None
    }
    held = Coupon.objects.filter(serial__in=told.keys(), status=Had.REDEEMED)
    serials = held.values_list("serial_id", flat=True) if told else ()
    return {told[serial_id] for serial_id in serials}


def usable_again(publication: Publication, *, apart_from: Collection[int] = ()) -> int:
    """How many serials aren't there because they were spent, and are good again.

    Those alone whose verification was undone: nothing else brings one back. Of batches
    `apart_from` whoever asks counts what has no coupon there.
    """
    undone = Verification.objects.filter(
        undone_at__isnull=False,
        coupon__campaign_id=publication.campaign_id,
        coupon__status=Had.REDEEMED,
        coupon__serial__isnull=False,
    )
    rows = RemoteCoupon.objects.filter(
        publication_id=publication.pk, serial=OuterRef("coupon__serial")
    )
    ready = Q(coupon__batch__state=Batch.State.READY)
    left_out = ready & ~Q(coupon__batch__in=apart_from) & ~Exists(rows)
    away = undone.filter(left_out | Exists(rows.filter(GONE_AS_SPENT)))
    return away.values("coupon").distinct().count()


GONE_AS_SPENT = Q(status=Status.GONE, is_spent=True, errand="")


# --- taking them back -------------------------------------------------------------------


def ask_back(publication_id: int) -> None:
    """Let workers take back what is spent here; inside a transaction.

    Raises SyncError wrong_state.
    """
    found = locked([publication_id]).get(publication_id)
    if found is None or found.state != State.OPEN:
        words = _("This publication is in another state by now. Look at it again.")
        raise SyncError("wrong_state", words)
    Publication.objects.filter(pk=publication_id).update(is_clearing=True, cleared_to=0)
    # A look that is counting at this moment is late, and the next one counts anew.
    SpentCount.objects.filter(publication=publication_id).delete()


def clear(publication_id: int, ends: float, clock: Clock) -> bool:
    """Tell spent codes to go until `ends` (monotonic); True when more is to do at once.

    False too while codes that were told before are still to be taken back: the sweep
    goes on with it.
    """
    while time.monotonic() < ends:
        if not _piece(publication_id, clock()):
            return False
    return True


@retrying
@transaction.atomic
def _piece(publication_id: int, at: datetime) -> bool:
    """Whether the next piece may follow at once.

    The checkpoint is read behind the publication's lock: two workers do two pieces.
    """
    found = locked([publication_id]).get(publication_id)
    if found is None or not found.is_clearing or found.pause_reason or _is_full(found):
        return False
    ids = _next(found)
    mine = Publication.objects.filter(pk=publication_id)
    if not ids:
        mine.update(is_clearing=False, cleared_to=0)
        return False
    done_to = _tell(found, ids, at)
    killpoint("clearing_before_commit")
    mine.update(cleared_to=done_to)
    return done_to == ids[-1]


def _is_full(publication: Publication) -> bool:
    """Whether a piece's worth of codes still waits to be taken back."""
    told = RemoteCoupon.objects.filter(
        ~Q(errand=""),  # as the index of errands has it
        connection_id=publication.connection_id,
        publication_id=publication.pk,
        errand=Errand.DELETE,
    )
    return len(told.values_list("pk", flat=True)[:PIECE]) == PIECE


def _next(publication: Publication) -> list[int]:
    """Coupons that are there, walked by the index (publication, status, id)."""
    rows = RemoteCoupon.objects.filter(
        publication_id=publication.pk,
        status=Status.LIVE,
        pk__gt=publication.cleared_to,
    )
    return list(rows.order_by("pk").values_list("pk", flat=True)[:PIECE])


def _tell(publication: Publication, ids: list[int], at: datetime) -> int:
    """Tell the spent ones among them to go; the id up to which that is done.

    Whatever is being asked about one of them comes first: the walk waits before it.
    """
    rows = _locked(spent_among(publication, ids))
    # Once more, for now nobody changes them: not the one that was undone meanwhile.
    spent = spent_among(publication, rows)
    busy = [pk for pk in spent if _is_busy(rows[pk])]
    done_to = min(busy) - 1 if busy else ids[-1]
    told = [pk for pk in spent if pk <= done_to]
    RemoteCoupon.objects.filter(pk__in=told).update(
        errand=Errand.DELETE,
        next_try_at=at,
        first_try_at=None,
        failures=0,
        detail="",
        is_spent=True,
    )
    return done_to


def _locked(ids: Collection[int]) -> dict[int, RemoteCoupon]:
    """These coupons, and ours that have their serials, in the house's order."""
    rows = RemoteCoupon.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    found = {row.pk: row for row in rows.defer("raw")}
    serials = [row.serial_id for row in found.values() if row.serial_id]
    ours = Coupon.objects.select_for_update().filter(serial__in=serials)
    list(ours.order_by("pk").values_list("pk", flat=True))
    return found


def _is_busy(row: RemoteCoupon) -> bool:
    return row.leased_until is not None or row.errand not in ("", Errand.UPDATE)
