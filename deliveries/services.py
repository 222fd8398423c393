"""What people ask of deliveries: count, start, pause, resume, cancel, test."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, models, transaction
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign, TotalLimit
from connections.models import Connection
from contacts.models import Contact, ContactList, Membership
from coupons.errors import CouponError
from coupons.models import Coupon, Tally
from coupons.moments import local
from coupons.services import check_may_send
from deliveries import tasks
from deliveries.errors import DeliveryError
from deliveries.messages import link_base, native_template, template_for
from deliveries.models import Delivery
from deliveries.native import NativeCoupon
from deliveries.preparing import Audience, Reason
from serials.services import ready_batches
from serials.waking import nudge

Clock = Callable[[], datetime]
State = Delivery.State

PIECE = 5_000  # contacts looked at at once
MOST_LOOKED_AT = 1_000_000  # coupons out of one status
# Names of deliveries that carry one given coupon: the coupon's id makes the nonce.
COUPON_SENDS = UUID("0b0e1f5e-7a35-4c5a-9b0c-3f5d2f8e6c41")


# --- before sending -----------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many contacts get a message, and why the others do not."""

    recipients: int
    left_out: Counter[Reason]
    holding: int = 0  # of the recipients, those with a coupon not redeemed yet

    @property
    def seconds(self) -> float:
        """How long sending takes at settings.SEND_RATE, LINE's answers aside."""
        return float(self.recipients / settings.SEND_RATE)


def count_audience(
    campaign: Campaign,
    connection: Connection,
    *,
    contact_list: ContactList | None = None,
    contact: Contact | None = None,
    is_native: bool = False,
) -> Count:
    """Who would get a message now, by the same rules that freeze the audience."""
    audience = Audience(campaign, connection.pk, is_native)
    recipients = holding = 0
    left_out: Counter[Reason] = Counter()
    for contacts in _pieces(contact_list, contact):
        chosen, reasons = audience.split(contacts)
        holding += 0 if is_native else _holding(campaign, chosen)
        recipients += len(chosen)
        left_out.update(reasons)
    return Count(recipients, left_out, holding)


def _holding(campaign: Campaign, contacts: list[Contact]) -> int:
    """How many of them have a coupon of the campaign that they may still redeem."""
    coupons = Coupon.objects.filter(
        campaign=campaign,
        contact__in=contacts,
        status__in=Coupon.BEFORE_REDEEM,
        ends_at__gt=timezone.now(),
    )
    return coupons.values("contact").distinct().count()


def _pieces(
    contact_list: ContactList | None, contact: Contact | None
) -> Iterator[list[Contact]]:
    if contact_list is None:
        yield [contact] if contact else []
        return
    last = 0
    while True:
        members = Membership.objects.filter(
            contact_list=contact_list, contact_id__gt=last
        )
        ordered = members.select_related("contact").order_by("contact_id")
        contacts = [member.contact for member in ordered[:PIECE]]
        if not contacts:
            return
        yield contacts
        last = contacts[-1].pk


@dataclass(frozen=True)
class Supply:
    """What a campaign can still give, and the coupons out that may still take of it."""

    stock: int | None  # free serials; None: as many as are asked for
    limit_left: int | None  # what the limit in total still allows; None: no limit
    out: int  # not redeemed, not expired, not revoked
    has_serials: bool
    is_out_exact: bool = True  # else so many at most

    @property
    def free(self) -> int | None:
        """How many can still redeem, whatever ends it; None: no end."""
        ends = [end for end in (self.stock, self.limit_left) if end is not None]
        return min(ends, default=None)

    @property
    def is_limit_first(self) -> bool:
        """Whether the limit in total ends it before the serials do."""
        left = self.limit_left
        return left is not None and (self.stock is None or left < self.stock)

    def is_short_for(self, recipients: int) -> bool:
        """Whether it runs out if all of them and everybody before redeem."""
        return self.lacking(recipients) > 0

    def lacking(self, recipients: int = 0) -> int:
        """How many of them and of everybody before would get none."""
        if self.free is None:
            return 0
        return max(recipients + self.out - self.free, 0)


def supply_of(
    campaign: Campaign,
    *,
    look_at: int = MOST_LOOKED_AT,
    clock: Clock = timezone.now,
) -> Supply:
    """Sums of tallies and stock rows, and a look at the coupons out, the newest first.

    Coupons out beyond `look_at` of a status count as not expired.
    """
    batches = ready_batches(campaign.pk)
    one_time = [batch for batch in batches if not batch.is_fixed]
    fixed = [batch for batch in batches if batch.is_fixed]
    sums = Tally.objects.filter(campaign=campaign).aggregate(
        given=Sum("issued", default=0),
        used=Sum("redeemed", default=0),
        # Those revoked after redeeming have a batch and are among the used.
        withdrawn=Sum("revoked", filter=Q(batch=None), default=0),
        taken=Sum("redeemed", filter=Q(batch__in=one_time), default=0),
    )
    stock = None
    if all(hasattr(batch, "stock") for batch in fixed):
        stock = sum(batch.stock.quantity - batch.stock.taken for batch in fixed)
        stock += sum(batch.total - batch.voided for batch in one_time) - sums["taken"]
    limit = TotalLimit.objects.filter(campaign=campaign).first()
    given = max(sums["given"] - sums["used"] - sums["withdrawn"], 0)
    out, is_exact = _still_out(campaign, given, look_at, clock())
    return Supply(
        stock,
        max(limit.quota - limit.used, 0) if limit else None,
        out,
        bool(batches),
        is_exact,
    )


def _still_out(
    campaign: Campaign, given: int, look_at: int, at: datetime
) -> tuple[int, bool]:
    """How many of the coupons that nobody redeemed can be, and whether that is exact.

    Of each status as many as `look_at`, by their index; of `given`, which tallies know,
    the rest is taken to be still out.
    """
    if not given:
        return 0, True
    looked_at = alive = 0
    is_exact = True
    for status in Coupon.BEFORE_REDEEM:
        rows = Coupon.objects.filter(campaign=campaign, status=status)
        newest = rows.order_by("-pk").values("pk", "ends_at")[:look_at]
        found = newest.aggregate(
            all=models.Count("pk"), alive=models.Count("pk", filter=Q(ends_at__gt=at))
        )
        looked_at += found["all"]
        alive += found["alive"]
        is_exact = is_exact and found["all"] < look_at
    return (alive, True) if is_exact else (alive + max(given - looked_at, 0), False)


def check_may_start(
    campaign: Campaign, connection: Connection, *, send_at: datetime
) -> None:
    """Refuse what could not be sent at `send_at`.

    Raises DeliveryError: campaign_draft, campaign_paused, campaign_ended, too_early,
    too_late, not_line, connection_paused.
    """
    _check_campaign(campaign, send_at)
    if connection.provider != Connection.Provider.LINE:
        raise DeliveryError("not_line", _("Choose a LINE account."))
    if connection.state == Connection.State.PAUSED:
        raise DeliveryError(
            "connection_paused",
            _("This LINE account is paused: %(why)s Resume it first, on its own page.")
            % {"why": connection.pause_reason},
        )


def _check_campaign(campaign: Campaign, send_at: datetime) -> None:
    if campaign.state == Campaign.State.DRAFT:
        raise DeliveryError(
            "campaign_draft", _("This campaign is a draft. Activate it first.")
        )
    try:
        check_may_send(campaign, at=send_at)
    except CouponError as error:
        raise _in_words(campaign, error, send_at) from None


def _in_words(
    campaign: Campaign, error: CouponError, send_at: datetime
) -> DeliveryError:
    if error.code == "campaign_paused":
        return DeliveryError(
            "campaign_paused", _("This campaign is paused. Resume it first.")
        )
    if error.code == "not_started":
        return DeliveryError(
            "too_early",
            _("The campaign's sending period begins on %(when)s. Choose a later time.")
            % {"when": local(campaign, campaign.send_starts_at or send_at)},
        )
    if campaign.state == Campaign.State.ENDED:
        return DeliveryError(
            "campaign_ended", _("This campaign has ended: nothing can be sent.")
        )
    ends_at = min(campaign.send_ends_at or campaign.use_ends_at, campaign.use_ends_at)
    return DeliveryError(
        "too_late",
        _(
            "The campaign's sending period ends on %(when)s. Choose an earlier time, or "
            "change the campaign's dates."
        )
        % {"when": local(campaign, ends_at, is_end=True)},
    )


# --- sending --------------------------------------------------------------------------


def start_delivery(
    campaign: Campaign,
    connection: Connection,
    *,
    nonce: UUID,
    by: User,
    contact_list: ContactList | None = None,
    contact: Contact | None = None,
    coupon: Coupon | None = None,
    kind: str = Delivery.Kind.CARD,
    text: str = "",
    send_at: datetime | None = None,
    is_short_ok: bool = True,
    clock: Clock = timezone.now,
) -> Delivery:
    """Send a campaign to a list or to one contact; the same nonce is the same delivery.

    The message is fixed here, who gets it a moment later by a worker. Without
    `send_at` at once. With `coupon`, the contact's own, that one goes out in place of
    a new one: ask send_coupon for that. Raises DeliveryError: those of
    `check_may_start`, bad_message, nobody when not one contact could get it, and,
    unless `is_short_ok`, short when the serials or the limit may not be enough.
    """
    earlier = Delivery.objects.filter(nonce=nonce).first()
    if earlier is not None:
        return earlier
    now = clock()
    send_at = max(send_at or now, now)
    check_may_start(campaign, connection, send_at=send_at)
    delivery = Delivery(
        campaign=campaign,
        connection=connection,
        contact_list=contact_list,
        contact=contact,
        coupon=coupon,
        kind=kind,
        text=text,
        send_at=send_at,
        nonce=nonce,
        created_by=by,
        template=template_for(campaign, kind, text),
        link_base=link_base(),
    )
    _check_somebody(delivery)
    if not is_short_ok:
        _check_supply(delivery)
    return _create(delivery)


def start_native(
    campaign: Campaign,
    connection: Connection,
    coupon: NativeCoupon,
    *,
    nonce: UUID,
    by: User,
    contact_list: ContactList | None = None,
    contact: Contact | None = None,
    tag: str = "",
    send_at: datetime | None = None,
    clock: Clock = timezone.now,
) -> Delivery:
    """Send LINE's own coupon to a list or to one contact; the same nonce is the same.

    Whether it is still there is for the caller to know. It takes no serial and makes no
    coupon of ours. Raises DeliveryError: those of `check_native`, bad_tag, and nobody.
    """
    earlier = Delivery.objects.filter(nonce=nonce).first()
    if earlier is not None:
        return earlier
    now = clock()
    send_at = max(send_at or now, now)
    check_native(campaign, connection, coupon, send_at=send_at)
    delivery = Delivery(
        campaign=campaign,
        connection=connection,
        contact_list=contact_list,
        contact=contact,
        kind=Delivery.Kind.NATIVE,
        native_coupon_id=coupon.coupon_id,
        native_title=coupon.title,
        native_starts_at=coupon.starts_at,
        native_ends_at=coupon.ends_at,
        delivery_tag=tag,
        send_at=send_at,
        nonce=nonce,
        created_by=by,
        template=native_template(coupon.coupon_id, tag=tag),
    )
    _check_somebody(delivery)
    return _create(delivery)


def check_native(
    campaign: Campaign,
    connection: Connection,
    coupon: NativeCoupon,
    *,
    send_at: datetime,
) -> None:
    """Refuse LINE's own coupon where it could not be used when it arrives.

    LINE does not say what becomes of such a message, so it is not left to LINE. Raises
    DeliveryError: those of `check_may_start`, too_early and too_late.
    """
    check_may_start(campaign, connection, send_at=send_at)
    if coupon.starts_at and send_at < coupon.starts_at:
        raise DeliveryError(
            "too_early",
            _("The coupon on LINE begins on %(when)s. Choose that time or a later one.")
            % {"when": local(campaign, coupon.starts_at)},
        )
    if coupon.ends_at and send_at >= coupon.ends_at:
        raise DeliveryError(
            "too_late",
            _("The coupon on LINE ends on %(when)s. Choose an earlier time.")
            % {"when": local(campaign, coupon.ends_at, is_end=True)},
        )


def _check_somebody(delivery: Delivery) -> None:
    """Refuse a delivery that nobody would get; a list's first reachable contact does."""
    audience = Audience(delivery.campaign, delivery.connection_id, delivery.is_native)
    for contacts in _pieces(delivery.contact_list, delivery.contact):
        if audience.split(contacts)[0]:
            return
    raise DeliveryError(
        "nobody",
        _(
            "Nobody would get this: no contact can be reached through this LINE "
            "account and still redeem. Choose another list or account."
        ),
    )


def _check_supply(delivery: Delivery) -> None:
    supply = supply_of(delivery.campaign)
    if supply.free is None:  # spares a long list its second count
        return
    count = count_audience(
        delivery.campaign,
        delivery.connection,
        contact_list=delivery.contact_list,
        contact=delivery.contact,
    )
    if supply.is_short_for(count.recipients):
        raise DeliveryError(
            "short",
            _(
                "The limit in total may be reached before all can redeem. Tick this to "
                "send anyway, or raise the limit."
            )
            if supply.is_limit_first
            else _(
                "The serials may run short. Tick this to send anyway, or add serials."
            ),
        )


def _create(delivery: Delivery) -> Delivery:
    try:
        with transaction.atomic():
            delivery.save(force_insert=True)
            _wake(delivery.pk)
    except IntegrityError:  # the same press arrived twice at the same moment
        return Delivery.objects.get(nonce=delivery.nonce)
    return delivery


def _wake(delivery_id: int) -> None:
    transaction.on_commit(lambda: nudge(tasks.prepare, delivery_id), robust=True)


def send_test(
    campaign: Campaign,
    contact: Contact,
    *,
    by: User,
    kind: str = Delivery.Kind.CARD,
    text: str = "",
    clock: Clock = timezone.now,
) -> Delivery:
    """Send the campaign to one contact, with a real coupon, through its own account.

    Raises DeliveryError as start_delivery does, and no_account.
    """
    if contact.connection is None:
        raise no_account()
    return start_delivery(
        campaign,
        contact.connection,
        contact=contact,
        nonce=uuid4(),
        by=by,
        kind=kind,
        text=text,
        clock=clock,
    )


def send_coupon(coupon: Coupon, *, by: User, clock: Clock = timezone.now) -> Delivery:
    """Send exactly this coupon to its own contact; a second call is the same delivery.

    For one that was issued without a message. Raises DeliveryError as start_delivery
    does, and no_account, and not_waiting when it has gone out or is withdrawn.
    """
    nonce = uuid5(COUPON_SENDS, str(coupon.pk))
    earlier = Delivery.objects.filter(nonce=nonce).first()
    if earlier is not None:
        return earlier
    contact = coupon.contact
    if contact is None or contact.connection is None:
        raise no_account()
    if coupon.status != Coupon.Status.ISSUED or hasattr(coupon, "recipient"):
        raise DeliveryError(
            "not_waiting",
            _(
                "This coupon has gone out already, or was withdrawn. Look at its record."
            ),
        )
    return start_delivery(
        coupon.campaign,
        contact.connection,
        contact=contact,
        coupon=coupon,
        nonce=nonce,
        by=by,
        clock=clock,
    )


def no_account() -> DeliveryError:
    return DeliveryError(
        "no_account", _("This contact has no LINE account. Choose another one.")
    )


# --- while it runs ---------------------------------------------------------------------


def pause(delivery_id: int, *, by: User) -> None:
    """Stop sending until somebody resumes; what LINE is being told now still goes out.

    Raises DeliveryError wrong_state.
    """
    words = _("Paused by %(name)s.") % {"name": by.get_username()}
    _move(delivery_id, (State.PREPARING, State.READY), State.PAUSED, words)


@transaction.atomic
def resume(delivery_id: int, *, by: User) -> None:
    """Go on where it stopped. Raises DeliveryError wrong_state."""
    delivery = Delivery.objects.select_for_update().get(pk=delivery_id)
    to = State.READY if delivery.prepared_at else State.PREPARING
    _move(delivery_id, (State.PAUSED,), to, "")
    if to == State.PREPARING:
        _wake(delivery_id)
    else:
        transaction.on_commit(lambda: nudge(tasks.send_due), robust=True)


@transaction.atomic
def cancel(delivery_id: int, *, by: User) -> None:
    """Send no more of it; what went out stays sent. Raises DeliveryError wrong_state."""
    words = _("Cancelled by %(name)s.") % {"name": by.get_username()}
    _move(delivery_id, Delivery.OPEN, State.CANCELLED, words)
    _clear(delivery_id)


@transaction.atomic
def cancel_native(
    coupon_id: str, *, reason: str, connection_id: int | None = None
) -> int:
    """Send no more of LINE's own coupon, which is closed; how many deliveries stop.

    With `connection_id` through that account alone. Of those under way, what waits is cancelled with `reason`; what went out stays sent.
    Asked for in the transaction that closes the coupon, after its row is locked, it
    leaves no delivery behind.
    """
    stopped = 0
    waiting = Delivery.objects.filter(
        native_coupon_id=coupon_id, state__in=Delivery.OPEN
    )
    if connection_id is not None:
        waiting = waiting.filter(connection=connection_id)
    for delivery_id in list(waiting.order_by("pk").values_list("pk", flat=True)):
        stopped += Delivery(pk=delivery_id).move(
            Delivery.OPEN,
            State.CANCELLED,
            pause_reason=reason[:300],
            leased_until=None,
        )
        _clear(delivery_id)
    return stopped


def _clear(delivery_id: int) -> None:
    transaction.on_commit(lambda: nudge(tasks.clear, delivery_id), robust=True)


def _move(
    delivery_id: int, was: tuple[Delivery.State, ...], to: Delivery.State, words: str
) -> None:
    moved = Delivery(pk=delivery_id).move(
        was, to, pause_reason=words, leased_until=None
    )
    if not moved:
        raise DeliveryError(
            "wrong_state",
            _("This delivery is in another state by now. Look at it again."),
        )
