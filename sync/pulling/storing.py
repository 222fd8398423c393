"""Writing down what a provider told of its coupons: one block of them at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from coupons.retrying import retrying
from sync.models import Publication, RemoteCoupon, Step
from sync.publishing.settling import SEEN
from sync.pulling import differences
from sync.pulling.differences import Found, Seen
from sync.pulling.runs import Held

Status = RemoteCoupon.Status

MOST_USES = 2_147_483_647
FEW = 10  # more than so many new ones at once are one step of the history
# What a look may write. How a coupon is being published is not its business.
OURS = (*SEEN, "missing_since", "problem")


@dataclass(frozen=True)
class Told:
    """What one answer says of one coupon.

    `values` are new values of its columns. With `is_missing` the provider does not have
    it; with `is_unreadable` its answer made no sense and `problem` says why, so
    everything but that stays as it was. `found` is what differs, None where the answer
    does not let us see it.
    """

    row_id: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    is_missing: bool = False
    is_unreadable: bool = False


Compare = Callable[[RemoteCoupon, datetime], Sequence[Found]]


@retrying
def store(
    held: Held,
    told: Sequence[Told],
    *,
    asked_at: datetime,
    compare: Compare,
    is_list: bool = False,
    **checkpoint: Any,
) -> list[RemoteCoupon]:
    """Write a block and the run's checkpoint together; the rows as they are now.

    `asked_at` is when the provider was asked, and `compare` says what differs about a
    row that is ours. `is_list`: seen in a list that tells all there is to tell. Raises
    Lost, and nothing is written, when the run is no longer this worker's.
    """
    before = held.run.leased_until, held.lease_ends
    try:
        with transaction.atomic():
            return _store(held, told, asked_at, compare, is_list, checkpoint)
    except BaseException:
        # Undone: the lease that counts is the one from before.
        held.run.leased_until, held.lease_ends = before
        raise


def _store(
    held: Held,
    told: Sequence[Told],
    asked_at: datetime,
    compare: Compare,
    is_list: bool,
    checkpoint: Mapping[str, Any],
) -> list[RemoteCoupon]:
    rows = _locked(told)
    # Not before the run's own beginning, by whichever machine's clock: that is how it
    # knows whom it has asked.
    at = max(asked_at, held.run.started_at)
    steps: list[Step] = []
    changed = 0
    for answer in told:
        row = rows.get(answer.row_id)
        if row is None:  # it went away meanwhile
            continue
        news = apply(row, answer, at=at, is_list=is_list)
        changed += bool(news)
        steps += news
    _write(rows.values())
    steps += differences.note(_seen(told, rows, compare, at), at=at)
    Step.objects.bulk_create(together(steps))
    held.keep(
        asked=F("asked") + len(told),
        changed=F("changed") + changed,
        failures=0,
        **checkpoint,
    )
    return list(rows.values())


def _locked(told: Sequence[Told]) -> dict[int, RemoteCoupon]:
    ids = sorted(answer.row_id for answer in told)
    rows = RemoteCoupon.objects.select_for_update(of=("self",)).filter(pk__in=ids)
    found = {row.pk: row for row in rows.order_by("pk")}
    owners = {row.publication_id for row in found.values() if row.publication_id}
    publications = (
        Publication.objects.select_related("campaign")
        .defer("onsite_password")
        .in_bulk(owners)
    )
    for row in found.values():
        if row.publication_id:
            row.publication = publications[row.publication_id]
    return found


def apply(
    row: RemoteCoupon, answer: Told, *, at: datetime, is_list: bool = False
) -> list[Step]:
    """Put an answer into a row in memory; the steps it makes in the history."""
    was_told, was_missing, is_new = row.told, row.missing_since, row.raw is None
    row.asked_at = at
    if is_list:
        row.listed_at = at
    row.problem = answer.problem[:300]
    if answer.is_unreadable:
        return []
    if answer.is_missing:
        return _lose(row, at)
    for name, value in answer.values.items():
        setattr(row, name, value)
    row.missing_since = None
    if was_missing is not None or (is_new and row.publication_id is None):
        return [step_of(row, Step.Kind.APPEARED, at, {"told": row.told})]
    if row.told != was_told and was_told:
        facts = {"was": was_told, "told": row.told}
        return [step_of(row, Step.Kind.TOLD, at, facts)]
    return []


def _lose(row: RemoteCoupon, at: datetime) -> list[Step]:
    """It is not there: news, unless we took it back or knew it."""
    if row.missing_since is not None or row.status == Status.GONE:
        return []
    row.missing_since = at
    return [step_of(row, Step.Kind.VANISHED, at, {"told": row.told})]


def _write(rows: Iterable[RemoteCoupon]) -> None:
    """All rows in one statement; they are locked, so they exist and are as we read."""
    RemoteCoupon.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["id"], update_fields=OURS
    )


def _seen(
    told: Sequence[Told],
    rows: Mapping[int, RemoteCoupon],
    compare: Compare,
    at: datetime,
) -> list[Seen]:
    """What to compare: of ours alone, and of those that nothing is being done about."""
    readable = [rows.get(answer.row_id) for answer in told if not answer.is_unreadable]
    return [
        Seen(row, compare(row, at))
        for row in readable
        if row is not None and row.publication_id is not None and not _is_busy(row)
    ]


def _is_busy(row: RemoteCoupon) -> bool:
    """Something is being done about it, or is about to be: then it may well differ."""
    publication = row.publication
    is_changing = publication is not None and publication.is_changing
    return bool(row.errand) or (is_changing and not row.failures)


def step_of(
    row: RemoteCoupon, kind: Step.Kind, at: datetime, facts: Mapping[str, Any]
) -> Step:
    return Step(
        connection_id=row.connection_id,
        publication_id=row.publication_id,
        coupon=row,
        kind=kind,
        facts={"title": row.title[:100], "id": row.remote_id[:100], **facts},
        at=at,
    )


def together(steps: Sequence[Step]) -> list[Step]:
    """Many of one kind become one step with their number: the first look at an account."""
    kept: list[Step] = []
    for kind in dict.fromkeys(step.kind for step in steps):
        same = [step for step in steps if step.kind == kind]
        owners = {step.publication_id for step in same}
        if len(same) <= FEW:
            kept += same
            continue
        owner = owners.pop() if len(owners) == 1 else None
        kept.append(
            Step(
                connection_id=same[0].connection_id,
                publication_id=owner,
                kind=kind,
                facts={"count": len(same)},
                at=same[0].at,
            )
        )
    return kept
