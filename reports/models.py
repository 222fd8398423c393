"""Proxies: other apps' rows as the screens of this one show them; and the audits."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from coupons.models import Coupon


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
