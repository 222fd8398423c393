"""What pages of our own share inside the admin: rights, methods, refusals."""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)
from unfold.admin import ModelAdmin

from serials.errors import ImportRefused
from serials.models import Batch

State = Batch.State
COLOURS = {
    State.READY: "success",
    State.CHECKED: "warning",
    State.REFUSED: "danger",
    State.CHECKING: "info",
    State.IMPORTING: "info",
    State.VOIDING: "info",
}
View = Callable[[HttpRequest, Batch], HttpResponseBase]
# Route, view, and the last part of its name: admin:serials_batch_<name>.
Page = tuple[str, Callable[..., HttpResponseBase], str]


class OwnPages(ModelAdmin):
    """A page here is a method; `own_pages` of each class says where it is."""

    def own_pages(self) -> list[Page]:
        return []

    def of_batch(
        self, view: View, verb: str, *, asks_first: bool = False
    ) -> Callable[..., HttpResponseBase]:
        """A page of one batch, for whoever may view or change it; GET reads only.

        With `asks_first` a change has a page of its own to confirm it.
        """

        @functools.wraps(view)
        def page(request: HttpRequest, batch_id: int) -> HttpResponseBase:
            may = getattr(self, f"has_{verb}_permission")
            if not may(request):
                raise PermissionDenied
            batches = Batch.objects.select_related("campaign", "stock")
            batch = batches.filter(pk=batch_id).first()
            if batch is not None:
                return view(request, batch)
            if verb == "change":
                return gone(request)
            raise Http404

        if asks_first:
            return require_http_methods(["GET", "HEAD", "POST"])(page)
        return require_POST(page) if verb == "change" else require_GET(page)

    def page(
        self, request: HttpRequest, template: str, title: str, **context: Any
    ) -> TemplateResponse:
        return TemplateResponse(
            request,
            f"serials/{template}",
            {
                **self.admin_site.each_context(request),
                "title": title,
                **context,
            },
        )


def state_of(batch: Batch) -> dict[str, Any]:
    """Where the work on a batch stands; `done` and `total` are rows, or serials."""
    done, total = batch.done_to, max(batch.lines, batch.total, batch.done_to, 1)
    if batch.is_generated and batch.state == State.IMPORTING:
        # Codes that the campaign has already are drawn again, so `done_to` runs ahead.
        done, total = batch.new, batch.wanted or 1
    return {
        "state": batch.state,
        "done": done,
        "total": total,
        "is_working": batch.state in State.at_work(),
    }


def ask(
    request: HttpRequest, batch: Batch, service: Callable[..., None], **how: Any
) -> HttpResponseRedirect:
    try:
        service(batch, **how)
    except Batch.DoesNotExist:
        return gone(request)
    except ImportRefused as problem:
        # What a batch lacks may be lacking because it was deleted.
        if not Batch.objects.filter(pk=batch.pk).exists():
            return gone(request)
        messages.error(request, str(problem))
    return redirect("admin:serials_batch_progress", batch.pk)


def gone(request: HttpRequest) -> HttpResponseRedirect:
    messages.error(request, _("That batch is gone: a colleague has deleted it."))
    return redirect("admin:serials_batch_changelist")


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def chosen(request: HttpRequest) -> dict[str, str]:
    return {"campaign": request.GET.get("campaign", "")}


def attachment(answer: HttpResponseBase, name: str) -> HttpResponseBase:
    answer["Content-Type"] = "text/csv; charset=utf-8"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer
