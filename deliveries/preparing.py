"""Preparing a delivery: its audience becomes coupons, dispatches and recipients."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from contacts.models import Contact, Membership
from coupons.models import ContactUse, Coupon
from coupons.retrying import retrying
from coupons.services import Source, issue
from deliveries.messages import body_for, hash_of
from deliveries.models import Delivery, Dispatch, Recipient, retry_key
from deliveries.refusing import ENDS, end_words, refusal

Clock = Callable[[], datetime]
State = Delivery.State

PIECE = 1_000  # contacts of one transaction


class Reason(StrEnum):
    """Why a contact of a list gets no message."""

    BLOCKED = "blocked"
    NO_LINE_ID = "no_line_id"
    OTHER_ACCOUNT = "other_account"
    AT_LIMIT = "at_limit"


@dataclass(frozen=True)
class Audience:
    """The contacts that one campaign may reach through one account."""

    campaign: Campaign
    connection_id: int
    # LINE's own coupon is none of ours: the limit per contact does not count it.
    is_native: bool = False

    def reason_against(self, contact: Contact, used: int) -> Reason | None:
        """Why the contact is left out, or None; `used` counts its redemptions."""
        if not contact.line_user_id:
            return Reason.NO_LINE_ID
        if contact.connection_id != self.connection_id:
            return Reason.OTHER_ACCOUNT
        if not contact.is_reachable:
            return Reason.BLOCKED
        limit = 0 if self.is_native else self.campaign.limit_per_contact
        return Reason.AT_LIMIT if limit and used >= limit else None

    def split(self, contacts: Sequence[Contact]) -> tuple[list[Contact], list[Reason]]:
        """Who gets a message, and why each of the others does not."""
        uses = ContactUse.objects.filter(campaign=self.campaign, contact__in=contacts)
        used = dict(uses.values_list("contact_id", "used"))
        reasons = {
            contact.pk: self.reason_against(contact, used.get(contact.pk, 0))
            for contact in contacts
        }
        chosen = [contact for contact in contacts if reasons[contact.pk] is None]
        return chosen, [reason for reason in reasons.values() if reason]


def preparable(now: datetime) -> list[int]:
    """Deliveries that nobody prepares at the moment and whose campaign may send."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    waiting = Delivery.objects.filter(free, state=State.PREPARING)
    return [
        delivery.pk
        for delivery in waiting.select_related("campaign")
        if refusal(delivery, now) != "not_started"
    ]


def prepare(
    delivery_id: int,
    *,
    seconds: float = 40,
    piece: int = PIECE,
    clock: Clock = timezone.now,
) -> bool:
    """Freeze the delivery's audience, piece by piece; True when more is to do.

    Works for `seconds` at most. Each piece of contacts is one transaction with its
    checkpoint, so a worker that dies, or a second one, neither loses nor doubles
    anybody. Nothing goes out before all of it is ready.
    """
    lease = _take_lease(delivery_id, clock())
    ends = time.monotonic() + seconds
    while lease is not None and time.monotonic() < ends:
        lease = _prepare_piece(delivery_id, lease, piece, clock)
    if lease is None:
        return False
    _mine(delivery_id, lease).update(leased_until=None)
    return True


def _take_lease(delivery_id: int, now: datetime) -> datetime | None:
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    rows = Delivery.objects.filter(free, pk=delivery_id, state=State.PREPARING)
    lease = now + settings.SEND_LEASE
    return lease if rows.update(leased_until=lease) else None


def _mine(delivery_id: int, lease: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        pk=delivery_id, state=State.PREPARING, leased_until=lease
    )


@retrying
@transaction.atomic
def _prepare_piece(
    delivery_id: int, lease: datetime, piece: int, clock: Clock
) -> datetime | None:
    """One piece; the renewed lease, or None when there is nothing more to do here."""
    held = _mine(delivery_id, lease).select_for_update().first()
    if held is None:
        return None
    delivery = Delivery.objects.select_related("campaign", "created_by").get(pk=held.pk)
    now = clock()
    if _stop(delivery, now) or _stop_unusable(delivery, now):
        return None
    contacts = _next_contacts(delivery, piece)
    recipients, left_out = _audience_of(delivery).split(contacts)
    _write(delivery, recipients, clock)
    is_last = len(contacts) < piece
    _keep_checkpoint(delivery, lease, contacts, len(recipients), len(left_out), now)
    if is_last:
        _finish(delivery_id, now)
    return None if is_last else now + settings.SEND_LEASE


def _audience_of(delivery: Delivery) -> Audience:
    return Audience(delivery.campaign, delivery.connection_id, delivery.is_native)


def _next_contacts(delivery: Delivery, piece: int) -> list[Contact]:
    if delivery.contact_list_id is None:
        return list(
            Contact.objects.filter(
                pk__gt=delivery.frozen_to, pk=delivery.contact_id or 0
            )
        )
    # By the members' own index: a small list among millions of contacts stays cheap.
    members = Membership.objects.filter(
        contact_list_id=delivery.contact_list_id, contact_id__gt=delivery.frozen_to
    )
    ordered = members.select_related("contact").order_by("contact_id")
    return [member.contact for member in ordered[:piece]]


def _write(delivery: Delivery, recipients: list[Contact], clock: Clock) -> None:
    if not recipients:
        return
    coupons = _coupons_for(delivery, recipients, clock)
    pairs = list(zip(recipients, coupons, strict=True))
    dispatches = Dispatch.objects.bulk_create(
        _dispatch(delivery, number, contact, coupon)
        for number, (contact, coupon) in enumerate(pairs, start=delivery.total + 1)
    )
    Recipient.objects.bulk_create(
        Recipient(delivery=delivery, contact=contact, coupon=coupon, dispatch=dispatch)
        for (contact, coupon), dispatch in zip(pairs, dispatches, strict=True)
    )


def _coupons_for(
    delivery: Delivery, recipients: list[Contact], clock: Clock
) -> Sequence[Coupon | None]:
    """New ones, or the one that the delivery was made for; None for LINE's own."""
    if delivery.is_native:
        return [None] * len(recipients)
    if delivery.coupon is not None:
        return [delivery.coupon]
    source = Source("push", delivery.created_by)
    return issue(delivery.campaign, recipients, source=source, clock=clock)


def _dispatch(
    delivery: Delivery, number: int, contact: Contact, coupon: Coupon | None
) -> Dispatch:
    body = body_for(delivery, contact, token=coupon.token if coupon else "")
    return Dispatch(
        delivery=delivery,
        number=number,
        retry_key=retry_key(delivery.connection_id, delivery.nonce, number),
        body_hash=hash_of(body),
        next_try_at=delivery.send_at,
    )


def _keep_checkpoint(
    delivery: Delivery,
    lease: datetime,
    contacts: list[Contact],
    recipients: int,
    left_out: int,
    now: datetime,
) -> None:
    moved = _mine(delivery.pk, lease).filter(frozen_to=delivery.frozen_to)
    changed = moved.update(
        frozen_to=contacts[-1].pk if contacts else delivery.frozen_to,
        total=F("total") + recipients,
        left_out=F("left_out") + left_out,
        leased_until=now + settings.SEND_LEASE,
    )
    if changed != 1:
        raise RuntimeError("Another worker has prepared the same contacts.")


def _finish(delivery_id: int, now: datetime) -> None:
    delivery = Delivery.objects.get(pk=delivery_id)
    is_empty = delivery.total == 0
    if is_empty and delivery.coupon_id is not None:
        words = _("The contact can't be reached any more, so the coupon was not sent.")
        _leave(delivery, State.CANCELLED, words)
        return
    delivery.move(
        (State.PREPARING,),
        State.DONE if is_empty else State.READY,
        prepared_at=now,
        done_at=now if is_empty else None,
        leased_until=None,
    )


def _stop(delivery: Delivery, now: datetime) -> bool:
    """Whether the campaign, or LINE's coupon, forbids to go on; the delivery says so."""
    code = refusal(delivery, now)
    if code == "campaign_paused":
        words = _("The campaign was paused while this was being prepared.")
        _leave(delivery, State.PAUSED, words)
    elif code in ENDS:
        _leave(delivery, State.CANCELLED, end_words(code))
    elif code == "not_started":
        Delivery.objects.filter(pk=delivery.pk).update(leased_until=None)
    return bool(code)


def _stop_unusable(delivery: Delivery, now: datetime) -> bool:
    """Whether the coupon to be sent is of no use any more; the delivery then says why.

    What is revoked after this is found by the look before each request to LINE.
    """
    coupon = delivery.coupon
    if coupon is None:
        return False
    if coupon.status == Coupon.Status.REVOKED:
        words = _("The coupon was withdrawn while this was being prepared.")
    elif coupon.is_expired(now):
        words = _("The coupon ended before it could be sent.")
    else:
        return False
    _leave(delivery, State.CANCELLED, words)
    return True


def _leave(delivery: Delivery, state: Delivery.State, words: str) -> None:
    delivery.move((State.PREPARING,), state, pause_reason=words, leased_until=None)
