"""Stores and who works there."""

import unicodedata
import zoneinfo
from datetime import datetime

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def validate_time_zone(name: str) -> None:
    """Refuse a name that is not in the IANA list."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(name)s” is no time zone. Use a name such as Asia/Tokyo.")
            % {"name": name}
        )


def hashed(raw: str) -> str:
    """A password that is typed on a customer's phone, as it is kept."""
    return make_password(_as_typed(raw))


def is_hash_of(raw: str, kept: str) -> bool:
    """Whether `raw` is the password that was kept; slow on purpose: 0.1 s and 100 MB.

    Never inside a transaction: its locks would be held for as long.
    """
    return bool(kept) and check_password(_as_typed(raw), kept)


def is_typable(raw: str) -> bool:
    """Whether a person can type all of it: no control characters, nothing unseen."""
    return _as_typed(raw).isprintable()


def _as_typed(raw: str) -> str:
    """The same letters typed on another keyboard, in full width say, are the same."""
    return unicodedata.normalize("NFKC", raw)


class Store(models.Model):
    """A place with a till."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    address = models.CharField(_("address"), max_length=200, blank=True)
    time_zone = models.CharField(
        _("time zone"),
        max_length=40,
        default="Asia/Tokyo",
        validators=[validate_time_zone],
        help_text=_("Decides when a day begins on this store's screen."),
    )
    password = models.CharField(max_length=128, blank=True, editable=False)
    password_changed_at = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(_("open"), default=True)
    staff = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        through="StoreStaff",
        related_name="stores",
        verbose_name=_("staff"),
    )

    class Meta:
        verbose_name = _("store")
        verbose_name_plural = _("stores")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    def set_password(self, raw: str, *, at: datetime | None = None) -> None:
        """Keep the password that staff type on a customer's phone, hashed."""
        self.password = hashed(raw)
        self.password_changed_at = at or timezone.now()
        self.save(update_fields=["password", "password_changed_at"])

    def has_password(self, raw: str) -> bool:
        """Whether it is this one; slow, see `is_hash_of`."""
        return is_hash_of(raw, self.password)


class StoreStaff(models.Model):
    """One person working at one store."""

    store = models.ForeignKey(Store, models.CASCADE, verbose_name=_("store"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("person")
    )

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("staff")
        constraints = [
            models.UniqueConstraint(fields=["store", "user"], name="storestaff_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.store}"
