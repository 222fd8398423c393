"""Batches for staff: the list and the page of one, without numbers of coupons.

`reports` registers it, with each batch's stock.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from serials import services
from serials.admin.importing import ImportPages
from serials.admin.making import MakingPages
from serials.admin.pages import COLOURS, State, gone, state_of
from serials.errors import ImportRefused
from serials.forms import BatchForm
from serials.models import Batch


class BatchAdmin(ImportPages, MakingPages):
    """Only name, order and memo are edited; everything else happens by services."""

    form = BatchForm
    list_display: tuple[str, ...] = (
        "label",
        "campaign",
        "kind",
        "progress",
        "position",
    )
    list_display_links = ("label",)
    list_filter = ("state", "kind", ("campaign", admin.RelatedOnlyFieldListFilter))
    list_filter_submit = False
    list_select_related = ("campaign", "stock")
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("name", "campaign__name", "code")
    search_help_text = gettext_lazy("Name of a batch or campaign, or a fixed serial")
    ordering = ("-pk",)
    actions = None
    show_add_link = False
    list_before_template = "serials/_batch_links.html"
    empty_words = gettext_lazy("Serials come into a campaign in batches, all or none.")

    class Media:
        css = {"all": ["serials/import.css"]}

    # --- The list and the page of one batch -----------------------------------------

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def label(self, batch: Batch) -> str:
        return batch.name

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def progress(self, batch: Batch) -> str:
        colour = COLOURS.get(State(batch.state), "default")
        context = {"batch": batch, "colour": colour, **state_of(batch)}
        return render_to_string("serials/_progress.html", context)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        kwargs["help_texts"] = {
            "position": _(
                "The campaign's batch with the lowest number is given out first, then "
                "the next one. Of two with the same number, the older one goes first."
            )
        }
        return super().get_form(request, obj, change, **kwargs)

    # --- Deleting -------------------------------------------------------------------

    def has_delete_permission(
        self, request: HttpRequest, obj: Batch | None = None
    ) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and (obj is None or services.may_delete(obj))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[Any, int], set[str], list[str]]:
        # Only what gave nothing out comes here; its report may have a million rows.
        return [str(batch) for batch in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: Batch) -> None:
        services.delete(obj)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        batch = self.get_object(request, unquote(object_id))
        if batch and self.has_delete_permission(request):
            if refusal := refusal_to_delete(batch):
                messages.error(request, refusal)
                return redirect("admin:serials_batch_change", batch.pk)
        try:
            answer: HttpResponse = super().delete_view(
                request, object_id, extra_context
            )
        except ImportRefused as problem:
            messages.error(request, str(problem))
            return redirect("admin:serials_batch_changelist")
        except Batch.DoesNotExist:
            return gone(request)
        return answer

    # --- Changing -------------------------------------------------------------------

    def save_model(
        self, request: HttpRequest, obj: Batch, form: Any, change: bool
    ) -> None:
        # Named columns only: a worker may be writing the others right now.
        services.describe(obj, name=obj.name, memo=obj.memo)
        services.set_position(obj, obj.position)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        url = reverse("admin:serials_batch_upload")
        return redirect(f"{url}?{request.GET.urlencode()}")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        extra = {"show_save_and_add_another": False, **(extra_context or {})}
        batch = self.get_object(request, unquote(object_id))
        if batch is not None:
            extra |= self.facts(request, batch)
        answer: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return answer

    def facts(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        """What the page of a batch shows above its form."""
        may_delete = super().has_delete_permission(request, batch)
        return {
            "batch": batch,
            "colour": COLOURS.get(State(batch.state), "default"),
            "may_change": self.has_change_permission(request, batch),
            "why_not_delete": refusal_to_delete(batch) if may_delete else "",
            **state_of(batch),
        }

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(route, self.admin_site.admin_view(view), name=f"serials_batch_{name}")
            for route, view, name in self.own_pages()
        ]
        ours: list[URLPattern] = own + super().get_urls()
        return ours


def refusal_to_delete(batch: Batch) -> str:
    """Why the batch can't be deleted, and what can be done instead; "" if it can."""
    if services.may_delete(batch):
        return ""
    if batch.state in (State.CHECKING, State.CHECKED, State.IMPORTING):
        return _("It can be deleted once it is cancelled.")
    if batch.state in (State.CANCELLED, State.REFUSED):
        return _("What it brought is still being removed. Then it can be deleted.")
    return _("It can't be deleted: serials of it may have been given out.")
