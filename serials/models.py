"""Serial numbers: batches of them, and taking one."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from serials.errors import LeaseLost
from serials.rows import built, columns_of, planned_once

CODE_LENGTH = 64  # characters, of a one-time serial
FIXED_LENGTH = 16


def adapt(at: datetime) -> Any:
    """An instant as the database takes it in raw SQL (SQLite: text in UTC)."""
    return connection.ops.adapt_datetimefield_value(at)


class BatchQuerySet(models.QuerySet["Batch"]):
    def due(self, at: datetime) -> "BatchQuerySet":
        """Batches that wait for a worker: new work, or work whose worker is gone.

        One after the other for each person: ten files at once are not ten workers.
        `done_to` of a refused or cancelled batch says that serials are still to remove.
        """
        to_do = Q(state__in=Batch.State.at_work())
        to_clear = Q(state__in=["cancelled", "refused"], done_to__gt=0)
        unheld = Q(leased_until=None) | Q(leased_until__lte=at)
        theirs = Batch.objects.filter(
            created_by=OuterRef("created_by"),
            leased_until__gt=at,
            state__in=Batch.State.at_work(),
        )
        return self.filter(to_do | to_clear).filter(unheld, ~Exists(theirs))

    def waiting_behind(self, batch_id: int, at: datetime) -> int | None:
        """Another batch of the same person that can go on now, the oldest first."""
        person = Batch.objects.filter(pk=batch_id).values("created_by")[:1]
        due = self.due(at).filter(created_by=Subquery(person)).exclude(pk=batch_id)
        return due.order_by("pk").values_list("pk", flat=True).first()


class Batch(models.Model):
    """Serials that came together: one file, one generation, or one fixed text."""

    class Kind(models.TextChoices):
        IMPORTED = "imported", _("imported")
        GENERATED = "generated", _("generated")
        FIXED = "fixed", _("fixed")

    class State(models.TextChoices):
        CHECKING = "checking", _("being checked")
        CHECKED = "checked", _("checked, not yet imported")
        IMPORTING = "importing", _("being imported")
        READY = "ready", _("ready")
        REFUSED = "refused", _("refused")
        CANCELLED = "cancelled", _("cancelled")
        VOIDING = "voiding", _("being made void")
        VOID = "void", _("void")

        @classmethod
        def at_work(cls) -> "tuple[Batch.State, ...]":
            """States in which a worker has something to do."""
            return cls.CHECKING, cls.IMPORTING, cls.VOIDING

        @classmethod
        def whole(cls) -> "tuple[Batch.State, ...]":
            """States of a batch that has all its serials; only a ready one gives any."""
            return cls.READY, cls.VOIDING, cls.VOID

    campaign = models.ForeignKey(
        Campaign, models.PROTECT, related_name="batches", verbose_name=_("campaign")
    )
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    state = models.CharField(_("state"), max_length=10, choices=State)
    position = models.PositiveIntegerField(
        _("order"), default=0, help_text=_("Lower numbers are given out first.")
    )

    # A fixed batch: the same text for everyone.
    code = models.CharField(_("serial"), max_length=FIXED_LENGTH, blank=True)
    code_key = models.CharField(max_length=64, blank=True, editable=False)

    # A one-time batch. Lines of the file = new + duplicate + refused.
    encoding = models.CharField(_("encoding"), max_length=20, blank=True)
    has_header = models.BooleanField(_("row 1 is a header"), default=True)
    lines = models.PositiveIntegerField(_("lines"), default=0)
    new = models.PositiveIntegerField(_("new"), default=0)
    duplicate = models.PositiveIntegerField(_("duplicate"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    total = models.PositiveIntegerField(_("serials"), default=0)
    # Serials, or units of a fixed one, that nobody gets any more.
    voided = models.PositiveIntegerField(_("void"), default=0)
    # Checkpoint of the work: the last line (or pos) that is done.
    done_to = models.PositiveIntegerField(default=0, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    problem = models.CharField(_("problem"), max_length=500, blank=True)
    # From the terminal a file may have any size.
    is_any_size = models.BooleanField(default=False, editable=False)
    # Generation: what each serial looks like, see `patterns.py`.
    pattern = models.CharField(_("pattern"), max_length=64, blank=True)
    alphabet = models.CharField(_("characters"), max_length=10, blank=True)
    wanted = models.PositiveIntegerField(_("wanted"), null=True, blank=True)

    # Whether every serial can be drawn so; changing the barcode then rescans nothing.
    fits_code39 = models.BooleanField(default=False, editable=False)
    fits_code128 = models.BooleanField(default=False, editable=False)
    memo = models.CharField(_("memo"), max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False
    )
    # Of the press that made it: a second arrival makes no other.
    press = models.UUIDField(null=True, unique=True, editable=False)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    ready_at = models.DateTimeField(_("ready since"), null=True, editable=False)
    voided_at = models.DateTimeField(_("void since"), null=True, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["campaign", "position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(kind="fixed") & ~Q(code="") & Q(state__in=["ready", "void"])
                )
                | (~Q(kind="fixed") & Q(code="")),
                name="batch_fixed_has_text",
            ),
            models.CheckConstraint(
                condition=Q(kind="fixed") | Q(voided__lte=F("total")),
                name="batch_voided_not_over_total",
            ),
            models.CheckConstraint(
                condition=~Q(kind="imported", state="ready")
                | Q(lines=F("new") + F("duplicate") + F("refused")),
                name="batch_lines_add_up",
            ),
            models.CheckConstraint(
                condition=~Q(kind="generated", state="ready")
                | Q(wanted__isnull=False, total=F("wanted")),
                name="batch_generated_whole",
            ),
        ]
        indexes = [
            models.Index(
                fields=["code_key"], condition=~Q(code_key=""), name="batch_code_key"
            ),
            models.Index(
                fields=["leased_until"],
                condition=Q(state__in=["checking", "importing", "voiding"]),
                name="batch_in_work",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_fixed(self) -> bool:
        return self.kind == self.Kind.FIXED

    @property
    def is_generated(self) -> bool:
        return self.kind == self.Kind.GENERATED

    # Django leaves one of our own alone.
    def get_state_display(self) -> str:  # type: ignore[no-redef]
        if self.is_generated and self.state == self.State.IMPORTING:
            return gettext("being made")
        return str(self.State(self.state).label)

    def why(self, reason: str) -> str:
        """Why a row was left out, for people.

        The barcode is named before the import: later it may be another by now.
        """
        barcode = Campaign.Barcode(self.campaign.barcode)
        is_named = barcode != barcode.NONE and self.state == self.State.CHECKED
        if is_named and reason == RefusedRow.Reason.BARCODE:
            words = _("can't be drawn in {barcode}")
            return str(words).format(barcode=barcode.label)
        return str(RefusedRow.Reason(reason).label)

    def move(self, was: tuple[State, ...], to: State, **changes: Any) -> bool:
        """Change the state for people; False when it was none of `was` any more.

        Whatever a worker holds of the batch ends with it: see `hold`. Raises
        DoesNotExist when someone deleted the batch.
        """
        changes |= {"state": to, "leased_until": None}
        row = Batch.objects.filter(pk=self.pk, state__in=was)
        if not row.update(**changes):
            self.refresh_from_db()
            return False
        for field, value in changes.items():
            setattr(self, field, value)
        return True

    def hold(self, **changes: Any) -> None:
        """Write as the worker that has the lease; raises LeaseLost when it hasn't.

        The row stays locked until the transaction ends, so that a cancel comes before
        or after a step, never in the middle. This object stays as it was: a step that
        is rolled back can be tried again.
        """
        row = Batch.objects.filter(
            pk=self.pk, state=self.state, leased_until=self.leased_until
        )
        if not row.update(**changes):
            raise LeaseLost


class Stock(models.Model):
    """What is left of a fixed batch with a quantity; the row that a rush queues for."""

    batch = models.OneToOneField(
        Batch, models.CASCADE, primary_key=True, related_name="stock"
    )
    quantity = models.PositiveIntegerField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(taken__lte=F("quantity")), name="stock_not_exceeded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.taken} / {self.quantity}"


class StockWatch(models.Model):
    """Below how many a campaign's stock is low, and whether people were told."""

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="stock_watch"
    )
    warn_below = models.PositiveIntegerField()
    told_at = models.DateTimeField(null=True)
    telling_until = models.DateTimeField(null=True)  # lease of who is telling

    def __str__(self) -> str:
        return f"{self.campaign_id} < {self.warn_below}"


class SerialQuerySet(models.QuerySet["Serial"]):
    def take(self, batch: Batch, *, at: datetime, wait: bool) -> "Serial | None":
        """Take the batch's first free serial, or none.

        Serials that other transactions are taking right now are stepped over; with
        `wait` we wait for them instead, because a transaction that rolls back gives
        its serial back.
        """
        return self._take_waiting(batch, at) if wait else self._take_first(batch, at)

    def _take_first(self, batch: Batch, at: datetime) -> "Serial | None":
        """One statement, walking the partial index `serial_free`.

        Ordered by `pos`, never by id, which would step over all that is taken.
        """
        has_locks = connection.features.has_select_for_update
        lock = "FOR UPDATE SKIP LOCKED" if has_locks else ""
        # `lock` is one of our own two constants.
        return self._mark(
            f"""(
                SELECT id FROM serials_serial
                WHERE batch_id = %s AND state = 0 ORDER BY pos LIMIT 1 {lock}
            )""",  # noqa: S608
            at,
            batch.pk,
        )

    def _take_waiting(self, batch: Batch, at: datetime) -> "Serial | None":
        """Wait for one serial after the other until we get one or all are taken.

        Each wait is a statement of its own that starts with a new look. PostgreSQL
        keeps the lock on a row that turned out to be taken, so two that walk on in one
        statement can each hold what the other waits for.
        """
        free = (
            self.filter(batch=batch, state=0)
            .order_by("pos")
            .values_list("pk", flat=True)
        )
        while (pk := free.first()) is not None:
            if serial := self._mark("%s", at, pk):
                return serial
        return None

    def _mark(self, which: str, at: datetime, value: int) -> "Serial | None":
        sql = f"""
            UPDATE serials_serial SET state = 1, taken_at = %s
            WHERE id = {which} AND state = 0
            RETURNING {columns_of(Serial, "serials_serial")}
        """  # noqa: S608
        with planned_once() as cursor:
            cursor.execute(sql, [adapt(at), value])
            rows = cursor.fetchall()
        return built(Serial, iter(rows[0])) if rows else None


class Serial(models.Model):
    """One serial that is given out once."""

    class State(models.IntegerChoices):
        FREE = 0, _("free")
        TAKEN = 1, _("taken")
        VOID = 2, _("void")

    # Both are found by the indexes below; each one more makes an import slower.
    campaign = models.ForeignKey(
        Campaign, models.PROTECT, related_name="+", db_index=False
    )
    batch = models.ForeignKey(
        Batch, models.PROTECT, related_name="serials", db_index=False
    )
    pos = models.PositiveIntegerField()  # in its batch, from 1
    code = models.CharField(_("serial"), max_length=CODE_LENGTH)
    code_key = models.CharField(max_length=CODE_LENGTH)  # normalised: what is compared
    state = models.PositiveSmallIntegerField(
        _("state"), choices=State, default=State.FREE
    )
    taken_at = models.DateTimeField(_("taken"), null=True)

    objects = SerialQuerySet.as_manager()

    class Meta:
        verbose_name = _("serial")
        verbose_name_plural = _("serials")
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "code_key"], name="serial_once_in_campaign"
            ),
            models.CheckConstraint(
                condition=Q(state=1, taken_at__isnull=False)
                | Q(state__in=[0, 2], taken_at=None),
                name="serial_taken_has_time",
            ),
        ]
        indexes = [
            # The claim walks this and nothing else; see docs/states-and-locks.md.
            models.Index(
                fields=["batch", "pos"], condition=Q(state=0), name="serial_free"
            ),
        ]

    def __str__(self) -> str:
        return self.code


class UploadChunk(models.Model):
    """A piece of an uploaded file, kept where web and worker both reach it."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "number"], name="uploadchunk_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.number}"


class RefusedRow(models.Model):
    """A line of a file that was not taken, and why."""

    class Reason(models.TextChoices):
        EMPTY = "empty", _("empty")
        TOO_LONG = "too_long", _("longer than 64 characters")
        CHARACTERS = "characters", _("holds characters that can't be used")
        COLUMNS = "columns", _("more than one column")
        QUOTES = "quotes", _("a quotation mark is missing or stands in the middle")
        FORMULA = "formula", _("a formula; write the serial itself, or put ' before it")
        SCIENTIFIC = (
            "scientific",
            _("rounded by a spreadsheet; format the column as text and enter it again"),
        )
        BARCODE = "barcode", _("can't be drawn in the campaign's barcode")
        IN_FILE = "in_file", _("twice in the file")
        IN_CAMPAIGN = "in_campaign", _("already in the campaign")

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="refused_rows")
    line = models.PositiveIntegerField(_("line"))
    value = models.CharField(_("value"), max_length=200)
    reason = models.CharField(_("reason"), max_length=12, choices=Reason)

    class Meta:
        verbose_name = _("refused row")
        verbose_name_plural = _("refused rows")
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "line"], name="refusedrow_line_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line}: {self.value}"

    @property
    def why(self) -> str:
        return self.batch.why(self.reason)
