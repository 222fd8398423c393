"""What staff fill in about stores and who works there."""

import functools
import zoneinfo
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelect2Widget

from stores.models import Store
from stores.services import MIN_PASSWORD

if TYPE_CHECKING:  # generic in the stubs alone
    StoreModelForm = forms.ModelForm[Store]
else:
    StoreModelForm = forms.ModelForm


@functools.cache
def zone_choices() -> list[tuple[str, str]]:
    """Every IANA name; reading them from disk takes a while, so once."""
    return [(name, name) for name in sorted(zoneinfo.available_timezones())]


class StoreForm(StoreModelForm):
    """One store; the time zone is a list to search."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zone_choices,
        initial="Asia/Tokyo",
        widget=UnfoldAdminSelect2Widget(),
        help_text=_("Decides when a day begins on this store's screen."),
    )

    class Meta:
        model = Store
        fields = ("name", "address", "time_zone", "is_active")


class StorePasswordForm(forms.Form):
    """A new store password, typed twice."""

    password = forms.CharField(
        label=_("New password"),
        min_length=MIN_PASSWORD,
        max_length=128,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 6 characters."),
    )
    again = forms.CharField(
        label=_("The same again"),
        max_length=128,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if len(set(password)) < 3:
            raise ValidationError(
                gettext(
                    "Use at least three different characters: this is guessed fast."
                )
            )
        return password

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "password" in given and given.get("again") not in (None, given["password"]):
            self.add_error(
                "again", gettext("The two are not the same. Type both again.")
            )
        return given
