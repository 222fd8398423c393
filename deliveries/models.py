"""Deliveries: what staff send, who gets it, and each request it takes."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from connections.models import Connection
from contacts.models import Contact, ContactList
from coupons.models import Coupon


class Delivery(models.Model):
    """A campaign sent to a list, by one method, once."""

    class Method(models.TextChoices):
        PUSH = "push", _("push: one message a contact")

    class Kind(models.TextChoices):
        CARD = "card", _("card with a button")
        TEXT = "text", _("text with a link")
        NATIVE = "native", _("LINE's own coupon")

    class State(models.TextChoices):
        PREPARING = "preparing", _("being prepared")
        READY = "ready", _("sending")
        PAUSED = "paused", _("paused")
        CANCELLED = "cancelled", _("cancelled")
        DONE = "done", _("done")

    OPEN = (State.PREPARING, State.READY, State.PAUSED)

    campaign = models.ForeignKey(
        Campaign, models.PROTECT, related_name="deliveries", verbose_name=_("campaign")
    )
    connection = models.ForeignKey(
        Connection,
        models.PROTECT,
        related_name="deliveries",
        verbose_name=_("LINE account"),
    )
    # Exactly one of the two.
    contact_list = models.ForeignKey(
        ContactList, models.PROTECT, null=True, blank=True, verbose_name=_("list")
    )
    contact = models.ForeignKey(
        Contact, models.PROTECT, null=True, blank=True, verbose_name=_("contact")
    )
    # One that exists already and is sent to the contact, in place of a new one.
    coupon = models.OneToOneField(
        Coupon,
        models.PROTECT,
        null=True,
        editable=False,
        related_name="own_delivery",
        verbose_name=_("coupon"),
    )
    method = models.CharField(
        _("method"), max_length=10, choices=Method, default=Method.PUSH
    )
    kind = models.CharField(_("message"), max_length=6, choices=Kind, default=Kind.CARD)
    text = models.CharField(_("words before the link"), max_length=500, blank=True)
    # Of LINE's own coupon: its id and name there, and when it can be used. It has no
    # coupon rows here; nothing of it is counted as sent, redeemed or verified.
    native_coupon_id = models.CharField(max_length=200, blank=True, editable=False)
    native_title = models.CharField(max_length=300, blank=True, editable=False)
    native_starts_at = models.DateTimeField(null=True, editable=False)
    native_ends_at = models.DateTimeField(null=True, editable=False)
    # What this way to the coupon is called in the statistics of LINE's manager.
    delivery_tag = models.CharField(_("delivery tag"), max_length=30, blank=True)
    send_at = models.DateTimeField(_("send at"))
    state = models.CharField(
        _("state"), max_length=10, choices=State, default=State.PREPARING
    )
    # Why it is paused, or why it was cancelled.
    pause_reason = models.CharField(_("why it is paused"), max_length=300, blank=True)
    # The request body, but for the two values each recipient fills in: retries of a
    # message are the same to the byte, whatever the campaign says by then.
    template = models.TextField(editable=False)
    # A recipient's link is this and the coupon's token, whatever SITE_URL says by then.
    link_base = models.CharField(max_length=500, editable=False, default="")
    # One press of Send makes one delivery, however often it arrives.
    nonce = models.UUIDField(unique=True, editable=False)

    # Preparation: contacts up to this id have been looked at.
    frozen_to = models.BigIntegerField(default=0, editable=False)
    prepared_at = models.DateTimeField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    total = models.PositiveIntegerField(_("recipients"), default=0)
    left_out = models.PositiveIntegerField(_("left out"), default=0)
    accepted = models.PositiveIntegerField(_("accepted by LINE"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    unknown = models.PositiveIntegerField(_("unclear"), default=0)
    cancelled = models.PositiveIntegerField(_("cancelled"), default=0)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, verbose_name=_("sent by")
    )
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    done_at = models.DateTimeField(_("done"), null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["native_coupon_id"],
                condition=~Q(native_coupon_id=""),
                name="delivery_of_native",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(contact=None, contact_list__isnull=False)
                | Q(contact__isnull=False, contact_list=None),
                name="delivery_to_list_or_contact",
            ),
            models.CheckConstraint(
                condition=Q(coupon=None) | Q(contact__isnull=False),
                name="delivery_of_coupon_has_contact",
            ),
            models.CheckConstraint(
                condition=Q(kind="native", coupon=None) & ~Q(native_coupon_id="")
                | ~Q(kind="native") & Q(native_coupon_id="", delivery_tag=""),
                name="delivery_native_has_id",
            ),
            models.CheckConstraint(
                condition=Q(
                    total__gte=F("accepted")
                    + F("refused")
                    + F("unknown")
                    + F("cancelled")
                ),
                name="delivery_counts_add_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} → {self.contact_list or self.contact}"

    @property
    def is_native(self) -> bool:
        """Whether it sends LINE's own coupon, in place of a link to one of ours."""
        return self.kind == self.Kind.NATIVE

    def is_native_over(self, at: datetime) -> bool:
        """Whether LINE's coupon has ended, so that it must not be sent any more."""
        return self.native_ends_at is not None and at >= self.native_ends_at

    @property
    def settled(self) -> int:
        """How many recipients have their final outcome."""
        return self.accepted + self.refused + self.unknown + self.cancelled

    def move(self, was: Sequence[State], to: State, **changes: Any) -> bool:
        """The one writer of `state`: False when the row is no longer in one of `was`."""
        row = Delivery.objects.filter(pk=self.pk, state__in=was)
        if row.update(state=to, **changes) != 1:
            return False
        for field, value in {"state": to, **changes}.items():
            setattr(self, field, value)
        return True


@dataclass(frozen=True)
class Result:
    """What became of one claimed dispatch; queued again, it is due at `next_try_at`.

    `is_doubtful`: LINE may have accepted it without our learning of it, in this try or
    an earlier one.
    """

    dispatch: "Dispatch"
    status: str
    next_try_at: datetime
    is_doubtful: bool = False
    is_failure: bool = False
    request_id: str = ""
    detail: str = ""


class DispatchQuerySet(models.QuerySet["Dispatch"]):
    """The outbox: who may send a row, and for how long."""

    def due(self, now: datetime) -> "DispatchQuerySet":
        return self.filter(status=Dispatch.Status.QUEUED, next_try_at__lte=now)

    def claim(
        self, limit: int, *, of: Iterable[int], now: datetime, lease: timedelta
    ) -> list["Dispatch"]:
        """Take up to `limit` due rows for this worker, from these deliveries in order.

        Nobody else gets them until the lease is over; `tries` of each is the token
        that its result must carry.
        """
        taken: list[Dispatch] = []
        with transaction.atomic():
            for delivery_id in of:
                due = self.filter(delivery_id=delivery_id).due(now)
                free = due.select_for_update(skip_locked=True).order_by("next_try_at")
                taken += free[: limit - len(taken)]
                if len(taken) >= limit:
                    break
            self._mark_sending(taken, now=now, leased_until=now + lease)
        return taken

    def _mark_sending(
        self, rows: list["Dispatch"], *, now: datetime, leased_until: datetime
    ) -> None:
        queued = self.filter(
            pk__in=[row.pk for row in rows], status=Dispatch.Status.QUEUED
        )
        changed = queued.update(
            status=Dispatch.Status.SENDING,
            tries=F("tries") + 1,
            leased_until=leased_until,
            first_try_at=Coalesce("first_try_at", now),
        )
        if changed != len(rows):
            raise RuntimeError("Another worker has claimed the same dispatches.")
        for row in rows:
            row.status = Dispatch.Status.SENDING
            row.tries += 1
            row.leased_until = leased_until
            row.is_doubtful = row.first_try_at is not None
            row.first_try_at = row.first_try_at or now

    def release_expired(self, *, now: datetime, limit: int = 1_000) -> int:
        """Queue again what a dead worker held; LINE may have accepted it or not."""
        with transaction.atomic():
            expired = self.filter(status=Dispatch.Status.SENDING, leased_until__lt=now)
            locked = expired.select_for_update(skip_locked=True).order_by("pk")
            ids = list(locked.values_list("pk", flat=True)[:limit])
            if not ids:
                return 0
            return expired.filter(pk__in=ids).update(
                status=Dispatch.Status.QUEUED, next_try_at=now, leased_until=None
            )

    def write(self, results: Sequence[Result], *, at: datetime) -> set[int]:
        """Store results in one guarded statement; the ids of those that counted.

        A result whose row was handed to another worker meanwhile does not count.
        """
        if not results:
            return set()
        to_db = connection.ops.adapt_datetimefield_value
        values: list[Any] = []
        for result in results:
            row = result.dispatch
            values += [row.pk, row.tries, result.status, to_db(result.next_try_at)]
            values += [int(result.is_doubtful), int(result.is_failure)]
            values += [result.request_id[:64], result.detail[:500]]
        rows = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s)"] * len(results))
        with connection.cursor() as cursor:
            cursor.execute(WRITE.format(rows=rows), [to_db(at), *values])
            return {found for (found,) in cursor.fetchall()}


# PostgreSQL and SQLite both name the columns of VALUES column1, column2 ...
WRITE = """
    UPDATE deliveries_dispatch SET
        status = v.column3,
        next_try_at = v.column4,
        failures = failures + v.column6,
        first_try_at = CASE WHEN v.column3 IN ('queued', 'cancelled')
            AND v.column5 = 0 THEN NULL ELSE first_try_at END,
        settled_at = CASE WHEN v.column3 = 'queued' THEN NULL ELSE %s END,
        leased_until = NULL,
        line_request_id = v.column7,
        detail = v.column8
    FROM (VALUES {rows}) AS v
    WHERE deliveries_dispatch.id = v.column1
        AND deliveries_dispatch.tries = v.column2
        AND deliveries_dispatch.status = 'sending'
    RETURNING deliveries_dispatch.id
"""


class Dispatch(models.Model):
    """One request to LINE, with its retry key and tries: a row of the outbox."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("waiting")
        SENDING = "sending", _("being sent")
        ACCEPTED = "accepted", _("accepted by LINE")
        REFUSED = "refused", _("refused by LINE")
        UNKNOWN = "unknown", _("unclear: a person has to decide")
        CANCELLED = "cancelled", _("cancelled")

    OPEN = (Status.QUEUED, Status.SENDING)

    delivery = models.ForeignKey(
        Delivery, models.PROTECT, related_name="dispatches", db_index=False
    )
    number = models.PositiveIntegerField()  # in its delivery, from 1
    # UUIDv5 of connection, delivery and number: a restored or repeated delivery
    # repeats the same keys, and LINE answers 409 instead of sending again.
    retry_key = models.UUIDField(unique=True)
    # SHA-256 of the request body, so that a retry can be shown to be the same.
    body_hash = models.CharField(max_length=64)
    status = models.CharField(max_length=9, choices=Status, default=Status.QUEUED)
    # How often it was claimed; also the token that fences off a late worker.
    tries = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)  # tries without a clear answer
    next_try_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    # When LINE may first have accepted it: empty again after a try that LINE has
    # certainly not accepted. LINE forgets a retry key 24 hours after it took it.
    first_try_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    line_request_id = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=500, blank=True)

    # Set by a claim: an earlier try may have been accepted.
    is_doubtful = False

    objects = DispatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("dispatch")
        verbose_name_plural = _("dispatches")
        constraints = [
            models.UniqueConstraint(
                fields=["delivery", "number"], name="dispatch_number_once"
            ),
            models.CheckConstraint(
                condition=~Q(status="sending")
                | Q(leased_until__isnull=False, first_try_at__isnull=False),
                name="dispatch_sending_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "sending"], settled_at=None)
                | Q(
                    status__in=["accepted", "refused", "unknown", "cancelled"],
                    settled_at__isnull=False,
                ),
                name="dispatch_settled_has_time",
            ),
        ]
        indexes = [
            # Claims go delivery by delivery: rows of a paused one cost nothing.
            models.Index(
                fields=["delivery", "next_try_at"],
                condition=Q(status="queued"),
                name="dispatch_due",
            ),
            models.Index(
                fields=["leased_until"],
                condition=Q(status="sending"),
                name="dispatch_leased",
            ),
            models.Index(
                fields=["delivery"],
                condition=Q(status__in=["queued", "sending"]),
                name="dispatch_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id}/{self.number}"


RETRY_KEYS = uuid.UUID("6f1c39c5-9b5e-4f6e-8a55-3a1f1f3f7d11")


def retry_key(connection_id: int, delivery_nonce: uuid.UUID, number: int) -> uuid.UUID:
    """The key that LINE knows this request by, the same on every try."""
    return uuid.uuid5(RETRY_KEYS, f"{connection_id}/{delivery_nonce}/{number}")


class Recipient(models.Model):
    """One contact of one delivery, with its outcome."""

    delivery = models.ForeignKey(
        Delivery, models.PROTECT, related_name="recipients", db_index=False
    )
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="+")
    dispatch = models.ForeignKey(Dispatch, models.PROTECT, related_name="recipients")
    coupon = models.OneToOneField(
        Coupon, models.PROTECT, null=True, related_name="recipient"
    )
    outcome = models.CharField(
        _("outcome"),
        max_length=9,
        choices=Dispatch.Status,
        default=Dispatch.Status.QUEUED,
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("recipient")
        verbose_name_plural = _("recipients")
        constraints = [
            models.UniqueConstraint(
                fields=["delivery", "contact"], name="recipient_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id}/{self.contact_id}"


class Heartbeat(models.Model):
    """When the sweeper last ran: a long gap means an outage or a restored backup."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("heartbeat")

    def __str__(self) -> str:
        return self.name
