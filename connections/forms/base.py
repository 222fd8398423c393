"""What the forms of all providers share."""

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from connections.forms.fields import SecretField, taken_until
from connections.models import Connection

if TYPE_CHECKING:  # generic in the stubs alone
    ConnectionModelForm = forms.ModelForm[Connection]
else:
    ConnectionModelForm = forms.ModelForm


class AccountForm(ConnectionModelForm):
    """Name, account and write-only credentials of an account at `provider`.

    `plain` and `secret` name its fields, in the order of the page.
    """

    provider: ClassVar[str]
    plain: ClassVar[tuple[str, ...]]
    secret: ClassVar[tuple[str, ...]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.provider = self.provider
        for field in self.fields.values():
            if isinstance(field, SecretField):
                field.show_kept(self.instance)
        self._offer_to_forget()

    def _offer_to_forget(self) -> None:
        field = self.fields.get("forget_old_secret")
        until = self.instance.old_secret_until
        if field is None:
            return
        if until and self.instance.has_old_secret_at(timezone.now()):
            field.help_text = taken_until(until)
            field.widget = UnfoldBooleanSwitchWidget()
        else:
            del self.fields["forget_old_secret"]

    def clean_account_id(self) -> str:
        text: str = self.cleaned_data["account_id"]
        others = Connection.objects.exclude(pk=self.instance.pk)
        if text and others.filter(provider=self.provider, account_id=text).exists():
            raise ValidationError(
                gettext("Another connection has this account already. Change that one.")
            )
        return text

    def changed_columns(self) -> set[str]:
        """The columns whose value is another than before; secrets are not among them."""
        own = set(self.changed_data) & {f.name for f in Connection._meta.fields}
        return {
            name for name in own if self.cleaned_data[name] != self.initial.get(name)
        }


class KeyForm(forms.Form):
    """The name that LINE's console gave our public key."""

    key_id = forms.CharField(
        label=_("Key id (kid)"),
        max_length=80,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        error_messages={"required": _("Paste the key id that LINE's console shows.")},
    )

    def clean_key_id(self) -> str:
        text: str = self.cleaned_data["key_id"]
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", text):
            raise ValidationError(
                gettext(
                    "A key id has letters, digits and dashes alone. Copy it again from "
                    "the LINE Developers console."
                )
            )
        return text
