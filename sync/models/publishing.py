"""A campaign at a provider: what was asked for, and each coupon of it as a row.

The rows are the queue of truth, as dispatches are for sending: a worker takes a lease,
asks the provider, and writes down what came of it. Each has at most one errand at a
time, so nothing can overtake anything.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from connections.fields import EncryptedField
from connections.models import Connection
from serials.models import Batch, Serial


class Publication(models.Model):
    """A campaign at one account of a provider."""

    class State(models.TextChoices):
        PREPARING = "preparing", _("being prepared")  # its rows are being written
        OPEN = "open", _("published")
        CLOSING = "closing", _("being taken back")
        CLOSED = "closed", _("taken back")

    CURRENT = (State.PREPARING, State.OPEN, State.CLOSING)

    campaign = models.ForeignKey(
        Campaign,
        models.PROTECT,
        related_name="publications",
        verbose_name=_("campaign"),
    )
    connection = models.ForeignKey(
        Connection,
        models.PROTECT,
        related_name="publications",
        verbose_name=_("account"),
    )
    state = models.CharField(
        _("state"), max_length=9, choices=State, default=State.PREPARING
    )
    # Workers leave it alone until a person, or the cause going away, lets it go on.
    pause_reason = models.CharField(_("why it is paused"), max_length=300, blank=True)
    # Made in the provider's own manager, and taken over here.
    is_adopted = models.BooleanField(default=False, editable=False)
    # What each of its coupons is sent with, from the pre-flight's lines at that moment;
    # a row's `own` comes on top.
    terms = models.JSONField(default=dict, editable=False)
    # What the person who published it chose besides: see sync/options.py.
    options = models.JSONField(default=dict, editable=False)
    # Vivoldi: what store staff type on its page.
    onsite_password = EncryptedField(blank=True, default="", editable=False)
    # Vivoldi: our verifications are told to it as uses.
    is_mirrored = models.BooleanField(default=False, editable=False)
    # One press of Publish makes one, however often it arrives.
    nonce = models.UUIDField(unique=True, editable=False)
    replaces = models.ForeignKey(
        "self", models.PROTECT, null=True, editable=False, related_name="replaced_by"
    )

    # Preparation: serials up to this id, of all batches, have their rows.
    frozen_to = models.BigIntegerField(default=0, editable=False)
    prepared_at = models.DateTimeField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    total = models.PositiveIntegerField(_("coupons"), default=0)
    live = models.PositiveIntegerField(_("there"), default=0)
    gone = models.PositiveIntegerField(_("taken back"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    unknown = models.PositiveIntegerField(_("unclear"), default=0)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("published by"),
    )
    created_at = models.DateTimeField(_("published"), auto_now_add=True)
    closed_at = models.DateTimeField(_("taken back"), null=True, editable=False)

    class Meta:
        verbose_name = _("publication")
        verbose_name_plural = _("publications")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "connection"],
                condition=~Q(state="closed"),
                name="publication_one_open",
            ),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False)
                | (~Q(state="closed") & Q(closed_at=None)),
                name="publication_closed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(
                    total__gte=F("live") + F("gone") + F("refused") + F("unknown")
                ),
                name="publication_counts_add_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} → {self.connection}"

    @property
    def waiting(self) -> int:
        """How many of its coupons have not been made, refused or given up yet."""
        return self.total - self.live - self.gone - self.refused - self.unknown

    def move(self, was: Sequence[State], to: State, **changes: Any) -> bool:
        """The one writer of `state`: False when the row is no longer in one of `was`."""
        row = Publication.objects.filter(pk=self.pk, state__in=was)
        if row.update(state=to, **changes) != 1:
            return False
        for field, value in {"state": to, **changes}.items():
            setattr(self, field, value)
        return True


class RemoteCoupon(models.Model):
    """One coupon as a provider knows it: ours, or one that was made there."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")  # not made yet
        LIVE = "live", _("there")
        GONE = "gone", _("taken back")
        REFUSED = "refused", _("refused")  # its creation
        UNKNOWN = "unknown", _("unclear: a person has to decide")

    class Errand(models.TextChoices):
        """What is to be done about it at the provider; empty: nothing."""

        CREATE = "create", _("make")
        UPDATE = "update", _("change")
        DELETE = "delete", _("take back")  # at LINE: discontinue
        REDEEM = "redeem", _("tell of a use")

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="remote_coupons", db_index=False
    )
    publication = models.ForeignKey(
        Publication, models.PROTECT, null=True, related_name="coupons", db_index=False
    )
    campaign = models.ForeignKey(
        Campaign, models.PROTECT, null=True, related_name="remote_coupons"
    )
    # Of a coupon that stands for a serial: the serial, or the batch of a fixed one.
    serial = models.ForeignKey(Serial, models.PROTECT, null=True, related_name="+")
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="+")
    # The provider's name for it: LINE's coupon id once there is one, or the code.
    remote_id = models.CharField(_("id there"), max_length=300, blank=True)
    title = models.CharField(_("name there"), max_length=300, blank=True)
    status = models.CharField(
        _("status"), max_length=7, choices=Status, default=Status.WAITING
    )
    # What goes with it besides its publication's terms.
    own = models.JSONField(default=dict)

    errand = models.CharField(max_length=6, choices=Errand, blank=True, default="")
    # How often it was claimed; also the token that fences off a late worker.
    tries = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)  # tries without a clear answer
    next_try_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    # When the provider may first have done it: empty while it certainly has not.
    first_try_at = models.DateTimeField(null=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    # What the provider said last, as it came; `told` is its own word for the state.
    told = models.CharField(_("state there"), max_length=40, blank=True)
    raw = models.JSONField(null=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField(null=True)  # by the provider's clock
    used = models.PositiveIntegerField(_("uses there"), null=True)
    listed_at = models.DateTimeField(null=True)  # last seen in a list
    asked_at = models.DateTimeField(null=True)  # details last read
    missing_since = models.DateTimeField(null=True)  # no longer there, and not by us
    gone_at = models.DateTimeField(null=True)  # taken back by us
    problem = models.CharField(max_length=300, blank=True)  # an answer made no sense
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("coupon at a provider")
        verbose_name_plural = _("coupons at providers")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "remote_id"],
                condition=~Q(remote_id=""),
                name="remote_id_once",
            ),
            models.UniqueConstraint(
                fields=["publication", "serial"],
                condition=Q(serial__isnull=False),
                name="remote_serial_once",
            ),
            models.UniqueConstraint(
                fields=["publication", "batch"],
                condition=Q(batch__isnull=False),
                name="remote_batch_once",
            ),
            models.CheckConstraint(
                condition=Q(serial=None) | Q(batch=None),
                name="remote_of_serial_or_batch",
            ),
            models.CheckConstraint(
                condition=~Q(errand="") | Q(leased_until=None, next_try_at=None),
                name="remote_idle_has_no_lease",
            ),
            models.CheckConstraint(
                condition=Q(errand="") | Q(next_try_at__isnull=False),
                name="remote_errand_has_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["connection", "next_try_at"],
                condition=~Q(errand=""),
                name="remote_due",
            ),
            models.Index(fields=["publication", "status"], name="remote_of"),
            models.Index(fields=["connection", "asked_at"], name="remote_asked"),
        ]

    def __str__(self) -> str:
        return self.remote_id or f"{self.publication_id}/{self.pk}"
