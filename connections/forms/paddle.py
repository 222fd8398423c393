"""A Paddle Classic account."""

import re
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from connections.forms.base import AccountForm
from connections.forms.fields import PublicKeyField, SecretField, is_kept
from connections.models import Connection

SOURCE = _("Paddle, Developer Tools > Authentication")


class PaddleForm(AccountForm):
    """A vendor: who it is, what lets us in, and what its webhooks are checked with."""

    provider = Connection.Provider.PADDLE
    plain: ClassVar[tuple[str, ...]] = ("name", "account_id")
    secret: ClassVar[tuple[str, ...]] = ("new_access_token", "public_key")

    new_access_token = SecretField(
        label=_("Auth code"),
        column="access_token",
        source=SOURCE,
        help_text=_("From Paddle, Developer Tools > Authentication."),
    )
    public_key = PublicKeyField(
        label=_("Public key"),
        required=False,
        help_text=_(
            "From Paddle, Developer Tools > Public Key: all of it. Webhooks are "
            "checked with it; without it they are refused. It is no secret."
        ),
    )

    class Meta:
        model = Connection
        fields = ("name", "account_id", "public_key")
        labels: ClassVar[dict[str, Any]] = {"account_id": _("Vendor id")}
        help_texts: ClassVar[dict[str, Any]] = {
            "account_id": _("A number, from Paddle, Developer Tools > Authentication.")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "account_id" in self.fields:
            self.fields["account_id"].required = True

    def clean_account_id(self) -> str:
        text = super().clean_account_id()
        if not re.fullmatch(r"[1-9][0-9]{0,11}", text):
            raise ValidationError(
                gettext(
                    "A vendor id is a number, such as 12345. It stands in Paddle under "
                    "Developer Tools > Authentication."
                )
            )
        return text

    def clean_new_access_token(self) -> str:
        text: str = self.cleaned_data["new_access_token"]
        if text and not re.fullmatch(r"[0-9a-f]+", text):
            raise ValidationError(
                gettext(
                    "An auth code of Paddle Classic has digits and the letters a to f "
                    "alone. A key of Paddle Billing does not work here."
                )
            )
        if not text and not is_kept(self.instance, "access_token"):
            raise ValidationError(gettext("Paste the auth code."))
        return text
