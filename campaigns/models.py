"""Campaigns: what a coupon says, when it holds, how it looks, where it is taken."""

import zoneinfo
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import (
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
    URLValidator,
)
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from connections.fields import EncryptedField
from stores.models import Store, is_hash_of, validate_time_zone

validate_colour = RegexValidator(
    r"\A#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})\Z",
    _("Write a colour as #RRGGBB, or #RRGGBBAA with its opacity."),
)
validate_link = URLValidator(
    schemes=["https"], message=_("Use a link that begins with https://.")
)
validate_currency = RegexValidator(
    r"\A[A-Z]{3}\Z", _("Use the three letters of ISO 4217, such as JPY.")
)


class Group(models.Model):
    """Campaigns that share settings; what a group fills in beats the campaign's own."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    background_colour = models.CharField(
        _("background colour"), max_length=9, blank=True, validators=[validate_colour]
    )
    text_colour = models.CharField(
        _("text colour"), max_length=9, blank=True, validators=[validate_colour]
    )
    button_colour = models.CharField(
        _("button colour"), max_length=9, blank=True, validators=[validate_colour]
    )
    button_text_colour = models.CharField(
        _("button text colour"), max_length=9, blank=True, validators=[validate_colour]
    )
    button_label = models.CharField(_("button label"), max_length=40, blank=True)
    button_url = models.CharField(
        _("button link"), max_length=500, blank=True, validators=[validate_link]
    )

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Template(models.Model):
    """Instructions and caveats that several campaigns share."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    instructions = models.TextField(
        _("usage instructions"), max_length=1000, blank=True
    )
    usage_condition = models.CharField(_("usage condition"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Campaign(models.Model):
    """One offer, from draft to its end."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        ACTIVE = "active", pgettext_lazy("campaign", "active")
        PAUSED = "paused", _("paused")
        ENDED = "ended", _("ended")

    class Benefit(models.TextChoices):
        PERCENTAGE = "percentage", _("percentage off")
        AMOUNT = "amount", _("amount off")
        PRICE = "price", _("price before and after")
        CASH_BACK = "cash_back", _("cash back")
        FREE = "free", pgettext_lazy("benefit", "free")
        GIFT = "gift", _("gift")
        OTHER = "other", _("other")

    class Expiry(models.TextChoices):
        USE_END = "use_end", _("when the use period ends")
        FROM_SENDING = "from_sending", _("some time after sending")
        FROM_REDEMPTION = "from_redemption", _("some time after Redeem is pressed")

    class Unit(models.TextChoices):
        MINUTES = "minutes", _("minutes")
        HOURS = "hours", _("hours")
        DAYS = "days", _("days")  # of 24 hours

    class Barcode(models.TextChoices):
        NONE = "none", _("none")
        QR = "qr", _("QR code")
        CODE39 = "code39", _("CODE_39")
        CODE128 = "code128", _("CODE_128")

    class Verifying(models.TextChoices):
        NONE = "none", _("not needed")
        BUTTON = "button", _("button on the customer's page")
        PASSWORD = "password", _("store password on the customer's page")  # noqa: S105
        SCAN = "scan", _("scan by store staff")
        PASSWORD_SCAN = "password_scan", _("store password or scan")  # noqa: S105

    # Texts, in the fallback language; CampaignText holds the others.
    name = models.CharField(_("name"), max_length=60)
    language = models.CharField(
        _("language of these texts"),
        max_length=10,
        choices=settings.LANGUAGES,
        default="en",
    )
    instructions = models.TextField(
        _("usage instructions"), max_length=1000, blank=True
    )
    usage_condition = models.CharField(_("usage condition"), max_length=100, blank=True)
    memo = models.TextField(
        _("internal memo"),
        max_length=1000,
        blank=True,
        help_text=_("Never shown to customers."),
    )

    # Benefit
    benefit = models.CharField(
        _("benefit"), max_length=12, choices=Benefit, default=Benefit.OTHER
    )
    benefit_value = models.DecimalField(
        _("value"),
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Per cent, or money in the currency below."),
    )
    price_before = models.DecimalField(
        _("price before"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    price_after = models.DecimalField(
        _("price after"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    currency = models.CharField(
        _("currency"), max_length=3, blank=True, validators=[validate_currency]
    )
    minimum_spend = models.DecimalField(
        _("minimum spend"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    product_ids = models.CharField(_("product ids"), max_length=500, blank=True)
    applies_to_renewals = models.BooleanField(_("applies to renewals"), default=False)

    # Windows: [start, end), instants; shown in the campaign's own zone.
    time_zone = models.CharField(
        _("time zone"),
        max_length=40,
        default="Asia/Tokyo",
        validators=[validate_time_zone],
    )
    send_starts_at = models.DateTimeField(_("sending from"), null=True, blank=True)
    send_ends_at = models.DateTimeField(_("sending until"), null=True, blank=True)
    use_starts_at = models.DateTimeField(_("usable from"))
    use_ends_at = models.DateTimeField(_("usable until"))
    expiry = models.CharField(
        _("expires"), max_length=16, choices=Expiry, default=Expiry.USE_END
    )
    expiry_amount = models.PositiveIntegerField(
        _("after"), null=True, blank=True, validators=[MaxValueValidator(10_000)]
    )
    expiry_unit = models.CharField(
        _("unit"), max_length=8, choices=Unit, default=Unit.HOURS
    )

    # Limits
    limit_per_contact = models.PositiveIntegerField(
        _("redemptions per contact"),
        default=1,
        help_text=_("0 means no limit."),
    )
    # Look
    image = models.ImageField(_("image"), upload_to="campaigns/", blank=True)
    barcode = models.CharField(
        _("barcode"), max_length=8, choices=Barcode, default=Barcode.QR
    )
    background_colour = models.CharField(
        _("background colour"),
        max_length=9,
        default="#FFFFFF",
        validators=[validate_colour],
    )
    text_colour = models.CharField(
        _("text colour"), max_length=9, default="#1F2933", validators=[validate_colour]
    )
    button_colour = models.CharField(
        _("button colour"),
        max_length=9,
        default="#067647",
        validators=[validate_colour],
    )
    button_text_colour = models.CharField(
        _("button text colour"),
        max_length=9,
        default="#FFFFFF",
        validators=[validate_colour],
    )
    button_label = models.CharField(_("button label"), max_length=40, blank=True)
    button_url = models.CharField(
        _("button link"), max_length=500, blank=True, validators=[validate_link]
    )

    # Verification
    verifying = models.CharField(
        _("verification"), max_length=14, choices=Verifying, default=Verifying.SCAN
    )
    stores = models.ManyToManyField(
        Store,
        blank=True,
        verbose_name=_("stores"),
        related_name="campaigns",
        help_text=_("Where it is taken. None chosen means in every store."),
    )
    # Hashed. Where there is one, it counts at every store instead of the store's.
    password = models.CharField(max_length=128, blank=True, editable=False)
    password_changed_at = models.DateTimeField(null=True, editable=False)

    # Serials
    is_case_sensitive = models.BooleanField(
        _("capital and small letters differ in serials"), default=False
    )

    group = models.ForeignKey(
        Group, models.PROTECT, null=True, blank=True, verbose_name=_("group")
    )
    template = models.ForeignKey(
        Template, models.PROTECT, null=True, blank=True, verbose_name=_("template")
    )

    state = models.CharField(
        _("state"), max_length=8, choices=State, default=State.DRAFT, editable=False
    )
    archived_at = models.DateTimeField(null=True, editable=False)
    # Of the press that made it, new or from another: a second arrival makes no other.
    copy_nonce = models.UUIDField(null=True, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False
    )
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(use_starts_at__lt=F("use_ends_at")),
                name="campaign_use_period_runs_forward",
            ),
            models.CheckConstraint(
                condition=Q(send_starts_at=None)
                | Q(send_ends_at=None)
                | Q(send_starts_at__lt=F("send_ends_at")),
                name="campaign_sending_period_runs_forward",
            ),
            models.CheckConstraint(
                condition=Q(expiry="use_end")
                | Q(expiry_amount__gte=1, expiry_amount__lte=10_000),
                name="campaign_expiry_has_amount",
            ),
            models.CheckConstraint(
                condition=Q(benefit="percentage", benefit_value__gt=0)
                & Q(benefit_value__lte=100)
                | ~Q(benefit="percentage"),
                name="campaign_percentage_in_range",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "active", "paused", "ended"]),
                name="campaign_state_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def interval(self) -> timedelta:
        """How long the sending or redeeming clock runs; a day is 24 hours."""
        return timedelta(**{self.expiry_unit: self.expiry_amount or 0})

    def may_send_at(self, at: datetime) -> bool:
        """Whether `at` lies in the sending period and before the end of use."""
        starts = self.send_starts_at
        ends = min(self.send_ends_at or self.use_ends_at, self.use_ends_at)
        return (starts is None or starts <= at) and at < ends

    def taken_in(self, store_id: int) -> bool:
        """Whether the store takes this campaign's coupons; none named means all."""
        named = {store.pk for store in self.stores.all()}
        return not named or store_id in named

    @property
    def verified_on_page(self) -> str:
        """How staff mark a coupon as used on the customer's page: button, password, ""."""
        ways = {
            self.Verifying.BUTTON: "button",
            self.Verifying.PASSWORD: "password",
            self.Verifying.PASSWORD_SCAN: "password",
        }
        return ways.get(self.Verifying(self.verifying), "")

    def has_password(self, raw: str) -> bool:
        """Whether it is the campaign's own; slow, see `is_hash_of`."""
        return is_hash_of(raw, self.password)

    def look(self) -> dict[str, str]:
        """The colours and button in force: what the group fills in beats our own."""
        fields = (
            "background_colour",
            "text_colour",
            "button_colour",
            "button_text_colour",
            "button_label",
            "button_url",
        )
        group = self.group
        return {
            field: (group and getattr(group, field)) or getattr(self, field)
            for field in fields
        }

    @property
    def shown_instructions(self) -> str:
        return self.instructions or (
            self.template.instructions if self.template else ""
        )

    @property
    def shown_condition(self) -> str:
        return self.usage_condition or (
            self.template.usage_condition if self.template else ""
        )


class CampaignText(models.Model):
    """A campaign's shown texts in one more language; an empty one falls back."""

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="texts")
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES
    )
    name = models.CharField(_("name"), max_length=60, blank=True)
    instructions = models.TextField(
        _("usage instructions"), max_length=1000, blank=True
    )
    usage_condition = models.CharField(_("usage condition"), max_length=100, blank=True)
    button_label = models.CharField(_("button label"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("text in another language")
        verbose_name_plural = _("texts in other languages")
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "language"], name="campaigntext_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} ({self.language})"


class TotalLimit(models.Model):
    """How many redemptions a campaign allows in all, and how many there were.

    A narrow table of its own: during a rush this is the hottest row of the house, and
    people read and edit the campaign's. No row means that stock alone decides.
    """

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="total_limit"
    )
    quota = models.PositiveIntegerField(_("redemptions in total"))
    used = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("limit in total")
        verbose_name_plural = _("limits in total")
        constraints = [
            models.CheckConstraint(
                condition=Q(used__lte=F("quota")), name="totallimit_not_exceeded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.used} / {self.quota}"


class CampaignEvent(models.Model):
    """What somebody did to a campaign. Append-only: PostgreSQL refuses to change one.

    A draft that is deleted takes its own along.
    """

    class Kind(models.TextChoices):
        CHANGED = "changed", _("changed")
        ACTIVATED = "activated", _("activated")
        PAUSED = "paused", _("paused")
        RESUMED = "resumed", _("resumed")
        ENDED = "ended", _("ended")
        DUPLICATED = "duplicated", _("duplicated")
        COPIED = "copied", _("made as a copy")
        ARCHIVED = "archived", _("archived")
        UNARCHIVED = "unarchived", _("taken back from the archive")

    campaign = models.ForeignKey(
        Campaign, models.CASCADE, related_name="events", db_index=False
    )
    kind = models.CharField(_("what"), max_length=10, choices=Kind)
    at = models.DateTimeField(_("when"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("who"),
    )
    request_id = models.CharField(max_length=36, blank=True)
    # changed: {"fields": {name: [before, after]}}, instants as ISO 8601 in UTC.
    # duplicated, copied: {"campaign": the other's id}.
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("step of a campaign")
        verbose_name_plural = _("steps of a campaign")
        indexes = [models.Index(fields=["campaign", "-id"], name="campaignevent_of")]

    def __str__(self) -> str:
        return f"{self.campaign_id} {self.kind}"


class UnsavedChange(models.Model):
    """A campaign form as somebody sent it, until they say whether to save it.

    Its fields are encrypted: a password may be among them. Tidied away after a day.
    """

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+"
    )
    at = models.DateTimeField()
    # The campaign's `updated_at` that the question was asked about.
    seen_at = models.DateTimeField()
    fields = EncryptedField()
    image_name = models.CharField(max_length=200, blank=True)
    image = models.BinaryField(null=True)

    def __str__(self) -> str:
        return f"{self.campaign_id} {self.owner_id}"
