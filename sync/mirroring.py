"""Telling a provider of what was verified here, where a publication is mirrored.

Each verification of a serial is told once: a row of its own (`Use`, source "mirror")
stands for it before anything is asked for, and a coupon has one at most. Verifications
are walked by their ids. One that is still being committed may have a lower id than
others that are there, so the mark stays behind those of the last minutes.

Vivoldi has no way to take a use back: a verification that is undone after it was told is
a difference between here and there, which a person has to know of.
"""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from connections.models import SECRETS
from coupons.models import Coupon, Verification
from sync.models import Mirror, Publication, RemoteCoupon, Step, Use
from sync.models.publishing import UNTOLD
from sync.parts import Parts
from sync.publishing.telling import may_be_told, put_redeems
from sync.pulling.differences import MIRRORED, Seen, note

Clock = Callable[[], datetime]
Status = RemoteCoupon.Status

SPAN = 20_000  # verifications looked through in one transaction
BLOCK = 500  # errands put in one transaction
YOUNG = timedelta(minutes=5)  # no transaction that verifies lives as long


def mirror(*, seconds: float = 5, clock: Clock = timezone.now) -> int:
    """Bring all mirrored publications up to date; how many errands were put.

    Works for `seconds` at most; what is left is found again the next time.
    """
    until = time.monotonic() + seconds
    open_ones = Publication.objects.filter(
        is_mirrored=True, state=Publication.State.OPEN, prepared_at__isnull=False
    )
    parts, put = Parts(), 0
    for publication_id in open_ones.order_by("pk").values_list("pk", flat=True):
        put += parts.run(_mirror_one, publication_id, until, clock) or 0
    parts.end()
    return put


def _mirror_one(publication_id: int, until: float, clock: Clock) -> int:
    put = 0
    while _find(publication_id, clock) and time.monotonic() < until:
        pass
    while (more := _put(publication_id, clock)) and time.monotonic() < until:
        put += more
    put += more
    _look_for_undone(publication_id, clock)
    return put


# --- finding ---------------------------------------------------------------------------


@transaction.atomic
def _find(publication_id: int, clock: Clock) -> bool:
    """Keep what is to be told of the next verifications; whether there are more."""
    found = _locked(publication_id)
    if found is None:
        return False
    publication, mark = found
    at = clock()
    last = Verification.objects.order_by("-pk").values_list("pk", flat=True).first()
    if last is None or last <= mark.done_to:
        return False
    upto = min(mark.done_to + SPAN, last)
    _keep(publication, _verified(publication, mark.done_to, upto), at)
    done_to = _settled(mark.done_to, upto, at, is_last=upto == last)
    Mirror.objects.filter(pk=mark.pk).update(
        done_to=done_to, prepared_at=publication.prepared_at
    )
    return done_to == upto < last


def _settled(after: int, upto: int, at: datetime, *, is_last: bool) -> int:
    """Up to which id no verification can appear any more.

    Ids are given in order, so whatever is still being committed has a higher one than
    those that are old enough.
    """
    rows = Verification.objects.filter(pk__gt=after, pk__lte=upto)
    if not is_last and not rows.filter(at__gt=at - YOUNG).exists():
        return upto
    old = rows.filter(at__lte=at - YOUNG)
    return old.order_by("-pk").values_list("pk", flat=True).first() or after


def _locked(publication_id: int) -> tuple[Publication, Mirror] | None:
    """The publication and its mark; one worker at a time walks it.

    Codes that were published since the last walk may stand for serials verified long
    ago: then it begins anew.
    """
    Mirror.objects.get_or_create(publication_id=publication_id)
    mark = Mirror.objects.select_for_update().get(pk=publication_id)
    hidden = [f"connection__{name}" for name in SECRETS]
    found = Publication.objects.select_related("connection").filter(pk=publication_id)
    publication = found.defer("onsite_password", *hidden).get()
    if publication.prepared_at is None:
        return None
    if mark.prepared_at != publication.prepared_at:
        mark.done_to = 0
    return publication, mark


def _verified(
    publication: Publication, after: int, upto: int
) -> dict[int, Verification]:
    """Verifications that hold, by their serial; not those the provider told us of."""
    rows = Verification.objects.filter(
        pk__gt=after,
        pk__lte=upto,
        undone_at=None,
        coupon__campaign_id=publication.campaign_id,
        coupon__serial__isnull=False,
    ).exclude(way=publication.connection.provider)
    return {
        row.coupon.serial_id: row
        for row in rows.select_related("coupon")
        if row.coupon.serial_id is not None
    }


def _keep(
    publication: Publication, verified: dict[int, Verification], at: datetime
) -> None:
    """One row for each coupon that is to be told of; there is never a second."""
    coupons = (
        RemoteCoupon.objects.select_for_update()
        .filter(publication=publication, serial_id__in=verified)
        .exclude(status=Status.GONE)
        .order_by("pk")
    )
    told: list[RemoteCoupon] = []
    new = []
    known = set(
        Use.objects.filter(
            source=Use.Source.MIRROR,
            coupon__publication=publication,
            coupon__serial_id__in=verified,
        ).values_list("coupon_id", flat=True)
    )
    for coupon in coupons:
        if coupon.pk in known:
            told.append(coupon)
        else:
            new.append(_use_of(coupon, verified[coupon.serial_id or 0], at))
    Use.objects.bulk_create(new, ignore_conflicts=True)
    # Taken back after it was told, and taken again: now they agree.
    _compare([Seen(coupon, [], (MIRRORED,)) for coupon in told], at)


def _use_of(coupon: RemoteCoupon, verification: Verification, at: datetime) -> Use:
    return Use(
        connection_id=coupon.connection_id,
        coupon=coupon,
        code=coupon.remote_id,
        source=Use.Source.MIRROR,
        outcome=Use.Outcome.KNOWN,
        verification=verification,
        happened_at=verification.at,
        seen_at=at,
    )


# --- asking for it to be told ----------------------------------------------------------


@transaction.atomic
def _put(publication_id: int, clock: Clock) -> int:
    """Put errands for uses that are to be told; how many."""
    waiting = _to_tell(publication_id)
    _forget_undone(publication_id)
    ids = may_be_told(list(waiting.values_list("coupon_id", flat=True)[:BLOCK]))
    at = clock()
    mine = Use.objects.filter(
        source=Use.Source.MIRROR, put_at=None, coupon_id__in=ids
    ).update(put_at=at)
    if put_redeems(ids, at=at) != mine:
        raise RuntimeError("Another worker has put errands for these.")
    return mine


def _to_tell(publication_id: int) -> QuerySet[Use]:
    """Uses whose coupon is there and idle."""
    return Use.objects.filter(
        source=Use.Source.MIRROR,
        put_at=None,
        verification__undone_at=None,
        coupon__publication_id=publication_id,
        coupon__status=Status.LIVE,
        coupon__errand="",
        coupon__missing_since=None,
    ).order_by("pk")


def _forget_undone(publication_id: int) -> None:
    """Taken back before it was told: there is nothing to tell. Verified anew, there is."""
    Use.objects.filter(
        source=Use.Source.MIRROR,
        put_at=None,
        key="",
        verification__undone_at__isnull=False,
        coupon__publication_id=publication_id,
    ).delete()


# --- taken back ------------------------------------------------------------------------


@transaction.atomic
def _look_for_undone(publication_id: int, clock: Clock) -> None:
    """Verifications that were taken back after the provider was told of them."""
    found = _locked(publication_id)
    if found is None:
        return
    publication, mark = found
    at = clock()
    _note_undone(publication, _undone(publication, mark.undone_to), at)
    Mirror.objects.filter(pk=mark.pk).update(undone_to=at)


def _undone(publication: Publication, since: datetime | None) -> list[int]:
    """Coupons of ours of which a verification was taken back lately."""
    rows = Verification.objects.filter(
        undone_at__isnull=False, coupon__campaign_id=publication.campaign_id
    )
    if since is not None:
        rows = rows.filter(undone_at__gt=since - YOUNG)
    return list(rows.values_list("coupon_id", flat=True).distinct())


def _note_undone(
    publication: Publication, coupon_ids: Collection[int], at: datetime
) -> None:
    """What the provider was told and isn't so any more; not what it has refused to be
    told: there nothing was counted, so nothing differs."""
    verified = Coupon.objects.filter(
        serial_id=OuterRef("coupon__serial_id"), status=Coupon.Status.VERIFIED
    )
    told = Use.objects.filter(
        source=Use.Source.MIRROR,
        put_at__isnull=False,
        coupon__publication=publication,
        verification__coupon_id__in=coupon_ids,
    )
    seen = []
    told = told.annotate(is_verified=Exists(verified)).select_related("coupon")
    for use in told.select_for_update(of=("coupon",)).order_by("coupon_id"):
        if use.coupon is None:
            continue
        is_so = use.is_verified or UNTOLD in use.coupon.own
        differs = [] if is_so else [(MIRRORED, "undone", "used")]
        seen.append(Seen(use.coupon, differs, (MIRRORED,)))
    _compare(seen, at)


def _compare(seen: Sequence[Seen], at: datetime) -> None:
    """Open and end differences, with their steps in the history."""
    Step.objects.bulk_create(note(seen, at=at))
