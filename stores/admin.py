"""Stores, and the people who work there and here."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from connections.admin.keeping import DeletedOneByOne
from stores.access import grantable_groups, may_manage
from stores.forms import StoreForm, StorePasswordForm, changed_words
from stores.models import Store, StoreStaff
from stores.naming import role_words
from stores.services import set_store_password


class StaffInline(TabularInline):
    """Who works at a store."""

    model = StoreStaff
    autocomplete_fields = ("user",)
    extra = 0
    hide_title = True


class StoresInline(TabularInline):
    """Where a person works."""

    model = StoreStaff
    autocomplete_fields = ("store",)
    extra = 0
    verbose_name = _("store")
    verbose_name_plural = _("works at")
    hide_title = True


@admin.register(Store)
class StoreAdmin(DeletedOneByOne):
    form = StoreForm
    list_display = ("name", "address", "people", "password_state", "open_state")
    list_per_page = 50
    search_fields = ("name", "address")
    fields = ("name", "address", "time_zone", "is_active", "password_words")
    readonly_fields = ("password_words",)
    inlines = (StaffInline,)
    actions_detail = ("set_password",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Store]:
        stores: QuerySet[Store] = super().get_queryset(request)
        place = request.resolver_match
        if place is None or place.url_name != "stores_store_changelist":
            return stores
        return stores.annotate(people=Count("staff"))

    @admin.display(description=_("people"), ordering="people")
    def people(self, store: Store) -> int:
        return int(store.people)  # type: ignore[attr-defined]

    @display(
        description=_("store password"),
        label={"set": "success", "none": "warning"},
    )
    def password_state(self, store: Store) -> tuple[str, str]:
        if store.password:
            return "set", gettext("set")
        return "none", gettext("not set")

    @admin.display(description=_("store password"))
    def password_words(self, store: Store) -> str:
        if store.password:
            changed = changed_words(store.password_changed_at, store.zone)
            return gettext("%(set)s It is kept as a hash and cannot be shown.") % {
                "set": changed
            }
        return gettext("Not set. The button at the top of the page sets it.")

    @display(
        description=_("state"),
        ordering="is_active",
        label={"open": "success", "closed": ""},
    )
    def open_state(self, store: Store) -> tuple[str, str]:
        return (
            ("open", gettext("open"))
            if store.is_active
            else ("closed", gettext("closed"))
        )

    @action(
        description=_("Set the store password"),
        url_path="password",
        permissions=["change"],
        icon="password",
    )
    def set_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A page of its own: the password goes in twice and never comes out."""
        store = get_object_or_404(Store, pk=object_id)
        form = StorePasswordForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            set_store_password(store, form.cleaned_data["password"])
            self.log_change(request, store, gettext("Store password changed."))
            self.message_user(
                request,
                gettext("The store password is changed. Tell the staff of %(store)s.")
                % {"store": store},
                messages.SUCCESS,
            )
            return redirect("admin:stores_store_change", store.pk)
        context = self.admin_site.each_context(request) | {
            "title": gettext("Set the store password"),
            "subtitle": str(store),
            "opts": self.opts,
            "original": store,
            "form": form,
        }
        return TemplateResponse(
            request,
            "stores/password.html",
            context,
            status=400 if form.errors else 200,
        )


if TYPE_CHECKING:  # generic in the stubs alone
    PlainUserAdmin = DjangoUserAdmin[User]
else:
    PlainUserAdmin = DjangoUserAdmin

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(PlainUserAdmin, DeletedOneByOne):
    """People who sign in.

    Nobody lifts themselves or others above what they may do (stores/access.py).
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "full_name",
        "roles",
        "works_at",
        "may_enter",
        "last_login",
    )
    list_filter = (("groups", RelatedDropdownFilter), ("stores", RelatedDropdownFilter))
    list_filter_submit = True
    list_per_page = 50
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    filter_horizontal = ()
    inlines = (StoresInline,)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Who it is"), {"fields": (("first_name", "last_name"), "email")}),
        (
            _("What they may do"),
            {
                "fields": ("is_active", "is_staff", "groups", "is_superuser"),
                "description": _(
                    "People are never deleted once they have done something: switch "
                    "“Active” off instead. Store staff need a store below and no "
                    "“Staff status”."
                ),
            },
        ),
        (_("When"), {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "password1", "password2", "is_staff", "groups"),
            },
        ),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        return people.prefetch_related("groups", "stores")

    @admin.display(description=_("name"), ordering="first_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @display(description=_("role"), label=True)
    def roles(self, user: User) -> list[str]:
        names = [role_words(group.name) for group in user.groups.all()]
        return [gettext("Administrator"), *names] if user.is_superuser else names

    @admin.display(description=_("works at"))
    def works_at(self, user: User) -> str:
        return ", ".join(store.name for store in user.stores.all())

    @display(description=_("active"), boolean=True, ordering="is_active")
    def may_enter(self, user: User) -> bool:
        return user.is_active

    # --- who may change whom ----------------------------------------------------------

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and self.is_within_reach(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and self.is_within_reach(request, obj)

    def is_within_reach(self, request: HttpRequest, person: User | None) -> bool:
        return person is None or may_manage(request.user, person)

    def get_readonly_fields(
        self, request: HttpRequest, obj: User | None = None
    ) -> tuple[str, ...]:
        if request.user.is_superuser:
            return self.readonly_fields
        return (*self.readonly_fields, "is_superuser")

    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
            kwargs["queryset"] = grantable_groups(request.user)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    list_display = ("name", "people")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        groups: QuerySet[Group] = super().get_queryset(request)
        return groups.annotate(people=Count("user", distinct=True))

    @admin.display(description=_("people"))
    def people(self, group: Group) -> int:
        return int(group.people)  # type: ignore[attr-defined]
