"""The list of connections, and a page for each."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from connections.admin.keeping import KeptWhileUsed
from connections.admin.panel import (
    CHOICES,
    LABELS,
    Choice,
    health_of,
    held_words,
    panel_of,
    quota_of,
)
from connections.forms import FORMS, AccountForm, KeyForm
from connections.forms.vivoldi import PLANS
from connections.models import SECRETS, Connection
from connections.services import (
    Checked,
    check,
    discard_key,
    make_key,
    save_credentials,
    use_key,
)
from connections.usage import is_pointed_at

PAGE = "admin:connections_connection_change"


@admin.register(Connection)
class ConnectionAdmin(KeptWhileUsed):
    list_display = (
        "name",
        "shown_provider",
        "health",
        "messages_used",
        "last_contact",
    )
    list_filter = ("provider",)
    list_per_page = 50
    search_fields = ("name",)
    actions = None
    change_form_outer_before_template = "connections/_health.html"
    change_form_outer_after_template = "connections/_plans.html"

    class Media:
        css = {"all": ("connections/connection.css",)}
        js = ("connections/connection.js",)

    # --- what is shown ---------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        # Not decrypted until asked for: a page without them works with a lost key.
        return super().get_queryset(request).defer(*SECRETS)

    def get_form(
        self,
        request: HttpRequest,
        obj: Connection | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        form = form_for(request, obj)
        return super().get_form(request, obj, change, **{"form": form} | kwargs)

    def get_fieldsets(
        self, request: HttpRequest, obj: Connection | None = None
    ) -> list[tuple[Any, dict[str, Any]]]:
        form = form_for(request, obj)
        account = (None, {"fields": ("shown_provider", *form.plain)})
        if not self.may_write(request, obj):
            return [account]
        secrets = list(form.secret)
        if obj is None or not obj.has_old_secret_at(timezone.now()):
            secrets = [name for name in secrets if name != "forget_old_secret"]
        about = _("They are kept encrypted and are never shown again.")
        return [
            account,
            (_("Credentials"), {"fields": secrets, "description": about}),
        ]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Connection | None = None
    ) -> tuple[str, ...]:
        return ("shown_provider",)

    def may_write(self, request: HttpRequest, obj: Connection | None) -> bool:
        if obj is None:
            return self.has_add_permission(request)
        return self.has_change_permission(request, obj)

    @admin.display(description=_("provider"), ordering="provider")
    def shown_provider(self, connection: Connection) -> str:
        return str(Connection.Provider(connection.provider or "line").label)

    @display(description=_("health"), ordering="state", label=LABELS)
    def health(self, connection: Connection) -> tuple[str, str]:
        return health_of(connection)

    @admin.display(description=_("messages this month"))
    def messages_used(self, connection: Connection) -> str:
        return quota_of(connection)

    @admin.display(description=_("last contact"), ordering="last_contact_at")
    def last_contact(self, connection: Connection) -> str:
        at = connection.last_contact_at
        return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else "–"

    # --- pages -------------------------------------------------------------------------

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method == "GET" and request.GET.get("provider") not in FORMS:
            return self.choose(request)
        extra = {"plans": plans_for(request, None)}
        return super().add_view(request, form_url, (extra_context or {}) | extra)

    def choose(self, request: HttpRequest) -> HttpResponse:
        """First step of adding one: at which provider?"""
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {
            "title": gettext("Add a connection"),
            "opts": self.opts,
            "choices": [(choice, query_for(request, choice)) for choice in CHOICES],
        }
        return TemplateResponse(request, "connections/choose.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        connection = self.get_object(request, object_id)
        extra: dict[str, Any] = {}
        if connection is not None:
            may_change = self.has_change_permission(request, connection)
            extra = panel_of(connection, may_change=may_change)
            extra["plans"] = plans_for(request, connection)
            extra["key_form"] = KeyForm(initial={"key_id": connection.next_key_id})
        return super().change_view(
            request, object_id, form_url, (extra_context or {}) | extra
        )

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A connection that is in use says so, where Django would only forbid."""
        connection = self.get_object(request, object_id)
        may_change = connection and self.has_change_permission(request, connection)
        if connection is not None and may_change and is_pointed_at(connection):
            self.message_user(request, held_words(connection), messages.ERROR)
            return redirect(PAGE, connection.pk)
        return super().delete_view(request, object_id, extra_context)

    def save_model(
        self, request: HttpRequest, obj: Connection, form: Any, change: bool
    ) -> None:
        given = form.cleaned_data
        own = form.changed_columns()
        changed = save_credentials(
            obj,
            access_token=given.get("new_access_token", ""),
            secret=given.get("new_secret", ""),
            forget_old_secret=given.get("forget_old_secret", False),
            changed=frozenset(own),
        )
        if not change:
            obj.save()
            return
        # Named fields: a worker may be pausing this very row.
        obj.save(update_fields=own | changed)

    # --- buttons -----------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<int:connection_id>/{name}/",
                self.admin_site.admin_view(self.post_only(view)),
                name=f"connections_connection_{name}",
            )
            for name, view in (
                ("test", self.test),
                ("pause", self.pause),
                ("resume", self.resume),
                ("make_key", self.make_key),
                ("use_key", self.use_key),
                ("discard_key", self.discard_key),
            )
        ] + super().get_urls()

    def post_only(
        self, act: Callable[[HttpRequest, Connection], None]
    ) -> Callable[..., HttpResponse]:
        """A view of a button: does it, says what came of it, and shows the page."""

        def view(request: HttpRequest, connection_id: int) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            connection = get_object_or_404(self.get_queryset(request), pk=connection_id)
            if not self.has_change_permission(request, connection):
                raise PermissionDenied
            act(request, connection)
            return redirect(PAGE, connection_id)

        return view

    def test(self, request: HttpRequest, connection: Connection) -> None:
        self.say(request, check(connection.pk))

    def say(self, request: HttpRequest, checked: Checked) -> None:
        level = messages.SUCCESS if checked.is_ok else messages.ERROR
        self.message_user(request, checked.words, level)

    def pause(self, request: HttpRequest, connection: Connection) -> None:
        person = cast(User, request.user)  # the admin lets nobody else in
        by = person.get_full_name() or person.get_username()
        connection.pause(gettext("Paused by %(name)s.") % {"name": by}, by_hand=True)
        self.log_change(request, connection, gettext("Paused."))
        self.message_user(
            request,
            gettext("Paused: nothing goes to this account until you press Resume."),
        )

    def resume(self, request: HttpRequest, connection: Connection) -> None:
        connection.resume()
        self.log_change(request, connection, gettext("Resumed."))
        self.message_user(
            request, gettext("Resumed: what was waiting goes on."), messages.SUCCESS
        )

    def make_key(self, request: HttpRequest, connection: Connection) -> None:
        if connection.provider != Connection.Provider.LINE:
            raise PermissionDenied
        make_key(connection.pk)
        self.log_change(request, connection, gettext("Made a key for LINE."))

    def use_key(self, request: HttpRequest, connection: Connection) -> None:
        form = KeyForm(request.POST)
        if not form.is_valid():
            words = " ".join(str(words) for words in form.errors["key_id"])
            self.message_user(request, words, messages.ERROR)
            return
        checked = use_key(connection.pk, form.cleaned_data["key_id"])
        if checked.is_ok:
            self.log_change(request, connection, gettext("Put a key for LINE to use."))
        self.say(request, checked)

    def discard_key(self, request: HttpRequest, connection: Connection) -> None:
        discard_key(connection.pk)
        self.log_change(request, connection, gettext("Discarded a key for LINE."))


def form_for(request: HttpRequest, obj: Connection | None) -> type[AccountForm]:
    """The form of the connection's provider, or of the one chosen for a new one."""
    chosen = obj.provider if obj is not None else request.GET.get("provider")
    return FORMS.get(chosen or "", FORMS[Connection.Provider.LINE])


def query_for(request: HttpRequest, choice: Choice) -> str:
    """The address's query with this provider, and whatever else it carries."""
    query = request.GET.copy()
    query["provider"] = choice.provider
    return query.urlencode()


def plans_for(
    request: HttpRequest, obj: Connection | None
) -> tuple[tuple[str, int, int], ...]:
    """The table of plans below Vivoldi's form."""
    is_vivoldi = form_for(request, obj) is FORMS[Connection.Provider.VIVOLDI]
    return PLANS if is_vivoldi else ()
