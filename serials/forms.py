"""What staff fill in about serials."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
    UnfoldBooleanWidget,
)

from campaigns.models import Campaign
from serials.errors import ImportRefused
from serials.models import CODE_LENGTH, FIXED_LENGTH, Batch
from serials.patterns import LENGTH, Pattern, of_prefix
from serials.reading import ENCODINGS
from serials.services import (
    MAX_QUANTITY,
    pattern_of,
    refuse_pattern,
    shape_problem,
)

if TYPE_CHECKING:  # generic in the stubs alone
    BatchModelForm = forms.ModelForm[Batch]
else:
    BatchModelForm = forms.ModelForm

EXAMPLE = "FNA@5841"


class CampaignForm(forms.Form):
    """Into which campaign; the ones that are over aren't offered."""

    campaign = forms.ModelChoiceField(
        Campaign.objects.exclude(state=Campaign.State.ENDED).filter(archived_at=None),
        label=_("Campaign"),
        empty_label=_("Choose a campaign"),
        widget=UnfoldAdminSelectWidget(),
        error_messages={
            "required": _("Choose a campaign."),
            "invalid_choice": _("Choose a campaign that is still going."),
        },
    )

    def refuse(self, problem: ImportRefused) -> None:
        """Show a service's no at the field it is about."""
        field = problem.field if problem.field in self.fields else None
        self.add_error(field, ValidationError(str(problem.message)))


class UploadForm(CampaignForm):
    """A file of one-time serials."""

    file = forms.FileField(
        label=_("CSV file"),
        error_messages={
            "empty": _(
                "The file is empty. Choose a file with a heading and one serial a row."
            ),
            "required": _("Choose the file with the serials."),
        },
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,text/csv"}),
        help_text=_("At most 10 MB and 1,000,000 serials; split a larger one."),
    )
    name = forms.CharField(
        label=_("Name of the batch"),
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Only staff see it. Left empty, it is the file's name."),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("file") and not given.get("name"):
            # A name from the browser: anything but a file's path and 100 characters.
            given["name"] = str(given["file"].name)[:100]
        return given


class CheckForm(forms.Form):
    """How a kept file is to be read."""

    encoding = forms.ChoiceField(
        label=_("Encoding"),
        choices=list(ENCODINGS.items()),
        widget=UnfoldAdminSelectWidget(),
    )
    is_serial = forms.BooleanField(
        label=_("Row 1 is a serial, not a heading"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
    )


class FixedForm(CampaignForm):
    """The same serial for everyone."""

    code = forms.CharField(
        label=_("Serial"),
        max_length=FIXED_LENGTH,
        widget=UnfoldAdminTextInputWidget(
            attrs={"placeholder": EXAMPLE, "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text=_("1 to 16 characters. Every customer gets this same text."),
    )
    quantity = forms.IntegerField(
        label=_("How many may redeem it"),
        min_value=1,
        max_value=MAX_QUANTITY,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"placeholder": "1000"}),
        help_text=_("1 to 1,000,000."),
    )
    is_unlimited = forms.BooleanField(
        label=_("No limit"), required=False, widget=UnfoldBooleanWidget()
    )
    name = forms.CharField(
        label=_("Name of the batch"),
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Only staff see it. Left empty, it is the serial."),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        quantity, is_unlimited = given.get("quantity"), given.get("is_unlimited")
        if "quantity" in self.errors:
            return given
        if quantity is None and not is_unlimited:
            self.add_error("quantity", gettext("Write how many, or tick “No limit”."))
        if quantity is not None and is_unlimited:
            self.add_error("quantity", gettext("Either a number or no limit."))
        return given


HOW_MANY = _("Write a whole number from 1 to 1,000,000.")


class GenerateForm(CampaignForm):
    """Serials of one's own, by a pattern."""

    quantity = forms.IntegerField(
        label=_("How many"),
        min_value=1,
        max_value=MAX_QUANTITY,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"placeholder": "1000"}),
        help_text=_("1 to 1,000,000."),
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"), HOW_MANY
        ),
    )
    pattern = forms.CharField(
        label=_("Pattern"),
        max_length=4 * CODE_LENGTH,
        initial=of_prefix("", LENGTH),
        widget=UnfoldAdminTextInputWidget(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
        help_text=_(
            "Each # becomes a random character, all else stays as it is: "
            "SPRING-####-####."
        ),
        error_messages={
            "required": _("Write a pattern with a # for each random character."),
            "max_length": _("Write at most 64 characters."),
        },
    )
    alphabet = forms.ChoiceField(
        label=_("Drawn from"),
        initial="clear",
        choices=(
            ("clear", _("Letters and digits without 0, O, 1, I")),
            ("letters", _("Letters without O and I")),
            ("digits", _("Digits 0 to 9")),
        ),
        widget=UnfoldAdminSelectWidget(),
        help_text=_(
            "Capital letters. Those that are taken for another on paper or on the phone "
            "are left out."
        ),
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), _("Choose the characters from the list.")
        ),
    )
    name = forms.CharField(
        label=_("Name of the batch"),
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Only staff see it. Left empty, it is the pattern."),
    )
    # Once cleaned: what can be drawn from, whether it is refused or not.
    drawn: Pattern | None = None

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "pattern" in given and "alphabet" in given:
            self._clean_pattern(given)
        return given

    def _clean_pattern(self, given: dict[str, Any]) -> None:
        pattern = pattern_of(given["pattern"], given["alphabet"])
        if not shape_problem(pattern):
            self.drawn = pattern
        try:
            refuse_pattern(given.get("campaign"), pattern, given.get("quantity"))
        except ImportRefused as problem:
            self.refuse(problem)


class BatchForm(BatchModelForm):
    """What of a batch people may change later."""

    class Meta:
        model = Batch
        fields = ("name", "position", "memo")
