"""Proxies: other apps' rows as the screens of this one show them; audits, exports."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from coupons.models import Coupon
from serials.models import Batch


class RedemptionRecord(Coupon):
    """A coupon with its times, as its line in the redemption records."""

    class Meta:
        proxy = True
        verbose_name = _("redemption record")
        verbose_name_plural = _("redemption records")


class Audit(models.Model):
    """One night's audit of the ledger; `report` is what it found, one dict a break."""

    night = models.DateField(_("night"), unique=True)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    # Whoever holds it renews this after each check; over, another may take it.
    leased_until = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=1)
    checks = models.PositiveSmallIntegerField(_("checks"), default=0)
    breaks = models.PositiveSmallIntegerField(_("breaks"), default=0)
    report = models.JSONField(default=list)
    # When people were told of breaks, or that it did not finish.
    mailed_at = models.DateTimeField(null=True)
    # Whoever tells them has until then; what could not be sent is tried again after it.
    telling_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("audit of the ledger")
        verbose_name_plural = _("audits of the ledger")
        ordering = ["-night"]

    def __str__(self) -> str:
        return self.night.isoformat()


class SerialExport(models.Model):
    """What somebody may download of a campaign's serials, for a while.

    No file is kept: whoever made it gets the serials as they are at the download.
    """

    class States(models.TextChoices):
        ALL = "all", _("all of them")
        FREE = "free", _("free")
        TAKEN = "taken", _("taken, verified and revoked ones too")
        VOID = "void", _("void")

    class Format(models.TextChoices):
        EXCEL = "excel", _("for a spreadsheet")
        PLAIN = "plain", _("for a till, plain")

    class Columns(models.TextChoices):
        ALL = "all", _("all columns")
        SERIALS = "serials", _("only the serials")

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    campaign = models.ForeignKey(
        Campaign, models.CASCADE, related_name="+", verbose_name=_("campaign")
    )
    # CASCADE: a batch that gave nothing out may be deleted, whoever has exported it.
    batch = models.ForeignKey(
        Batch, models.CASCADE, null=True, related_name="+", verbose_name=_("batch")
    )
    states = models.CharField(_("which serials"), max_length=5, choices=States)
    format = models.CharField(_("what for"), max_length=5, choices=Format)
    columns = models.CharField(_("columns"), max_length=7, choices=Columns)
    created_at = models.DateTimeField(_("made"))
    expires_at = models.DateTimeField(_("works until"))
    downloads = models.PositiveIntegerField(_("downloads"), default=0)
    downloaded_at = models.DateTimeField(_("last download"), null=True)
    # A download under way renews this; over, the person may start another.
    running_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("export of serials")
        verbose_name_plural = _("exports of serials")
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="serialexport_of_day"),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} · {self.get_states_display()}"

    def is_expired(self, at: datetime) -> bool:
        return at >= self.expires_at
