"""Connections as staff fill them in."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from connections.errors import SecretUnreadable
from connections.models import Connection

if TYPE_CHECKING:  # generic in the stubs alone
    ConnectionModelForm = forms.ModelForm[Connection]
else:
    ConnectionModelForm = forms.ModelForm

LONGEST = 1_000
# Below this, four characters would be too large a part of the secret.
SHOWN_FROM = 12


class SecretField(forms.CharField):
    """A secret to write, never to read: what is kept does not come back to the page."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            max_length=LONGEST,
            widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
            **options,
        )

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        if not text.isascii() or any(not "!" <= c <= "~" for c in text):
            raise ValidationError(
                gettext(
                    "It has spaces or characters that do not belong there. Copy it "
                    "again from the LINE Developers console."
                )
            )
        return text


class ConnectionForm(ConnectionModelForm):
    """Name, account and write-only credentials of a LINE account."""

    new_access_token = SecretField(label=_("Channel access token"))
    new_secret = SecretField(label=_("Channel secret"))
    forget_old_secret = forms.BooleanField(
        label=_("Stop taking the previous channel secret now"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
    )

    class Meta:
        model = Connection
        fields = ("name", "account_id")
        help_texts = {
            "account_id": _(
                "The account's own user id, a U and 32 characters. Leave empty: Test "
                "fills it in."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kept, where in (
            ("new_access_token", "access_token", _("Messaging API tab")),
            ("new_secret", "secret", _("Basic settings tab")),
        ):
            self.fields[name].help_text = _kept(self.instance, kept) or gettext(
                "From the LINE Developers console, your channel's %(where)s."
            ) % {"where": where}
        until = self.instance.old_secret_until
        if until and self.instance.has_old_secret_at(timezone.now()):
            self.fields["forget_old_secret"].help_text = _taken_until(until)
        else:
            del self.fields["forget_old_secret"]


def _kept(connection: Connection, name: str) -> str:
    """What the page says of a secret that is kept; "" when there is none."""
    if connection.pk is None:
        return ""
    try:
        secret: str = getattr(connection, name)
    except SecretUnreadable:
        return gettext("The one that is kept can no longer be read: paste it again.")
    if not secret:
        return ""
    if len(secret) < SHOWN_FROM:
        return gettext("One is kept. Leave empty to keep it.")
    return gettext("Ends in …%(last)s. Leave empty to keep it.") % {"last": secret[-4:]}


def _taken_until(until: datetime) -> str:
    return gettext(
        "Webhooks signed with it are still taken until %(until)s, so that none on its "
        "way is lost. Switch this on if it leaked."
    ) % {"until": date_format(timezone.localtime(until), "DATETIME_FORMAT")}
