"""What is asked before a campaign is published, changed or taken back at a provider."""

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from campaigns.models import Campaign
from connections.models import Connection
from sync.models import Publication
from sync.options import (
    LEAST_PROBABILITY,
    MOST_PROBABILITY,
    MOST_WINNERS,
    LineOptions,
    Options,
    PaddleOptions,
    VivoldiOptions,
)

MOST_NUMBER = 2_147_483_647
LONGEST_PASSWORD = 20  # Vivoldi publishes no limit; its samples have five or six digits
YES, NO, ACCOUNTS = "yes", "no", ""


class OptionsForm(forms.Form):
    """What a person chooses besides what the campaign says; nothing, at some."""

    def __init__(self, *args: Any, campaign: Campaign, **options: Any) -> None:
        super().__init__(*args, **options)

    def options(self) -> Options:
        """Of a valid form."""
        raise NotImplementedError


class LineForm(OptionsForm):
    """LINE's own coupon: who finds it, and whether people draw for it."""

    visibility = forms.ChoiceField(
        label=_("Who can find it?"),
        choices=[
            ("UNLISTED", _("Only who gets the message, or its link")),
            ("PUBLIC", _("Everybody: LINE lists it in the account's profile")),
        ],
        initial="UNLISTED",
        widget=UnfoldAdminRadioSelectWidget(),
    )
    way = forms.ChoiceField(
        label=_("Who gets it?"),
        choices=[
            ("normal", _("Everybody who opens it")),
            ("lottery", _("Only who wins: people draw for it once")),
        ],
        initial="normal",
        widget=UnfoldAdminRadioSelectWidget(),
    )
    probability = forms.IntegerField(
        label=_("Chance to win, in per cent"),
        required=False,
        min_value=LEAST_PROBABILITY,
        max_value=MOST_PROBABILITY,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"inputmode": "numeric"}),
        help_text=_("For a draw: 1 to 99."),
    )
    most_winners = forms.IntegerField(
        label=_("Winners at most"),
        required=False,
        min_value=1,
        max_value=MOST_WINNERS,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"inputmode": "numeric"}),
        help_text=_("For a draw. Empty: as many as win."),
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        draws = given.get("way") == "lottery"
        if draws and not given.get("probability") and "probability" not in self.errors:
            self.add_error("probability", _("A draw needs a chance: 1 to 99 per cent."))
        for name in ("probability", "most_winners"):
            if not draws and given.get(name):
                self.add_error(
                    name, _("This is for a draw. Leave it empty, or choose the draw.")
                )
        return given

    def options(self) -> LineOptions:
        given = self.cleaned_data
        return LineOptions(
            visibility=given["visibility"],
            probability=given["probability"] or None,
            most_winners=given["most_winners"] or None,
        )


class PaddleForm(OptionsForm):
    """Nothing to choose: the campaign says it all."""

    def options(self) -> PaddleOptions:
        return PaddleOptions()


class VivoldiForm(OptionsForm):
    """What is made in Vivoldi's dashboard, and what of ours it may know."""

    group = forms.IntegerField(
        label=_("Coupon group"),
        required=False,
        min_value=0,
        max_value=MOST_NUMBER,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"inputmode": "numeric"}),
        help_text=_(
            "Its number in Vivoldi's dashboard (grpIdx), where it gets its picture. A "
            "group's settings beat those sent from here. Empty: none."
        ),
    )
    template = forms.IntegerField(
        label=_("Template"),
        required=False,
        min_value=0,
        max_value=MOST_NUMBER,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"inputmode": "numeric"}),
        help_text=_("Its number there (tmplIdx): how to use it, caveats. Empty: none."),
    )
    domain = forms.URLField(
        label=_("Domain of its pages"),
        required=False,
        max_length=100,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget(
            attrs={"inputmode": "url", "placeholder": "https://vvd.bz"}
        ),
        help_text=_("One of your own has to be registered at Vivoldi first."),
    )
    webhook = forms.ChoiceField(
        label=_("Does Vivoldi tell of uses at once?"),
        required=False,
        choices=[
            (ACCOUNTS, _("As the account is set up")),
            (YES, _("Yes, by webhook (Enterprise plan)")),
            (NO, _("No: uses come in when it is looked at")),
        ],
        widget=UnfoldAdminSelectWidget(),
    )
    onsite_password = forms.CharField(
        label=_("Password for store staff on its page"),
        required=False,
        max_length=LONGEST_PASSWORD,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "Vivoldi's page has a button to use the coupon in the store, and asks for it. "
            "It is kept encrypted and never shown again."
        ),
    )
    memo = forms.CharField(
        label=_("Memo"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Shown in Vivoldi's dashboard alone."),
    )
    is_mirrored = forms.BooleanField(
        label=_("Tell Vivoldi when one of our stores takes a coupon"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_("Then it can't be used a second time on its page."),
    )
    names_people = forms.BooleanField(
        label=_("Send who has each coupon"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_(
            "Of whoever has a coupon when it is published or changed there, name, "
            "phone, e-mail and notes go to Vivoldi, in Korea. Ask first whether your "
            "privacy notice says so."
        ),
    )

    def __init__(self, *args: Any, campaign: Campaign, **options: Any) -> None:
        super().__init__(*args, campaign=campaign, **options)
        if campaign.verified_on_page == "password":
            self.fields["onsite_password"].required = True
        elif not campaign.verified_on_page:  # there is no button that could ask
            del self.fields["onsite_password"]

    def clean_domain(self) -> str:
        domain: str = self.cleaned_data["domain"]
        if domain and not domain.startswith("https://"):
            raise ValidationError(_("It has to begin with https://."))
        return domain

    def clean_onsite_password(self) -> str:
        password: str = self.cleaned_data["onsite_password"]
        if password and not (password.isascii() and password.isalnum()):
            raise ValidationError(_("Letters and digits only."))
        return password

    def options(self) -> VivoldiOptions:
        given = self.cleaned_data
        return VivoldiOptions(
            group=given["group"] or 0,
            template=given["template"] or 0,
            domain=given["domain"],
            wants_webhook={YES: True, NO: False}.get(given["webhook"]),
            memo=given["memo"],
            is_mirrored=given["is_mirrored"],
            names_people=given["names_people"],
            onsite_password=given.get("onsite_password", ""),
        )


FORMS: dict[str, type[OptionsForm]] = {
    Connection.Provider.LINE: LineForm,
    Connection.Provider.PADDLE: PaddleForm,
    Connection.Provider.VIVOLDI: VivoldiForm,
}


def options_form(
    campaign: Campaign,
    connection: Connection,
    data: Any = None,
    *,
    before: Publication | None = None,
) -> OptionsForm:
    """The provider's form; filled in as it was chosen `before`, but for a password."""
    form = FORMS[connection.provider]
    initial = initial_of(before) if before is not None else None
    return form(data, campaign=campaign, initial=initial)


def initial_of(before: Publication) -> dict[str, Any]:
    found = dict(before.options)
    webhook = found.pop("wants_webhook", None)
    found["webhook"] = {True: YES, False: NO}.get(webhook, ACCOUNTS)
    found["way"] = "lottery" if found.get("probability") else "normal"
    return {name: value for name, value in found.items() if value not in (None, 0)}


class TakeBackThereForm(forms.Form):
    """The campaign's name, typed: what customers lose nobody brings back."""

    name = forms.CharField(
        label=_("Type the campaign's name"),
        max_length=300,
        widget=UnfoldAdminTextInputWidget(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
        error_messages={"required": _("Type the name as it stands above.")},
    )

    def __init__(self, *args: Any, campaign: Campaign, **options: Any) -> None:
        super().__init__(*args, **options)
        self.campaign = campaign

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if squeezed(name) != squeezed(self.campaign.name):
            raise ValidationError(
                _("This is another name. Type it as it stands above, or go back.")
            )
        return name


def squeezed(text: str) -> str:
    """Spaces are easily one too many, and letters easily large or wide."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


class DecideForm(forms.Form):
    """What a person found at the provider: which of two buttons was pressed."""

    is_there = forms.ChoiceField(choices=[(YES, YES), (NO, NO)])


class AdoptForm(forms.Form):
    """Whose a coupon made in LINE's manager becomes."""

    campaign = forms.ModelChoiceField(
        Campaign.objects.none(),
        label=_("Campaign"),
        empty_label=_("Choose a campaign"),
        widget=UnfoldAdminSelectWidget(),
        error_messages={
            "required": _("Choose the campaign that it belongs to."),
            "invalid_choice": _(
                "That campaign has a coupon at this account by now. Choose another."
            ),
        },
    )

    def __init__(self, *args: Any, connection: Connection, **options: Any) -> None:
        super().__init__(*args, **options)
        taken = Publication.objects.filter(connection=connection).exclude(
            state=Publication.State.CLOSED
        )
        free = Campaign.objects.filter(archived_at=None).exclude(
            pk__in=taken.values("campaign")
        )
        self.fields["campaign"].queryset = free.order_by("-pk")  # type: ignore[attr-defined]
