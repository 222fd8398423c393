"""Coupons: every state one can be in, and the rows that tell its story."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign, CampaignEvent
from contacts.models import Contact
from coupons.errors import refusal_for
from serials.models import Batch, Serial
from serials.rows import planned_once
from stores.models import Store

# Without 0, 1, I, L and O, which people mix up.
NUMBER_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
NUMBER_LENGTH = 12
TALLY_SLOTS = 8


def make_token() -> str:
    """A coupon's secret: 144 bits, in its link only."""
    return secrets.token_urlsafe(18)


def make_number() -> str:
    """A coupon's public number: 12 characters, about 59 bits."""
    return "".join(secrets.choice(NUMBER_ALPHABET) for _ in range(NUMBER_LENGTH))


class Coupon(models.Model):
    """What one contact holds of one campaign, from the push to the till."""

    class Status(models.TextChoices):
        ISSUED = "issued", _("issued")
        SENT = "sent", _("sent")
        OPENED = "opened", _("opened")
        REDEEMED = "redeemed", _("redeemed")
        VERIFIED = "verified", _("verified")
        REVOKED = "revoked", _("revoked")

    BEFORE_REDEEM = (Status.ISSUED, Status.SENT, Status.OPENED)

    campaign = models.ForeignKey(
        Campaign,
        models.PROTECT,
        related_name="coupons",
        verbose_name=_("campaign"),
        db_index=False,
    )
    contact = models.ForeignKey(
        Contact,
        models.PROTECT,
        null=True,
        related_name="coupons",
        verbose_name=_("contact"),
    )
    token = models.CharField(max_length=32, unique=True, default=make_token)
    number = models.CharField(
        _("number"), max_length=NUMBER_LENGTH, unique=True, default=make_number
    )
    status = models.CharField(
        _("status"), max_length=8, choices=Status, default=Status.ISSUED
    )
    # PROTECT: what was given out is never lost from under a coupon.
    batch = models.ForeignKey(
        Batch, models.PROTECT, null=True, related_name="+", db_index=False
    )
    serial = models.OneToOneField(
        Serial,
        models.PROTECT,
        null=True,
        related_name="coupon",
        verbose_name=_("serial"),
    )
    issued_at = models.DateTimeField(_("issued"))
    sent_at = models.DateTimeField(_("sent"), null=True)
    opened_at = models.DateTimeField(_("opened"), null=True)
    redeemed_at = models.DateTimeField(_("redeemed"), null=True)
    verified_at = models.DateTimeField(_("verified"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    # The earliest of all its clocks; stored when a clock starts, and only lowered.
    ends_at = models.DateTimeField(_("ends"))
    memo = models.CharField(_("memo"), max_length=500, blank=True)
    # Issued in place of a revoked one, which is replaced once.
    replaces = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="replacements",
        verbose_name=_("replaces"),
        db_index=False,
    )

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=["redeemed", "verified"],
                    redeemed_at__isnull=False,
                    batch__isnull=False,
                )
                | Q(status="revoked")
                | Q(
                    status__in=["issued", "sent", "opened"],
                    redeemed_at=None,
                    batch=None,
                    serial=None,
                ),
                name="coupon_redeemed_has_time_and_batch",
            ),
            models.CheckConstraint(
                condition=Q(status="verified", verified_at__isnull=False)
                | (~Q(status="verified") & Q(verified_at=None)),
                name="coupon_verified_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status="revoked", revoked_at__isnull=False)
                | (~Q(status="revoked") & Q(revoked_at=None)),
                name="coupon_revoked_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status="sent") | Q(sent_at__isnull=False),
                name="coupon_sent_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status="opened") | Q(opened_at__isnull=False),
                name="coupon_opened_has_time",
            ),
            models.CheckConstraint(
                condition=Q(serial=None) | Q(batch__isnull=False),
                name="coupon_serial_has_batch",
            ),
            models.UniqueConstraint(
                fields=["replaces"],
                condition=Q(replaces__isnull=False),
                name="coupon_replaced_once",
            ),
        ]
        indexes = [
            models.Index(fields=["campaign", "-id"], name="coupon_records"),
            models.Index(fields=["campaign", "status", "-id"], name="coupon_by_status"),
            # Who holds a fixed serial, when it is scanned.
            models.Index(
                fields=["batch"],
                condition=Q(batch__isnull=False, serial=None),
                name="coupon_of_fixed",
            ),
        ]

    def __str__(self) -> str:
        return self.shown_number

    @property
    def shown_number(self) -> str:
        """The number in groups of four, as printed under the barcode."""
        return "-".join(self.number[i : i + 4] for i in range(0, NUMBER_LENGTH, 4))

    @property
    def code(self) -> str:
        """The serial that the customer sees, once redeemed."""
        if self.serial is not None:
            return self.serial.code
        return self.batch.code if self.batch is not None else ""

    def is_expired(self, at: datetime) -> bool:
        """Expired is stored nowhere: it is asked of the clock."""
        return (
            self.status not in (self.Status.VERIFIED, self.Status.REVOKED)
            and at >= self.ends_at
        )

    def open(self, *, at: datetime) -> None:
        self._move(
            (self.Status.ISSUED, self.Status.SENT), self.Status.OPENED, opened_at=at
        )

    def redeem(
        self, *, batch: Batch, serial: Serial | None, ends_at: datetime, at: datetime
    ) -> None:
        self._move(
            self.BEFORE_REDEEM,
            self.Status.REDEEMED,
            redeemed_at=at,
            opened_at=self.opened_at or at,
            batch=batch,
            serial=serial,
            ends_at=ends_at,
        )

    def verify(self, *, at: datetime) -> None:
        self._move((self.Status.REDEEMED,), self.Status.VERIFIED, verified_at=at)

    def undo(self) -> None:
        self._move((self.Status.VERIFIED,), self.Status.REDEEMED, verified_at=None)

    def revoke(self, *, at: datetime) -> None:
        self._move(
            (*self.BEFORE_REDEEM, self.Status.REDEEMED),
            self.Status.REVOKED,
            revoked_at=at,
        )

    def _move(self, was: tuple[Status, ...], to: Status, **changes: Any) -> None:
        """The one writer of `status`; it counts only while the row is still `was`."""
        changes = {"status": to, **changes}
        columns, values = [], []
        for name, value in changes.items():
            field: Any = Coupon._meta.get_field(name)
            key = value.pk if isinstance(value, models.Model) else value
            columns.append(f"{field.column} = %s")
            values.append(field.get_db_prep_save(key, connection))
        # The columns are our own; only values come from outside.
        sql = (
            f"UPDATE coupons_coupon SET {', '.join(columns)}"  # noqa: S608
            f" WHERE id = %s AND status IN ({', '.join(['%s'] * len(was))})"
        )
        with planned_once() as cursor:
            cursor.execute(sql, [*values, self.pk, *was])
            has_moved = cursor.rowcount == 1
        if not has_moved:
            self.refresh_from_db()
            raise refusal_for(self.status)
        for name, value in changes.items():
            setattr(self, name, value)


class Event(models.Model):
    """One step of a coupon. Append-only: PostgreSQL refuses to change or delete it."""

    class Kind(models.TextChoices):
        ISSUED = "issued", _("issued")
        SENT = "sent", _("sent")
        OPENED = "opened", _("opened")
        REDEEMED = "redeemed", _("redeemed")
        VERIFIED = "verified", _("verified")
        UNDONE = "undone", _("verification undone")
        REVOKED = "revoked", _("revoked")

    coupon = models.ForeignKey(Coupon, models.PROTECT, related_name="events")
    kind = models.CharField(_("what"), max_length=8, choices=Kind)
    at = models.DateTimeField(_("when"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("who"),
    )
    store = models.ForeignKey(
        Store, models.PROTECT, null=True, related_name="+", verbose_name=_("store")
    )
    way = models.CharField(_("how"), max_length=20)  # push, page, scan, staff, api...
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    request_id = models.CharField(max_length=36, blank=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["pk"]
        constraints = [
            # Undo may repeat; the others happen once in a coupon's life.
            models.UniqueConstraint(
                fields=["coupon", "kind"],
                condition=Q(
                    kind__in=["issued", "sent", "opened", "redeemed", "revoked"]
                ),
                name="event_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id} {self.kind}"


class Verification(models.Model):
    """A store took a coupon. Undone ones stay, marked."""

    class Way(models.TextChoices):
        SCAN = "scan", _("scan")
        BUTTON = "button", _("button")
        PASSWORD = "password", _("store password")  # noqa: S105
        API = "api", _("API")
        # Used there, which no store of ours has seen.
        PADDLE = "paddle", _("Paddle")
        VIVOLDI = "vivoldi", _("Vivoldi")

    coupon = models.ForeignKey(Coupon, models.PROTECT, related_name="verifications")
    store = models.ForeignKey(
        Store, models.PROTECT, null=True, related_name="verifications"
    )
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    way = models.CharField(_("how"), max_length=10, choices=Way)
    at = models.DateTimeField(_("verified"))
    # A till's own clock: stored and shown, it decides nothing.
    pos_time = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    undo_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")
        constraints = [
            models.UniqueConstraint(
                fields=["coupon"],
                condition=Q(undone_at=None),
                name="verification_one_live",
            ),
        ]
        indexes = [
            models.Index(fields=["store", "-at"], name="verification_of_day"),
            models.Index(
                fields=["undone_at"],
                condition=Q(undone_at__isnull=False),
                name="verification_undone",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id} · {self.store_id}"


class Attempt(models.Model):
    """What was asked of us at a page or a till, and what we answered.

    Every refusal is kept. A scan is kept whatever the answer, and so is a press of the
    staff that verified on the customer's page: the nonce makes a second arrival of the
    same one get the same answer.
    """

    class Action(models.TextChoices):
        REDEEM = "redeem", _("redeem")
        VERIFY = "verify", _("verify")

    action = models.CharField(max_length=6, choices=Action)
    reason = models.CharField(max_length=20)
    coupon = models.ForeignKey(
        Coupon, models.PROTECT, null=True, related_name="attempts"
    )
    store = models.ForeignKey(Store, models.PROTECT, null=True, related_name="+")
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    verification = models.ForeignKey(
        Verification, models.PROTECT, null=True, related_name="+"
    )
    nonce = models.UUIDField(null=True)
    # HMAC of what was scanned; the text itself may be a secret link.
    digest = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()
    request_id = models.CharField(max_length=36, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["nonce", "digest"],
                condition=Q(nonce__isnull=False),
                name="attempt_nonce_once",
            ),
        ]
        indexes = [
            models.Index(fields=["store", "-at"], name="attempt_of_day"),
            models.Index(fields=["staff", "-at"], name="attempt_of_person"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.reason}"


class ScanPace(models.Model):
    """How much a person scanned in the running minute, and how much of it was not ours.

    Each scan is counted before it is looked up, and as a miss until it proves to be
    none: so guesses that arrive together can't slip through.
    """

    staff = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    since = models.DateTimeField()
    scans = models.PositiveIntegerField()
    misses = models.PositiveIntegerField()
    paused_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.staff_id}: {self.scans}, {self.misses}"


class PasswordTries(models.Model):
    """How often a store password was tried on one coupon's page: the guard of that limit.

    A try is counted before the password is looked at, and taken off again when it was
    right: so guesses that arrive together can't slip through.
    """

    coupon = models.OneToOneField(
        Coupon, models.CASCADE, primary_key=True, related_name="+"
    )
    ever = models.PositiveSmallIntegerField()
    # Since the page last rested: see coupons.passwords.REST.
    lately = models.PositiveSmallIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ever__lte=10, lately__lte=5), name="passwordtries_not_more"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id}: {self.lately}, {self.ever}"


class PasswordPace(models.Model):
    """How often one password was typed wrong, a store's or a campaign's own.

    `wrong` counts a try before it is looked at, until it proves right. The hours, in
    hours since 1970, count what proved wrong. `alerted_at` is when it was too much;
    whoever mails people of it notes that in the two columns after.
    """

    store = models.OneToOneField(Store, models.CASCADE, null=True, related_name="+")
    campaign = models.OneToOneField(
        Campaign, models.CASCADE, null=True, related_name="+"
    )
    wrong = models.PositiveIntegerField()  # in the day that ends at:
    day_ends_at = models.DateTimeField()
    hour = models.PositiveIntegerField(db_default=0)
    wrong_in_hour = models.PositiveIntegerField(db_default=0)
    wrong_before = models.PositiveIntegerField(db_default=0)  # in the hour before it
    alerted_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    telling_until = models.DateTimeField(null=True)  # lease of who is telling

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(store__isnull=False, campaign=None)
                | Q(store=None, campaign__isnull=False),
                name="passwordpace_of_one",
            ),
            models.CheckConstraint(
                condition=Q(wrong__lte=200), name="passwordpace_not_more"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.store_id}/{self.campaign_id}: {self.wrong}"


class ContactUse(models.Model):
    """How often a contact has redeemed in a campaign: the guard of that limit."""

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="+")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="+")
    used = models.PositiveIntegerField(default=0)
    # The limit that the last redemption was held against; 0 means none. The campaign's
    # own may have been lowered since.
    allowed = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "contact"], name="contactuse_once"
            ),
            models.CheckConstraint(
                condition=Q(allowed=0) | Q(used__lte=F("allowed")),
                name="contactuse_not_exceeded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}/{self.contact_id}: {self.used}"


class Tally(models.Model):
    """How many coupons reached each step: sums of events, kept for people to see.

    Spread over slots, so that a rush does not queue for them; `batch` is empty for
    steps before redeeming, but for an opening that came with it. Undoing counts down.
    """

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="tallies")
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="tallies")
    slot = models.PositiveSmallIntegerField()
    issued = models.IntegerField(default=0)
    sent = models.IntegerField(default=0)
    opened = models.IntegerField(default=0)
    redeemed = models.IntegerField(default=0)
    verified = models.IntegerField(default=0)
    revoked = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "slot"],
                condition=Q(batch=None),
                name="tally_campaign_once",
            ),
            models.UniqueConstraint(
                fields=["batch", "slot"],
                condition=Q(batch__isnull=False),
                name="tally_batch_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}/{self.batch_id}/{self.slot}"


class EndsChange(models.Model):
    """A change of what ends a campaign's coupons: the terms that hold since, and for whom.

    With `is_for_issued` the coupons that were out get new ends in the background, by
    these terms and up to `last_id`; the row is the message and the
    checkpoint. A later one that does so too stops it.
    """

    class State(models.TextChoices):
        WORKING = "working", _("under way")
        DONE = "done", _("done")
        STOPPED = "stopped", _("replaced by a later change")

    campaign = models.ForeignKey(
        Campaign, models.PROTECT, related_name="ends_changes", db_index=False
    )
    event = models.OneToOneField(
        CampaignEvent, models.PROTECT, null=True, related_name="ends_change"
    )
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    is_for_issued = models.BooleanField()

    was_use_ends_at = models.DateTimeField()
    use_ends_at = models.DateTimeField()
    expiry = models.CharField(max_length=16, choices=Campaign.Expiry)
    # What the clock of sending or redeeming runs; 0 where there is none.
    expiry_seconds = models.PositiveBigIntegerField()

    state = models.CharField(max_length=8, choices=State)
    last_id = models.BigIntegerField()  # no coupon that was out has a higher one
    done_to = models.BigIntegerField(default=0)
    total = models.PositiveIntegerField()  # coupons that were out
    done = models.PositiveIntegerField(default=0)  # of them, looked at
    changed = models.PositiveIntegerField(default=0)  # of those, with another end
    leased_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("change of ends")
        verbose_name_plural = _("changes of ends")
        indexes = [models.Index(fields=["campaign", "-id"], name="endschange_of")]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign"],
                condition=Q(state="working"),
                name="endschange_one_working",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["working", "done", "stopped"]),
                name="endschange_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state="working", finished_at=None)
                | (~Q(state="working") & Q(finished_at__isnull=False)),
                name="endschange_finished_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.done} / {self.total}"

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.expiry_seconds)
