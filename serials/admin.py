"""Batches for staff: the list, the upload with its check, fixed serials."""

import csv
import functools
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST
from unfold.admin import ModelAdmin

from campaigns.models import Campaign
from serials import importing, reading, services
from serials.errors import ImportRefused
from serials.forms import BatchForm, CheckForm, FixedForm, UploadForm
from serials.models import Batch, RefusedRow

State = Batch.State
# What a form with a file adds to the file.
FORM_ROOM = 64 * 1024
SHOWN_REFUSED = 50
# A spreadsheet would run a cell that starts so.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")  # noqa: RUF001

View = Callable[[HttpRequest, Batch], HttpResponseBase]
COLOURS = {
    State.READY: "success",
    State.CHECKED: "warning",
    State.REFUSED: "danger",
    State.CHECKING: "info",
    State.IMPORTING: "info",
}


def state_of(batch: Batch) -> dict[str, Any]:
    """Where the work on a batch stands; `done` and `total` are rows."""
    total = max(batch.lines, batch.done_to, 1)
    return {
        "state": batch.state,
        "done": batch.done_to,
        "total": total,
        "is_working": batch.state in (State.CHECKING, State.IMPORTING),
    }


def excel_safe(text: str) -> str:
    """The text with ' before it when a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(RISKY) else text


class Line:
    """A file of one line: the csv module writes to it, a response sends it."""

    def write(self, text: str) -> str:
        return text


def refused_csv(batch: Batch) -> Iterator[str]:
    """The refused rows as CSV lines, read from the database as they go out."""
    writer = csv.writer(Line(), quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    yield "\ufeff"
    yield writer.writerow([_("Row"), _("Value"), _("Reason")])
    labels = {value: batch.why(value) for value in RefusedRow.Reason.values}
    last = 0
    while True:
        # In pages: a cursor held over a slow download would keep a transaction open.
        rows = list(
            batch.refused_rows.filter(line__gt=last)
            .order_by("line")
            .values_list("line", "value", "reason")[:5_000]
        )
        if not rows:
            return
        last = rows[-1][0]
        yield "".join(
            writer.writerow([line, excel_safe(value), labels[reason]])
            for line, value, reason in rows
        )


@admin.register(Batch)
class BatchAdmin(ModelAdmin):
    """Only name, order and memo are edited; everything else happens by services."""

    form = BatchForm
    list_display = ("label", "campaign", "kind", "progress", "counts", "position")
    list_display_links = ("label",)
    list_filter = ("state", "kind")
    list_select_related = ("campaign", "stock")
    search_fields = ("name", "campaign__name", "code")
    ordering = ("-pk",)
    actions = None
    show_add_link = False
    list_before_template = "serials/_batch_links.html"
    change_form_before_template = "serials/_batch_facts.html"

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

    @admin.display(description=gettext_lazy("serials"))
    def counts(self, batch: Batch) -> str:
        return render_to_string("serials/_counts.html", {"batch": batch})

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
        try:
            answer: HttpResponse = super().delete_view(
                request, object_id, extra_context
            )
        except ImportRefused as problem:
            messages.error(request, str(problem))
            return redirect("admin:serials_batch_changelist")
        except Batch.DoesNotExist:
            return _gone(request)
        return answer

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
        batch = self.get_object(request, object_id)
        extra = {
            "batch": batch,
            "show_save_and_add_another": False,
            **(extra_context or {}),
        }
        answer: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return answer

    # --- Own pages --------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        one = "<int:batch_id>/"
        pages = [
            ("upload/", self.upload, "upload"),
            ("fixed/", self.fixed, "fixed"),
            ("sample.csv", self.sample, "sample"),
            (f"{one}progress/", self.of_batch(self.progress_page, "view"), "progress"),
            (f"{one}state/", self.of_batch(self.state, "view"), "state"),
            (f"{one}refused.csv", self.of_batch(self.refused, "view"), "refused"),
            (f"{one}check/", self.of_batch(self.check_again, "change"), "check"),
            (f"{one}confirm/", self.of_batch(self.confirm, "change"), "confirm"),
            (f"{one}cancel/", self.of_batch(self.cancel, "change"), "cancel"),
        ]
        own = [
            path(route, self.admin_site.admin_view(view), name=f"serials_batch_{name}")
            for route, view, name in pages
        ]
        ours: list[URLPattern] = own + super().get_urls()
        return ours

    def of_batch(self, view: View, verb: str) -> Callable[..., HttpResponseBase]:
        """A page of one batch, for whoever may view or change it; GET reads only."""

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
                return _gone(request)
            raise Http404

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

    # Checking the token reads the body, so it comes after the look at its length.
    @csrf_exempt
    def upload(self, request: HttpRequest) -> HttpResponseBase:
        """The upload; a body that is too big is refused before it is read."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _length(request) > reading.MAX_BYTES + FORM_ROOM:
            form = UploadForm(initial=_chosen(request))
            context = {"form": form, "problem": services.too_big()}
            page = self.page(request, "upload.html", _("Upload a CSV"), **context)
            page.status_code = 413
            return page
        return csrf_protect(self.take_upload)(request)

    def take_upload(self, request: HttpRequest) -> HttpResponseBase:
        form = UploadForm(
            request.POST or None, request.FILES or None, initial=_chosen(request)
        )
        if request.method == "POST" and form.is_valid():
            try:
                batch = services.start_import(by=_person(request), **form.cleaned_data)
            except ImportRefused as problem:
                form.refuse(problem)
            else:
                return redirect("admin:serials_batch_progress", batch.pk)
        status = 400 if form.errors else 200
        page = self.page(request, "upload.html", _("Upload a CSV"), form=form)
        page.status_code = status
        return page

    def fixed(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = FixedForm(request.POST or None, initial=_chosen(request))
        if request.method == "POST" and form.is_valid():
            batch = _make_fixed(request, form)
            if batch is not None:
                messages.success(request, _("The serial is ready to be given out."))
                return redirect("admin:serials_batch_change", batch.pk)
        page = self.page(request, "fixed.html", _("New fixed serial"), form=form)
        page.status_code = 400 if form.errors else 200
        return page

    def sample(self, request: HttpRequest) -> HttpResponseBase:
        """A CSV to start from, as a spreadsheet opens it without asking."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = "\ufeffserial\r\nSPRING-0001\r\nSPRING-0002\r\nSPRING-0003\r\n"
        return _attachment(HttpResponse(text), "sample-serials.csv")

    def progress_page(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        if batch.is_fixed:
            return redirect("admin:serials_batch_change", batch.pk)
        context = {
            "opts": self.opts,
            "batch": batch,
            "may_change": self.has_change_permission(request, batch),
            "colour": COLOURS.get(State(batch.state), "default"),
            **state_of(batch),
            **_checked(batch),
        }
        return self.page(request, "progress.html", batch.name, **context)

    def state(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        return JsonResponse(state_of(batch), headers={"Cache-Control": "no-store"})

    def refused(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        answer = StreamingHttpResponse(refused_csv(batch))
        return _attachment(answer, f"refused-rows-{batch.pk}.csv")

    def check_again(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        form = CheckForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Choose an encoding from the list."))
            return redirect("admin:serials_batch_progress", batch.pk)
        return _ask(
            request,
            batch,
            services.recheck,
            encoding=form.cleaned_data["encoding"],
            has_header=not form.cleaned_data["is_serial"],
        )

    def confirm(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        return _ask(request, batch, services.confirm)

    def cancel(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        return _ask(request, batch, services.cancel)


def _ask(
    request: HttpRequest, batch: Batch, service: Callable[..., None], **how: Any
) -> HttpResponseRedirect:
    try:
        service(batch, **how)
    except Batch.DoesNotExist:
        return _gone(request)
    except ImportRefused as problem:
        # What a batch lacks may be lacking because it was deleted.
        if not Batch.objects.filter(pk=batch.pk).exists():
            return _gone(request)
        messages.error(request, str(problem))
    return redirect("admin:serials_batch_progress", batch.pk)


def _gone(request: HttpRequest) -> HttpResponseRedirect:
    messages.error(request, _("That batch is gone: a colleague has deleted it."))
    return redirect("admin:serials_batch_changelist")


def _make_fixed(request: HttpRequest, form: FixedForm) -> Batch | None:
    given = {k: v for k, v in form.cleaned_data.items() if k != "is_unlimited"}
    try:
        return services.make_fixed(by=_person(request), **given)
    except ImportRefused as problem:
        form.refuse(problem)
        return None


def _checked(batch: Batch) -> dict[str, Any]:
    """What the page of a batch shows beside its state."""
    context: dict[str, Any] = {
        "refused_rows": batch.refused_rows.order_by("line")[:SHOWN_REFUSED],
        "refused_total": batch.duplicate + batch.refused,
        "encoding": reading.ENCODINGS.get(batch.encoding, ""),
        "can_check": batch.state in (State.CHECKED, State.REFUSED)
        and batch.chunks.exists(),
        "is_over": batch.campaign.state == Campaign.State.ENDED,
    }
    if context["can_check"]:
        context["check_form"] = CheckForm(
            initial={
                "encoding": batch.encoding or "utf-8",
                "is_serial": not batch.has_header,
            }
        )
    if batch.state == State.CHECKED and context["can_check"]:
        rows = importing.preview(batch)
        heading = rows[0][1] if batch.has_header and rows else ""
        context["heading"] = heading
        context["rows"] = rows[1:] if batch.has_header else rows
        context["looks_alike"] = len(rows) > 1 and reading.looks_alike(
            heading, rows[1][1]
        )
    return context


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _chosen(request: HttpRequest) -> dict[str, str]:
    return {"campaign": request.GET.get("campaign", "")}


def _length(request: HttpRequest) -> int:
    """Bytes of the body as the request says; the server reads no more than that."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isdigit() else 0


def _attachment(answer: HttpResponseBase, name: str) -> HttpResponseBase:
    answer["Content-Type"] = "text/csv; charset=utf-8"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer
