"""What staff fill in about stores and who works there."""

import functools
import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelect2Widget

from stores.models import Store, is_typable
from stores.services import LEAST_VARIETY, MAX_PASSWORD, MIN_PASSWORD

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


def changed_words(at: datetime | None, zone: zoneinfo.ZoneInfo) -> str:
    """That there is a password, and since when; all that is ever told of one."""
    if at is None:
        return gettext("Set.")
    return gettext("Set, last changed on %(when)s (%(zone)s).") % {
        "when": date_format(at.astimezone(zone), "DATETIME_FORMAT"),
        "zone": zone.key,
    }


def validate_new_password(raw: str) -> None:
    """Refuse what nobody can type, and what anybody guesses."""
    if not is_typable(raw):
        raise ValidationError(
            gettext("It has characters that nobody can type. Choose others.")
        )
    if len(set(raw)) < LEAST_VARIETY:
        raise ValidationError(
            gettext("Use at least three different characters: this is guessed fast.")
        )


class NewPasswordField(forms.CharField):
    """A password that staff will type on customers' phones: write-only."""

    default_validators = [validate_new_password]

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_length=MIN_PASSWORD,
            max_length=MAX_PASSWORD,
            widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
            error_messages={"min_length": _("Use at least 6 characters.")},
            **options,
        )


class AgainField(forms.CharField):
    """The same password once more: what is typed unseen may be a slip."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
            **options,
        )


def check_again(form: forms.BaseForm, first: str, second: str) -> None:
    """Complain at the second of two fields when they are not the same."""
    given = form.cleaned_data
    if first in given and second in given and given[first] != given[second]:
        form.add_error(second, gettext("The two are not the same. Type both again."))


class StorePasswordForm(forms.Form):
    """A new store password, typed twice."""

    password = NewPasswordField(
        label=_("New password"), help_text=_("At least 6 characters.")
    )
    again = AgainField(label=_("The same again"))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        check_again(self, "password", "again")
        return given
