"""Connections on the staff pages: credentials go in, never out."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from connections.forms import ConnectionForm
from connections.models import Connection
from connections.services import check, save_credentials
from connections.usage import is_pointed_at

SECRETS = ("access_token", "secret", "old_secret")
LABELS = {"paused": "danger", "trouble": "warning", "new": "info", "ok": "success"}


@admin.register(Connection)
class ConnectionAdmin(ModelAdmin):
    form = ConnectionForm
    list_display = ("name", "provider", "health", "messages_used", "last_contact_at")
    list_per_page = 50
    search_fields = ("name",)
    actions = None
    change_form_outer_before_template = "connections/_health.html"

    class Media:
        css = {"all": ("connections/connection.css",)}
        js = ("connections/connection.js",)

    # --- what is shown ---------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        # Not decrypted until asked for: a page without them works with a lost key.
        return super().get_queryset(request).defer(*SECRETS)

    def get_fieldsets(
        self, request: HttpRequest, obj: Connection | None = None
    ) -> list[tuple[Any, dict[str, Any]]]:
        account = (None, {"fields": ("name", "shown_provider", "account_id")})
        if not self.may_write(request, obj):
            return [account]
        secrets = ["new_access_token", "new_secret"]
        if obj is not None and obj.has_old_secret_at(timezone.now()):
            secrets.append("forget_old_secret")
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

    def has_delete_permission(
        self, request: HttpRequest, obj: Connection | None = None
    ) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not is_pointed_at(obj))

    @admin.display(description=_("provider"))
    def shown_provider(self, connection: Connection) -> str:
        return str(Connection.Provider(connection.provider or "line").label)

    @display(
        description=_("health"),
        ordering="state",
        label=LABELS,
    )
    def health(self, connection: Connection) -> tuple[str, str]:
        return health_of(connection)

    @admin.display(description=_("messages this month"))
    def messages_used(self, connection: Connection) -> str:
        return quota_of(connection)

    # --- what can be done -------------------------------------------------------------

    def save_model(
        self, request: HttpRequest, obj: Connection, form: Any, change: bool
    ) -> None:
        given = form.cleaned_data
        changed = save_credentials(
            obj,
            access_token=given.get("new_access_token", ""),
            secret=given.get("new_secret", ""),
            forget_old_secret=given.get("forget_old_secret", False),
        )
        if not change:
            obj.provider = Connection.Provider.LINE
            obj.save()
            return
        # Named fields: a worker may be pausing this very row.
        own = set(form.changed_data) & set(ConnectionForm.Meta.fields)
        obj.save(update_fields=own | changed)

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
            return redirect("admin:connections_connection_change", connection_id)

        return view

    def test(self, request: HttpRequest, connection: Connection) -> None:
        checked = check(connection.pk)
        level = messages.SUCCESS if checked.is_ok else messages.ERROR
        self.message_user(request, checked.words, level)

    def pause(self, request: HttpRequest, connection: Connection) -> None:
        by = request.user.get_username()
        connection.pause(gettext("Paused by %(name)s.") % {"name": by}, by_hand=True)
        self.log_change(request, connection, gettext("Paused."))
        self.message_user(
            request, gettext("Paused: nothing is sent until you press Resume.")
        )

    def resume(self, request: HttpRequest, connection: Connection) -> None:
        connection.resume()
        self.log_change(request, connection, gettext("Resumed."))
        self.message_user(request, gettext("Sending goes on."), messages.SUCCESS)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        connection = self.get_object(request, object_id)
        extra = {} if connection is None else self.panel(request, connection)
        return super().change_view(
            request, object_id, form_url, (extra_context or {}) | extra
        )

    def panel(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        """What the panel above the form shows."""
        kind, words = health_of(connection)
        return {
            "health_kind": LABELS[kind],
            "health_words": words,
            "quota_words": quota_of(connection),
            "hook_url": hook_url(connection),
            "may_change": self.has_change_permission(request, connection),
        }


def hook_url(connection: Connection) -> str:
    """The address to give to LINE; "" before the site has its webhook addresses."""
    try:
        place = reverse("hooks:line", args=[connection.hook_key])
    except NoReverseMatch:
        return ""
    return f"{settings.SITE_URL}{place}"


def health_of(connection: Connection) -> tuple[str, str]:
    """How a connection is: a kind for its colour, and a word."""
    if connection.state == Connection.State.PAUSED:
        return "paused", gettext("paused")
    if connection.last_error:
        return "trouble", gettext("trouble")
    if connection.last_contact_at is None:
        return "new", gettext("not tested")
    return "ok", gettext("works")


def quota_of(connection: Connection) -> str:
    """Messages used of the month's quota, in words; LINE's figures of the last look."""
    if connection.quota_used is None:
        return gettext("not known yet")
    used = f"{connection.quota_used:,}"
    if connection.quota is None:
        return gettext("%(used)s, no limit") % {"used": used}
    return gettext("%(used)s of %(limit)s") % {
        "used": used,
        "limit": f"{connection.quota:,}",
    }
