"""Screens that join several apps: the campaign with its numbers, and its records."""

import zoneinfo
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as gettext_now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from campaigns.admin import CampaignAdmin
from campaigns.errors import CampaignError
from campaigns.models import Campaign
from campaigns.services import move
from coupons.errors import CouponError
from coupons.models import Coupon, Verification
from deliveries.models import Delivery
from reports.exporting import records_csv
from reports.forms import CampaignOverviewForm
from reports.models import RedemptionRecord
from reports.numbers import Numbers, numbers_for, numbers_of
from reports.paging import CappedPaginator
from serials.models import Batch

admin.site.index_title = _("Overview")

STATE_COLOURS = {
    Campaign.State.DRAFT: "info",
    Campaign.State.ACTIVE: "success",
    Campaign.State.PAUSED: "warning",
    Campaign.State.ENDED: "default",
}
STATUS_COLOURS = {
    Coupon.Status.ISSUED: "default",
    Coupon.Status.SENT: "info",
    Coupon.Status.OPENED: "info",
    Coupon.Status.REDEEMED: "warning",
    Coupon.Status.VERIFIED: "success",
    Coupon.Status.REVOKED: "danger",
}
# What may be done in which state, in the order of the buttons.
STEPS_BY_STATE = {
    Campaign.State.DRAFT: [("activate", _("Activate"))],
    Campaign.State.ACTIVE: [("pause", _("Pause")), ("end", _("End for good"))],
    Campaign.State.PAUSED: [("resume", _("Resume")), ("end", _("End for good"))],
    Campaign.State.ENDED: [],
}


class CampaignList(ChangeList):
    """Puts each shown campaign's numbers beside it, two queries a page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = numbers_of(campaign.pk for campaign in self.result_list)
        for campaign in self.result_list:
            campaign.numbers = found[campaign.pk]


@admin.register(Campaign)
class CampaignOverviewAdmin(CampaignAdmin):
    """Campaigns with numbers, the state's buttons and the way to their records."""

    form = CampaignOverviewForm
    list_display = (
        "name",
        "shown_state",
        "usable_until",
        "sent",
        "opened",
        "redeemed",
        "verified",
        "stock_left",
    )
    list_filter = ("state",)
    list_per_page = 25
    show_full_result_count = False
    change_form_outer_before_template = "reports/campaign_panel.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CampaignList

    @display(description=_("state"), ordering="state", label=STATE_COLOURS)
    def shown_state(self, campaign: Campaign) -> tuple[str, str]:
        return campaign.state, str(campaign.get_state_display())

    @admin.display(description=_("usable until"), ordering="use_ends_at")
    def usable_until(self, campaign: Campaign) -> str:
        return f"{campaign.use_ends_at.astimezone(campaign.zone):%Y-%m-%d %H:%M}"

    def numbers(self, campaign: Campaign) -> Numbers:
        numbers: Numbers = campaign.numbers  # type: ignore[attr-defined]
        return numbers

    @admin.display(description=_("sent"))
    def sent(self, campaign: Campaign) -> int:
        return self.numbers(campaign).sent

    @admin.display(description=_("opened, at least"))
    def opened(self, campaign: Campaign) -> int:
        return self.numbers(campaign).opened

    @admin.display(description=_("redeemed"))
    def redeemed(self, campaign: Campaign) -> int:
        return self.numbers(campaign).redeemed

    @admin.display(description=_("verified"))
    def verified(self, campaign: Campaign) -> int:
        return self.numbers(campaign).verified

    @admin.display(description=_("stock left"))
    def stock_left(self, campaign: Campaign) -> str:
        return render_to_string(
            "reports/_stock.html", {"numbers": self.numbers(campaign)}
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path(
                "<int:pk>/move/<str:action>/",
                view(require_POST(self.move)),
                name="campaigns_campaign_move",
            ),
        ]
        return [*own, *super().get_urls()]

    def move(self, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        """Activate, pause, resume or end, as a button of the campaign's page asks."""
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        if action not in dict(STEPS_BY_STATE[Campaign.State(campaign.state)]):
            action = ""
        try:
            if not action:
                raise CampaignError(
                    "wrong_state",
                    gettext_now("The campaign is in another state by now. Look again."),
                )
            move(campaign.pk, action)
        except CampaignError as error:
            messages.error(request, error.message)
        else:
            campaign.refresh_from_db()
            self.log_change(request, campaign, f"{action}: {campaign.state}")
            messages.success(request, said_after(action))
        return HttpResponseRedirect(
            reverse("admin:campaigns_campaign_change", args=[pk])
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        extra = dict(extra_context or {})
        campaign = self.get_object(request, object_id) if object_id else None
        if campaign is not None:
            extra |= panel_of(campaign)
            extra["may_change"] = self.has_change_permission(request, campaign)
        try:
            return super().changeform_view(request, object_id, form_url, extra)
        except CampaignError as error:  # true a moment ago; nothing was saved
            messages.error(request, error.message)
            return HttpResponseRedirect(request.path)

    def response_add(
        self, request: HttpRequest, obj: Campaign, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Stay on the new campaign: its next step, serials, is offered there."""
        if "_addanother" in request.POST or "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        messages.success(
            request,
            gettext_now("“%(name)s” is saved as a draft. Next: give it serials.")
            % {"name": obj.name},
        )
        return HttpResponseRedirect(
            reverse("admin:campaigns_campaign_change", args=[obj.pk])
        )


def said_after(action: str) -> str:
    """What has changed, in words that answer the next question."""
    return {
        "activate": gettext_now("The campaign is active: coupons can be sent."),
        "pause": gettext_now(
            "Paused: nothing is sent or redeemed. What is redeemed can still be verified."
        ),
        "resume": gettext_now("The campaign is active again."),
        "end": gettext_now("The campaign has ended."),
    }[action]


def panel_of(campaign: Campaign) -> dict[str, Any]:
    """What the panel above the campaign's form shows."""
    records = reverse("admin:reports_redemptionrecord_changelist")
    state = Campaign.State(campaign.state)
    return {
        "campaign": campaign,
        "numbers": numbers_for(campaign),
        "batches": Batch.objects.filter(campaign=campaign).select_related("stock")[:20],
        "recent_deliveries": Delivery.objects.filter(campaign=campaign).select_related(
            "contact_list", "contact"
        )[:5],
        "steps": STEPS_BY_STATE[state],
        "state_colour": STATE_COLOURS[state],
        "records_url": f"{records}?campaign__id__exact={campaign.pk}",
    }


@admin.register(RedemptionRecord)
class RedemptionRecordAdmin(ModelAdmin):
    """Every coupon with its four times; nothing is written here."""

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
    list_filter = ("status", ("campaign", admin.RelatedOnlyFieldListFilter))
    list_filter_submit = False
    list_fullwidth = True
    list_per_page = 50
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False
    search_fields = ("number__startswith", "serial__code__startswith", "contact__name")
    search_help_text = _("Coupon number, beginning of a serial, or contact")
    list_before_template = "reports/records_head.html"
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
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("number"))
    def shown_number(self, record: Coupon) -> str:
        return record.shown_number

    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def shown_status(self, record: Coupon) -> tuple[str, str]:
        return record.status, str(record.get_status_display())

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

    @admin.display(description=_("staff"))
    def staff(self, record: Coupon) -> str:
        return str(record.live[0].staff or "") if record.live else ""  # type: ignore[attr-defined]

    def get_fieldsets(
        self, request: HttpRequest, obj: Coupon | None = None
    ) -> list[Any]:
        return []  # the story above is the page; the token is nobody's to see

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Coupon | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Coupon | None = None
    ) -> bool:
        return False

    def has_view_permission(
        self, request: HttpRequest, obj: Coupon | None = None
    ) -> bool:
        return request.user.has_perm("coupons.view_coupon")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

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
        records = self.get_queryset(request).filter(campaign=campaign).order_by("pk")
        if request.GET.get("status") in Coupon.Status.values:
            records = records.filter(status=request.GET["status"])
        return StreamingHttpResponse(
            records_csv(records, zone=campaign.zone),
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
            extra |= story_of(coupon)
        return super().changeform_view(request, object_id, form_url, extra)


def local_time(record: Coupon, at: datetime | None) -> str:
    """A time as the campaign's own clocks show it; the list's head names the zone."""
    return f"{at.astimezone(record.campaign.zone):%Y-%m-%d %H:%M}" if at else "–"


def story_of(coupon: Coupon) -> dict[str, Any]:
    """A coupon's steps and refused attempts, oldest first, in its campaign's zone."""
    return {
        "coupon": coupon,
        "zone": zoneinfo.ZoneInfo(coupon.campaign.time_zone),
        "events": coupon.events.select_related("actor", "store").order_by("pk"),
        "refusals": [
            (attempt, CouponError(attempt.reason).message)
            for attempt in coupon.attempts.exclude(reason="ok")
            .select_related("store", "staff")
            .order_by("-pk")[:50]
        ],
        "status_colour": STATUS_COLOURS[Coupon.Status(coupon.status)],
    }
