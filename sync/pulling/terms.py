"""What has changed here since it was published: one difference of all its coupons.

Compared are terms with terms, what the campaign would be sent with today and what it was
sent with; so a million codes are one look.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from connections.models import Connection
from coupons.retrying import retrying
from sync.errors import SyncError
from sync.models import Difference, Publication, Run, Step
from sync.options import options_from
from sync.ports.line import compared, flat
from sync.ports.port import shown
from sync.publishing.terms import expressible_of, terms_of
from sync.pulling import spent
from sync.pulling.differences import SPENT, STILL_THERE, Found, Seen, end, note
from sync.pulling.runs import Held
from sync.pulling.storing import together

STAGE = "terms"
PIECE = 20  # publications between two checkpoints
MOST = 5_000  # differences that one run ends because their publication is closed
OVER = "closed"
IMPOSSIBLE = "impossible"  # field: as it is now it couldn't be published


@transaction.atomic
def begin(held: Held) -> None:
    """From here on the run compares what was published."""
    held.keep(cursor={"stage": STAGE, "after": 0})
    _end_closed(held)


def _end_closed(held: Held) -> None:
    """What differed about a publication that is closed by now doesn't matter any more.

    But for coupons that people can use all the same. Spent codes go with all others
    once it is being closed.
    """
    closed = Q(publication__state=Publication.State.CLOSED) & ~Q(field=STILL_THERE)
    closing = Q(publication__state=Publication.State.CLOSING, field=SPENT)
    over = Difference.objects.filter(
        closed | closing,
        publication__connection_id=held.run.connection_id,
        ended_at=None,
    )
    end(list(over.values_list("pk", flat=True)[:MOST]), how=OVER, at=held.clock())


def work(held: Held, ends: float) -> bool:
    """Compare publications until `ends` (monotonic); True when all have been."""
    return _compare(held, ends) and spent.work(held, ends)


def _compare(held: Held, ends: float) -> bool:
    while True:
        after = held.run.cursor.get("after", 0)
        rows = to_compare(held.run).filter(pk__gt=after).order_by("pk")
        piece = list(rows.defer("onsite_password")[:PIECE])
        if not piece:
            return True
        if time.monotonic() >= ends:
            return False
        now = held.clock()
        keep(held, [(one, changes_of(one, now)) for one in piece], now)


def to_compare(run: Run) -> QuerySet[Publication]:
    """Those whose campaign was saved since the last look; in a whole look all."""
    rows = Publication.objects.select_related("campaign", "connection").filter(
        connection_id=run.connection_id, state=Publication.State.OPEN
    )
    last = Run.objects.filter(
        connection_id=run.connection_id, state=Run.State.DONE, pk__lt=run.pk
    ).order_by("-pk")
    before = last.values_list("started_at", flat=True).first()
    if run.is_whole or before is None:
        return rows
    differing = Difference.objects.filter(
        publication=OuterRef("pk"), coupon=None, ended_at=None
    )
    return rows.filter(Q(campaign__updated_at__gte=before) | Exists(differing))


def changes_of(publication: Publication, at: datetime) -> Sequence[Found]:
    """Field by field: what the campaign says now, and what was sent.

    Nothing once the campaign is over: there is nothing left to bring in line. A coupon
    that was taken over is there whether we could make it or not: of it only what the
    campaign can say at all is compared.
    """
    campaign, connection = publication.campaign, publication.connection
    if campaign.use_ends_at <= at:
        return []
    options = options_from(connection.provider, publication.options)
    left_out: frozenset[str] = frozenset()
    try:
        if publication.is_adopted:
            now, left_out = expressible_of(campaign, connection, options, at=at)
        else:
            now = terms_of(campaign, connection, options, at=at)
    except SyncError as error:
        return [(IMPOSSIBLE, error.message, "")]
    ours, theirs = flat(now), flat(publication.terms)
    return [
        (field, shown(ours.get(field)), shown(theirs.get(field)))
        for field in fields_of(publication, ours, theirs)
        if field.partition(".")[0] not in left_out
        and shown(ours.get(field)) != shown(theirs.get(field))
    ]


def fields_of(
    publication: Publication, ours: dict[str, Any], theirs: dict[str, Any]
) -> list[str]:
    """What can be compared: of an adopted LINE coupon not its pictures' addresses."""
    provider = publication.connection.provider
    if publication.is_adopted and provider == Connection.Provider.LINE:
        prices = [name for name in theirs if name.startswith("reward.priceInfo.")]
        return sorted({*compared(ours), *prices})
    return sorted({*ours, *theirs})


@retrying
@transaction.atomic
def keep(
    held: Held, found: Sequence[tuple[Publication, Sequence[Found]]], at: datetime
) -> None:
    """Write down a piece, with the checkpoint after it."""
    ids = [publication.pk for publication, _changes in found]
    locked = Publication.objects.select_for_update(no_key=True).order_by("pk")
    terms = dict(locked.filter(pk__in=ids).values_list("pk", "terms"))
    # What was sent anew meanwhile has been compared in vain.
    same = [
        Seen(publication, changes)
        for publication, changes in found
        if terms.get(publication.pk) == publication.terms
    ]
    Step.objects.bulk_create(together(note(same, at=at)))
    held.keep(cursor={"stage": STAGE, "after": ids[-1]}, failures=0)


def look_again(publication: Publication, at: datetime | None = None) -> None:
    """Compare one publication now: something about it was mended."""
    now = at or timezone.now()
    fresh = (
        Publication.objects.select_related("campaign", "connection")
        .defer("onsite_password")
        .get(pk=publication.pk)
    )
    changes = changes_of(fresh, now)
    with transaction.atomic():
        Step.objects.bulk_create(together(note([Seen(fresh, changes)], at=now)))
