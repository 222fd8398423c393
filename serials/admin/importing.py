"""Uploading a file: its check, its progress, its report."""

import time
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadhandler import FileUploadHandler
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from campaigns.models import Campaign
from serials import importing, reading, services
from serials.admin.pages import (
    COLOURS,
    OwnPages,
    Page,
    State,
    ask,
    attachment,
    chosen,
    person,
    state_of,
)
from serials.errors import ImportRefused
from serials.forms import CheckForm, UploadForm
from serials.models import Batch
from serials.reporting import refused_csv

# What a form with a file adds to the file.
FORM_ROOM = 64 * 1024
SHOWN_REFUSED = 50
LONGEST_UPLOAD = 300.0  # seconds; then whoever sends so slowly is cut off


class Pulse(FileUploadHandler):
    """Tells the web server, which ends what hangs, that a slow upload still comes."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.until = time.monotonic() + LONGEST_UPLOAD
        self.beat = request.META.get("couponadmin.pulse", lambda: None)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if time.monotonic() < self.until:
            self.beat()
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the next handler."""


class ImportPages(OwnPages):
    """The way of a file, from the upload to its report."""

    def own_pages(self) -> list[Page]:
        one = "<int:batch_id>/"
        return [
            *super().own_pages(),
            ("upload/", self.upload, "upload"),
            ("sample.csv", self.sample, "sample"),
            (f"{one}progress/", self.of_batch(self.progress_page, "view"), "progress"),
            (f"{one}state/", self.of_batch(self.state, "view"), "state"),
            (f"{one}refused.csv", self.of_batch(self.refused, "view"), "refused"),
            (f"{one}check/", self.of_batch(self.check_again, "change"), "check"),
            (f"{one}confirm/", self.of_batch(self.confirm, "change"), "confirm"),
            (f"{one}cancel/", self.of_batch(self.cancel, "change"), "cancel"),
        ]

    # Checking the token reads the body, so it comes after the look at its length.
    @csrf_exempt
    def upload(self, request: HttpRequest) -> HttpResponseBase:
        """The upload; a body that is too big is refused before it is read."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _length(request) > reading.MAX_BYTES + FORM_ROOM:
            form = UploadForm(initial=chosen(request))
            return self.upload_page(
                request, form, status=413, problem=services.too_big()
            )
        request.upload_handlers.insert(0, Pulse(request))
        return csrf_protect(self.take_upload)(request)

    def take_upload(self, request: HttpRequest) -> HttpResponseBase:
        form = UploadForm(
            request.POST or None, request.FILES or None, initial=chosen(request)
        )
        if request.method == "POST" and form.is_valid():
            try:
                batch = services.start_import(by=person(request), **form.cleaned_data)
            except ImportRefused as problem:
                form.refuse(problem)
            else:
                return redirect("admin:serials_batch_progress", batch.pk)
        return self.upload_page(request, form, status=400 if form.errors else 200)

    def upload_page(
        self, request: HttpRequest, form: UploadForm, *, status: int, problem: str = ""
    ) -> HttpResponseBase:
        context = {
            "form": form,
            "problem": problem,
            "most_bytes": reading.MAX_BYTES,
            "too_big": services.too_big(),
        }
        page = self.page(request, "upload.html", _("Upload a CSV"), **context)
        page.status_code = status
        return page

    def sample(self, request: HttpRequest) -> HttpResponseBase:
        """A CSV to start from, as a spreadsheet opens it without asking."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = "\ufeffserial\r\nSPRING-0001\r\nSPRING-0002\r\nSPRING-0003\r\n"
        return attachment(HttpResponse(text), "sample-serials.csv")

    def progress_page(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        if batch.is_fixed or batch.state in (State.VOIDING, State.VOID):
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
        return attachment(answer, f"refused-rows-{batch.pk}.csv")

    def check_again(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        form = CheckForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Choose an encoding from the list."))
            return redirect("admin:serials_batch_progress", batch.pk)
        return ask(
            request,
            batch,
            services.recheck,
            encoding=form.cleaned_data["encoding"],
            has_header=not form.cleaned_data["is_serial"],
        )

    def confirm(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        return ask(request, batch, services.confirm)

    def cancel(self, request: HttpRequest, batch: Batch) -> HttpResponseBase:
        return ask(request, batch, services.cancel)


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


def _length(request: HttpRequest) -> int:
    """Bytes of the body as the request says; the server reads no more than that."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isdigit() else 0
