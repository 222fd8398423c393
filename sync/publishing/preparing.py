"""Preparing a publication: its serials become rows, in pieces with a checkpoint."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.models import Connection
from coupons.retrying import retrying
from serials.models import Batch, Serial
from serials.services import ready_batches
from sync.models import Publication, RemoteCoupon, Step
from sync.publishing.settling import absorb, sorry
from sync.publishing.spending import GONE_AS_SPENT, ended_serials
from sync.publishing.terms import RULES, content_of, own_of

Clock = Callable[[], datetime]
State = Publication.State
Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand

PIECE = 1_000  # serials of one transaction
PREPARED = (State.PREPARING, State.OPEN)


@dataclass(frozen=True)
class Wanted:
    """A code that is to be published: a serial's, or a fixed batch's."""

    code: str
    serial_id: int | None = None
    batch: Batch | None = None
    # Of one that was taken back because it was spent, and is good again: its coupon.
    row_id: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What the provider would call it, or why it can't be published."""

    wanted: Wanted
    remote_id: str = ""
    why: str = ""


def to_prepare() -> QuerySet[Publication]:
    """Publications with rows to write. One that replaces another waits for its end."""
    free = Q(replaces=None) | Q(replaces__state=State.CLOSED)
    return Publication.objects.filter(
        free, state__in=PREPARED, prepared_at=None, pause_reason=""
    )


def prepare(
    publication_id: int,
    *,
    seconds: float = 10,
    piece: int = PIECE,
    clock: Clock = timezone.now,
) -> bool:
    """Write the publication's rows, piece by piece; True when more is to do.

    Works for `seconds` at most. Each piece of serials is one transaction with its
    checkpoint, so a worker that dies, or a second one, neither loses nor doubles a row.
    """
    lease = take_lease(to_prepare(), publication_id, clock())
    ends = time.monotonic() + seconds
    while lease is not None and time.monotonic() < ends:
        lease = _piece(publication_id, lease, piece, clock)
    if lease is None:
        return False
    held(publication_id, lease).update(leased_until=None)
    return True


def take_lease(
    among: QuerySet[Publication], publication_id: int, now: datetime
) -> datetime | None:
    """The publication for this worker alone; None when another one has it."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    lease: datetime = now + settings.SYNC_LEASE
    ids = among.filter(free, pk=publication_id).values("pk")
    rows = Publication.objects.filter(free, pk__in=ids)
    return lease if rows.update(leased_until=lease) else None


def held(publication_id: int, lease: datetime) -> QuerySet[Publication]:
    return Publication.objects.filter(pk=publication_id, leased_until=lease)


@sorry
@retrying
@transaction.atomic
def _piece(
    publication_id: int, lease: datetime, piece: int, clock: Clock
) -> datetime | None:
    """One piece; the renewed lease, or None when there is nothing more to do here."""
    mine = held(publication_id, lease).filter(
        state__in=PREPARED, prepared_at=None, pause_reason=""
    )
    found = mine.select_for_update(no_key=True).defer("onsite_password").first()
    if found is None:
        held(publication_id, lease).update(leased_until=None)
        return None
    now = clock()
    if found.connection.provider == Connection.Provider.LINE:
        _write_one(found, now)
        _finish(found, now)
        return None
    wanted, last = _next_codes(found, piece)
    changes = _write_codes(found, wanted, now)
    renewed: datetime = now + settings.SYNC_LEASE
    held(publication_id, lease).update(
        frozen_to=last or found.frozen_to,
        leased_until=renewed,
        **{name: F(name) + number for name, number in changes.items()},
    )
    if last:
        return renewed
    _finish(found, now)
    return None


def _finish(publication: Publication, now: datetime) -> None:
    """Open it: from here on workers ask the provider."""
    publication.move(PREPARED, State.OPEN, prepared_at=now, leased_until=None)
    publication.refresh_from_db(fields=["total", "refused"])
    Step.objects.create(
        connection_id=publication.connection_id,
        publication=publication,
        kind=Step.Kind.PREPARED,
        facts={"total": publication.total, "refused": publication.refused},
        at=now,
    )


# --- LINE ------------------------------------------------------------------------------


def _write_one(publication: Publication, now: datetime) -> None:
    """LINE's own coupon is one for everybody."""
    if RemoteCoupon.objects.filter(publication=publication).exists():
        return
    RemoteCoupon.objects.create(
        connection_id=publication.connection_id,
        publication=publication,
        campaign_id=publication.campaign_id,
        title=str(publication.terms.get("title", ""))[:300],
        own={"content": content_of(publication.terms)},
        errand=Errand.CREATE,
        next_try_at=now,
    )
    Publication.objects.filter(pk=publication.pk).update(total=F("total") + 1)


# --- codes -------------------------------------------------------------------------------


def _next_codes(publication: Publication, piece: int) -> tuple[list[Wanted], str]:
    """Codes to publish, and the key up to which they were looked at; "" at the end.

    Those without a row, and those that were taken back as spent and aren't any more.
    What is spent here is left out: it would be good for one more use there.

    By (campaign, key), the unique index of serials: what other campaigns have costs
    nothing, and neither does where in the table a batch lies.
    """
    batches = {batch.pk: batch for batch in ready_batches(publication.campaign_id)}
    serials = list(
        Serial.objects.filter(
            campaign_id=publication.campaign_id, code_key__gt=publication.frozen_to
        ).order_by("code_key")[:piece]
    )
    good = _good(publication, serials)
    found = [
        Wanted(serial.code, serial_id=serial.pk)
        for serial in good
        if serial.batch_id in batches
    ]
    if not publication.frozen_to:
        fixed = [batch for batch in batches.values() if batch.is_fixed]
        found = [*(Wanted(batch.code, batch=batch) for batch in fixed), *found]
    last = serials[-1].code_key if len(serials) == piece else ""
    return [*_without_rows(publication, found), *_good_again(publication, good)], last


def _good(publication: Publication, serials: Sequence[Serial]) -> list[Serial]:
    taken = [one.pk for one in serials if one.state == Serial.State.TAKEN]
    spent = ended_serials(publication.campaign_id, taken)
    return [
        one for one in serials if one.state != Serial.State.VOID and one.pk not in spent
    ]


def _good_again(publication: Publication, good: Sequence[Serial]) -> list[Wanted]:
    """Whatever has become of their batch since: customers hold these."""
    serials = {one.pk: one for one in good}
    rows = RemoteCoupon.objects.filter(
        GONE_AS_SPENT, publication=publication, serial__in=serials
    )
    return [
        Wanted(serials[serial_id].code, serial_id=serial_id, row_id=pk)
        for pk, serial_id in rows.values_list("pk", "serial_id")
    ]


def _without_rows(publication: Publication, wanted: list[Wanted]) -> list[Wanted]:
    rows = RemoteCoupon.objects.filter(publication=publication)
    serials = {one.serial_id for one in wanted if one.serial_id}
    batches = {one.batch.pk for one in wanted if one.batch}
    has_serial = set(
        rows.filter(serial__in=serials).values_list("serial_id", flat=True)
    )
    has_batch = set(rows.filter(batch__in=batches).values_list("batch_id", flat=True))
    return [
        one
        for one in wanted
        if (one.batch.pk not in has_batch if one.batch else True)
        and (one.serial_id not in has_serial if one.serial_id else True)
    ]


def _write_codes(
    publication: Publication, wanted: Sequence[Wanted], now: datetime
) -> dict[str, int]:
    """Write their rows; what that adds to the publication's numbers."""
    verdicts = judge_codes(publication, wanted)
    back = [verdict for verdict in verdicts if verdict.wanted.row_id is not None]
    first = [verdict for verdict in verdicts if verdict.wanted.row_id is None]
    found = _ghosts(publication, first)
    new = []
    for verdict in first:
        row = _row(publication, verdict, now)
        ghost = found.get(verdict.remote_id) if verdict.remote_id else None
        if ghost is None:
            new.append(row)
        else:
            _take_over(ghost, row)
    RemoteCoupon.objects.bulk_create(new)
    returned = [verdict for verdict in back if _bring_back(publication, verdict, now)]
    refused = sum(bool(verdict.why) for verdict in (*first, *returned))
    return {"total": len(first), "refused": refused, "gone": -len(returned)}


def _bring_back(publication: Publication, verdict: Verdict, now: datetime) -> bool:
    """Publish one once more that was taken back; False when that is no longer so."""
    row = RemoteCoupon.objects.select_for_update().get(pk=verdict.wanted.row_id or 0)
    fresh = _row(publication, verdict, now)
    names = ("remote_id", "own", "status", "errand", "next_try_at", "detail")
    changes: dict[str, Any] = {name: getattr(fresh, name) for name in names}
    if row.status != Status.GONE or row.errand:
        return False
    if verdict.remote_id:
        changes = {**absorb(row, verdict.remote_id), **changes}
    return bool(
        RemoteCoupon.objects.filter(pk=row.pk).update(
            **changes,
            is_spent=False,
            gone_at=None,
            missing_since=None,
            asked_at=None,
            listed_at=None,
            first_try_at=None,
            failures=0,
        )
    )


def judge_codes(publication: Publication, wanted: Iterable[Wanted]) -> list[Verdict]:
    """What each code is called there; never cut, never two the same.

    The name of a coupon that was taken back, or never made, is free again.
    """
    rule = RULES[publication.connection.provider]
    spelt = [(one, *rule(one.code)) for one in wanted]
    names = {name for _one, name, _why in spelt if name}
    _free(publication.connection_id, names)
    taken = _taken(publication, names)
    verdicts = []
    for one, name, why in spelt:
        if why:
            verdicts.append(Verdict(one, why=_("It is %(why)s.") % {"why": why}))
        elif name in taken:
            verdicts.append(Verdict(one, why=taken[name]))
        else:
            taken[name] = _same_words(one.code)
            verdicts.append(Verdict(one, remote_id=name))
    return verdicts


def _free(connection_id: int, names: set[str]) -> None:
    ended = RemoteCoupon.objects.named(connection_id, names).filter(
        status__in=[Status.GONE, Status.REFUSED], errand=""
    )
    ended.exclude(publication=None).update(remote_id="")


def _taken(publication: Publication, names: set[str]) -> dict[str, str]:
    """Names that another coupon of ours has at this account, and what to say of it."""
    rows = RemoteCoupon.objects.named(publication.connection_id, names)
    rows = rows.exclude(publication=None)
    return {
        row.remote_id: _same_words(row.serial.code if row.serial else row.remote_id)
        if row.publication_id == publication.pk
        else _other_words(str(row.campaign))
        for row in rows.select_related("serial", "campaign")
    }


def _same_words(code: str) -> str:
    return _("It would be the same there as “%(code)s”.") % {"code": code}


def _other_words(campaign: str) -> str:
    return _("The campaign “%(name)s” has it at this account already.") % {
        "name": campaign
    }


def _ghosts(
    publication: Publication, verdicts: Iterable[Verdict]
) -> dict[str, RemoteCoupon]:
    """Rows of coupons that were seen there, and that belong to nobody yet."""
    names = [verdict.remote_id for verdict in verdicts]
    rows = RemoteCoupon.objects.named(publication.connection_id, names)
    rows = rows.filter(publication=None).select_for_update()
    return {row.remote_id: row for row in rows}


def _take_over(ghost: RemoteCoupon, row: RemoteCoupon) -> None:
    """Asked for all the same: the provider's answer tells whether it is as we want it."""
    changes: dict[str, Any] = {
        name: getattr(row, name)
        for name in (
            "publication_id",
            "campaign_id",
            "serial_id",
            "batch_id",
            "own",
            "status",
            "errand",
            "next_try_at",
        )
    }
    RemoteCoupon.objects.filter(pk=ghost.pk).update(
        **changes, leased_until=None, first_try_at=None, failures=0, detail=""
    )


def _row(publication: Publication, verdict: Verdict, now: datetime) -> RemoteCoupon:
    is_refused = bool(verdict.why)
    wanted = verdict.wanted
    return RemoteCoupon(
        connection_id=publication.connection_id,
        publication_id=publication.pk,
        campaign_id=publication.campaign_id,
        serial_id=wanted.serial_id,
        batch_id=wanted.batch.pk if wanted.batch else None,
        remote_id=verdict.remote_id,
        own=own_of(publication.connection.provider, wanted.batch),
        status=Status.REFUSED if is_refused else Status.WAITING,
        errand="" if is_refused else Errand.CREATE,
        next_try_at=None if is_refused else now,
        detail=verdict.why[:500],
    )
