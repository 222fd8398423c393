"""What providers tell us: webhooks, stored before anything else is done with them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connections.models import Connection

# Paddle's alerts of money paid back; they name an order and no coupon.
REFUNDS = ["payment_refunded", "subscription_payment_refunded"]


class InboundEvent(models.Model):
    """One event of a provider's webhook, worked off once."""

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="inbound", db_index=False
    )
    event_id = models.CharField(max_length=80)
    kind = models.CharField(_("kind"), max_length=40)
    occurred_at = models.DateTimeField(_("happened"))
    payload = models.JSONField()
    received_at = models.DateTimeField(_("received"), auto_now_add=True)
    processed_at = models.DateTimeField(_("done"), null=True)
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField()
    dead_at = models.DateTimeField(_("given up"), null=True)
    problem = models.CharField(_("problem"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("incoming event")
        verbose_name_plural = _("incoming events")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "event_id"], name="inbound_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(processed_at=None, dead_at=None),
                name="inbound_waiting",
            ),
            # A refund may come before the sale that it belongs to.
            models.Index(
                fields=["connection"],
                condition=Q(kind__in=REFUNDS),
                name="inbound_refunds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
