"""Looking at what providers have: each look as a row, and what it found to differ."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connections.models import Connection
from sync.models.publishing import Publication, RemoteCoupon


class Run(models.Model):
    """One look at everything that an account has; its checkpoint is the row."""

    class State(models.TextChoices):
        RUNNING = "running", _("under way")
        DONE = "done", _("done")
        FAILED = "failed", _("stopped")

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="runs", db_index=False
    )
    state = models.CharField(max_length=7, choices=State, default=State.RUNNING)
    # Looks at what can no longer change too.
    is_whole = models.BooleanField(default=False)
    # Where it stands: the provider's own page tokens or offsets, see sync/pulling/.
    cursor = models.JSONField(default=dict)
    listed = models.PositiveIntegerField(_("listed"), default=0)
    asked = models.PositiveIntegerField(_("looked at"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    calls = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)  # in a row
    problem = models.CharField(_("problem"), max_length=300, blank=True)
    # Empty: by the schedule.
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    started_at = models.DateTimeField(_("began"))
    next_try_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("look at a provider")
        verbose_name_plural = _("looks at providers")
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(state="running"),
                name="run_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state="running", finished_at=None)
                | (~Q(state="running") & Q(finished_at__isnull=False)),
                name="run_finished_has_time",
            ),
        ]
        indexes = [models.Index(fields=["connection", "-id"], name="run_of")]

    def __str__(self) -> str:
        return f"{self.connection_id}/{self.pk}"


class Difference(models.Model):
    """Something that we and a provider say differently, from when to when.

    Of one coupon, or, with `coupon` empty, of all of a publication.
    """

    publication = models.ForeignKey(
        Publication, models.CASCADE, null=True, related_name="differences"
    )
    coupon = models.ForeignKey(
        RemoteCoupon, models.CASCADE, null=True, related_name="differences"
    )
    # The provider's name of the field, or one of ours: missing, closed, used.
    field = models.CharField(max_length=40)
    ours = models.TextField(_("here"), blank=True)
    theirs = models.TextField(_("there"), blank=True)
    seen_at = models.DateTimeField(_("since"))
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # How it ended: agreed, sent, taken, accepted (a person lets it be) ...
    ended_how = models.CharField(max_length=10, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("difference")
        verbose_name_plural = _("differences")
        constraints = [
            models.UniqueConstraint(
                fields=["coupon", "field"],
                condition=Q(ended_at=None, coupon__isnull=False),
                name="difference_open_once",
            ),
            models.UniqueConstraint(
                fields=["publication", "field"],
                condition=Q(ended_at=None, coupon=None),
                name="difference_of_all_open_once",
            ),
            models.CheckConstraint(
                condition=Q(publication__isnull=False) | Q(coupon__isnull=False),
                name="difference_of_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.field}: {self.ours} / {self.theirs}"
