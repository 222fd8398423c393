"""A Vivoldi account."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from connections.forms.base import AccountForm
from connections.forms.fields import SecretField, forget_old_secret_field, is_kept
from connections.models import Connection

SOURCE = _("Vivoldi's settings")
MOST_CALLS = 6_000  # a minute

# Calls a minute and an hour. From Vivoldi's page of limits, the newest of three copies
# that differ; the others allow less.
PLANS = (
    ("Personal", 180, 10_000),
    ("Premium", 300, 15_000),
    ("Business", 480, 25_000),
    ("Business Plus", 768, 40_000),
    ("Enterprise", 1_200, 60_000),
)


class VivoldiForm(AccountForm):
    """An organisation: its API key, what signs its webhooks, how often we may call."""

    provider = Connection.Provider.VIVOLDI
    plain: ClassVar[tuple[str, ...]] = ("name", "calls_a_minute")
    secret: ClassVar[tuple[str, ...]] = (
        "new_access_token",
        "new_secret",
        "forget_old_secret",
    )

    calls_a_minute = forms.IntegerField(
        label=_("Calls a minute"),
        required=False,
        min_value=1,
        max_value=MOST_CALLS,
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    new_access_token = SecretField(
        label=_("API key"),
        column="access_token",
        source=SOURCE,
        help_text=_("From Vivoldi's settings. It can be changed there once a month."),
    )
    new_secret = SecretField(
        label=_("Webhook secret"),
        column="secret",
        source=SOURCE,
        help_text=_(
            "From Vivoldi's webhook settings. Without it webhooks are refused, and "
            "uses are learned by asking about each coupon."
        ),
    )
    forget_old_secret = forget_old_secret_field()

    class Meta:
        model = Connection
        fields = ("name", "calls_a_minute")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "calls_a_minute" in self.fields:
            self.fields["calls_a_minute"].help_text = gettext(
                "As your plan allows: see the table below. Empty: %(usual)s."
            ) % {"usual": settings.VIVOLDI_RATE}

    def clean_new_access_token(self) -> str:
        text: str = self.cleaned_data["new_access_token"]
        if not text and not is_kept(self.instance, "access_token"):
            raise ValidationError(gettext("Paste the API key."))
        return text
