"""A LINE account."""

import re
from typing import Any, ClassVar

from django import forms
from django.contrib.admin import VERTICAL
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminRadioSelectWidget

from connections.forms.base import AccountForm
from connections.forms.fields import SecretField, forget_old_secret_field, is_kept
from connections.models import Connection

TokenKind = Connection.TokenKind
CONSOLE = _("the LINE Developers console")


class LineForm(AccountForm):
    """A Messaging API channel, and where its access token comes from."""

    provider = Connection.Provider.LINE
    plain: ClassVar[tuple[str, ...]] = ("name", "account_id")
    secret: ClassVar[tuple[str, ...]] = (
        "token_kind",
        "channel_id",
        "new_access_token",
        "new_secret",
        "forget_old_secret",
    )

    token_kind = forms.ChoiceField(
        label=_("Access token"),
        required=False,  # what is not posted stays as it is
        choices=[(value, capfirst(label)) for value, label in TokenKind.choices],
        initial=TokenKind.LONG_LIVED,
        widget=UnfoldAdminRadioSelectWidget(radio_style=VERTICAL),
        help_text=_(
            "One that is issued by us ends by itself and is renewed before that: "
            "nothing to copy, and little to steal."
        ),
    )
    new_access_token = SecretField(
        label=_("Channel access token"),
        column="access_token",
        source=CONSOLE,
        help_text=_(
            "From the LINE Developers console, your channel's Messaging API tab."
        ),
    )
    new_secret = SecretField(
        label=_("Channel secret"),
        column="secret",
        source=CONSOLE,
        help_text=_(
            "From the LINE Developers console, your channel's Basic settings tab."
        ),
    )
    forget_old_secret = forget_old_secret_field()

    class Meta:
        model = Connection
        fields = ("name", "account_id", "token_kind", "channel_id")
        labels: ClassVar[dict[str, Any]] = {"channel_id": _("Channel id")}
        help_texts: ClassVar[dict[str, Any]] = {
            "account_id": _(
                "The account's own user id, a U and 32 characters. Leave empty: Test "
                "fills it in."
            ),
            "channel_id": _(
                "A number, from the LINE Developers console, Basic settings tab."
            ),
        }

    def clean_account_id(self) -> str:
        text = super().clean_account_id()
        if text and not re.fullmatch(r"U[0-9a-f]{32}", text):
            raise ValidationError(
                gettext(
                    "This is no user id of an account: that is a U and 32 digits and "
                    "letters from a to f. Leave it empty, and Test fills it in."
                )
            )
        return text

    def clean_channel_id(self) -> str:
        text: str = self.cleaned_data["channel_id"]
        if text and not re.fullmatch(r"[0-9]{1,20}", text):
            raise ValidationError(
                gettext(
                    "A channel id has digits alone. It stands in the LINE Developers "
                    "console on the Basic settings tab."
                )
            )
        return text

    def clean_token_kind(self) -> str:
        chosen: str = self.cleaned_data["token_kind"]
        return chosen or self.instance.token_kind

    def clean(self) -> dict[str, Any] | None:
        given = super().clean() or self.cleaned_data
        kind = given.get("token_kind")
        if kind in (TokenKind.STATELESS, TokenKind.V2_1):
            self._require_channel(given, kind)
        return given

    def _require_channel(self, given: dict[str, Any], kind: str) -> None:
        if not given.get("channel_id") and "channel_id" not in self.errors:
            self.add_error(
                "channel_id",
                gettext(
                    "To have tokens issued, LINE wants the channel id: fill it in."
                ),
            )
        has_secret = given.get("new_secret") or is_kept(self.instance, "secret")
        if kind == TokenKind.STATELESS and not has_secret:
            self.add_error(
                "new_secret",
                gettext(
                    "To have stateless tokens issued, LINE wants the channel secret."
                ),
            )
