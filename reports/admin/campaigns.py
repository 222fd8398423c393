"""The campaign with its numbers, its state's buttons and the way to its records."""

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as gettext_now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import display

from campaigns.admin import CampaignAdmin
from campaigns.errors import CampaignError
from campaigns.models import Campaign
from campaigns.services import move
from coupons.limiting import set_total_limit
from deliveries.models import Delivery
from reports.admin.changing import AsksBeforeChanging
from reports.admin.copying import ArchiveFilter, CopiesAndArchives, buttons_of
from reports.admin.native import NativePages
from reports.admin.pictures import TidiesPictures
from reports.admin.preflight import PreflightPages, summary_of
from reports.admin.preview import PreviewMixin
from reports.admin.providers import ProviderPages, panel_of_providers
from reports.admin.specimen import SpecimenPages
from reports.admin.why import WhyPages, may_ask
from reports.forms import CampaignOverviewForm
from reports.low_stock import is_low
from reports.numbers import (
    BatchStock,
    Numbers,
    in_order,
    numbers_for,
    numbers_of,
    stocks_of,
)
from reports.why import outlook_of
from serials.admin.pages import COLOURS
from serials.models import Batch, StockWatch
from serials.services import set_stock_warning
from stores.access import StaffRequest

STATE_COLOURS = {
    Campaign.State.DRAFT: "info",
    Campaign.State.ACTIVE: "success",
    Campaign.State.PAUSED: "warning",
    Campaign.State.ENDED: "default",
}
# What may be done in which state, in the order of the buttons.
STEPS_BY_STATE = {
    Campaign.State.DRAFT: [("activate", _("Activate"))],
    Campaign.State.ACTIVE: [("pause", _("Pause")), ("end", _("End for good"))],
    Campaign.State.PAUSED: [("resume", _("Resume")), ("end", _("End for good"))],
    Campaign.State.ENDED: [],
}


# How many batches the panel lists, and how many of them without being asked to. The
# second number stands in reports/stock.css too.
SHOWN_BATCHES, OPEN_BATCHES = 20, 8


class CampaignList(ChangeList):
    """Puts each shown campaign's numbers beside it, three queries a page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = numbers_of(campaign.pk for campaign in self.result_list)
        for campaign in self.result_list:
            campaign.numbers = found[campaign.pk]


@admin.register(Campaign)
class CampaignOverviewAdmin(
    PreviewMixin,
    AsksBeforeChanging,
    CopiesAndArchives,
    NativePages,
    PreflightPages,
    ProviderPages,
    SpecimenPages,
    TidiesPictures,
    WhyPages,
    CampaignAdmin,
):
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
    list_filter = ("state", ArchiveFilter)
    list_per_page = 25
    show_full_result_count = False
    change_form_outer_before_template = "reports/campaign_panel.html"

    class Media:
        css = {"all": ["reports/stock.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CampaignList

    @display(description=_("state"), ordering="state", label=STATE_COLOURS)
    def shown_state(self, campaign: Campaign) -> tuple[str, str]:
        return campaign.state, str(campaign.get_state_display())

    @admin.display(description=_("usable until"), ordering="use_ends_at")
    def usable_until(self, campaign: Campaign) -> str:
        ends = campaign.use_ends_at.astimezone(campaign.zone)
        if ends.time() == time.min:  # to people it ends that day, not on the next
            ends -= timedelta(minutes=1)
        return f"{ends:%Y-%m-%d %H:%M}"

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

    def move(self, request: StaffRequest, pk: int, action: str) -> HttpResponse:
        """Activate, pause, resume or end, as a button of the campaign's page asks."""
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        if action not in dict(STEPS_BY_STATE[Campaign.State(campaign.state)]):
            action = ""
        if action == "activate" and (stopped := self.stopped(request, campaign)):
            return stopped
        try:
            if not action:
                raise CampaignError(
                    "wrong_state",
                    gettext_now("The campaign is in another state by now. Look again."),
                )
            move(campaign.pk, action, by=request.user, request_id=request.request_id)
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
            extra |= panel_of(campaign) | buttons_of(campaign)
            extra["may_change"] = self.has_change_permission(request, campaign)
            extra["may_ask_why"] = may_ask(request)
            extra |= panel_of_providers(request, campaign)
        else:
            extra["press"] = uuid4()
            if made := made_by(request):
                return self.see(made)
        try:
            return super().changeform_view(request, object_id, form_url, extra)
        except IntegrityError:  # the same press, in the same moment
            if object_id or not (made := made_by(request)):
                raise
            return self.see(made)
        except CampaignError as error:  # true a moment ago; nothing was saved
            messages.error(request, error.message)
            return HttpResponseRedirect(request.path)

    def save_model(
        self, request: HttpRequest, obj: Campaign, form: Any, change: bool
    ) -> None:
        if not change:
            obj.copy_nonce = press_of(request)
        super().save_model(request, obj, form, change)
        if "limit_in_total" in form.cleaned_data:
            set_total_limit(obj, form.cleaned_data["limit_in_total"])
        if "stock_warning" in form.cleaned_data:
            set_stock_warning(obj, form.cleaned_data["stock_warning"])

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
        return self.see(obj)

    def see(self, campaign: Campaign) -> HttpResponse:
        return HttpResponseRedirect(
            reverse("admin:campaigns_campaign_change", args=[campaign.pk])
        )


def press_of(request: HttpRequest) -> UUID | None:
    """The name that the page of a new campaign gave to its press of Save."""
    try:
        return uuid5(UUID(request.POST.get("_press", "")), "new")
    except ValueError:
        return None


def made_by(request: HttpRequest) -> Campaign | None:
    """What an earlier arrival of the same press made."""
    press = press_of(request)
    own = Campaign.objects.filter(created_by=request.user.pk)
    return own.filter(copy_nonce=press).first() if press else None


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


@dataclass(frozen=True)
class Line:
    """A batch in the panel's list, in the order they are given out."""

    batch: Batch
    stock: BatchStock
    colour: str
    is_next: bool  # whoever redeems now gets one of it
    is_over: bool  # it has nothing to give any more
    may_go_first: bool

    @property
    def url(self) -> str:
        page = "change" if self.stock.is_whole else "progress"
        return reverse(f"admin:serials_batch_{page}", args=[self.batch.pk])


def panel_of(campaign: Campaign) -> dict[str, Any]:
    """What the panel above the campaign's form shows."""
    records = reverse("admin:reports_redemptionrecord_changelist")
    state = Campaign.State(campaign.state)
    numbers = numbers_for(campaign)
    watch = StockWatch.objects.filter(campaign=campaign).first()
    lines = lines_of(campaign)
    return {
        "campaign": campaign,
        "numbers": numbers,
        "watch": watch,
        "is_low": watch is not None and is_low(watch, numbers),
        "lines": lines[:OPEN_BATCHES],
        "more_lines": lines[OPEN_BATCHES:SHOWN_BATCHES],
        "has_more_batches": len(lines) > SHOWN_BATCHES,
        "recent_deliveries": Delivery.objects.filter(campaign=campaign).select_related(
            "contact_list", "contact"
        )[:5],
        "preflight": summary_of(campaign),
        "outlook": outlook_of(campaign),
        "steps": STEPS_BY_STATE[state],
        "state_colour": STATE_COLOURS[state],
        "records_url": f"{records}?campaign__id__exact={campaign.pk}",
    }


def lines_of(campaign: Campaign) -> list[Line]:
    """The campaign's batches as they are given out, then those with nothing to give.

    One more than are shown, if there are more.
    """
    batches = Batch.objects.filter(campaign=campaign).select_related("stock")
    found = list(in_order(batches)[: SHOWN_BATCHES + 1])
    stocks = stocks_of(found)
    giving = next((batch.pk for batch in found if stocks[batch.pk].has_more), None)
    return [
        Line(
            batch,
            stocks[batch.pk],
            colour=COLOURS.get(Batch.State(batch.state), "default"),
            is_next=batch.pk == giving,
            is_over=bool(batch.rank),
            may_go_first=n > 0 and not batch.rank,
        )
        for n, batch in enumerate(found)
    ]
