"""Exports of serials: asking for one, its page with the link, and the download."""

import logging
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe
from unfold.decorators import display

from campaigns.models import Campaign
from coupons.moments import local
from reports.admin.reading import ReadOnly
from reports.forms import ExportForm
from reports.models import SerialExport
from reports.serial_exports import (
    LEASE,
    SHEET_ROWS,
    ExportRefused,
    count_lines,
    held,
    make_export,
    start_download,
)
from reports.serials_out import csv_of, exportable, squeezed
from serials.models import Batch
from stores.access import StaffRequest

logger = logging.getLogger(__name__)

CHOICES = ("states", "columns", "format")
MOST_CAMPAIGNS = 200  # the newest are offered; any other's own page leads here too
UNTIL_COLOURS = {"works": "success", "over": "default"}
# The words of the file, and in which exports each can stand.
MEANINGS = [
    ("free", ("free",), gettext_lazy("Nobody has it yet.")),
    (
        "taken",
        ("taken",),
        gettext_lazy("A customer has it and has not used it at a store yet."),
    ),
    ("verified", ("taken",), gettext_lazy("It has been used at a store.")),
    (
        "revoked",
        ("taken",),
        gettext_lazy("Its coupon was revoked after the customer had seen it: burnt."),
    ),
    ("void", ("void",), gettext_lazy("Nobody gets it any more.")),
    ("fixed", (), gettext_lazy("The same text for everyone.")),
]


@admin.register(SerialExport)
class SerialExportAdmin(ReadOnly):
    """Everybody's own exports; nobody sees another's, superusers neither."""

    list_display = (
        "made",
        "campaign",
        "shown_batch",
        "states",
        "format",
        "works_until",
        "downloads",
    )
    list_display_links = ("made",)
    list_per_page = 50
    ordering = ("-created_at", "-pk")
    list_before_template = "reports/export_list_head.html"
    empty_words = gettext_lazy(
        "Choose a campaign, and download its serials with their state as a CSV file."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SerialExport]:
        exports: QuerySet[SerialExport] = super().get_queryset(request)
        return exports.filter(owner=request.user.pk).select_related(
            "campaign", "batch", "owner"
        )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("reports.view_serialexport")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(
            ["reports.add_serialexport", "serials.view_serial"]
        )

    @admin.display(description=gettext_lazy("made"), ordering="created_at")
    def made(self, export: SerialExport) -> str:
        return f"{export.created_at.astimezone(export.campaign.zone):%Y-%m-%d %H:%M}"

    @admin.display(description=gettext_lazy("batch"))
    def shown_batch(self, export: SerialExport) -> str:
        return str(export.batch or _("all"))

    @display(description=gettext_lazy("link works until"), label=UNTIL_COLOURS)
    def works_until(self, export: SerialExport) -> tuple[str, str]:
        if export.is_expired(timezone.now()):
            return "over", _("expired")
        return "works", f"{export.expires_at.astimezone(export.campaign.zone):%H:%M}"

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<int:export_id>/serials.csv",
                self.admin_site.admin_view(require_safe(self.download)),
                name="reports_serialexport_file",
            )
        ]
        return [*own, *super().get_urls()]

    def own(self, request: HttpRequest, pk: int | str) -> SerialExport:
        """The person's export; the same 404 whether it is missing or someone else's."""
        export = self.get_object(request, str(pk))
        if export is None:
            raise Http404
        found: SerialExport = export
        return found

    # --- asking for one -----------------------------------------------------------------

    def add_view(
        self, request: StaffRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Which serials, and what for; the address names the campaign or the batch."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        campaign, batch = chosen(request)
        if campaign is None:
            return self.choose_page(request)
        if request.method != "POST":
            initial = {name: request.GET.get(name) for name in CHOICES}
            form = ExportForm(
                user=request.user,
                campaign=campaign,
                initial={k: v for k, v in initial.items() if v} | {"batch": batch},
            )
            return self.form_page(request, campaign, form, batch)
        form = ExportForm(request.POST, user=request.user, campaign=campaign)
        if not form.is_valid():
            return self.form_page(request, campaign, form, batch, status=400)
        return self.make(request, campaign, form, batch)

    def make(
        self,
        request: StaffRequest,
        campaign: Campaign,
        form: ExportForm,
        batch: Batch | None,
    ) -> HttpResponse:
        asked = {name: form.cleaned_data[name] for name in ("batch", *CHOICES)}
        try:
            export = make_export(request.user, campaign=campaign, **asked)
        except ExportRefused as refusal:
            return self.form_page(
                request, campaign, form, batch, status=429, refusal=refusal.message
            )
        self.log_addition(request, export, _("Export of serials made."))
        log("export.made", request, export)
        return redirect("admin:reports_serialexport_change", export.pk)

    def choose_page(self, request: HttpRequest) -> TemplateResponse:
        has_serials = Exists(exportable(OuterRef("pk")))
        campaigns = Campaign.objects.filter(has_serials).order_by("-pk")
        return self.page(
            request,
            "export_choose.html",
            _("Export serials"),
            campaigns=campaigns[:MOST_CAMPAIGNS],
        )

    def form_page(
        self,
        request: HttpRequest,
        campaign: Campaign,
        form: ExportForm,
        batch: Batch | None,
        status: int = 200,
        **context: Any,
    ) -> TemplateResponse:
        is_whole = batch is None or batch.state in Batch.State.whole()
        return self.page(
            request,
            "export_new.html",
            _("Export serials"),
            status,
            campaign=campaign,
            form=form,
            has_serials=exportable(campaign.pk).exists(),
            not_yet=None if is_whole else batch,
            **context,
        )

    # --- one's own export ---------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        show = require_http_methods(["GET", "HEAD"])(self.export_page)
        return show(request, self.own(request, object_id))

    def export_page(
        self,
        request: HttpRequest,
        export: SerialExport,
        status: int = 200,
        **context: Any,
    ) -> TemplateResponse:
        lines = count_lines(export)
        is_sheet = export.format == SerialExport.Format.EXCEL
        return self.page(
            request,
            "export.html",
            _("Export of serials"),
            status,
            original=export,
            export=export,
            is_expired=export.is_expired(timezone.now()),
            until=local(export.campaign, export.expires_at),
            lines=lines,
            sheet_rows=SHEET_ROWS if is_sheet and lines > SHEET_ROWS else None,
            again=again_url(export),
            meanings=[
                (word, meaning)
                for word, where, meaning in MEANINGS
                if export.states in ("all", *where)
            ],
            **context,
        )

    def download(self, request: StaffRequest, export_id: int) -> HttpResponseBase:
        """The file, to its owner, while the link works; each one is recorded."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        export = self.own(request, export_id)
        if request.method == "HEAD":
            return HttpResponse(
                status=410 if export.is_expired(timezone.now()) else 200
            )
        try:
            start_download(export)
        except ExportRefused as refusal:
            if refusal.code == "expired":
                return self.export_page(request, export, status=410)
            page = self.export_page(request, export, status=429, busy=refusal.code)
            page["Retry-After"] = str(int(LEASE.total_seconds()))
            return page
        self.log_change(request, export, _("Downloaded."))
        log("export.downloaded", request, export)
        return file_of(request, export)


def chosen(request: HttpRequest) -> tuple[Campaign | None, Batch | None]:
    """The campaign and the batch that the address names, as far as there are any."""
    batch_id, campaign_id = (number(request, name) for name in ("batch", "campaign"))
    if batch_id:
        batch = Batch.objects.select_related("campaign").filter(pk=batch_id).first()
        if batch is not None:
            return batch.campaign, batch
    return Campaign.objects.filter(pk=campaign_id).first(), None


def number(request: HttpRequest, name: str) -> int:
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 19 else 0


def again_url(export: SerialExport) -> str:
    """Where to ask for the same once more."""
    asked = {name: getattr(export, name) for name in CHOICES}
    asked |= {
        "batch" if export.batch_id else "campaign": export.batch_id
        or export.campaign_id
    }
    return f"{reverse('admin:reports_serialexport_add')}?{urlencode(asked)}"


def file_of(request: HttpRequest, export: SerialExport) -> StreamingHttpResponse:
    """The file as it is written, gzipped on the way to whoever takes that."""
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    pieces = csv_of(export)
    # gunicorn's: see its settings. Without it a download ends after 30 seconds.
    pulse = request.META.get("couponadmin.pulse", lambda: None)
    sent: Iterable[str | bytes] = squeezed(pieces) if takes_gzip else pieces
    answer = StreamingHttpResponse(
        held(export, sent, pulse=pulse),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name_of_file(export)}"',
            "Cache-Control": "no-store, private",
        },
    )
    if takes_gzip:
        answer["Content-Encoding"] = "gzip"
    patch_vary_headers(answer, ["Accept-Encoding"])
    return answer


def name_of_file(export: SerialExport) -> str:
    """Says what it is, and when: two downloads lie side by side."""
    at = timezone.now().astimezone(export.campaign.zone)
    parts = [f"serials-campaign-{export.campaign_id}"]
    if export.batch_id:
        parts.append(f"batch-{export.batch_id}")
    if export.format == SerialExport.Format.PLAIN:
        parts.append("plain")
    parts += [export.states, f"{at:%Y%m%d-%H%M}"]
    return "-".join(parts) + ".csv"


def log(event: str, request: StaffRequest, export: SerialExport) -> None:
    """A line with ids only: neither a serial nor a name."""
    about = {
        "export": export.pk,
        "user_id": request.user.pk,
        "campaign": export.campaign_id,
        "batch": export.batch_id,
        "states": export.states,
        "request_id": request.request_id,
    }
    logger.info(event, extra=about)
