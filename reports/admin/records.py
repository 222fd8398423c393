"""Redemption records: every coupon with its times, to filter, search and export."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as gettext_now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from campaigns.models import Campaign
from coupons.models import Coupon, Tally, Verification
from coupons.moments import Moment
from reports.admin.steps import CouponSteps
from reports.exporting import records_csv
from reports.models import RedemptionRecord
from reports.numbers import numbers_for
from reports.offers import offers_for
from reports.paging import CappedPaginator
from reports.replacing import replacement_of
from reports.searching import coupon_ids
from reports.story import VERIFIED_WAYS, story_of
from stores.naming import name_of

STATUS_COLOURS = {
    Coupon.Status.ISSUED: "default",
    Coupon.Status.SENT: "info",
    Coupon.Status.OPENED: "info",
    Coupon.Status.REDEEMED: "warning",
    Coupon.Status.VERIFIED: "success",
    Coupon.Status.REVOKED: "danger",
}


class CampaignsWithCoupons(admin.RelatedFieldListFilter):
    """Offers the campaigns that have coupons, asking their tallies: few rows."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        tallied = Tally.objects.values("campaign")
        found = Campaign.objects.filter(pk__in=tallied).order_by("name", "pk")
        return list(found.values_list("pk", "name"))


@admin.register(RedemptionRecord)
class RedemptionRecordAdmin(CouponSteps):
    """Every coupon with its four times, and what can be done with one."""

    list_display = (
        "shown_number",
        "campaign",
        "contact",
        "shown_status",
        "sent",
        "opened",
        "redeemed",
        "verified",
        "shown_code",
        "store",
        "staff",
    )
    list_display_links = ("shown_number",)
    list_filter = ("status", ("campaign", CampaignsWithCoupons))
    list_filter_submit = False
    list_fullwidth = True
    list_per_page = 50
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False
    search_fields = ("number",)  # so that there is a field; see get_search_results
    search_help_text = _("Coupon number, beginning of a serial, or contact")
    list_before_template = "reports/records_head.html"
    empty_words = _("A coupon stands here from the moment it is made for a contact.")
    change_form_outer_before_template = "reports/record.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Coupon]:
        live = Verification.objects.filter(undone_at=None).select_related(
            "store", "staff"
        )
        rows: QuerySet[Coupon] = super().get_queryset(request)
        return rows.select_related(
            "campaign", "contact", "serial", "batch"
        ).prefetch_related(Prefetch("verifications", live, to_attr="live"))

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """A coupon number may be typed as it is printed, in groups of four."""
        number = search_term.replace("-", "").strip().upper()
        if len(number) == 12 and number.isalnum():
            found = queryset.filter(number=number)
            if found.exists():
                return found, False
        if not search_term.strip():
            return queryset, False
        return queryset.filter(pk__in=coupon_ids(search_term)), False

    @admin.display(description=_("number"))
    def shown_number(self, record: Coupon) -> str:
        return record.shown_number

    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def shown_status(self, record: Coupon) -> tuple[str, str]:
        words = str(record.get_status_display())
        if record.is_expired(timezone.now()):
            words = gettext_now("%(status)s, expired") % {"status": words}
        return record.status, words

    @admin.display(description=_("sent"), ordering="sent_at")
    def sent(self, record: Coupon) -> str:
        return local_time(record, record.sent_at)

    @admin.display(description=_("opened"), ordering="opened_at")
    def opened(self, record: Coupon) -> str:
        return local_time(record, record.opened_at)

    @admin.display(description=_("redeemed"), ordering="redeemed_at")
    def redeemed(self, record: Coupon) -> str:
        return local_time(record, record.redeemed_at)

    @admin.display(description=_("verified"), ordering="verified_at")
    def verified(self, record: Coupon) -> str:
        return local_time(record, record.verified_at)

    @admin.display(description=_("serial"))
    def shown_code(self, record: Coupon) -> str:
        return record.code

    @admin.display(description=_("store"))
    def store(self, record: Coupon) -> str:
        return str(record.live[0].store or "") if record.live else ""  # type: ignore[attr-defined]

    @admin.display(description=_("by"))
    def staff(self, record: Coupon) -> str:
        """Who verified it; on the customer's page nobody has a name, so in which way."""
        if not record.live:  # type: ignore[attr-defined]
            return ""
        live = record.live[0]  # type: ignore[attr-defined]
        return name_of(live.staff) or str(VERIFIED_WAYS[live.way])

    def has_view_permission(
        self, request: HttpRequest, obj: Coupon | None = None
    ) -> bool:
        return request.user.has_perm("coupons.view_coupon")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "export/",
                self.admin_site.admin_view(self.export),
                name="reports_redemptionrecord_export",
            )
        ]
        return [*own, *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """The records of one campaign as CSV, by status if one is named."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        given = request.GET.get("campaign", "")
        if not given.isdecimal() or len(given) > 18:
            raise Http404
        campaign = Campaign.objects.filter(pk=int(given)).first()
        if campaign is None:
            raise Http404
        records = self.get_queryset(request).filter(campaign=campaign)
        if request.GET.get("status") in Coupon.Status.values:
            records = records.filter(status=request.GET["status"])
        return StreamingHttpResponse(
            records_csv(
                records,
                zone=campaign.zone,
                pulse=request.META.get("couponadmin.pulse", lambda: None),
            ),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": (
                    f'attachment; filename="redemption-records-{campaign.pk}.csv"'
                ),
                "Cache-Control": "no-store, private",
            },
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        extra = dict(extra_context or {})
        given = request.GET.get("campaign__id__exact", "")
        if given.isdecimal() and len(given) < 19:
            campaign = Campaign.objects.filter(pk=int(given)).first()
            if campaign is not None:
                extra["campaign"] = campaign
                extra["numbers"] = numbers_for(campaign)
                extra["chosen_status"] = request.GET.get("status__exact", "")
                extra["statuses"] = Coupon.Status.choices
        return super().changelist_view(request, extra)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra = dict(extra_context or {})
        coupon = self.get_object(request, object_id) if object_id else None
        if coupon is not None:
            extra |= record_of(coupon, request)
        return super().changeform_view(request, object_id, form_url, extra)


def local_time(record: Coupon, at: datetime | None) -> str:
    """A time as the campaign's own clocks show it; the list's head names the zone."""
    if at is None:
        return "–"
    local = at.astimezone(record.campaign.zone)
    return format_html(
        '<span class="bo-whole">{}</span> {}', f"{local:%Y-%m-%d}", f"{local:%H:%M}"
    )


def record_of(coupon: Coupon, request: HttpRequest) -> dict[str, Any]:
    """What a coupon's record shows."""
    at = timezone.now()
    replacement = replacement_of(coupon)
    return {
        "coupon": coupon,
        "last_minute": Moment(
            coupon.ends_at, coupon.campaign.zone, is_end=True
        ).for_staff,
        "status_colour": STATUS_COLOURS[Coupon.Status(coupon.status)],
        "story": story_of(coupon, at=at),
        "replacement": replacement,
        "recipient": getattr(coupon, "recipient", None),
        "offers": offers_for(request.user, coupon, replacement=replacement, at=at),
    }
