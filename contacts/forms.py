"""What staff fill in about contacts and lists."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from connections.models import SECRETS, Connection
from contacts.importing import MAX_BYTES, is_line_user_id
from contacts.models import Contact, ContactList

if TYPE_CHECKING:  # generic in the stubs alone
    ContactModelForm = forms.ModelForm[Contact]
else:
    ContactModelForm = forms.ModelForm


class ContactForm(ContactModelForm):
    """One contact."""

    class Meta:
        model = Contact
        exclude = ()  # noqa: DJ006 (the admin's fieldsets choose)

    def clean_line_user_id(self) -> str | None:
        text = self.cleaned_data["line_user_id"]
        if text and not is_line_user_id(text):
            raise ValidationError(
                gettext("A LINE user id is U and 32 of the characters 0-9 and a-f.")
            )
        return str(text) if text else None


class ListChoiceForm(forms.Form):
    """A list that exists, or the name of a new one."""

    contact_list = forms.ModelChoiceField(
        ContactList.objects.all(),
        label=_("List"),
        required=False,
        empty_label=_("Choose a list"),
        widget=UnfoldAdminSelectWidget(),
    )
    new_list = forms.CharField(
        label=_("or the name of a new list"),
        max_length=60,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
    )
    is_list_required = True

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        chosen, new = given.get("contact_list"), given.get("new_list")
        if chosen and new:
            raise ValidationError(gettext("Choose a list or name a new one: not both."))
        if self.is_list_required and not self.errors and not chosen and not new:
            raise ValidationError(gettext("Choose a list, or name a new one."))
        if new and ContactList.objects.filter(name=new).exists():
            self.add_error(
                "new_list",
                gettext("There is a list of this name already: choose it above."),
            )
        return given


class AddToListForm(ListChoiceForm):
    """Where to put contacts, and how far an earlier press came."""

    after_id = forms.IntegerField(
        min_value=0, required=False, widget=forms.HiddenInput()
    )
    count = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput())


class ImportForm(ListChoiceForm):
    """A CSV of LINE user ids of one account."""

    connection = forms.ModelChoiceField(
        Connection.objects.none(),
        label=_("LINE account"),
        empty_label=None,
        widget=UnfoldAdminSelectWidget(),
        help_text=_("The account whose friends these are: ids differ per provider."),
    )
    file = forms.FileField(
        label=_("CSV file"),
        allow_empty_file=True,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,text/csv"}),
        help_text=_(
            "UTF-8, at most 10 MB and 300,000 rows, the first row naming the columns: "
            "line_user_id, and if you have them name and language."
        ),
    )
    is_list_required = False
    field_order = ("connection", "file", "contact_list", "new_list")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = Connection.objects.filter(provider=Connection.Provider.LINE)
        self.fields["connection"].queryset = accounts.defer(  # type: ignore[attr-defined]
            *SECRETS
        )
        self.fields["contact_list"].label = _("Put them on the list")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise ValidationError(
                gettext("The file is larger than 10 MB. Split it into smaller ones.")
            )
        return file
