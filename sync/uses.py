"""What providers tell of uses, and what a use does here: each counts once.

A webhook tells one use and names it, Paddle by its order, Vivoldi by its event. A count,
`times_used` or `useCnt`, says how many there are. Both come late, twice, out of order and
both for the same use: so the uses of one coupon are rows that the coupon's lock guards,
and a webhook first names what a count has found before it.

A use of a serial verifies its coupon. Of a serial that nobody has got yet it makes the
serial void, so that nobody gets a used one. A text that is the same for everyone is
counted: whose use it was, no provider tells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from connections.models import Connection
from coupons.errors import CouponError
from coupons.models import Coupon, Verification
from coupons.services import verify_elsewhere
from serials.services import void_one
from sync.models import InboundEvent, RemoteCoupon, Step, Use
from sync.models.inbound import REFUNDS

Clock = Callable[[], datetime]
Source = Use.Source
Outcome = Use.Outcome
Effect = tuple[Outcome, Verification | None]

# One sale comes as two of these: its order makes it one use.
PAYMENTS = ("payment_succeeded", "subscription_payment_succeeded", "locker_processed")
VIVOLDI_USES = ("coupon", "coupon.none", "coupon.use")
WAYS = {
    Connection.Provider.PADDLE: Verification.Way.PADDLE,
    Connection.Provider.VIVOLDI: Verification.Way.VIVOLDI,
}
OF_ORDER = "order:"  # how the key of a sale's use begins
WITHOUT_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """A use as a webhook tells it; `key` makes it the same one whenever it is told."""

    connection_id: int
    code: str
    key: str
    happened_at: datetime | None = None


@dataclass(frozen=True)
class Refund:
    """Money paid back for an order."""

    connection_id: int
    order: str
    event_id: str
    happened_at: datetime
    is_whole: bool


# --- what an event says ----------------------------------------------------------------


def use_in(event: InboundEvent) -> Told | None:
    """The use that an event tells of; None when it tells of none."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    if event.kind in PAYMENTS:
        return _sale(event, payload)
    if event.kind in VIVOLDI_USES and _text(payload, "number"):
        return Told(
            event.connection_id,
            _text(payload, "number"),
            f"event:{event.event_id}",
            _known(event.occurred_at),
        )
    return None


def _sale(event: InboundEvent, payload: dict[str, Any]) -> Told | None:
    """A sale with a coupon. A later payment of a subscription is no use of its own."""
    code = _text(payload, "coupon")
    if not code or _text(payload, "initial_payment") == "0":
        return None
    return Told(
        event.connection_id, code, _sale_key(event, payload), _known(event.occurred_at)
    )


def _sale_key(event: InboundEvent, payload: dict[str, Any]) -> str:
    for name in ("order", "checkout"):
        if number := _text(payload, f"{name}_id"):
            return f"{name}:{number}"
    return f"alert:{event.event_id}"


def refund_in(event: InboundEvent) -> Refund:
    """What one of Paddle's refunds says; the order is "" where it names none."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    return Refund(
        event.connection_id,
        _text(payload, "order_id"),
        event.event_id,
        event.occurred_at,
        is_whole=_text(payload, "refund_type") == "full",
    )


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    return value.strip()[:80] if isinstance(value, str) else ""


def _known(at: datetime) -> datetime | None:
    return None if at <= WITHOUT_TIME else at


# --- counting --------------------------------------------------------------------------


@transaction.atomic
def note_use(told: Told, *, clock: Clock = timezone.now) -> Use:
    """Keep a use that a webhook tells of, and do what it means; a second time nothing.

    A code that is not ours is kept too, until it is.
    """
    if told.key.startswith(OF_ORDER):
        _queue_up(told.connection_id)
    coupon = _locked(connection_id=told.connection_id, remote_id=told.code)
    known = Use.objects.filter(connection_id=told.connection_id, key=told.key).first()
    if known is not None:
        return known
    at = clock()
    if coupon is None:
        return _keep_unknown(told, at)
    _take_in(coupon, clock)
    use = _name_counted(coupon, told, at) or _keep_new(coupon, told, clock)
    _raise_used(coupon)
    _note_earlier_refunds(use)
    return use


@transaction.atomic
def note_count(coupon_id: int, used: int, *, clock: Clock = timezone.now) -> int:
    """Bring the uses we know in line with a provider's count; how many were new.

    A count lower than what we know is an old one and changes nothing.
    """
    coupon = _locked(pk=coupon_id)
    if coupon is None:
        return 0
    _take_in(coupon, clock)
    new = used - known_uses(coupon)
    if new <= 0:
        return 0
    outcome, verification = _effect(coupon, None, clock)
    at = clock()
    row = Use.objects.filter(coupon=coupon, source=Source.COUNT, key="")
    if not row.update(count=F("count") + new):
        Use.objects.create(
            **_of(coupon),
            source=Source.COUNT,
            outcome=outcome,
            verification=verification,
            count=new,
            seen_at=at,
        )
    _record(coupon, at, source=Source.COUNT, outcome=outcome, count=new)
    return new


def known_uses(coupon: RemoteCoupon) -> int:
    """How many uses at the provider we know of, those that we told it of included.

    One that is still to be told is none yet for the provider, but will be: a count that
    has it already must not add it again.
    """
    found = Use.objects.filter(coupon=coupon).aggregate(sum=Sum("count"))
    return int(found["sum"] or 0)


def _locked(**which: object) -> RemoteCoupon | None:
    """The coupon at the provider; its lock is what orders all that is said of its uses."""
    return RemoteCoupon.objects.select_for_update().filter(**which).first()


def _queue_up(connection_id: int) -> None:
    """A sale and its refund, applied at once, would each not see the other."""
    rows = Connection.objects.select_for_update(no_key=True).filter(pk=connection_id)
    rows.values_list("pk").first()


def _keep_unknown(told: Told, at: datetime) -> Use:
    """Two arrivals at once have no row to queue for: the key makes them one."""
    use, is_new = Use.objects.get_or_create(
        connection_id=told.connection_id,
        key=told.key,
        defaults={
            "code": told.code,
            "source": Source.WEBHOOK,
            "outcome": Outcome.UNKNOWN,
            "happened_at": told.happened_at,
            "seen_at": at,
        },
    )
    if is_new:
        Step.objects.create(
            connection_id=told.connection_id,
            kind=Step.Kind.USED,
            facts={"source": Source.WEBHOOK, "outcome": Outcome.UNKNOWN, "count": 1},
            at=at,
        )
    return use


def _take_in(coupon: RemoteCoupon, clock: Clock) -> None:
    """Uses of this code that came before it was known to be ours."""
    early = Use.objects.filter(
        connection_id=coupon.connection_id, code=coupon.remote_id, coupon=None
    )
    for use in early.order_by("pk"):
        outcome, verification = _effect(coupon, use.happened_at, clock)
        Use.objects.filter(pk=use.pk, coupon=None).update(
            coupon=coupon, outcome=outcome, verification=verification
        )
        _record(coupon, clock(), source=Source.WEBHOOK, outcome=outcome, count=1)


def _name_counted(coupon: RemoteCoupon, told: Told, at: datetime) -> Use | None:
    """The webhook of a use that is known without a name already; its effect is done.

    Ours first: we told the provider of it, and now it tells us.
    """
    names = {"key": told.key, "happened_at": told.happened_at}
    ours = Use.objects.filter(coupon=coupon, source=Source.MIRROR, key="")
    if ours.exclude(put_at=None).update(**names):
        return Use.objects.get(connection_id=told.connection_id, key=told.key)
    counted = Use.objects.filter(
        coupon=coupon, source=Source.COUNT, key="", count__gt=0
    )
    row = counted.first()
    if row is None or not counted.update(count=F("count") - 1):
        return None
    return Use.objects.create(
        **_of(coupon),
        **names,
        source=Source.WEBHOOK,
        outcome=row.outcome,
        verification_id=row.verification_id,
        seen_at=at,
    )


def _keep_new(coupon: RemoteCoupon, told: Told, clock: Clock) -> Use:
    outcome, verification = _effect(coupon, told.happened_at, clock)
    at = clock()
    use = Use.objects.create(
        **_of(coupon),
        key=told.key,
        source=Source.WEBHOOK,
        outcome=outcome,
        verification=verification,
        happened_at=told.happened_at,
        seen_at=at,
    )
    _record(coupon, at, source=Source.WEBHOOK, outcome=outcome, count=1)
    return use


def _raise_used(coupon: RemoteCoupon) -> None:
    """Show at once what the next look will tell; that may know more, never less."""
    told = Use.objects.filter(coupon=coupon).exclude(source=Source.MIRROR, key="")
    used = int(told.aggregate(sum=Sum("count"))["sum"] or 0)
    fewer = Q(used=None) | Q(used__lt=used)
    RemoteCoupon.objects.filter(fewer, pk=coupon.pk).update(used=used)


def _of(coupon: RemoteCoupon) -> dict[str, Any]:
    return {
        "connection_id": coupon.connection_id,
        "coupon": coupon,
        "code": coupon.remote_id,
    }


def _record(coupon: RemoteCoupon, at: datetime, **facts: Any) -> None:
    Step.objects.create(
        connection_id=coupon.connection_id,
        publication_id=coupon.publication_id,
        coupon=coupon,
        kind=Step.Kind.USED,
        facts=facts,
        at=at,
    )


# --- what a use does -------------------------------------------------------------------


def _effect(coupon: RemoteCoupon, happened_at: datetime | None, clock: Clock) -> Effect:
    """What it does to our own serial; more than one use of it does nothing more.

    Locks stand in the house's order: the coupon at the provider, then ours, then its
    batch and serial.
    """
    way = WAYS.get(Connection.Provider(coupon.connection.provider))
    if coupon.serial_id is None or way is None:
        return Outcome.COUNTED, None
    holder = _holder_of(coupon.serial_id)
    if holder is None and void_one(coupon.serial_id):
        return Outcome.VOID, None
    # It was void before, or somebody has redeemed it while we waited.
    holder = holder or _holder_of(coupon.serial_id)
    if holder is None:
        return Outcome.VOID, None
    return _verified(holder, way, happened_at, clock)


def _holder_of(serial_id: int) -> int | None:
    found = Coupon.objects.filter(serial_id=serial_id).values_list("pk", flat=True)
    return found.first()


def _verified(
    coupon_id: int,
    way: Verification.Way,
    happened_at: datetime | None,
    clock: Clock,
) -> Effect:
    try:
        made = verify_elsewhere(coupon_id, way=way, told_at=happened_at, clock=clock)
    except CouponError as refusal:
        known = refusal.facts.get("verification")
        return REFUSED_AS.get(refusal.code, Outcome.COUNTED), known
    return Outcome.VERIFIED, made


REFUSED_AS = {"already_verified": Outcome.KNOWN, "revoked": Outcome.REVOKED}


# --- refunds ---------------------------------------------------------------------------


@transaction.atomic
def note_refund(refund: Refund, *, clock: Clock = timezone.now) -> bool:
    """Record that an order with a code of ours was paid back; whether there is one.

    Nothing is taken back by itself: whether the use counts again, Paddle does not say.
    """
    if not refund.order:
        return False
    _queue_up(refund.connection_id)
    key = f"{OF_ORDER}{refund.order}"
    use = Use.objects.filter(connection_id=refund.connection_id, key=key).first()
    if use is None:
        return False
    _mark_refunded(use, refund, clock())
    return True


def _note_earlier_refunds(use: Use) -> None:
    """A refund that came before its sale found no use to be recorded with."""
    if not use.key.startswith(OF_ORDER):
        return
    order = use.key.removeprefix(OF_ORDER)
    early = InboundEvent.objects.filter(
        connection_id=use.connection_id,
        kind__in=REFUNDS,
        processed_at__isnull=False,
        payload__order_id=order,
    )
    for event in early.order_by("pk"):
        _mark_refunded(use, refund_in(event), use.seen_at)


def _mark_refunded(use: Use, refund: Refund, at: datetime) -> None:
    Use.objects.filter(pk=use.pk, refunded_at=None).update(
        refunded_at=refund.happened_at
    )
    Step.objects.create(
        connection_id=use.connection_id,
        publication_id=use.coupon.publication_id if use.coupon else None,
        coupon_id=use.coupon_id,
        kind=Step.Kind.REFUNDED,
        facts={"order": refund.order, "is_whole": refund.is_whole},
        at=at,
    )
