"""Contacts and lists on the staff pages."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display

from connections.admin.keeping import DeletedOneByOne, KeptWhileUsed
from connections.models import SECRETS as ACCOUNT_SECRETS
from contacts.errors import ContactError
from contacts.forms import AddToListForm, ContactForm, ImportForm
from contacts.importing import count_known
from contacts.models import Contact, ContactImport, ContactList, Membership
from contacts.services import (
    add_to_list,
    delete_list,
    find_or_make_list,
    go_on_with_import,
    read_import,
    start_import,
)

SHOWN_ROWS = 20
SHOWN_PROBLEMS = 100
SECRETS = tuple(f"connection__{name}" for name in ACCOUNT_SECRETS)


class MembershipInline(TabularInline):
    model = Membership
    autocomplete_fields = ("contact_list",)
    extra = 0
    verbose_name = _("list")
    verbose_name_plural = _("lists")
    hide_title = True


@admin.register(Contact)
class ContactAdmin(DeletedOneByOne):
    form = ContactForm
    list_display = ("name_or_id", "account", "line_id", "language", "reach", "since")
    list_filter = (
        ("lists", AutocompleteSelectFilter),
        ("is_reachable", BooleanRadioFilter),
        ("connection", RelatedDropdownFilter),
    )
    list_filter_submit = True
    list_select_related = ("connection",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("name", "external_id", "line_user_id__exact")
    search_help_text = _("Name, the shop's own id, or a whole LINE user id")
    autocomplete_fields = ("connection",)
    ordering = ("-pk",)
    actions = ("put_on_list",)
    actions_list = ("import_contacts",)
    inlines = (MembershipInline,)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "connection",
                    "line_user_id",
                    "external_id",
                    "is_reachable",
                    "language",
                )
            },
        ),
        (_("Ways to reach them"), {"fields": (("phone", "email"),)}),
        (_("Notes"), {"fields": ("note_1", "note_2")}),
    )

    # --- what is shown ----------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return super().get_queryset(request).defer(*SECRETS)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Contact | None = None
    ) -> tuple[str, ...]:
        # Who somebody is on LINE does not change, and LINE tells whether it reaches
        # them.
        if obj is not None and obj.line_user_id:
            return ("connection", "line_user_id", "is_reachable")
        return ("is_reachable",)

    @admin.display(description=_("contact"), ordering="name")
    def name_or_id(self, contact: Contact) -> str:
        return Truncator(str(contact)).chars(40)

    @admin.display(description=_("LINE account"), empty_value="–")
    def account(self, contact: Contact) -> str | None:
        return contact.connection.name if contact.connection else None

    @admin.display(description=_("LINE user id"), empty_value="–")
    def line_id(self, contact: Contact) -> str | None:
        return contact.short_line_id or None

    @display(
        description=_("reachable"), label={"yes": "success", "no": "danger", "": ""}
    )
    def reach(self, contact: Contact) -> tuple[str, str]:
        if not contact.line_user_id:
            return "", gettext("not on LINE")
        if contact.is_reachable:
            return "yes", gettext("reachable")
        return "no", gettext("blocked")

    @admin.display(description=_("since"), ordering="pk")
    def since(self, contact: Contact) -> Any:
        return contact.created_at

    def save_model(
        self, request: HttpRequest, obj: Contact, form: Any, change: bool
    ) -> None:
        if not change:
            obj.save()
            return
        # Named fields: a webhook may be changing this very row.
        obj.save(update_fields=set(form.changed_data) & set(form._meta.fields))

    # --- lists ------------------------------------------------------------------------

    @admin.action(description=_("Add to a list…"), permissions=["change"])
    def put_on_list(
        self, request: HttpRequest, queryset: QuerySet[Contact]
    ) -> HttpResponse | None:
        """A page to choose or name the list; works on the filter, not on ids."""
        is_sent = "put" in request.POST
        form = AddToListForm(request.POST if is_sent else None)
        if is_sent and form.is_valid():
            return self.put(request, queryset, form)
        return self.list_page(request, queryset, form)

    def put(
        self, request: HttpRequest, queryset: QuerySet[Contact], form: AddToListForm
    ) -> HttpResponse | None:
        given = form.cleaned_data
        target = given["contact_list"] or find_or_make_list(given["new_list"])
        added = add_to_list(
            target,
            queryset,
            after_id=given["after_id"] or 0,
            count=given["count"] or 0,
        )
        if added.is_done:
            self.message_user(request, on_list(added.count, target), messages.SUCCESS)
            return None
        more = AddToListForm(
            initial={
                "contact_list": target,
                "after_id": added.last_id,
                "count": added.count,
            }
        )
        return self.list_page(request, queryset, more, so_far=added.count)

    def list_page(
        self,
        request: HttpRequest,
        queryset: QuerySet[Contact],
        form: AddToListForm,
        so_far: int = 0,
    ) -> HttpResponse:
        is_across = request.POST.get("select_across") == "1"
        context = self.admin_site.each_context(request) | {
            "title": gettext("Add to a list"),
            "opts": self.opts,
            "form": form,
            "so_far": so_far,
            "chosen": queryset.count(),
            "select_across": "1" if is_across else "0",
            # Across all pages the filter says who; Django still wants one id.
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)[
                : 1 if is_across else None
            ],
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "contacts/put_on_list.html", context)

    # --- import -----------------------------------------------------------------------

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "import/<int:import_id>/",
                self.admin_site.admin_view(self.check_import),
                name="contacts_contact_check_import",
            ),
            *super().get_urls(),
        ]

    @action(
        description=_("Import contacts"),
        url_path="import",
        permissions=["import"],
        icon="upload",
    )
    def import_contacts(self, request: HttpRequest) -> HttpResponse:
        """First step: which file, which account, which list."""
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                waiting = start_import(
                    given["file"].read(),
                    connection=given["connection"],
                    contact_list=given["contact_list"],
                    new_list=given["new_list"],
                    by=request.user,  # type: ignore[arg-type]
                )
            except ContactError as error:
                form.add_error("file", error.message)
            else:
                return redirect("admin:contacts_contact_check_import", waiting.pk)
        context = self.admin_site.each_context(request) | {
            "title": gettext("Import contacts"),
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(
            request,
            "contacts/import.html",
            context,
            status=400 if form.errors else 200,
        )

    def check_import(self, request: HttpRequest, import_id: int) -> HttpResponse:
        """Second step: what will be imported and what not, then yes or no."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        waiting = (
            ContactImport.objects.filter(pk=import_id, created_by_id=request.user.pk)
            .select_related("connection", "contact_list")
            .defer(*SECRETS)
            .first()
        )
        if waiting is None:
            self.message_user(
                request,
                gettext("This file is imported or discarded already."),
                messages.INFO,
            )
            return redirect("admin:contacts_contact_changelist")
        if request.method == "POST":
            return self.settle_import(request, waiting)
        checked = read_import(waiting)
        context = self.admin_site.each_context(request) | {
            "title": gettext("Check the import"),
            "opts": self.opts,
            "waiting": waiting,
            "checked": checked,
            "rows": checked.rows[:SHOWN_ROWS],
            "problems": checked.problems[:SHOWN_PROBLEMS],
            "more_problems": max(0, len(checked.problems) - SHOWN_PROBLEMS),
            "known": count_known(checked.rows, connection_id=waiting.connection_id),
        }
        context["new"] = len(checked.rows) - context["known"]
        return TemplateResponse(request, "contacts/check_import.html", context)

    def settle_import(
        self, request: HttpRequest, waiting: ContactImport
    ) -> HttpResponse:
        back = reverse("admin:contacts_contact_changelist")
        if "yes" not in request.POST:
            waiting.delete()
            words = gettext("Nothing was imported.")
            if waiting.next_row:
                words = gettext("Stopped. %(rows)s rows were imported and stay.") % {
                    "rows": f"{waiting.next_row:,}"
                }
            self.message_user(request, words, messages.INFO)
            return redirect(back)
        if not go_on_with_import(waiting):
            return redirect("admin:contacts_contact_check_import", waiting.pk)
        self.message_user(
            request,
            gettext("%(new)s new contacts, %(changed)s changed.")
            % {"new": f"{waiting.new:,}", "changed": f"{waiting.changed:,}"},
            messages.SUCCESS,
        )
        target = waiting.contact_list
        return redirect(f"{back}?lists__id__exact={target.pk}" if target else back)


@admin.register(ContactList)
class ContactListAdmin(KeptWhileUsed):
    list_display = ("name", "size", "created_at", "see")
    list_per_page = 25
    show_full_result_count = False
    search_fields = ("name",)
    fields = ("name", "see")
    readonly_fields = ("see",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactList]:
        lists: QuerySet[ContactList] = super().get_queryset(request)
        place = request.resolver_match
        if place is None or place.url_name != "contacts_contactlist_changelist":
            return lists
        # One count per list on this page, from the constraint's index alone.
        size = (
            Membership.objects.filter(contact_list=OuterRef("pk"))
            .order_by()
            .values("contact_list")
            .annotate(count=Count("pk"))
            .values("count")
        )
        return lists.annotate(
            size=Coalesce(Subquery(size, output_field=IntegerField()), 0)
        )

    @admin.display(description=_("contacts"))
    def size(self, contact_list: ContactList) -> str:
        return f"{contact_list.size:,}"  # type: ignore[attr-defined]

    @admin.display(description=_("who is on it"))
    def see(self, contact_list: ContactList) -> str:
        if contact_list.pk is None:
            return gettext("Save the list, then add contacts to it.")
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}?lists__id__exact={}">{}</a>',
            reverse("admin:contacts_contact_changelist"),
            contact_list.pk,
            gettext("Show the contacts"),
        )

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        # Django would load and print every member: a million of them, perhaps.
        shown = [
            gettext("%(list)s (its contacts stay)") % {"list": one} for one in objs
        ]
        return shown, {self.opts.verbose_name_plural: len(shown)}, set(), []

    def delete_model(self, request: HttpRequest, obj: ContactList) -> None:
        delete_list(obj)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ContactError as error:  # sent to since the page was shown
            self.message_user(request, error.message, messages.ERROR)
            return redirect("admin:contacts_contactlist_change", object_id)


def on_list(count: int, contact_list: ContactList) -> str:
    return ngettext(
        "%(count)s contact is on the list “%(list)s” now.",
        "%(count)s contacts are on the list “%(list)s” now.",
        count,
    ) % {"count": f"{count:,}", "list": contact_list}
