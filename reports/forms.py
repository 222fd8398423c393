"""The campaign form with the rules that only serials can answer; what is asked of staff
before a step that can't be taken lightly."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from campaigns.errors import CampaignError
from campaigns.forms import CampaignForm
from campaigns.models import Campaign
from coupons.forms import ReasonField
from coupons.limiting import check_total_limit
from reports.models import SerialExport
from reports.serials_out import exportable
from serials.models import Batch, StockWatch

States = SerialExport.States
NEEDS = {"code39": "fits_code39", "code128": "fits_code128"}


class CampaignOverviewForm(CampaignForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "stock_warning" in self.fields:
            watch = StockWatch.objects.filter(campaign=self.instance).first()
            self.fields["stock_warning"].initial = watch.warn_below if watch else None

    def _locked(self) -> Campaign:
        """The campaign, locked until the save, as it is by whoever adds a batch.

        So nothing slips in between a look at its batches and the save.
        """
        # Not the key: customers' rows that only refer to the campaign don't wait.
        rows = Campaign.objects.select_for_update(no_key=True)
        return rows.get(pk=self.instance.pk)

    def clean_limit_in_total(self) -> int | None:
        quota: int | None = self.cleaned_data["limit_in_total"]
        if self.instance.pk:
            try:
                check_total_limit(self.instance, quota)
            except CampaignError as error:
                raise ValidationError(error.message, error.code) from error
        return quota

    def clean_is_case_sensitive(self) -> bool:
        """Refuse another way of comparing serials once there are some."""
        chosen = bool(self.cleaned_data["is_case_sensitive"])
        if self.instance.pk:
            locked = self._locked()
            has_batches = Batch.objects.filter(campaign=locked).exists()
            if chosen != locked.is_case_sensitive and has_batches:
                raise ValidationError(
                    _(
                        "This can't change any more: the serials that are here were "
                        "compared the other way. Make a new campaign instead."
                    )
                )
        return chosen

    def clean_barcode(self) -> Any:
        """Refuse a barcode that some serial of the campaign can't be drawn in."""
        kind = self.cleaned_data["barcode"]
        if self.instance.pk and kind in NEEDS:
            # Of an import under way too: its next block goes by the new barcode. What
            # was taken before the rest was made void still has to be drawn.
            states = [*Batch.State.whole(), Batch.State.IMPORTING]
            all_void = Q(state=Batch.State.VOID, voided=F("total")) & ~Q(kind="fixed")
            unfit = Batch.objects.filter(
                ~all_void,
                campaign=self._locked(),
                state__in=states,
                **{NEEDS[kind]: False},
            ).first()
            if unfit is not None:
                raise ValidationError(
                    _(
                        "Some serials of “%(batch)s” can't be drawn so. Choose QR code, "
                        "which draws everything."
                    ),
                    params={"batch": unfit.name},
                )
        return kind


class RecordedReason(ReasonField):
    """The same in the back office's look."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
            help_text=_("Kept with the record, for everyone who may read it."),
            **options,
        )


class TakeBackForm(forms.Form):
    """Why a verification is taken back."""

    reason = RecordedReason(label=_("Why do you take it back?"))


class OwnPasswordForm(forms.Form):
    """Asks for the person's own password: a screen left open must not be enough."""

    password = forms.CharField(
        label=_("Your own password"),
        max_length=4096,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
        help_text=_("The one you sign in with."),
        error_messages={"required": _("Type your password.")},
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise ValidationError(_("This is not your password. Type it again."))
        return password


class RevokeForm(OwnPasswordForm):
    """Why a coupon is revoked, and what comes after."""

    reason = RecordedReason(label=_("Why do you revoke it?"))
    then = forms.ChoiceField(
        label=_("And then?"),
        choices=[
            ("nothing", _("Nothing more")),
            ("replace", _("Give the customer another coupon")),
        ],
        initial="nothing",
        widget=UnfoldAdminRadioSelectWidget(),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["password"].help_text = _(
            "The one you sign in with: this can't be undone."
        )


class ExportForm(OwnPasswordForm):
    """Which of a campaign's serials are exported, and for whom."""

    batch = forms.ModelChoiceField(
        Batch.objects.none(),
        label=_("From which batch?"),
        required=False,
        empty_label=_("All batches"),
        widget=UnfoldAdminSelectWidget(),
        error_messages={
            "invalid_choice": _("That batch isn't there any more. Choose another.")
        },
    )
    states = forms.ChoiceField(
        label=_("Which serials?"),
        choices=[
            (States.ALL, _("All of them")),
            (States.FREE, _("Free: nobody has them yet")),
            (States.TAKEN, _("Taken: customers have them, used ones too")),
            (States.VOID, _("Void: nobody gets them any more")),
        ],
        initial=States.ALL,
        widget=UnfoldAdminRadioSelectWidget(),
    )
    columns = forms.ChoiceField(
        label=_("Which columns?"),
        choices=[
            (SerialExport.Columns.ALL, _("All six columns")),
            (SerialExport.Columns.SERIALS, _("Only the serials, one column")),
        ],
        initial=SerialExport.Columns.ALL,
        widget=UnfoldAdminRadioSelectWidget(),
        help_text=_(
            "All six are serial, state, batch, taken at, coupon number and verified at."
        ),
    )
    format = forms.ChoiceField(
        label=_("What for?"),
        choices=[
            (SerialExport.Format.EXCEL, _("A spreadsheet (Excel-safe)")),
            (SerialExport.Format.PLAIN, _("A till: plain")),
        ],
        initial=SerialExport.Format.EXCEL,
        widget=UnfoldAdminRadioSelectWidget(),
        help_text=_(
            "Excel-safe puts a ' before serials that a spreadsheet would change or run, "
            "such as 00123; uploading the file here takes it off again. Plain is each "
            "serial exactly as it is: don't open that file in a spreadsheet and save it."
        ),
    )

    def __init__(self, *args: Any, campaign: Campaign, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["batch"].queryset = exportable(campaign.pk)  # type: ignore[attr-defined]


class ReplaceForm(forms.Form):
    """How another coupon gets to the customer: which of two buttons was pressed."""

    way = forms.ChoiceField(choices=[("line", "line"), ("link", "link")])
