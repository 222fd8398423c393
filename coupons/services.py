"""What people ask of a coupon: issue, open, redeem, verify, undo, revoke."""

import contextlib
import hashlib
import hmac
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from contacts.models import Contact
from coupons.ends import end_of_new
from coupons.errors import CouponError
from coupons.finding import find_scanned
from coupons.limiting import (
    counting_sql,
    give_back_to_total,
    take_of_contact,
    take_of_total,
)
from coupons.models import (
    TALLY_SLOTS,
    Attempt,
    ContactUse,
    Coupon,
    Event,
    Tally,
    Verification,
)
from coupons.passwords import judge, keeper_of
from coupons.retrying import retrying
from serials.errors import OutOfStock
from serials.models import Batch
from serials.rows import built, columns_of, planned_once
from serials.services import ready_batches, take_serial, take_unit
from stores.models import Store
from stores.naming import name_of

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]
Status = Coupon.Status

UNDO_BY_STAFF = timedelta(minutes=10)


@dataclass(frozen=True)
class Source:
    """Where a change comes from: how, by whom, in which request."""

    way: str  # push, page, scan, staff, api
    actor: User | None = None
    request_id: str = ""


# --- issuing and sending ---------------------------------------------------------


@transaction.atomic
def issue(
    campaign: Campaign,
    contacts: Sequence[Contact | None],
    *,
    source: Source,
    clock: Clock = timezone.now,
) -> list[Coupon]:
    """Give each of the contacts a coupon of the campaign, in their order.

    Takes no stock: that happens at redeem. Raises CouponError: campaign_paused,
    campaign_ended, not_started.
    """
    at = clock()
    check_may_send(campaign, at=at)
    ends_at = end_of_new(campaign.pk)
    new = [
        Coupon(campaign=campaign, contact=contact, issued_at=at, ends_at=ends_at)
        for contact in contacts
    ]
    return _issue(new, at=at, source=source)


def _issue(new: Sequence[Coupon], *, at: datetime, source: Source) -> list[Coupon]:
    """Store new coupons of one campaign, with their events and numbers."""
    coupons = Coupon.objects.bulk_create(new)
    record(Event.Kind.ISSUED, coupons, at=at, source=source)
    if coupons:
        count_steps(coupons[0].campaign_id, None, issued=len(coupons))
    return coupons


@retrying
@transaction.atomic
def reissue(
    coupon_id: int,
    *,
    source: Source,
    is_handed_over: bool = False,
    clock: Clock = timezone.now,
) -> Coupon:
    """Give the holder of a revoked coupon another one of the campaign, once.

    With `is_handed_over` somebody passes its link on at once: it counts as sent.
    Raises CouponError: invalid, conflict (not revoked, or replaced already),
    campaign_paused, campaign_ended, not_started.
    """
    revoked = _lock(pk=coupon_id)
    if revoked is None:
        raise CouponError("invalid")
    at = clock()
    if revoked.status != Status.REVOKED or revoked.replacements.exists():
        raise CouponError("conflict")
    check_may_send(revoked.campaign, at=at)
    new = Coupon(
        campaign=revoked.campaign,
        contact=revoked.contact,
        issued_at=at,
        ends_at=end_of_new(revoked.campaign_id),
        replaces=revoked,
    )
    [coupon] = _issue([new], at=at, source=source)
    if is_handed_over:
        mark_sent({coupon.pk: at}, source=source)
        coupon.refresh_from_db()
    return coupon


def check_may_send(campaign: Campaign, *, at: datetime) -> None:
    """Refuse to hand out coupons of a campaign that does not send at `at`."""
    check_is_running(campaign)
    if campaign.send_starts_at and at < campaign.send_starts_at:
        raise CouponError("not_started", starts_at=campaign.send_starts_at)
    if not campaign.may_send_at(at):
        raise CouponError("campaign_ended", ended_at=campaign.send_ends_at)


def check_is_running(campaign: Campaign) -> None:
    if campaign.state == Campaign.State.PAUSED:
        raise CouponError("campaign_paused")
    if campaign.state == Campaign.State.ENDED:
        raise CouponError("campaign_ended")
    if campaign.state == Campaign.State.DRAFT:
        raise CouponError("not_started")


@transaction.atomic
def mark_sent(sent: Mapping[int, datetime], *, source: Source) -> None:
    """Note when each coupon (by id) went out.

    `sent_at` is a fact: it is filled at any status, and moves only `issued` on. A
    clock that runs from sending starts with it, and can only bring the end nearer.
    """
    locked = Coupon.objects.select_for_update().filter(pk__in=sent, sent_at=None)
    coupons = list(locked.order_by("pk"))
    campaigns = Campaign.objects.in_bulk({coupon.campaign_id for coupon in coupons})
    alike: dict[tuple[datetime, datetime], list[int]] = {}
    for coupon in coupons:
        coupon.campaign = campaigns[coupon.campaign_id]
        ends_at = end_after(coupon, Campaign.Expiry.FROM_SENDING, sent[coupon.pk])
        alike.setdefault((sent[coupon.pk], ends_at), []).append(coupon.pk)
    # Those of one block went out at one time: one statement for all of them.
    for (sent_at, ends_at), ids in alike.items():
        unsent = Coupon.objects.filter(pk__in=ids, sent_at=None)
        unsent.update(sent_at=sent_at, ends_at=ends_at)
    Coupon.objects.filter(
        pk__in=[coupon.pk for coupon in coupons], status=Status.ISSUED
    ).update(status=Status.SENT)
    by_campaign: dict[int, int] = {}
    for coupon in coupons:
        by_campaign[coupon.campaign_id] = by_campaign.get(coupon.campaign_id, 0) + 1
    Event.objects.bulk_create(
        event_of(Event.Kind.SENT, coupon, at=sent[coupon.pk], source=source)
        for coupon in coupons
    )
    for campaign_id, count in by_campaign.items():
        count_steps(campaign_id, None, sent=count)


def end_after(coupon: Coupon, clock: Campaign.Expiry, started_at: datetime) -> datetime:
    """The coupon's end once `clock` started: never later than it was."""
    campaign = coupon.campaign
    if campaign.expiry != clock:
        return coupon.ends_at
    return min(coupon.ends_at, started_at + campaign.interval)


# --- the customer's side -----------------------------------------------------------


@retrying
def open_coupon(
    token: str, *, source: Source, clock: Clock = timezone.now
) -> Coupon | None:
    """Note that the coupon's page was seen in a browser; the first time counts.

    None for an unknown token. Revoked coupons stay as they are.
    """
    with transaction.atomic():
        coupon = _lock(token=token)
        if coupon is None or coupon.status not in (Status.ISSUED, Status.SENT):
            return coupon
        at = clock()
        coupon.open(at=at)
        _record_opened(coupon, at=at, source=source)
        return coupon


def _record_opened(coupon: Coupon, *, at: datetime, source: Source) -> None:
    record(Event.Kind.OPENED, [coupon], at=at, source=source)
    count_steps(coupon.campaign_id, None, opened=1)


def redeem(token: str, *, source: Source, clock: Clock = timezone.now) -> Coupon:
    """Redeem a coupon: its customer gets the serial, once and for good.

    A second press, or the repeat of a lost answer, returns the same coupon with the
    same serial. Raises CouponError: invalid, not_started, expired, revoked,
    campaign_paused, campaign_ended, limit_reached, out_of_stock, conflict (the schema
    forbade it); each is kept as an Attempt.
    """
    try:
        return _redeem(token, source=source, clock=clock)
    except CouponError as error:
        coupon = Coupon.objects.filter(token=token).first()
        if coupon is not None:
            Attempt.objects.create(
                action=Attempt.Action.REDEEM,
                reason=error.code,
                coupon=coupon,
                staff=source.actor,
                at=clock(),
                request_id=source.request_id,
            )
        raise


@retrying
@transaction.atomic
def _redeem(token: str, *, source: Source, clock: Clock) -> Coupon:
    """One try; any refusal rolls all of it back.

    The order of locks: coupon, contact, serial, then the rows that everybody wants,
    stock and limit, last before the commit.
    """
    coupon = _lock_counting("token", token)
    if coupon is None:
        raise CouponError("invalid")
    if coupon.status in (Status.REDEEMED, Status.VERIFIED):
        return coupon
    batches = ready_batches(coupon.campaign_id)
    if batches:  # the campaign came with them, read after the lock
        coupon.campaign = batches[0].campaign
    at = clock()
    check_may_redeem(coupon, at=at)
    if not take_of_contact(coupon):
        raise CouponError("limit_reached")
    try:
        taken = take_serial(batches, at=at)
    except OutOfStock:
        raise CouponError("out_of_stock") from None
    was_opened = coupon.opened_at is not None
    with backstop("conflict"):
        coupon.redeem(
            batch=taken.batch,
            serial=taken.serial,
            ends_at=end_after(coupon, Campaign.Expiry.FROM_REDEMPTION, at),
            at=at,
        )
    events = [Event.Kind.REDEEMED] if was_opened else list(FIRST_TWO)
    store_events([event_of(kind, coupon, at=at, source=source) for kind in events])
    count_steps(
        coupon.campaign_id, taken.batch, redeemed=1, opened=0 if was_opened else 1
    )
    if taken.is_counted:
        take_unit(taken.batch)
    if hasattr(coupon.campaign, "total_limit") and not take_of_total(
        coupon.campaign_id
    ):
        raise CouponError("limit_reached")
    return coupon


FIRST_TWO = (Event.Kind.OPENED, Event.Kind.REDEEMED)


def check_may_redeem(coupon: Coupon, *, at: datetime) -> None:
    """Refuse what can't be redeemed at `at`, with the reason that helps most."""
    if coupon.status == Status.REVOKED:
        raise CouponError("revoked")
    if at >= coupon.ends_at:
        raise CouponError("expired", ended_at=coupon.ends_at)
    check_is_running(coupon.campaign)
    if at < coupon.campaign.use_starts_at:
        raise CouponError("not_started", starts_at=coupon.campaign.use_starts_at)


# --- the store's side --------------------------------------------------------------


def verify(
    coupon_id: int,
    *,
    store: Store,
    staff: User,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> Verification:
    """Take a redeemed coupon at a store's till, once.

    Raises CouponError: not_needed, revoked, already_verified (facts: the live
    verification), expired, not_redeemed, wrong_store.
    """
    return _verify(
        coupon_id,
        store=store,
        way=Verification.Way.SCAN,
        source=Source("scan", staff, request_id),
        clock=clock,
    )


@retrying
@transaction.atomic
def _verify(
    coupon_id: int, *, store: Store | None, way: str, source: Source, clock: Clock
) -> Verification:
    coupon = _lock(pk=coupon_id)
    if coupon is None:
        raise CouponError("invalid")
    at = clock()
    check_may_verify(coupon, store=store, way=way, at=at)
    return _record_verified(
        coupon, Verification(store=store, way=way, at=at), source=source
    )


def _record_verified(
    coupon: Coupon, verification: Verification, *, source: Source
) -> Verification:
    """Move a locked coupon on, and keep who took it."""
    at, store = verification.at, verification.store
    coupon.verify(at=at)
    verification.coupon, verification.staff = coupon, source.actor
    with backstop("already_verified"):
        verification.save(force_insert=True)
    record(Event.Kind.VERIFIED, [coupon], at=at, source=source, store=store)
    count_steps(coupon.campaign_id, coupon.batch, verified=1)
    return verification


@retrying
@transaction.atomic
def verify_elsewhere(
    coupon_id: int,
    *,
    way: Verification.Way,
    told_at: datetime | None = None,
    clock: Clock = timezone.now,
) -> Verification:
    """Note that a provider has taken a redeemed coupon, once; no store has seen it.

    It is a fact: neither the coupon's end nor a pause of its campaign changes it.
    `told_at` is the provider's time, kept as a till's. Raises CouponError: invalid,
    not_needed, revoked, already_verified (facts: the live verification), not_redeemed.
    """
    coupon = _lock(pk=coupon_id)
    if coupon is None:
        raise CouponError("invalid")
    at = clock()
    check_used_elsewhere(coupon)
    return _record_verified(
        coupon, Verification(way=way, at=at, pos_time=told_at), source=Source(way)
    )


def check_used_elsewhere(coupon: Coupon) -> None:
    """Refuse what a provider's word can't verify, with the reason that helps most."""
    if coupon.status == Status.REVOKED:
        raise CouponError("revoked")
    if coupon.status == Status.VERIFIED:
        raise CouponError("already_verified", verification=live_verification(coupon))
    if coupon.campaign.verifying == Campaign.Verifying.NONE:
        raise CouponError("not_needed")
    if coupon.status != Status.REDEEMED:
        raise CouponError("not_redeemed")


# Their forms are on the customer's page only where the campaign asks for them; a scan does
# for every campaign that asks for verification at all.
ON_PAGE = (Verification.Way.BUTTON, Verification.Way.PASSWORD)


def check_may_verify(
    coupon: Coupon, *, store: Store | None, way: str, at: datetime
) -> None:
    """Refuse what a store can't take at `at`, with the reason that helps most."""
    campaign = coupon.campaign
    if store is not None and not campaign.taken_in(store.pk):
        raise CouponError("wrong_store")
    if campaign.verifying == Campaign.Verifying.NONE:
        raise CouponError("not_needed")
    if way in ON_PAGE and way != campaign.verified_on_page:
        raise CouponError("conflict")
    if coupon.status == Status.REVOKED:
        raise CouponError("revoked")
    if coupon.status == Status.VERIFIED:
        raise CouponError("already_verified", verification=live_verification(coupon))
    if at >= coupon.ends_at:
        raise CouponError("expired", ended_at=coupon.ends_at)
    if coupon.status != Status.REDEEMED:
        raise CouponError("not_redeemed")


def live_verification(coupon: Coupon) -> Verification | None:
    """The verification that holds, with its store and staff."""
    return (
        coupon.verifications.filter(undone_at=None)
        .select_related("store", "staff")
        .first()
    )


@retrying
@transaction.atomic
def undo(
    verification_id: int,
    *,
    by: User,
    reason: str,
    is_manager: bool,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> Coupon:
    """Take a verification back: the coupon is redeemed again, the record stays.

    Whoever verified may for 10 minutes, a manager until the coupon's end; `reason` says
    why. Raises CouponError: conflict (it was undone already), expired, too_late.
    """
    if not reason.strip():
        raise ValueError("A verification is taken back for a reason.")
    found = Verification.objects.get(pk=verification_id)
    coupon = _lock(pk=found.coupon_id)
    if coupon is None:
        raise CouponError("invalid")
    at = clock()
    live = Verification.objects.filter(pk=found.pk, undone_at=None)
    if not live.exists():
        raise CouponError("conflict")
    if at >= coupon.ends_at:
        raise CouponError("expired", ended_at=coupon.ends_at)
    is_own = found.staff_id == by.pk and at < found.at + UNDO_BY_STAFF
    if not (is_manager or is_own):
        raise CouponError("too_late")
    if not live.update(undone_at=at, undone_by=by, undo_reason=reason[:200]):
        raise CouponError("conflict")
    coupon.undo()
    source = Source("staff", by, request_id)
    record(Event.Kind.UNDONE, [coupon], at=at, source=source, reason=reason)
    count_steps(coupon.campaign_id, coupon.batch, verified=-1)
    return coupon


def is_undone_by(verification_id: int, person: User) -> bool:
    """Whether this person took it back, and the coupon has not been taken again since.

    So somebody who presses twice sees that it worked, and an old page says nothing of
    a later verification.
    """
    return Verification.objects.filter(
        pk=verification_id, undone_by=person, coupon__status=Status.REDEEMED
    ).exists()


@retrying
@transaction.atomic
def revoke(
    coupon_id: int, *, source: Source, reason: str, clock: Clock = timezone.now
) -> Coupon:
    """Withdraw a coupon for good; the limits get their unit back, the stock does not.

    `reason` says why. Raises CouponError: revoked, already_verified (undo that first).
    """
    if not reason.strip():
        raise ValueError("A coupon is revoked for a reason.")
    coupon = _lock_counting("id", coupon_id)
    if coupon is None:
        raise CouponError("invalid")
    at = clock()
    was_redeemed = coupon.status == Status.REDEEMED
    coupon.revoke(at=at)
    record(Event.Kind.REVOKED, [coupon], at=at, source=source, reason=reason)
    if was_redeemed:
        uses = ContactUse.objects.filter(campaign_id=coupon.campaign_id, used__gt=0)
        if coupon.contact_id is not None:
            uses.filter(contact_id=coupon.contact_id).update(used=F("used") - 1)
    count_steps(coupon.campaign_id, coupon.batch, revoked=1)
    if was_redeemed:
        give_back_to_total(coupon.campaign_id)
    return coupon


# --- the store's side, on the customer's page ----------------------------------------


@dataclass(frozen=True)
class Press:
    """A press by a store's staff on a coupon's page, as it arrived."""

    token: str
    store_id: int
    way: str
    nonce: UUID  # of the page that was shown: a second arrival is told by it
    source: Source
    clock: Clock = timezone.now
    password: str = field(default="", repr=False)


def verify_on_page(press: Press) -> Verification:
    """Take a redeemed coupon at the store that was chosen on its page, once.

    The same nonce again (a double press, a lost answer) gets the same verification and
    changes nothing. Raises CouponError: invalid, and those of `verify` and
    `passwords.judge`; conflict when the page is not the campaign's way, or the store has
    no password. Each is kept as an Attempt, never with what was typed.
    """
    coupons = Coupon.objects.select_related("campaign")
    coupon = coupons.filter(token=press.token).first()
    if coupon is None:
        raise CouponError("invalid")
    store = Store.objects.filter(pk=press.store_id).first()
    try:
        return _verify_pressed(coupon, store, press)
    except CouponError as error:
        # This very press may have verified before, or while we waited.
        earlier = _made_by(press, coupon)
        if earlier is not None:
            return earlier
        _attempt_of(press, error.code, coupon, store).save()
        raise


def _made_by(press: Press, coupon: Coupon) -> Verification | None:
    """The verification that this very press made, while it holds."""
    answered = Attempt.objects.filter(nonce=_id_of(press, coupon), coupon=coupon)
    live = answered.filter(verification__undone_at=None)
    attempt = live.select_related("verification").first()
    return attempt.verification if attempt else None


def _verify_pressed(coupon: Coupon, store: Store | None, press: Press) -> Verification:
    if store is None or not store.is_active:
        raise CouponError("wrong_store")
    # Before a try is spent; once more behind the lock.
    check_may_verify(coupon, store=store, way=press.way, at=press.clock())
    if press.way == Verification.Way.PASSWORD:
        keeper = keeper_of(coupon.campaign, store)
        if keeper is None:
            raise CouponError("conflict", has_no_password=True)
        judge(coupon, keeper, press.password, clock=press.clock)
    return _verify_and_keep(coupon, store, press)


@retrying
@transaction.atomic
def _verify_and_keep(coupon: Coupon, store: Store, press: Press) -> Verification:
    """Verify, and keep the answer for the press's nonce in the same transaction."""
    verification = _verify(
        coupon.pk, store=store, way=press.way, source=press.source, clock=press.clock
    )
    kept = _attempt_of(press, "ok", coupon, store)
    kept.nonce, kept.verification = _id_of(press, coupon), verification
    # Taken back since: an old page that is sent again does not use it once more.
    if Attempt.objects.filter(nonce=kept.nonce).exists():
        raise CouponError("conflict")
    kept.save()
    return verification


def _id_of(press: Press, coupon: Coupon) -> UUID:
    """A page's nonce counts for its own coupon, whoever sends it."""
    return uuid5(press.nonce, f"press {coupon.pk}")


def _attempt_of(
    press: Press, reason: str, coupon: Coupon, store: Store | None
) -> Attempt:
    return Attempt(
        action=Attempt.Action.VERIFY,
        reason=reason,
        coupon=coupon,
        store=store,
        at=press.clock(),
        request_id=press.source.request_id,
    )


# --- scanning ------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a scan gets: `reason` is `ok` or a CouponError's code."""

    reason: str
    coupon: Coupon | None = None
    verification: Verification | None = None  # ours if ok, the first if already used
    is_repeat: bool = False
    words: str = ""  # in place of the reason's own

    @property
    def is_ok(self) -> bool:
        """Whether it was taken, and not taken back since."""
        return self.reason == "ok" and not self.is_taken_back

    @property
    def is_taken_back(self) -> bool:
        taken = self.verification
        return self.reason == "ok" and taken is not None and taken.undone_at is not None

    @property
    def message(self) -> str:
        if self.is_taken_back:
            return _("This verification was taken back: the coupon can be used again.")
        return self.words or ("" if self.is_ok else CouponError(self.reason).message)

    def shape(self) -> dict[str, Any]:
        """The answer for a program: status, reason, message, coupon, verification.

        `coupon` and `verification` are null when there is none; times are ISO 8601 in
        UTC. The verification, ours or the first use, is for staff's eyes.
        """
        return {
            "status": "ok" if self.is_ok else "refused",
            "reason": "conflict" if self.is_taken_back else self.reason,
            "message": self.message,
            "coupon": _shape_of_coupon(self.coupon) if self.coupon else None,
            "verification": (
                _shape_of_verification(self.verification) if self.verification else None
            ),
        }


def _shape_of_coupon(coupon: Coupon) -> dict[str, Any]:
    times = ("sent_at", "opened_at", "redeemed_at", "verified_at", "ends_at")
    return {
        "number": coupon.shown_number,
        "status": coupon.status,
        "campaign": coupon.campaign.name,
        **{name: _iso(getattr(coupon, name)) for name in times},
    }


def _shape_of_verification(verification: Verification) -> dict[str, Any]:
    store, staff = verification.store, verification.staff
    return {
        "at": _iso(verification.at),
        "store": store.name if store else None,
        "staff": name_of(staff) or None,
        "way": verification.way,
        "undone_at": _iso(verification.undone_at),
    }


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None


def scan(
    text: str,
    *,
    store: Store,
    staff: User,
    nonce: UUID,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> Answer:
    """Look up what was scanned or typed and verify it at the store.

    `text` is a serial, a coupon's number or its link. The same nonce and text again
    (a double press, a retry of a lost answer) gets the same answer and changes
    nothing. Every answer is kept as an Attempt.
    """
    # A nonce counts for one person at one store.
    digests = digests_of(f"{store.pk} {staff.pk} {text}")
    scan = Scan(store, staff, nonce, digests, request_id, clock)
    earlier = _earlier(scan)
    if earlier is not None:
        return earlier
    coupon: Coupon | None = None
    try:
        coupon = find_scanned(text, store=store)
        verification = _verify_scanned(coupon, scan)
    except IntegrityError:
        # Another arrival of this scan was answered meanwhile; ours is taken back.
        earlier = _earlier(scan)
        if earlier is None:
            raise
        return earlier
    except CouponError as error:
        # A second arrival of this very scan may have verified while we waited.
        earlier = _earlier(scan)
        if earlier is not None:
            return earlier
        first = error.facts.get("verification")
        _keep_scan(scan, error.code, coupon, first)
        # What is kept is the answer: a second arrival may have been taken just now.
        kept = _earlier(scan)
        if kept is not None and kept.reason != error.code:
            return kept
        return Answer(error.code, _reread(coupon), first)
    return Answer("ok", _reread(coupon), verification)


@dataclass(frozen=True)
class Scan:
    """One scan at a till, as it arrived."""

    store: Store
    staff: User
    nonce: UUID
    digests: Sequence[str]  # the newest key's first
    request_id: str
    clock: Clock


@retrying
@transaction.atomic
def _verify_scanned(coupon: Coupon, scan: Scan) -> Verification:
    """Verify, and keep the answer for the scan's nonce in the same transaction."""
    verification = _verify(
        coupon.pk,
        store=scan.store,
        way=Verification.Way.SCAN,
        source=Source("scan", scan.staff, scan.request_id),
        clock=scan.clock,
    )
    _answer_row(scan, "ok", coupon, verification).save()
    return verification


def _reread(coupon: Coupon | None) -> Coupon | None:
    """The coupon as it is by now, with what a screen shows of it."""
    if coupon is None:
        return None
    return Coupon.objects.select_related("campaign", "batch", "serial").get(
        pk=coupon.pk
    )


def _earlier(scan: Scan) -> Answer | None:
    """The answer that this very scan got before."""
    attempt = (
        Attempt.objects.filter(nonce=scan.nonce, digest__in=scan.digests)
        .select_related(
            "coupon__campaign",
            "coupon__batch",
            "coupon__serial",
            "verification__store",
            "verification__staff",
        )
        .first()
    )
    return None if attempt is None else answer_of(attempt)


def answer_of(attempt: Attempt) -> Answer:
    """What a scan was answered, as it holds now."""
    return Answer(attempt.reason, attempt.coupon, attempt.verification, is_repeat=True)


@retrying
@transaction.atomic
def _keep_scan(
    scan: Scan, reason: str, coupon: Coupon | None, verification: Verification | None
) -> None:
    """Keep a refusal; one that is kept already stays.

    The coupon is locked first, as whoever verifies does; else the two deadlock.
    """
    attempt = _answer_row(scan, reason, coupon, verification)
    if coupon is not None:
        _lock(pk=coupon.pk)
    Attempt.objects.bulk_create([attempt], ignore_conflicts=True)


def _answer_row(
    scan: Scan, reason: str, coupon: Coupon | None, verification: Verification | None
) -> Attempt:
    return Attempt(
        action=Attempt.Action.VERIFY,
        reason=reason,
        coupon=coupon,
        verification=verification,
        store=scan.store,
        staff=scan.staff,
        nonce=scan.nonce,
        digest=scan.digests[0],
        at=scan.clock(),
        request_id=scan.request_id,
    )


def digests_of(text: str) -> list[str]:
    """Keyed hashes of what was scanned, the newest key's first: a link is a secret.

    One for each key that is still honoured, so that a retry across a change of
    SECRET_KEY finds its answer.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    raw = text.encode("utf-8", "replace")
    return [hmac.new(key.encode(), raw, hashlib.sha256).hexdigest() for key in keys]


# --- rows under all of it ------------------------------------------------------------


@contextlib.contextmanager
def backstop(code: str) -> Iterator[None]:
    """Turn what a constraint forbids into a refusal with this reason.

    Our own checks come first, so this is a fault in what is stored: see audit_ledger.
    The transaction is lost and nothing more may be asked in it.
    """
    try:
        yield
    except IntegrityError as error:
        logger.error("coupon.backstop", extra={"reason": code}, exc_info=error)
        raise CouponError(code) from None


def _lock(**which: object) -> Coupon | None:
    """The coupon, locked until the commit; use only the object that this returns.

    Nothing is joined: after a wait PostgreSQL hands out the coupon as it is now, but
    joined rows as they were before the wait. Campaign, batch and serial are read by
    statements of their own, afterwards.
    """
    return Coupon.objects.select_for_update().filter(**which).first()


def _lock_counting(column: str, value: str | int) -> Coupon | None:
    """As `_lock`, for a step that changes how many coupons are redeemed.

    `column` is token or id.
    """
    with planned_once() as cursor:
        cursor.execute(lock_sql(column), [value])
        row = cursor.fetchone()
    return built(Coupon, iter(row)) if row else None


@cache
def lock_sql(column: str) -> str:
    # Our own words, none from outside.
    lock = "FOR UPDATE" if connection.features.has_select_for_update else ""
    return (
        f"SELECT {columns_of(Coupon, 'coupon')}{counting_sql('coupon')}"  # noqa: S608
        f" FROM coupons_coupon coupon WHERE coupon.{column} = %s {lock}"
    )


def event_of(
    kind: str,
    coupon: Coupon,
    *,
    at: datetime,
    source: Source,
    store: Store | None = None,
    reason: str = "",
) -> Event:
    return Event(
        coupon=coupon,
        kind=kind,
        at=at,
        actor=source.actor,
        store=store,
        way=source.way,
        reason=reason[:200],
        request_id=source.request_id,
    )


def record(
    kind: str,
    coupons: Iterable[Coupon],
    *,
    at: datetime,
    source: Source,
    store: Store | None = None,
    reason: str = "",
) -> None:
    """One event row a coupon, in the same transaction as its change."""
    store_events(
        [
            event_of(kind, coupon, at=at, source=source, store=store, reason=reason)
            for coupon in coupons
        ]
    )


def store_events(events: Sequence[Event]) -> None:
    if not 0 < len(events) <= FEW:
        Event.objects.bulk_create(events)
        return
    # Written out for the few of one press: Django takes longer to build the statement
    # than the database to run it.
    to_db = connection.ops.adapt_datetimefield_value
    values: list[Any] = []
    for event in events:
        values += [event.coupon_id, event.kind, to_db(event.at), event.actor_id]
        values += [event.store_id, event.way, event.reason, event.request_id]
    rows = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s)"] * len(events))
    with planned_once() as cursor:
        cursor.execute(EVENTS + rows, values)


FEW = 2
EVENTS = """
    INSERT INTO coupons_event
    (coupon_id, kind, at, actor_id, store_id, way, reason, request_id) VALUES
"""


def count_steps(campaign_id: int, batch: Batch | None, **steps: int) -> None:
    """Add to the numbers people see, in one of several slots so that none is hot."""
    slot = random.randrange(TALLY_SLOTS)  # noqa: S311
    if _add_to_slot(campaign_id, batch, slot, steps):
        return
    Tally.objects.bulk_create(
        [
            Tally(campaign_id=campaign_id, batch=batch, slot=number)
            for number in range(TALLY_SLOTS)
        ],
        ignore_conflicts=True,
    )
    _add_to_slot(campaign_id, batch, slot, steps)


def _add_to_slot(
    campaign_id: int, batch: Batch | None, slot: int, steps: Mapping[str, int]
) -> int:
    # The steps' names are our own; sorted, so that there are few statements to plan.
    names = sorted(steps)
    more = ", ".join(f"{name} = {name} + %s" for name in names)
    which = (
        "campaign_id = %s AND batch_id IS NULL" if batch is None else "batch_id = %s"
    )
    whose = campaign_id if batch is None else batch.pk
    with planned_once() as cursor:
        cursor.execute(
            f"UPDATE coupons_tally SET {more} WHERE {which} AND slot = %s",  # noqa: S608
            [*(steps[name] for name in names), whose, slot],
        )
        return int(cursor.rowcount)
