"""The campaign form: dates in the campaign's own zone, errors at their field."""

import zoneinfo
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldBooleanSwitchWidget,
)

from campaigns.clocks import end_of_day, to_instant
from campaigns.images import clean_image
from campaigns.models import Campaign, TotalLimit
from stores.forms import (
    AgainField,
    NewPasswordField,
    changed_words,
    check_again,
    zone_choices,
)

if TYPE_CHECKING:  # generic in the stubs alone
    CampaignModelForm = forms.ModelForm[Campaign]
else:
    CampaignModelForm = forms.ModelForm

FIRST_YEAR, LAST_YEAR = 2000, 2100


class ZonedDateTimeField(forms.SplitDateTimeField):
    """A date and a time of day in `zone`; an end without a time is the end of that day."""

    widget = UnfoldAdminSplitDateTimeWidget
    default_error_messages = forms.SplitDateTimeField.default_error_messages | {
        "year": _("Use a year between 2000 and 2100."),
        "needs_date": _("Choose a date too."),
    }

    def __init__(self, *, is_end: bool, **kwargs: Any) -> None:
        super().__init__(require_all_fields=False, **kwargs)
        self.is_end = is_end
        self.zone = zoneinfo.ZoneInfo("UTC")
        for part in self.fields:
            part.required = False

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(self.zone).replace(tzinfo=None)
        # A list is what was typed; a text is somebody's address, and no date.
        return None if isinstance(value, str) else value

    def compress(self, data_list: Any) -> datetime | None:
        day: date | None = data_list[0] if data_list else None
        clock: time | None = data_list[1] if data_list else None
        if day is None:
            if clock is not None:
                raise ValidationError(self.error_messages["needs_date"], "needs_date")
            return None
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ValidationError(self.error_messages["year"], "year")
        if clock is None:
            local = end_of_day(day) if self.is_end else datetime.combine(day, time())
        else:
            local = datetime.combine(day, clock)
        return to_instant(local, self.zone, is_end=self.is_end)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(initial != self.clean(data))
        except ValidationError:
            return True


class CampaignForm(CampaignModelForm):
    """A campaign with its limit in total, and when to warn of a low stock."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zone_choices,
        initial="Asia/Tokyo",
        widget=UnfoldAdminSelect2Widget,
        help_text=_("All dates of this campaign are in this zone."),
    )
    use_starts_at = ZonedDateTimeField(label=_("Usable from"), is_end=False)
    use_ends_at = ZonedDateTimeField(
        label=_("Usable until"),
        is_end=True,
        help_text=_("Without a time of day: until the end of that day."),
    )
    send_starts_at = ZonedDateTimeField(
        label=_("Sending from"),
        is_end=False,
        required=False,
        help_text=_("Empty: from now on."),
    )
    send_ends_at = ZonedDateTimeField(
        label=_("Sending until"),
        is_end=True,
        required=False,
        help_text=_("Empty: as long as coupons can be used."),
    )
    limit_in_total = forms.IntegerField(
        label=_("Redemptions in total"),
        required=False,
        min_value=1,
        max_value=100_000_000,
        error_messages={"min_value": _("At least 1. Leave it empty for no limit.")},
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_(
            "Empty: the stock of serials decides alone. Can be set, raised, lowered and "
            "taken away at any time."
        ),
    )

    stock_warning = forms.IntegerField(
        label=_("Warn when fewer than … are left"),
        required=False,
        min_value=1,
        max_value=100_000_000,
        error_messages={"min_value": _("At least 1. Leave it empty for no warning.")},
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_(
            "Managers get one mail when the stock of serials, or what the limit in total "
            "leaves, falls below this. Empty: never."
        ),
    )

    new_password = NewPasswordField(
        label=_("The campaign's own password"), required=False
    )
    new_password_again = AgainField(label=_("The same again"), required=False)
    forget_password = forms.BooleanField(
        label=_("Remove it: each store's own password counts again"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )

    class Meta:
        model = Campaign
        fields = "__all__"  # noqa: DJ007 - CampaignAdmin's fieldsets choose

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("instructions", "memo"):
            if name in self.fields:
                self.fields[name].widget.attrs["rows"] = 5
        if "new_password" in self.fields:
            self.fields["new_password"].help_text = self._password_words()
            if not self.instance.password:
                self.fields["forget_password"].widget = forms.HiddenInput()
        zone = self._zone()
        for field in self.fields.values():
            if isinstance(field, ZonedDateTimeField):
                field.zone = zone
        if self.instance.pk and "limit_in_total" in self.fields:
            limit = TotalLimit.objects.filter(campaign=self.instance).first()
            self.fields["limit_in_total"].initial = limit.quota if limit else None

    def _password_words(self) -> str:
        """Whether there is one; what it is never comes back to the page."""
        if not self.instance.password:
            return gettext(
                "At least 6 characters. Instead of the stores' own, for campaigns that "
                "are verified by store password. Empty: each store's own counts."
            )
        changed = changed_words(self.instance.password_changed_at, self.instance.zone)
        return gettext("%(set)s Leave it empty to keep it.") % {"set": changed}

    def _zone(self) -> zoneinfo.ZoneInfo:
        """The zone that the dates are written in: the one chosen in this very form."""
        name = self.data.get(self.add_prefix("time_zone")) if self.is_bound else ""
        if name in zoneinfo.available_timezones():
            return zoneinfo.ZoneInfo(str(name))
        return self.instance.zone

    def clean_image(self) -> Any:
        image = self.cleaned_data.get("image")
        return clean_image(image) if isinstance(image, UploadedFile) else image

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._clean_period("use_starts_at", "use_ends_at")
        self._clean_period("send_starts_at", "send_ends_at")
        self._clean_benefit()
        self._clean_password()
        if cleaned.get("expiry") in ("from_sending", "from_redemption"):
            if not cleaned.get("expiry_amount"):
                self.add_error("expiry_amount", _("Say after how long: 1 or more."))
        elif "expiry_amount" in cleaned:
            cleaned["expiry_amount"] = None
        if bool(cleaned.get("button_label")) != bool(cleaned.get("button_url")):
            missing = "button_url" if cleaned.get("button_label") else "button_label"
            if missing not in self.errors:
                self.add_error(missing, _("The button needs a label and a link."))
        return cleaned

    def _clean_password(self) -> None:
        check_again(self, "new_password", "new_password_again")
        given = self.cleaned_data
        if given.get("new_password") and given.get("forget_password"):
            self.add_error(
                "forget_password", _("Either set another one or remove it, not both.")
            )

    def _clean_period(self, start: str, end: str) -> None:
        starts, ends = self.cleaned_data.get(start), self.cleaned_data.get(end)
        if starts and ends and starts >= ends:
            self.add_error(end, _("The end has to be later than the start."))

    def _clean_benefit(self) -> None:
        cleaned = self.cleaned_data
        kind, value = cleaned.get("benefit"), cleaned.get("benefit_value")
        if kind == "percentage" and not (value and value <= 100):
            self._complain("benefit_value", _("Say how many per cent: 1 to 100."))
        if kind in ("amount", "cash_back"):
            if not value:
                self._complain("benefit_value", _("Say how much."))
            self._need_currency()
        if kind == "price":
            for field in ("price_before", "price_after"):
                if cleaned.get(field) is None:
                    self._complain(field, _("Say the price."))
            self._need_currency()

    def _need_currency(self) -> None:
        if not self.cleaned_data.get("currency"):
            self._complain("currency", _("Say in which currency, such as JPY."))

    def _complain(self, field: str, message: Any) -> None:
        if field not in self.errors:
            self.add_error(field, message)
