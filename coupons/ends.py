"""New ends for coupons that are out already, once their campaign's terms have changed.

Whoever issues a coupon and whoever changes the terms pass the same gate: at the change
every coupon of the old terms is there to be found, and each later one has the new.
"""

import time
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import (
    DateTimeField,
    ExpressionWrapper,
    F,
    Q,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from campaigns.models import Campaign, CampaignEvent
from coupons.models import Coupon, EndsChange, Tally
from serials.steps import again

Clock = Callable[[], datetime]
Expiry = Campaign.Expiry
State = EndsChange.State
Status = Coupon.Status

# The first half of our advisory locks' key; `coupons.limiting` has another.
LOCKS = 1_129_270_353
# Coupons of one transaction: their customers wait for it.
CHUNK = 2_000
# Ids that one looks through: a campaign's coupons may lie far apart.
WINDOW = 100_000
# What is used or withdrawn keeps the end that it had.
OPEN = (Status.ISSUED, Status.SENT, Status.OPENED, Status.REDEEMED)
CLOCKS = {Expiry.FROM_SENDING: "sent_at", Expiry.FROM_REDEMPTION: "redeemed_at"}


# --- the gate ------------------------------------------------------------------------


def end_of_new(campaign_id: int) -> datetime:
    """The end that a coupon gets which is issued in this very transaction.

    Holds the gate open until the commit, then reads: nobody's change of terms comes
    between the two.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock_shared(%s, %s::integer)",
                [LOCKS, campaign_id],
            )
    ends_at: datetime = Campaign.objects.values_list("use_ends_at", flat=True).get(
        pk=campaign_id
    )
    return ends_at


def _wait_for_issuing(campaign_id: int) -> None:
    """Let every issue under way end, and none begin, until we commit."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, %s::integer)", [LOCKS, campaign_id]
            )


# --- asking for it -------------------------------------------------------------------


def change_ends(
    campaign: Campaign,
    *,
    was_use_ends_at: datetime,
    is_for_issued: bool,
    at: datetime,
    event: CampaignEvent | None = None,
    by: User | None = None,
) -> EndsChange:
    """Keep the terms that `campaign` was given just now, in the transaction that saved it.

    With `is_for_issued` they hold for the coupons that are out too, as soon as a worker
    has come to them; whoever calls wakes one on commit. An earlier change under way
    stops then. Called last: it waits for all who issue.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("The terms and this are saved together.")
    if is_for_issued:
        # Before the gate: its worker may wait for somebody who wants to pass that.
        EndsChange.objects.filter(campaign=campaign, state=State.WORKING).update(
            state=State.STOPPED, finished_at=at, leased_until=None
        )
    _wait_for_issuing(campaign.pk)
    # Of all campaigns: the campaign's own newest may lie far down in a large table.
    newest = Coupon.objects.order_by("-pk").values_list("pk", flat=True).first()
    total = _issued(campaign)
    is_work = is_for_issued and total > 0
    has_clock = campaign.expiry != Expiry.USE_END
    return EndsChange.objects.create(
        campaign=campaign,
        event=event,
        asked_at=at,
        asked_by=by,
        is_for_issued=is_for_issued,
        was_use_ends_at=was_use_ends_at,
        use_ends_at=campaign.use_ends_at,
        expiry=campaign.expiry,
        expiry_seconds=int(campaign.interval.total_seconds()) if has_clock else 0,
        state=State.WORKING if is_work else State.DONE,
        finished_at=None if is_work else at,
        last_id=newest or 0,
        total=total,
    )


def _issued(campaign: Campaign) -> int:
    """How many coupons the campaign ever gave out, by its tallies."""
    tallies = Tally.objects.filter(campaign=campaign)
    return int(tallies.aggregate(issued=Sum("issued", default=0))["issued"])


# --- doing it ------------------------------------------------------------------------


def due(now: datetime) -> QuerySet[EndsChange]:
    """Changes that no worker holds at the moment."""
    return EndsChange.objects.filter(_free(now), state=State.WORKING)


def run(
    change_id: int,
    *,
    seconds: float = 25,
    chunk: int = CHUNK,
    window: int = WINDOW,
    clock: Clock = timezone.now,
) -> bool:
    """Give the coupons of a change their new ends, chunk by chunk; True when more is left.

    Works for `seconds` at most. Each chunk is one transaction with its checkpoint, so
    a worker that dies, or a second one, leaves out no coupon.
    """
    lease = _take_lease(change_id, clock())
    ends = time.monotonic() + seconds
    while lease is not None and time.monotonic() < ends:
        lease = _next_lease(change_id, lease, chunk, clock, window)
    if lease is None:
        return False
    # Over at once, not empty: the ledger's audit reads from it when somebody was there.
    _mine(change_id, lease).update(leased_until=clock())
    return True


def _free(now: datetime) -> Q:
    return Q(leased_until=None) | Q(leased_until__lte=now)


def _take_lease(change_id: int, now: datetime) -> datetime | None:
    lease = now + settings.SEND_LEASE
    rows = EndsChange.objects.filter(_free(now), pk=change_id, state=State.WORKING)
    return lease if rows.update(leased_until=lease) else None


def _mine(change_id: int, lease: datetime) -> QuerySet[EndsChange]:
    return EndsChange.objects.filter(
        pk=change_id, state=State.WORKING, leased_until=lease
    )


def _next_lease(
    change_id: int,
    lease: datetime,
    chunk: int,
    clock: Clock,
    window: int = WINDOW,
) -> datetime | None:
    kept: list[datetime | None] = []
    again(lambda: kept.append(_change_some(change_id, lease, chunk, clock, window)))
    return kept[-1]


@transaction.atomic
def _change_some(
    change_id: int, lease: datetime, chunk: int, clock: Clock, window: int
) -> datetime | None:
    """One chunk; the renewed lease, or None when there is nothing more to do here."""
    change = _mine(change_id, lease).select_for_update().first()
    if change is None:
        return None
    until = min(change.done_to + window, change.last_id)
    ids = list(_next_ids(change, until)[:chunk])
    done_to = ids[-1] if len(ids) == chunk else until
    changed = _give_ends(change, done_to)
    now = clock()
    is_last = done_to >= change.last_id
    renewed = None if is_last else now + settings.SEND_LEASE
    EndsChange.objects.filter(pk=change.pk).update(
        done_to=done_to,
        done=F("done") + len(ids),
        changed=F("changed") + changed,
        leased_until=renewed,
        **({"state": State.DONE, "finished_at": now} if is_last else {}),
    )
    return renewed


def _next_ids(change: EndsChange, until: int) -> QuerySet[Coupon, int]:
    coupons = Coupon.objects.filter(
        campaign_id=change.campaign_id, pk__gt=change.done_to, pk__lte=until
    )
    return coupons.order_by("pk").values_list("pk", flat=True)


def _give_ends(change: EndsChange, done_to: int) -> int:
    """New ends for the chunk's open coupons; how many ends are others now.

    All of them are locked, those too whose end looks right: a step under way may go by
    the old terms, and is seen once its lock is ours. Whoever comes after us reads the
    campaign behind the lock and finds the new ones.
    """
    coupons = Coupon.objects.filter(
        campaign_id=change.campaign_id,
        pk__gt=change.done_to,
        pk__lte=done_to,
        status__in=OPEN,
    )
    list(coupons.select_for_update().order_by("pk").values_list("pk", flat=True))
    # A statement of its own: it sees what was committed while we waited.
    ends_at = _ends_under(change)
    return coupons.exclude(ends_at=ends_at).update(ends_at=ends_at)


def _ends_under(change: EndsChange) -> Combinable:
    """The earliest of the clocks that run under the change's terms."""
    use_ends_at = Value(change.use_ends_at, output_field=DateTimeField())
    started = CLOCKS.get(Expiry(change.expiry))
    if started is None:
        return use_ends_at
    clock = ExpressionWrapper(
        F(started) + Value(change.interval), output_field=DateTimeField()
    )
    # What has not started is NULL; SQLite's MIN would make NULL of all of it.
    return Least(use_ends_at, Coalesce(clock, use_ends_at))
