"""The campaign form: dates in the campaign's own zone, errors at their field."""

import zoneinfo
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from campaigns.clocks import (
    day_ended_by,
    end_of_day,
    end_of_next_month,
    to_instant,
    to_local,
)
from campaigns.effective import COLOURS
from campaigns.models import (
    Campaign,
    CampaignText,
    Group,
    Template,
    TotalLimit,
    validate_currency,
)
from campaigns.widgets import PictureField
from stores.forms import (
    AgainField,
    NewPasswordField,
    changed_words,
    check_again,
    zone_choices,
)

if TYPE_CHECKING:  # generic in the stubs alone
    CampaignModelForm = forms.ModelForm[Campaign]
    GroupModelForm = forms.ModelForm[Group]
    TemplateModelForm = forms.ModelForm[Template]
    TextModelForm = forms.ModelForm[CampaignText]
    TextFormSet = forms.BaseInlineFormSet[CampaignText, Campaign, TextModelForm]
else:
    CampaignModelForm = GroupModelForm = forms.ModelForm
    TemplateModelForm = TextModelForm = forms.ModelForm
    TextFormSet = forms.BaseInlineFormSet

FIRST_YEAR, LAST_YEAR = 2000, 2100
SHOWN_TEXTS = ("name", "instructions", "usage_condition", "button_label")
MONEY = ("benefit_value", "price_before", "price_after", "minimum_spend")


class HouseWidget(forms.Widget):
    """A widget whose template lies with the house's others."""

    def _render(
        self,
        template_name: str,
        context: dict[str, Any],
        renderer: BaseRenderer | type[BaseRenderer] | None = None,
    ) -> SafeString:
        return render_to_string(template_name, context)


class ColourWidget(HouseWidget, UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """The colour as text; a script puts a picker and its opacity beside it."""

    template_name = "campaigns/_colour.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"spellcheck": "false", "autocomplete": "off"} | (attrs or {}))


class DateTimeWidget(HouseWidget, forms.SplitDateTimeWidget):
    """The browser's own fields for a date and a time: in its language, by keyboard.

    The back office's calendar would offer the server's "now", which is another zone's.
    """

    template_name = "campaigns/_date_time.html"
    supports_microseconds = True  # kept, though not shown: see `_keep_dates`

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        look: dict[str, Any] = {"class": " ".join(INPUT_CLASSES)}
        bounds = {"min": f"{FIRST_YEAR}-01-01", "max": f"{LAST_YEAR}-12-31"}
        days: dict[str, Any] = {"type": "date", "aria-label": _("Date")}
        clock: dict[str, Any] = {"type": "time", "aria-label": _("Time of day")}
        super().__init__(
            attrs,
            date_format="%Y-%m-%d",
            time_format="%H:%M:%S",
            date_attrs=look | bounds | days,
            time_attrs=look | clock,
        )
        for part, kind in zip(self.widgets, ("date", "time"), strict=True):
            part.input_type = kind

    def get_context(
        self, name: str, value: Any, attrs: dict[str, Any] | None
    ) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        clock = context["widget"]["subwidgets"][1]
        shown = str(clock["value"] or "")
        if len(shown) == len("00:00:00"):
            clock["value"] = shown.removesuffix(":00")
        return context


class LinesWidget(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """Ends each line with one character, as it is counted; browsers send two."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


class CurrencyField(forms.CharField):
    """Three letters, small ones taken for capital ones."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).upper()


class ZonedDateTimeField(forms.SplitDateTimeField):
    """A date and a time of day in `zone`; an end without a time is the end of that day."""

    widget = DateTimeWidget
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
            # "Until 31 December" comes back as it was typed, not as the next midnight.
            day = day_ended_by(value, self.zone) if self.is_end else None
            return [day, None] if day else to_local(value, self.zone)
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

    def is_same(self, initial: Any, found: datetime | None) -> bool:
        """Whether the field says what it said before.

        It shows neither parts of a second nor which of two equal hours was meant.
        """
        if initial is None or found is None:
            return initial is found
        return to_local(initial, self.zone) == to_local(found, self.zone)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not self.is_same(initial, self.clean(data))
        except ValidationError:
            return True


class CampaignForm(CampaignModelForm):
    """A campaign with its limit in total, and when to warn of a low stock."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zone_choices,
        widget=UnfoldAdminSelect2Widget,
        help_text=_("All dates of this campaign are in this zone, whoever reads them."),
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

    currency = CurrencyField(
        label=_("Currency"),
        required=False,
        min_length=3,
        max_length=3,
        validators=[validate_currency],
        error_messages={
            "min_length": validate_currency.message,
            "max_length": validate_currency.message,
        },
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text=_("Three letters, such as JPY, TWD or EUR."),
    )

    image = PictureField(label=_("Image"), required=False)

    class Meta:
        model = Campaign
        fields = "__all__"  # noqa: DJ007 - CampaignAdmin's fieldsets choose
        widgets = dict.fromkeys(COLOURS, ColourWidget) | {
            "instructions": LinesWidget,
            "memo": LinesWidget,
        }
        help_texts = {
            "name": _("What customers read first. At most 60 characters."),
            "language": _(
                "The one you write in here. Texts in the others have a tab of their "
                "own; where one is missing, customers read this one."
            ),
            "instructions": _(
                "How the coupon is used, as customers read it. Line breaks stay. Empty: "
                "the template's."
            ),
            "usage_condition": _(
                "What has to be so, in a line: “Not with other offers”. Empty: the "
                "template's."
            ),
            "template": _("Fills in both texts above wherever they are empty."),
            "benefit": _("Stands in front of the name, as “20% off”."),
            "benefit_value": _("Per cent, or an amount of the currency."),
            "minimum_spend": _("Empty: none is needed."),
            "expiry": _(
                "Whatever is chosen here: no coupon lives longer than the use period."
            ),
            "expiry_amount": _("A day is 24 hours."),
            "barcode": _(
                "What the till reads. A QR code draws every serial; take a linear one "
                "only if the till's scanner needs it."
            ),
            "button_label": _("Needs a link. Empty: no button."),
            "button_url": _(
                "Begins with https://. The button and the image lead there."
            ),
            "group": _(
                "Colours and button of several campaigns at once: what the group fills "
                "in beats what is written here."
            ),
            "verifying": _("How a redeemed coupon is marked as used."),
            "product_ids": _(
                "Paddle's product ids, with commas between them. Empty: all products."
            ),
            "applies_to_renewals": _(
                "At Paddle the benefit holds for each renewal too."
            ),
            "is_case_sensitive": _(
                "Then “abc” and “ABC” are two serials. Can't be changed once there are "
                "serials."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("instructions", "memo"):
            if name in self.fields:
                self.fields[name].widget.attrs["rows"] = 5
        if "new_password" in self.fields:
            self.fields["new_password"].help_text = self._password_words()
            if not self.instance.password:
                self.fields["forget_password"].widget = forms.HiddenInput()
        self.zone = self._zone()
        for field in self.fields.values():
            if isinstance(field, ZonedDateTimeField):
                field.zone = self.zone
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
        name = self.initial.get("time_zone", "")
        if self.is_bound:
            name = self.data.get(self.add_prefix("time_zone"), "")
        if name in zoneinfo.available_timezones():
            return zoneinfo.ZoneInfo(str(name))
        return self.instance.zone

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._keep_dates()
        self._clean_period("use_starts_at", "use_ends_at")
        self._clean_period("send_starts_at", "send_ends_at")
        self._clean_money()
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

    def _keep_dates(self) -> None:
        """Keep an instant whose date and time nobody changed, exactly as it is."""
        if not self.instance.pk:
            return
        for name, field in self.fields.items():
            if isinstance(field, ZonedDateTimeField) and name in self.cleaned_data:
                saved = self.initial.get(name)
                if saved and field.is_same(saved, self.cleaned_data[name]):
                    self.cleaned_data[name] = saved

    def _clean_period(self, start: str, end: str) -> None:
        starts, ends = self.cleaned_data.get(start), self.cleaned_data.get(end)
        if starts and ends and starts >= ends:
            self.add_error(end, _("The end has to be later than the start."))

    def _clean_money(self) -> None:
        for name in MONEY:
            amount: Decimal | None = self.cleaned_data.get(name)
            if amount is not None and amount < 0:
                self._complain(name, _("This can't be less than 0."))
        if self.cleaned_data.get("minimum_spend"):
            self._need_currency()

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
            before, after = cleaned.get("price_before"), cleaned.get("price_after")
            if before is not None and after is not None and after >= before:
                self._complain(
                    "price_after", _("It has to be lower than the price before.")
                )
            self._need_currency()

    def _need_currency(self) -> None:
        if not self.cleaned_data.get("currency"):
            self._complain("currency", _("Say in which currency, such as JPY."))

    def _complain(self, field: str, message: Any) -> None:
        if field not in self.errors:
            self.add_error(field, message)


class CampaignTextForm(TextModelForm):
    """The texts in one other language, which is set; empty ones are no texts."""

    class Meta:
        model = CampaignText
        fields = ("language", *SHOWN_TEXTS)
        widgets = {
            "language": forms.HiddenInput,
            "name": UnfoldAdminTextInputWidget,
            "instructions": LinesWidget(attrs={"rows": 4}),
            "usage_condition": UnfoldAdminTextInputWidget,
            "button_label": UnfoldAdminTextInputWidget,
        }

    def has_changed(self) -> bool:
        """A new one counts once it says something, whatever its language was set to."""
        changed = super().has_changed()
        if self.instance.pk:
            return changed
        return any(name in SHOWN_TEXTS for name in self.changed_data)

    @property
    def tongue(self) -> str:
        """The language it is for."""
        return str(self["language"].value() or "")

    @property
    def tongue_name(self) -> str:
        return str(dict(settings.LANGUAGES).get(self.tongue, self.tongue))

    @property
    def is_filled(self) -> bool:
        return any(self[name].value() for name in SHOWN_TEXTS)


class CampaignTextFormSet(TextFormSet):
    """One form for each language, those without texts at the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A made-up count of forms is not worth building that many.
        self.absolute_max = 2 * len(settings.LANGUAGES)
        super().__init__(*args, **kwargs)
        if self.is_bound:
            return
        there = {text.language for text in self.get_queryset()}
        missing = [code for code, name in settings.LANGUAGES if code not in there]
        self.extra = len(missing)
        self.initial_extra = [{"language": code} for code in missing]

    def _should_delete_form(self, form: Any) -> bool:
        """A text that was emptied goes: customers read the campaign's own then."""
        given = getattr(form, "cleaned_data", {})
        is_empty = bool(given) and not any(given.get(name) for name in SHOWN_TEXTS)
        return bool(form.instance.pk and is_empty and not form.errors) or bool(
            super()._should_delete_form(form)  # type: ignore[misc]
        )

    def clean(self) -> None:
        super().clean()
        for form in self.forms:
            given = getattr(form, "cleaned_data", {})
            is_own = given.get("language") == self.instance.language
            filled = [name for name in SHOWN_TEXTS if given.get(name)]
            if is_own and filled and form.has_changed():
                form.add_error(
                    filled[0],
                    _(
                        "This is the language of the campaign's own texts, in the tab "
                        "Offer. Write it there, and leave this empty."
                    ),
                )


class GroupForm(GroupModelForm):
    """What campaigns share; whatever is filled in beats theirs."""

    class Meta:
        model = Group
        fields = ("name", *COLOURS, "button_label", "button_url")
        widgets = dict.fromkeys(COLOURS, ColourWidget)
        help_texts = dict.fromkeys(COLOURS, _("Empty: each campaign's own.")) | {
            "button_label": _(
                "Empty: each campaign's own, if it has a link, here or there."
            ),
            "button_url": _("Begins with https://. Empty: each campaign's own."),
        }


class TemplateForm(TemplateModelForm):
    """Texts for campaigns that have none of their own."""

    class Meta:
        model = Template
        fields = ("name", "instructions", "usage_condition")
        widgets = {"instructions": LinesWidget}
        help_texts = {
            "instructions": _("How the coupon is used. Line breaks stay."),
            "usage_condition": _("In a line, such as “Not with other offers”."),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        texts = ("instructions", "usage_condition")
        if not self.errors and not any(cleaned.get(name) for name in texts):
            self.add_error("instructions", _("Write at least one of the two texts."))
        return cleaned


def first_values(zone_name: str, now: datetime) -> dict[str, Any]:
    """What a new campaign's form begins with: from today to the end of next month."""
    zone = zoneinfo.ZoneInfo(zone_name)
    today = now.astimezone(zone).date()
    last = end_of_day(end_of_next_month(today))
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "time_zone": zone_name,
        "language": language if language in dict(settings.LANGUAGES) else "en",
        "use_starts_at": to_instant(
            datetime.combine(today, time()), zone, is_end=False
        ),
        "use_ends_at": to_instant(last, zone, is_end=True),
    }


def text_forms(formset: CampaignTextFormSet) -> Sequence[CampaignTextForm]:
    """Its forms in the order of the house's languages."""
    order = {code: n for n, (code, name) in enumerate(settings.LANGUAGES)}
    forms: list[Any] = formset.forms
    return sorted(forms, key=lambda form: order.get(form.tongue, len(order)))
