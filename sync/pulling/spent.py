"""Codes that are spent here and can be used there: one difference for a publication.

Counting them reads all codes of a campaign, so a look first compares some signs that
cost little, for all publications of the account in one statement. That a batch was made
void or a coupon revoked is seen to at once. Sales move the others all day: of many codes
they are counted anew only after a while. A whole look counts in any case, for signs can't
show everything.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import (
    Count,
    Exists,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce

from connections.models import Connection
from coupons.models import Tally
from coupons.retrying import retrying
from serials.models import Batch
from sync.models import Difference, Publication, RemoteCoupon, SpentCount, Step, Use
from sync.publishing.settling import locked
from sync.publishing.spending import Spent, count_spent
from sync.pulling.differences import SPENT, Found, Seen, note
from sync.pulling.runs import Held
from sync.pulling.storing import together

USABLE = "usable"
# Counting takes about a microsecond for each code; how long sales wait for the next
# count, for each code of the publication: a million for half an hour.
PATIENCE = timedelta(milliseconds=2)
VOIDED = (Batch.State.VOIDING, Batch.State.VOID)

Signs = dict[str, int]


def work(held: Held, ends: float) -> bool:
    """Count what may have changed until `ends` (monotonic); True when all has been."""
    for publication, signs in list(_to_count(held)):
        if time.monotonic() >= ends:
            return False
        _count(held, publication, signs)
    return True


# --- when to count ----------------------------------------------------------------------


def _to_count(held: Held) -> Iterator[tuple[Publication, Signs]]:
    """Publications whose signs are others than when they were counted last."""
    now, last_use = held.clock(), Use.objects.order_by("-pk").first()
    rows = _with_signs(held.run.connection_id, now)
    rows = rows.filter(pk__gt=held.run.cursor.get("spent", 0)).order_by("pk")
    known = SpentCount.objects.in_bulk([publication.pk for publication in rows])
    for publication in rows:
        signs = _signs_of(publication, last_use.pk if last_use else 0)
        counted = known.get(publication.pk)
        if held.run.is_whole or counted is None or _is_due(counted, signs, now):
            yield publication, signs


def _with_signs(connection_id: int, now: datetime) -> QuerySet[Publication]:
    """Those of codes, with what their signs are made of.

    Of a campaign that is over only those of which something differs still.
    """
    batches = Batch.objects.filter(campaign=OuterRef("campaign")).order_by()
    whole = batches.filter(state__in=VOIDED)
    tallies = Tally.objects.filter(campaign=OuterRef("campaign")).order_by()
    going = RemoteCoupon.objects.filter(
        ~Q(errand=""),  # as the index of errands has it
        connection=OuterRef("connection"),
        publication=OuterRef("pk"),
        errand=RemoteCoupon.Errand.DELETE,
    )
    differing = Difference.objects.filter(
        publication=OuterRef("pk"), coupon=None, field=SPENT, ended_at=None
    )
    rows = Publication.objects.filter(
        Q(campaign__use_ends_at__gt=now) | Exists(differing),
        connection_id=connection_id,
        state=Publication.State.OPEN,
        is_clearing=False,
    ).exclude(connection__provider=Connection.Provider.LINE)
    return (
        rows.select_related("campaign")
        .defer("onsite_password")
        .annotate(
            voided_batches=_sum(whole, Count("pk")),
            voided=_sum(whole, Sum("voided")),
            voided_singly=_sum(batches.exclude(state__in=VOIDED), Sum("voided")),
            verified=_sum(tallies, Sum("verified")),
            revoked=_sum(tallies, Sum("revoked")),
            is_going=Exists(going),
        )
    )


def _sum(rows: QuerySet[Any, Any], what: Count | Sum) -> Coalesce:
    found = rows.values("campaign").annotate(sum=what).values("sum")
    return Coalesce(Subquery(found), 0)


AT_ONCE = ("voided_batches", "voided", "revoked", "is_going")
IN_TIME = ("voided_singly", "verified", "total", "live", "gone")


def _signs_of(publication: Model, last_use: int) -> Signs:
    named = {name: int(getattr(publication, name)) for name in (*AT_ONCE, *IN_TIME)}
    return {**named, "last_use": last_use}


def _is_due(counted: SpentCount, signs: Signs, now: datetime) -> bool:
    def moved(names: tuple[str, ...]) -> bool:
        return any(signs[name] != counted.signs.get(name) for name in names)

    if counted.counted_at is None or moved(AT_ONCE):
        return True
    # A use there can only make spent codes fewer.
    others = (*IN_TIME, "last_use") if counted.total else IN_TIME
    return moved(others) and now >= counted.counted_at + PATIENCE * signs["total"]


# --- counting ---------------------------------------------------------------------------


def _count(held: Held, publication: Publication, signs: Signs) -> None:
    before, _is_new = SpentCount.objects.get_or_create(publication=publication)
    now = held.clock()
    is_over = publication.campaign.use_ends_at <= now
    spent = Spent() if is_over else count_spent(publication)
    after = {"total": spent.total, "signs": signs, "counted_at": now}
    _keep(held, publication.pk, before, spent, after)


@retrying
@transaction.atomic
def _keep(
    held: Held,
    publication_id: int,
    before: SpentCount,
    spent: Spent,
    after: dict[str, Any],
) -> None:
    """Write a count down, unless somebody has asked for the codes back meanwhile."""
    at = after["counted_at"]
    found = locked([publication_id]).get(publication_id)
    rows = SpentCount.objects.filter(
        publication=publication_id, counted_at=before.counted_at
    )
    is_open = found is not None and found.state == Publication.State.OPEN
    # Asked for between the list of publications and the count: it says what is going.
    is_told = found is not None and found.is_clearing
    if found is not None and is_open and not is_told and rows.update(**after):
        seen = Seen(found, found_in(spent), (SPENT,))
        Step.objects.bulk_create(together(note([seen], at=at)))
    held.keep(cursor={**held.run.cursor, "spent": publication_id}, failures=0)


def found_in(spent: Spent) -> list[Found]:
    """A difference, such as ("spent", "void:120 used:35", "usable"); none without any."""
    parts = [f"{name}:{number}" for name, number in vars(spent).items() if number]
    return [(SPENT, " ".join(parts), USABLE)] if parts else []
