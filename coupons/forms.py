"""Forms of the store's screen."""

import unicodedata

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext_lazy as _

from serials.codes import ZERO_WIDTH
from stores.models import is_typable
from stores.services import MAX_PASSWORD

LONGEST_SCAN = 300  # characters; a link of ours has about 60
# Control characters, halves of a pair, and marks that change the reading direction.
UNREADABLE = {"Cc", "Cs", "Cf"}


def is_readable(text: str) -> bool:
    """Whether people can see and type all of it; marks of no width are let pass."""
    return not any(
        unicodedata.category(char) in UNREADABLE and ord(char) not in ZERO_WIDTH
        for char in text
    )


def validate_readable(text: str) -> None:
    """Refuse what nobody can see or type; marks of no width are dropped later on."""
    if not is_readable(text):
        raise ValidationError(
            _("This has characters that can't be read. Scan again, or type the number.")
        )


class ReadableField(forms.CharField):
    """One line of text, without control characters."""

    default_validators = [validate_readable]

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        # Ours refuses NUL as well; two errors for one fault help nobody.
        self.validators = [
            validator
            for validator in self.validators
            if not isinstance(validator, ProhibitNullCharactersValidator)
        ]


class ScanForm(forms.Form):
    """What a scanner or a clerk typed, and the id of the page it was typed into."""

    text = ReadableField(
        max_length=LONGEST_SCAN,
        error_messages={
            "required": _("Scan a coupon, or type its number."),
            "max_length": _("This is too long for a coupon. Scan again."),
        },
    )
    nonce = forms.UUIDField(
        error_messages={
            "required": _("This page was out of date. Scan again."),
            "invalid": _("This page was out of date. Scan again."),
        }
    )

    @property
    def problem(self) -> str:
        """The first thing wrong, for the one line under the field."""
        return next((str(found[0]) for found in self.errors.values()), "")


class UseForm(forms.Form):
    """What a store's staff choose on the customer's page to mark a coupon as used.

    `press` is the id of the page that was shown.
    """

    store = forms.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        error_messages={
            name: _("Choose the store.")
            for name in ("required", "invalid", "min_value", "max_value")
        },
    )
    press = forms.UUIDField(
        error_messages={
            "required": _("This page was out of date. Try once more."),
            "invalid": _("This page was out of date. Try once more."),
        }
    )

    @property
    def problem(self) -> str:
        """The first thing wrong, for the one line at `problem_field`."""
        return str(self.errors[self.problem_field][0]) if self.errors else ""

    @property
    def problem_field(self) -> str:
        """Its field, as the page has them one below the other."""
        return next((name for name in self.fields if name in self.errors), "")


def validate_typable(text: str) -> None:
    """Refuse what can be no password, before a try is spent on it."""
    if not is_typable(text):
        raise ValidationError(
            _("This has characters that no password has. Type it again.")
        )


class TypedPasswordField(ReadableField):
    """A password as the staff of a store type it."""

    default_validators = [validate_typable]


class UsePasswordForm(UseForm):
    """The same, with the store's password."""

    password = TypedPasswordField(
        max_length=MAX_PASSWORD,
        error_messages={
            "required": _("Type the store password."),
            "max_length": _("No password is as long as that. Type it again."),
        },
    )


def validate_reason(text: str) -> None:
    """Refuse control characters, and a text of which nothing can be seen."""
    if not is_readable(text):
        raise ValidationError(
            _("This has characters that can't be read. Type the reason yourself.")
        )
    if not text.translate(ZERO_WIDTH).strip():
        raise ValidationError(_("Write why, in a few words."))


class ReasonField(ReadableField):
    """Why a step is taken: the record keeps it, and shows it to every reader."""

    default_validators = [validate_reason]

    def __init__(self, **options: object) -> None:
        super().__init__(
            max_length=200,
            error_messages={"required": _("Write why, in a few words.")},
            **options,
        )


class TakeBackForm(forms.Form):
    """Why a verification is taken back."""

    reason = ReasonField(
        label=_("Why do you take it back?"),
        widget=forms.TextInput(attrs={"list": "reasons", "autocomplete": "off"}),
    )


class SignInForm(AuthenticationForm):
    """Django's, with the same words for text that no account could have."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _(
            "This user name and password don't match. Both care about capital letters."
        ),
    }

    def clean(self) -> dict[str, object]:
        for field in ("username", "password"):
            try:
                self.cleaned_data.get(field, "").encode()
            except UnicodeEncodeError:
                raise self.get_invalid_login_error() from None
        return super().clean()
