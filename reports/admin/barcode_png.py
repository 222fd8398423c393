"""The barcode of a serial as a picture to download: to print it, or to send it on LINE."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from unfold.admin import ModelAdmin

from campaigns.barcode_pictures import line_picture, print_picture, print_size
from campaigns.look import Barcode, can_draw
from serials.models import Batch, Serial
from stores.access import StaffRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Use:
    """What a picture is for; `draw` makes it of a kind of barcode and a text."""

    name: str
    words: Promise
    draw: Callable[[str, str], bytes]
    kind: Barcode | None = None  # None: the campaign's

    @property
    def is_printed(self) -> bool:
        return self.draw is print_picture


PRINT = Use("print", gettext_lazy("Barcode for print"), print_picture)
LINE = Use("line", gettext_lazy("Barcode as picture for LINE"), line_picture)
# Of a text that is the same for everyone, for a poster or a leaflet.
QR = Use("qr", gettext_lazy("QR code for print"), print_picture, Barcode.QR)
USES = (PRINT, LINE, QR)


@dataclass(frozen=True)
class Link:
    """A picture that can be had, as the page offers it."""

    words: Promise
    url: str
    size: str  # in print; "" elsewhere


class BarcodePictures(ModelAdmin):
    """Adds the pictures to the page of a serial or of a fixed batch."""

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<int:pk>/barcode-{use.name}.png",
                self.admin_site.admin_view(require_safe(self.barcode)),
                {"use": use},
                name=f"{self.url_name}_{use.name}",
            )
            for use in USES
        ]
        return [*own, *super().get_urls()]

    @property
    def url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_barcode"

    def barcode_links(self, source: Serial | Batch) -> list[Link]:
        return [
            Link(
                use.words,
                reverse(f"admin:{self.url_name}_{use.name}", args=[source.pk]),
                size_words(use, source) if use.is_printed else "",
            )
            for use in uses_of(source)
        ]

    def barcode(self, request: StaffRequest, pk: int, use: Use) -> HttpResponse:
        """The picture, for whoever may see the text; each download is recorded."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        source = self.get_object(request, str(pk))
        if source is None or use not in uses_of(source):
            raise Http404
        if request.method == "HEAD":
            return attachment(b"", name_of_file(source, use))
        picture = use.draw(kind_of(use, source), source.code)
        self.log_change(request, source, _("Downloaded the barcode."))
        log(request, source, use)
        return attachment(picture, name_of_file(source, use))


def uses_of(source: Serial | Batch) -> list[Use]:
    """What a picture of it can be had for: none where it can't be drawn."""
    is_fixed = isinstance(source, Batch) and source.is_fixed
    if isinstance(source, Batch) and not is_fixed:
        return []
    uses = [PRINT, LINE]
    if is_fixed and source.campaign.barcode != Barcode.QR:
        uses.append(QR)
    return [use for use in uses if is_drawn(kind_of(use, source), source.code)]


def kind_of(use: Use, source: Serial | Batch) -> str:
    return use.kind or source.campaign.barcode


def is_drawn(kind: str, text: str) -> bool:
    return kind != Barcode.NONE and can_draw(kind, text)


def size_words(use: Use, source: Serial | Batch) -> str:
    width, height = print_size(kind_of(use, source), source.code)
    return _("%(width)d x %(height)d mm") % {"width": width, "height": height}


def name_of_file(source: Serial | Batch, use: Use) -> str:
    """Says what it is and how large, not the serial: names of files get about."""
    what = "batch" if isinstance(source, Batch) else "serial"
    parts = ["barcode", use.name, what, str(source.pk)]
    if use.is_printed:
        width, height = print_size(kind_of(use, source), source.code)
        parts.append(f"{width}x{height}mm")
    return "-".join(parts) + ".png"


def attachment(picture: bytes, name: str) -> HttpResponse:
    return HttpResponse(
        picture,
        content_type="image/png",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store, private",
        },
    )


def log(request: HttpRequest, source: Any, use: Use) -> None:
    """A line with ids only, as for an export."""
    about = {
        source._meta.model_name: source.pk,
        "use": use.name,
        "user_id": request.user.pk,
        "campaign": source.campaign_id,
        "request_id": request.request_id,  # type: ignore[attr-defined]
    }
    logger.info("barcode.downloaded", extra=about)
