"""Fields that take a secret and never give it back."""

from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from connections.errors import SecretUnreadable
from connections.models import Connection

LONGEST = 1_000
LONGEST_PEM = 10_000
# Below this, four characters would be too large a part of the secret.
SHOWN_FROM = 12


class SecretField(forms.CharField):
    """A secret to write, never to read: what is kept does not come back to the page.

    `column` is where it is kept, `source` where people find it, as the end of "Copy it
    again from …".
    """

    def __init__(self, *, column: str, source: str | Promise, **options: Any) -> None:
        self.column, self.source = column, source
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
                    "again from %(source)s."
                )
                % {"source": self.source}
            )
        return text

    def show_kept(self, connection: Connection) -> None:
        """Let the help text say whether one is kept, and how it ends."""
        self.help_text = kept_words(connection, self.column) or self.help_text


class PublicKeyField(forms.CharField):
    """An RSA public key as PEM, with words for each way to paste it wrongly."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=LONGEST_PEM,
            widget=UnfoldAdminTextareaWidget(
                attrs={"rows": 8, "class": "connection-pem", "spellcheck": "false"}
            ),
            **options,
        )

    def clean(self, value: Any) -> str:
        text = str(super().clean(value)).replace("\r\n", "\n").strip()
        problem = text and problem_of_public_key(text)
        if problem:
            raise ValidationError(problem)
        return text


def problem_of_public_key(text: str) -> str:
    """Why this is no RSA public key in PEM, in words; "" when it is one."""
    if "PRIVATE KEY" in text:
        return gettext(
            "This is a private key. Never give it to anybody: paste the public one."
        )
    if "-----BEGIN PUBLIC KEY-----" not in text or "-----END PUBLIC KEY-----" not in (
        text
    ):
        return gettext(
            "Its first or last line is missing. Copy all of it, from “-----BEGIN "
            "PUBLIC KEY-----” to “-----END PUBLIC KEY-----”."
        )
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return gettext("Something is missing inside. Copy all of it again.")
    if not isinstance(key, rsa.RSAPublicKey):
        return gettext("This is another kind of key. Paste an RSA public key.")
    return ""


def forget_old_secret_field() -> Any:
    """A switch for a form that keeps the previous secret for a while."""
    return forms.BooleanField(
        label=_("Stop taking the previous secret now"), required=False
    )


def kept_words(connection: Connection, name: str) -> str:
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


def is_kept(connection: Connection, name: str) -> bool:
    """Whether there is a secret that can be read."""
    try:
        return connection.pk is not None and bool(getattr(connection, name))
    except SecretUnreadable:
        return False


def taken_until(until: datetime) -> str:
    """How long the previous secret still counts."""
    return gettext(
        "Webhooks signed with it are still taken until %(until)s, so that none on its "
        "way is lost. Switch this on if it leaked."
    ) % {"until": date_format(timezone.localtime(until), "DATETIME_FORMAT")}
