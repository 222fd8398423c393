"""What staff fill in to send a campaign."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from campaigns.forms import ZonedDateTimeField
from campaigns.models import Campaign
from connections.models import Connection
from contacts.models import Contact, ContactList
from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from providers.line_messages import MAX_TAG, is_tag

# A message of LINE's own coupon starts from the coupon, not from here.
OWN_KINDS = (Delivery.Kind.CARD, Delivery.Kind.TEXT)


def campaigns_to_send() -> Any:
    return Campaign.objects.filter(state=Campaign.State.ACTIVE, archived_at=None)


def accounts() -> Any:
    return Connection.objects.filter(provider=Connection.Provider.LINE)


def native_pickers() -> Any:
    """The browser's own pickers of date and time: they need no script of ours."""
    widget = UnfoldAdminSplitDateTimeWidget()
    for part, kind, shape in zip(
        widget.widgets, ("date", "time"), ("%Y-%m-%d", "%H:%M"), strict=True
    ):
        part.input_type = kind
        part.format = shape
    return widget


class AudienceForm(forms.Form):
    """To whom, and when."""

    contact_list = forms.ModelChoiceField(
        ContactList.objects.none(),
        label=_("List"),
        required=False,
        empty_label=_("No list: one contact"),
        widget=UnfoldAdminSelectWidget(),
    )
    contact = forms.CharField(
        label=_("Or one contact"),
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_(
            "For a test: the contact's name, LINE user id, or the shop's own id."
        ),
    )
    send_at = ZonedDateTimeField(
        is_end=False,
        widget=native_pickers(),
        label=_("Send at"),
        required=False,
        help_text=_("In the campaign's time zone. Left empty, it is sent now."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer("contact_list", ContactList.objects.all())

    def _offer(self, name: str, rows: Any) -> None:
        self.fields[name].queryset = rows  # type: ignore[attr-defined]

    def _write_times_in(self, campaign: Campaign) -> None:
        self.fields["send_at"].zone = campaign.zone  # type: ignore[attr-defined]

    def clean_contact(self) -> Contact | None:
        """The one contact that these words name."""
        words = self.cleaned_data["contact"].strip()
        if not words:
            return None
        by_id = Q(line_user_id=words) | Q(external_id=words)
        for which in (by_id, Q(name__iexact=words)):
            found = list(Contact.objects.filter(which)[:2])
            if len(found) == 1:
                return found[0]
            if found:
                raise ValidationError(
                    gettext("Several contacts are called so. Paste the LINE user id.")
                )
        raise ValidationError(
            gettext("There is no such contact. Copy its id from the list of contacts.")
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        has_list, has_contact = bool(given.get("contact_list")), given.get("contact")
        if not self.errors and has_list == bool(has_contact):
            words = gettext("Choose a list or one contact.")
            if has_list:
                words = gettext("Choose a list or one contact, not both.")
            self.add_error("contact_list", words)
        return given

    def refuse(self, problem: DeliveryError) -> None:
        """Show a service's no at the field it is about."""
        field = FIELDS.get(problem.code)
        self.add_error(
            field if field in self.fields else None,
            ValidationError(problem.message, problem.code),
        )


class SendForm(AudienceForm):
    """A campaign, to whom, as what, when."""

    campaign = forms.ModelChoiceField(
        Campaign.objects.none(),
        label=_("Campaign"),
        empty_label=_("Choose a campaign"),
        widget=UnfoldAdminSelectWidget(),
        help_text=_("Only active campaigns can be sent."),
        error_messages={
            "required": _("Choose a campaign."),
            "invalid_choice": _("This campaign is not active. Choose another one."),
        },
    )
    connection = forms.ModelChoiceField(
        Connection.objects.none(),
        label=_("LINE account"),
        empty_label=_("Choose a LINE account"),
        error_messages={"required": _("Choose the LINE account to send from.")},
        widget=UnfoldAdminSelectWidget(),
    )
    kind = forms.ChoiceField(
        label=_("Message"),
        choices=[(kind.value, capfirst(kind.label)) for kind in OWN_KINDS],
        initial=Delivery.Kind.CARD,
        widget=UnfoldAdminRadioSelectWidget(radio_style=1),
    )
    text = forms.CharField(
        label=_("Words before the link"),
        required=False,
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_(
            "Only for a text. The card is drawn from the campaign: its image, benefit, "
            "dates and colours."
        ),
    )
    field_order = (
        "campaign",
        "contact_list",
        "contact",
        "connection",
        "kind",
        "text",
        "send_at",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        campaigns = campaigns_to_send()
        self._offer("campaign", campaigns)
        self._offer("connection", accounts())
        if not self.is_bound:
            self._choose_only_account()
        chosen = self.data.get("campaign") or self.initial.get("campaign")
        if str(chosen or "").isdecimal() and len(str(chosen)) < 18:
            campaign = campaigns.filter(pk=chosen).first()
            if campaign is not None:
                self._write_times_in(campaign)

    def _choose_only_account(self) -> None:
        only = list(accounts()[:2])
        if len(only) == 1:
            self.initial.setdefault("connection", only[0].pk)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("kind") == Delivery.Kind.TEXT and not given.get("text"):
            self.add_error("text", gettext("Write the words of the message."))
        if given.get("kind") == Delivery.Kind.CARD:
            given["text"] = ""
        return given


class NativeForm(AudienceForm):
    """LINE's own coupon of a campaign: to whom, under which tag, when."""

    tag = forms.CharField(
        label=_("Delivery tag"),
        required=False,
        max_length=MAX_TAG,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_(
            "LINE's manager counts who opened, got and used the coupon under this name. "
            "Letters A to Z, digits and _; left empty, it says “Unknown”."
        ),
    )
    field_order = ("contact_list", "contact", "tag", "send_at")

    def __init__(self, *args: Any, campaign: Campaign, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._write_times_in(campaign)

    def clean_tag(self) -> str:
        tag: str = self.cleaned_data["tag"]
        if not is_tag(tag):
            raise ValidationError(
                gettext("Use only letters A to Z, digits and _ in the delivery tag.")
            )
        return tag


FIELDS = {
    "campaign_draft": "campaign",
    "campaign_paused": "campaign",
    "campaign_ended": "campaign",
    "too_early": "send_at",
    "too_late": "send_at",
    "not_line": "connection",
    "connection_paused": "connection",
    "bad_message": "text",
    "bad_tag": "tag",
    "nobody": "contact_list",
}


class PressForm(forms.Form):
    """The one press of Send: however often it arrives, it is this one."""

    nonce = forms.UUIDField(widget=forms.HiddenInput())
    # Shown, and asked for, only when serials may run short.
    is_short_ok = forms.BooleanField(
        label=_("Send it all the same"), required=False, widget=UnfoldBooleanWidget()
    )
