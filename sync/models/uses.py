"""What providers tell about uses: each use as a row, counted once."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connections.models import Connection
from coupons.models import Verification
from sync.models.publishing import Publication, RemoteCoupon


class Use(models.Model):
    """A use of a coupon at a provider, or `count` of them that nobody told one by one.

    A webhook tells one use and names it; a count tells how many there are. What a count
    has found first, a webhook that comes later names and does not add to: `key` is empty
    until then. A use that we told the provider of ourselves is one of the provider's
    count as well.
    """

    class Source(models.TextChoices):
        WEBHOOK = "webhook", _("told by a webhook")
        COUNT = "count", _("found by counting")
        MIRROR = "mirror", _("told there by us")

    class Outcome(models.TextChoices):
        """What it did here."""

        VERIFIED = "verified", _("its coupon is verified by it")
        KNOWN = "known", _("its coupon was verified already")
        REVOKED = "revoked", _("its coupon had been revoked")
        VOID = "void", _("nobody had its serial, and nobody gets it any more")
        COUNTED = "counted", _("counted")
        UNKNOWN = "unknown", _("the code is not one of ours")

    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="uses", db_index=False
    )
    coupon = models.ForeignKey(
        RemoteCoupon, models.CASCADE, null=True, related_name="uses"
    )
    code = models.CharField(_("code there"), max_length=300)
    # What makes it the same use however often it is told, such as Paddle's order.
    key = models.CharField(max_length=100, blank=True, default="")
    source = models.CharField(_("how we know"), max_length=7, choices=Source)
    outcome = models.CharField(_("what it did"), max_length=8, choices=Outcome)
    count = models.PositiveIntegerField(_("uses"), default=1)
    # The one that it made, or that it was told for.
    verification = models.ForeignKey(
        Verification, models.PROTECT, null=True, related_name="+"
    )
    happened_at = models.DateTimeField(_("used"), null=True)  # by the provider's clock
    refunded_at = models.DateTimeField(_("refunded"), null=True)
    # Of a use that we tell: when the errand for it was put.
    put_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(_("known since"))

    class Meta:
        verbose_name = _("use at a provider")
        verbose_name_plural = _("uses at providers")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "key"], condition=~Q(key=""), name="use_once"
            ),
            models.UniqueConstraint(
                fields=["coupon"],
                condition=Q(source="count", key=""),
                name="use_counted_in_one_row",
            ),
            models.UniqueConstraint(
                fields=["coupon"], condition=Q(source="mirror"), name="use_told_once"
            ),
            models.CheckConstraint(
                condition=Q(coupon=None, outcome="unknown")
                | Q(coupon__isnull=False) & ~Q(outcome="unknown"),
                name="use_unknown_has_no_coupon",
            ),
            models.CheckConstraint(
                condition=Q(key="") | Q(count=1), name="use_named_is_one"
            ),
            models.CheckConstraint(
                condition=~Q(source="mirror") | Q(verification__isnull=False),
                name="use_told_has_verification",
            ),
        ]
        indexes = [
            models.Index(
                fields=["connection", "code"],
                condition=Q(coupon=None),
                name="use_of_unknown",
            ),
            models.Index(
                fields=["id"],
                condition=Q(source="mirror", put_at=None),
                name="use_to_tell",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id} {self.key or self.count}"


class Mirror(models.Model):
    """How far our verifications were looked through for one mirrored publication."""

    publication = models.OneToOneField(
        Publication, models.CASCADE, primary_key=True, related_name="mirror"
    )
    # No verification up to this id is left to find.
    done_to = models.BigIntegerField(default=0)
    # Of the publication when its walk began: more codes since, and it begins anew.
    prepared_at = models.DateTimeField(null=True)
    # Nor one that was taken back before this instant.
    undone_to = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.publication_id}: {self.done_to}"
