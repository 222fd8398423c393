"""A campaign at a provider: what was asked for, and each coupon of it as a row.

The rows are the queue of truth, as dispatches are for sending: a worker takes a lease,
asks the provider, and writes down what came of it. Each has at most one errand at a
time, so nothing can overtake anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

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
        CLOSED = "closed", pgettext_lazy("publication", "taken back")

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

    # Counted up with each change that is sent, and whether every coupon has been given
    # the last one or told to get it.
    terms_no = models.PositiveIntegerField(default=1, editable=False)
    is_changing = models.BooleanField(default=False, editable=False)
    # Codes that are spent here are being taken back there; coupons up to this id have
    # been looked at.
    is_clearing = models.BooleanField(default=False, editable=False)
    cleared_to = models.BigIntegerField(default=0, editable=False)

    # Preparation: serials up to this key have their rows. Without `prepared_at` it goes
    # on, also while it is open: serials have come since.
    frozen_to = models.CharField(max_length=64, blank=True, default="", editable=False)
    prepared_at = models.DateTimeField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    total = models.PositiveIntegerField(_("coupons"), default=0)
    live = models.PositiveIntegerField(_("there"), default=0)
    gone = models.PositiveIntegerField(
        pgettext_lazy("publication", "taken back"), default=0
    )
    refused = models.PositiveIntegerField(
        pgettext_lazy("publication", "refused"), default=0
    )
    unknown = models.PositiveIntegerField(_("unclear"), default=0)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("published by"),
    )
    created_at = models.DateTimeField(_("published"), auto_now_add=True)
    closed_at = models.DateTimeField(
        pgettext_lazy("publication", "taken back"), null=True, editable=False
    )

    class Meta:
        verbose_name = _("publication")
        verbose_name_plural = _("publications")
        ordering = ["-pk"]
        constraints = [
            # One that replaces another waits beside it until it is closed.
            models.UniqueConstraint(
                fields=["campaign", "connection"],
                condition=~Q(state__in=["closing", "closed"]),
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
            models.CheckConstraint(
                condition=Q(is_clearing=False) | Q(state="open"),
                name="publication_clears_while_open",
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


class RemoteCouponQuerySet(models.QuerySet["RemoteCoupon"]):
    """The queue of errands: who may do one, and for how long."""

    def named(self, connection_id: int, names: Iterable[str]) -> "RemoteCouponQuerySet":
        """Coupons by the provider's names of them, by the index of names.

        Of more than a hundred names PostgreSQL doesn't see by itself that none is
        empty, and without that it can't use the index.
        """
        found = self.filter(connection_id=connection_id, remote_id__in=set(names))
        return found.exclude(remote_id="")

    def due(
        self, connection_id: int, publication_id: int | None, now: datetime
    ) -> "RemoteCouponQuerySet":
        """Errands of one publication, or of coupons that belong to none."""
        due = self.filter(
            ~Q(errand=""), connection_id=connection_id, next_try_at__lte=now
        )
        if publication_id is None:
            return due.filter(publication=None)
        return due.filter(publication_id=publication_id)

    def claim(
        self,
        limit: int,
        *,
        connection_id: int,
        of: Iterable[int | None],
        now: datetime,
        lease: timedelta,
        settle: timedelta,
    ) -> list["RemoteCoupon"]:
        """Take up to `limit` due rows of these publications for this worker.

        Nobody else gets them until the lease is over and `settle` after it, by when the
        provider has done what a dead worker asked for; `tries` of each is the token that
        its result must carry.
        """
        taken: list[RemoteCoupon] = []
        with transaction.atomic():
            for publication_id in of:
                due = self.due(connection_id, publication_id, now).order_by(
                    "next_try_at"
                )
                free = due.select_for_update(skip_locked=True, of=("self",))
                taken += free[: limit - len(taken)]
                if len(taken) >= limit:
                    break
            self._hold(taken, now=now, lease=lease, settle=settle)
        return taken

    def claim_apart(
        self,
        limit: int,
        *,
        connection_id: int,
        of: Iterable[int | None],
        now: datetime,
        lease: timedelta,
        settle: timedelta,
    ) -> list["RemoteCoupon"]:
        """The same for LINE, where a lost answer is found again by the content alone.

        So nothing is created while something of the same content is under way or in
        doubt. Those left aside for that are due again a second later.
        """
        with transaction.atomic():
            # Two workers that looked at the same moment would each see nothing.
            Connection.objects.select_for_update(no_key=True).filter(
                pk=connection_id
            ).values("pk").first()
            due = self._due_of(connection_id, list(of), now)
            rows = list(due.select_for_update(skip_locked=True, of=("self",))[:limit])
            taken = self._apart(connection_id, rows)
            ids = {row.pk for row in taken}
            aside = [row.pk for row in rows if row.pk not in ids]
            if aside:
                later = now + timedelta(seconds=1)
                self.filter(pk__in=aside).update(next_try_at=later)
            self._hold(taken, now=now, lease=lease, settle=settle)
        return taken

    def _due_of(
        self, connection_id: int, of: list[int | None], now: datetime
    ) -> "RemoteCouponQuerySet":
        which = Q(publication__in=[pk for pk in of if pk is not None])
        if None in of:
            which |= Q(publication=None)
        due = self.filter(
            which, ~Q(errand=""), connection_id=connection_id, next_try_at__lte=now
        )
        return due.order_by("next_try_at")

    def _apart(
        self, connection_id: int, rows: list["RemoteCoupon"]
    ) -> list["RemoteCoupon"]:
        """Of the rows, those that share their content with nothing that is under way."""
        contents = {row.content for row in rows if row.is_fresh}
        tried = self.filter(
            connection_id=connection_id,
            errand=RemoteCoupon.Errand.CREATE,
            first_try_at__isnull=False,
            own__content__in=contents,
        )
        busy = set(tried.values_list("own__content", flat=True)) if contents else set()
        taken = []
        for row in rows:
            if row.is_fresh:
                if row.content in busy:
                    continue
                busy.add(row.content)
            taken.append(row)
        return taken

    def _hold(
        self,
        rows: list["RemoteCoupon"],
        *,
        now: datetime,
        lease: timedelta,
        settle: timedelta,
    ) -> None:
        ends = now + lease
        due = self.filter(pk__in=[row.pk for row in rows], next_try_at__lte=now)
        changed = due.update(
            tries=F("tries") + 1,
            leased_until=ends,
            next_try_at=ends + settle,
            first_try_at=Coalesce("first_try_at", now),
        )
        if changed != len(rows):
            raise RuntimeError("Another worker has claimed the same errands.")
        for row in rows:
            row.tries += 1
            row.leased_until = ends
            row.is_doubtful = row.first_try_at is not None
            row.first_try_at = row.first_try_at or now

    def renew(
        self,
        rows: Sequence["RemoteCoupon"],
        *,
        now: datetime,
        lease: timedelta,
        settle: timedelta,
    ) -> bool:
        """Hold the rows of one claim for another lease; False when one is not ours now."""
        ends = now + lease
        with transaction.atomic():
            ours = self.filter(
                pk__in=[row.pk for row in rows], leased_until=rows[0].leased_until
            )
            if ours.update(leased_until=ends, next_try_at=ends + settle) != len(rows):
                transaction.set_rollback(True)
                return False
        for row in rows:
            row.leased_until = ends
        return True


# In a coupon's `own`, but for our eyes: a hash of a LINE coupon's terms, the use that
# the provider is being told of, and that it has refused one.
UNTOLD = "untold"
NOT_SENT = ("content", "redeem", UNTOLD)


class RemoteCoupon(models.Model):
    """One coupon as a provider knows it: ours, or one that was made there."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")  # not made yet
        LIVE = "live", _("there")
        GONE = "gone", pgettext_lazy("publication", "taken back")
        REFUSED = "refused", pgettext_lazy("publication", "refused")  # its creation
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
    # Tries without a clear answer. Without an errand: taking it back was refused, and
    # workers do not try that again by themselves.
    failures = models.PositiveIntegerField(default=0)
    # While it is held: when somebody else may take it up.
    next_try_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    # When the provider may first have done it: empty while it certainly has not.
    first_try_at = models.DateTimeField(null=True)
    # Which of its publication's terms it has; see Publication.terms_no.
    terms_no = models.PositiveIntegerField(default=0)
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
    # Told to go because it was spent here: once it no longer is, it may come back.
    is_spent = models.BooleanField(default=False)
    problem = models.CharField(max_length=300, blank=True)  # an answer made no sense
    created_at = models.DateTimeField(auto_now_add=True)

    # Set by a claim: an earlier try may have been done.
    is_doubtful = False

    objects = RemoteCouponQuerySet.as_manager()

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
                # Claims go publication by publication: a paused one costs nothing.
                fields=["connection", "publication", "next_try_at"],
                condition=~Q(errand=""),
                name="remote_due",
            ),
            models.Index(fields=["publication", "status", "id"], name="remote_of"),
            models.Index(fields=["connection", "asked_at"], name="remote_asked"),
        ]

    def __str__(self) -> str:
        return self.remote_id or f"{self.publication_id}/{self.pk}"

    def sent(self, terms: Mapping[str, Any]) -> dict[str, Any]:
        """What it is sent with: its publication's terms with its own on top."""
        own = {key: value for key, value in self.own.items() if key not in NOT_SENT}
        return {**terms, **own}

    @property
    def content(self) -> str:
        """What a coupon of LINE's own is found again by; "" for others."""
        return str(self.own.get("content", ""))

    @property
    def is_new(self) -> bool:
        """Of a claimed one: whether it is to be created, and surely has not been."""
        return self.errand == self.Errand.CREATE and not self.is_doubtful

    @property
    def is_fresh(self) -> bool:
        """Whether it is to be created, and surely has not been."""
        return self.errand == self.Errand.CREATE and self.first_try_at is None
