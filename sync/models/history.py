"""What was done and seen at providers, for people to read later."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from connections.models import Connection
from sync.models.publishing import Publication, RemoteCoupon


class Step(models.Model):
    """Something that was done at a provider, or seen there; never changed afterwards."""

    class Kind(models.TextChoices):
        PUBLISHED = "published", _("published")
        PREPARED = "prepared", _("rows written")
        CHANGED = "changed", _("changed there")
        CLOSED = "closed", pgettext_lazy("publication", "taken back")
        REPLACED = "replaced", _("closed and made again")
        PAUSED = "paused", _("paused")
        RESUMED = "resumed", _("resumed")
        RETRIED = "retried", _("tried again")
        DECIDED = "decided", _("decided by a person")
        ADOPTED = "adopted", _("taken over")
        LET_GO = "let_go", _("given back")
        APPEARED = "appeared", _("found there")
        VANISHED = "vanished", _("gone from there")
        TOLD = "told", _("another state there")
        DIFFERS = "differs", _("a difference")
        MENDED = "mended", _("a difference mended")
        USED = "used", _("used there")
        REFUNDED = "refunded", _("paid back there")

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="steps", db_index=False
    )
    publication = models.ForeignKey(
        Publication, models.CASCADE, null=True, related_name="steps", db_index=False
    )
    coupon = models.ForeignKey(
        RemoteCoupon, models.CASCADE, null=True, related_name="steps"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # Values for the words that a page makes of it; nothing secret, nobody's name.
    facts = models.JSONField(default=dict)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField(_("when"))

    class Meta:
        verbose_name = _("step at a provider")
        verbose_name_plural = _("steps at providers")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["connection", "-id"], name="step_of"),
            models.Index(fields=["publication", "-id"], name="step_of_publication"),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.kind}"
