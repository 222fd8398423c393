"""Find a serial by its start or whole, and read its story."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as gettext_now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from campaigns.models import Campaign
from coupons.models import Coupon
from reports import finding
from reports.admin.barcode_png import BarcodePictures
from reports.admin.reading import ReadOnly
from reports.serial_story import serial_story, standing_of
from serials.models import Batch, Serial
from stores.naming import name_of

SEE_COUPONS = "coupons.view_coupon"
SEE_BATCHES = "serials.view_batch"
COLOURS = {
    "taken": "warning",
    "verified": "success",
    "burnt": "danger",
    "waiting": "info",
}


class SearchForm(forms.Form):
    """The start of a serial or all of it, and in which campaign.

    A pasted link is forgotten at once, so that nothing shows it again.
    """

    q = forms.Field(
        label=_("Serial"),
        required=False,
        help_text=_("Its first characters or all of it, in capitals or small letters."),
        widget=UnfoldAdminTextInputWidget(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "enterkeyhint": "search",
            }
        ),
    )
    campaign = forms.ModelChoiceField(
        Campaign.objects.only("name").order_by("-pk"),
        label=_("Campaign"),
        required=False,
        widget=UnfoldAdminSelectWidget(),
        error_messages={
            "invalid_choice": _("That campaign is gone. Choose one from the list.")
        },
    )

    def __init__(self, given: Any, *, is_asked: bool) -> None:
        self.typed = given.get("q", "")
        self.is_link = finding.is_link(self.typed[: finding.LONGEST])
        is_kept = not self.is_link and len(self.typed) <= finding.LONGEST
        values = {
            "q": self.typed if is_kept else "",
            "campaign": given.get("campaign", ""),
        }
        super().__init__(values if is_asked else None, initial=values)
        if not is_asked:
            self.fields["q"].widget.attrs["autofocus"] = True

    def campaigns(self) -> list[tuple[int, str, bool]]:
        """Key, name, whether chosen. A widget takes longer to draw a few hundred."""
        chosen = str(self["campaign"].value())
        rows = Campaign.objects.order_by("-pk").values_list("pk", "name")
        return [(pk, name, str(pk) == chosen) for pk, name in rows]

    def clean_q(self) -> str:
        """What to look for, as serials are kept."""
        if self.is_link:
            raise ValidationError(
                _(
                    "That is a coupon's link. Whoever has it can redeem, so it isn't "
                    "looked up or shown here. Look for the coupon in the redemption "
                    "records, by the number that is printed under its barcode."
                )
            )
        problem = finding.refusal(self.typed)
        if problem:
            raise ValidationError(problem)
        return finding.cleaned(self.typed)


@admin.register(Serial)
class SerialAdmin(BarcodePictures, ReadOnly):
    """A search in place of a list, and the page of one serial."""

    change_form_outer_before_template = "reports/serial.html"

    class Media:
        css = {"all": ["reports/serial.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Serial]:
        rows: QuerySet[Serial] = super().get_queryset(request)
        return rows.select_related("campaign", "batch__created_by")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What is typed comes by POST, so that a pasted link gets into no address.

        What can be looked up goes on to an address, to be kept and gone back to.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            form = SearchForm(request.POST, is_asked=True)
            return sought(form) if form.is_valid() else self.search_page(request, form)
        is_asked = bool(request.GET.get("q", "").strip())
        return self.search_page(request, SearchForm(request.GET, is_asked=is_asked))

    def search_page(self, request: HttpRequest, form: SearchForm) -> TemplateResponse:
        context = found_by(form, request) if form.is_valid() else {}
        return TemplateResponse(
            request,
            "reports/serial_search.html",
            {
                **self.admin_site.each_context(request),
                "title": gettext_now("Find a serial"),
                "media": self.media,
                "form": form,
                "records_url": records_url(request),
                **context,
            },
            status=400 if form.errors else 200,
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra = dict(extra_context or {})
        serial = self.get_object(request, object_id) if object_id else None
        if serial is not None:
            extra |= page_of(serial, request)
            extra["barcodes"] = self.barcode_links(serial)
        return super().changeform_view(request, object_id, form_url, extra)


def sought(form: SearchForm) -> HttpResponseRedirect:
    """On to the address of what was found."""
    campaign = form.cleaned_data["campaign"]
    asked = {
        "q": form.cleaned_data["q"],
        **({"campaign": campaign.pk} if campaign else {}),
    }
    return HttpResponseRedirect(f"{search_url()}?{urlencode(asked)}")


def search_url() -> str:
    return reverse("admin:serials_serial_changelist")


def records_url(request: HttpRequest) -> str:
    """The redemption records; empty for whoever may not see them."""
    if not request.user.has_perm(SEE_COUPONS):
        return ""
    return reverse("admin:reports_redemptionrecord_changelist")


# --- What was found --------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A serial or a fixed text in the list of what was found."""

    code: str
    url: str
    words: str
    colour: str
    campaign: str
    batch: str
    taken: str  # when; of a fixed text, how often


def found_by(form: SearchForm, request: HttpRequest) -> dict[str, Any]:
    text, campaign = form.cleaned_data["q"], form.cleaned_data["campaign"]
    may_see_coupons = request.user.has_perm(SEE_COUPONS)
    found = finding.find(
        text,
        campaign,
        has_fixed=request.user.has_perm(SEE_BATCHES),
        has_coupons=may_see_coupons,
    )
    return {
        "text": text,
        "campaign": campaign,
        "lines": [
            fixed_line(row)
            if isinstance(row, Batch)
            else serial_line(row, may_see_coupons=may_see_coupons)
            for row in found.rows
        ],
        "most": finding.MOST if found.is_more else 0,
        "everywhere_url": f"{search_url()}?{urlencode({'q': text})}",
        "is_like_number": not found.rows and finding.is_like_number(text),
        "is_spelling_strict": not found.rows and has_strict_spelling(campaign),
    }


def has_strict_spelling(campaign: Campaign | None) -> bool:
    """Whether it was looked for where capital and small letters differ."""
    strict = Campaign.objects.filter(is_case_sensitive=True)
    return (strict.filter(pk=campaign.pk) if campaign else strict).exists()


def serial_line(serial: Serial, *, may_see_coupons: bool) -> Line:
    coupon = getattr(serial, "coupon", None) if may_see_coupons else None
    standing = standing_of(serial, coupon)
    taken_at = serial.taken_at
    zone = serial.campaign.zone
    return Line(
        code=serial.code,
        url=reverse("admin:serials_serial_change", args=[serial.pk]),
        words=standing.words,
        colour=COLOURS.get(standing.kind, "default"),
        campaign=str(serial.campaign),
        batch=str(serial.batch),
        taken=f"{taken_at.astimezone(zone):%Y-%m-%d %H:%M}" if taken_at else "",
    )


def fixed_line(batch: Batch) -> Line:
    is_void = batch.state == Batch.State.VOID
    stock = getattr(batch, "stock", None)
    taken = gettext_now("%(taken)s of %(quantity)s")
    return Line(
        code=batch.code,
        url=reverse("admin:serials_batch_change", args=[batch.pk]),
        words=gettext_now("void") if is_void else gettext_now("the same for everyone"),
        colour="default" if is_void else "primary",
        campaign=str(batch.campaign),
        batch=str(batch),
        taken=taken % {"taken": stock.taken, "quantity": stock.quantity}
        if stock
        else "",
    )


# --- One serial ------------------------------------------------------------------------


def page_of(serial: Serial, request: HttpRequest) -> dict[str, Any]:
    """What a serial's page shows; of its coupon only to whoever may see coupons."""
    coupon = coupon_of(serial) if request.user.has_perm(SEE_COUPONS) else None
    standing = standing_of(serial, coupon)
    url = (
        reverse("admin:reports_redemptionrecord_change", args=[coupon.pk])
        if coupon
        else ""
    )
    return {
        "serial": serial,
        "standing": standing,
        "colour": COLOURS.get(standing.kind, "default"),
        "brought_by": name_of(serial.batch.created_by),
        "coupon": coupon,
        "record_url": url,
        "story": serial_story(serial, coupon, at=timezone.now(), record_url=url),
    }


def coupon_of(serial: Serial) -> Coupon | None:
    """The coupon that has taken it, without its token."""
    coupons = Coupon.objects.select_related("campaign").defer("token")
    return coupons.filter(serial=serial).first()
