"""Trying again what was refused or stayed unclear, because a person asks for it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from connections.models import Connection
from sync.models import Publication, RemoteCoupon, Use
from sync.models.publishing import UNTOLD
from sync.publishing.preparing import Wanted, judge_codes
from sync.publishing.spending import spent_among

Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand
Moved = Counter[tuple[int, str, str]]

PIECE = 1_000  # rows of one statement


def ask_again(
    publication: Publication,
    coupon_ids: Sequence[int] | None,
    *,
    limit: int,
    at: datetime,
) -> tuple[int, Moved]:
    """Give up to `limit` such coupons an errand; how many, and what moved where.

    The publication has to be locked. What is being taken back is not made first.
    """
    rows = RemoteCoupon.objects.filter(publication=publication, errand="")
    if coupon_ids is not None:
        rows = rows.filter(pk__in=coupon_ids)
    stuck = rows.filter(
        Q(status__in=_ended(publication)) | Q(status=Status.LIVE) & ~Q(detail="")
    )
    found = list(stuck.select_related("serial", "batch")[:limit])
    moved: Moved = Counter()
    for was, changes, ids in _alike(publication, found, at):
        ours = RemoteCoupon.objects.filter(pk__in=ids, errand="", status=was)
        moved[publication.pk, was, changes.get("status", was)] += ours.update(**changes)
    return moved.total(), moved


def _alike(
    publication: Publication, rows: Sequence[RemoteCoupon], at: datetime
) -> Iterator[tuple[str, dict[str, Any], list[int]]]:
    """Rows of one status that change in the same way, up to a thousand at once."""
    names, moot = _names(publication, rows), _moot(rows)
    is_open = publication.state == Publication.State.OPEN
    rows = [row for row in rows if row.pk not in moot]
    spent = spent_among(publication, [row.pk for row in rows if _is_going(row)])
    groups: dict[str, tuple[str, dict[str, Any], list[int]]] = {}
    for row in rows:
        if is_open and _is_going(row) and row.pk not in spent:
            changes = GOOD_AGAIN
        else:
            changes = _changes(row, publication, names, at)
        if changes:
            key = repr((row.status, changes))
            groups.setdefault(key, (row.status, changes, []))[2].append(row.pk)
    for was, changes, ids in groups.values():
        for first in range(0, len(ids), PIECE):
            yield was, changes, ids[first : first + PIECE]


def _moot(rows: Sequence[RemoteCoupon]) -> set[int]:
    """Uses that were to be told, and whose verification has been undone since."""
    untold = [row.pk for row in rows if UNTOLD in row.own]
    undone = Use.objects.filter(
        source=Use.Source.MIRROR,
        coupon__in=untold,
        verification__undone_at__isnull=False,
    )
    return {pk for pk in undone.values_list("coupon", flat=True) if pk is not None}


def _is_going(row: RemoteCoupon) -> bool:
    """Whether it was to go as spent, and was refused to."""
    return row.status == Status.LIVE and row.is_spent


# Its verification was undone since: it stays, and nothing is wrong with it.
GOOD_AGAIN = {"is_spent": False, "failures": 0, "detail": ""}


def _ended(publication: Publication) -> list[Status]:
    if publication.state == Publication.State.CLOSING:
        return [Status.UNKNOWN]
    return [Status.REFUSED, Status.UNKNOWN]


def _names(
    publication: Publication, rows: Sequence[RemoteCoupon]
) -> dict[int, tuple[str, str]]:
    """What coupons without a name there would be called now, or why they can't be."""
    if publication.connection.provider == Connection.Provider.LINE:
        return {}
    nameless = [row for row in rows if row.status == Status.REFUSED]
    wanted = [
        Wanted(row.serial.code, serial_id=row.pk)
        if row.serial
        else Wanted(row.batch.code if row.batch else "", serial_id=row.pk)
        for row in nameless
        if not row.remote_id
    ]
    verdicts = judge_codes(publication, wanted)
    return {
        verdict.wanted.serial_id or 0: (verdict.remote_id, verdict.why)
        for verdict in verdicts
    }


def _changes(
    row: RemoteCoupon,
    publication: Publication,
    names: dict[int, tuple[str, str]],
    at: datetime,
) -> dict[str, Any]:
    again = {"next_try_at": at, "first_try_at": None, "failures": 0, "detail": ""}
    if row.status == Status.LIVE:
        if publication.state == Publication.State.CLOSING or _is_going(row):
            # Asked for once already: where Vivoldi can't see it either, it is gone.
            return {**again, "errand": Errand.DELETE, "first_try_at": at}
        if UNTOLD in row.own:
            own = {key: value for key, value in row.own.items() if key != UNTOLD}
            return {**again, "errand": Errand.REDEEM, "own": own}
        is_line = publication.connection.provider == Connection.Provider.LINE
        return {} if is_line else {**again, "errand": Errand.UPDATE}
    if row.status == Status.UNKNOWN:
        return {**again, **_in_doubt(row, at)}
    name, why = names.get(row.pk, (row.remote_id, ""))
    if why:
        return {}
    named = {"remote_id": name} if name != row.remote_id else {}
    return {**again, **named, "status": Status.WAITING, "errand": Errand.CREATE}


def _in_doubt(row: RemoteCoupon, at: datetime) -> dict[str, Any]:
    """It may have been done, so a look comes first."""
    if "redeem" in row.own:
        return {"status": Status.LIVE, "errand": Errand.REDEEM, "first_try_at": at}
    return {"status": Status.WAITING, "errand": Errand.CREATE, "first_try_at": at}
