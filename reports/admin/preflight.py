"""The pre-flight of a campaign: its table, its summary, and activating by way of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.admin import CampaignAdmin
from campaigns.models import Campaign
from sync.preflight.checking import Preflight, Section, preflight, stops_of
from sync.preflight.lines import WORDS, Line, Mark

ICONS = {
    Mark.FINE: "check_circle",
    Mark.CHANGED: "swap_horiz",
    Mark.ADVICE: "info",
    Mark.IMPOSSIBLE: "block",
}
# Fields of the form that are two: a date and a time of day.
DATED = {"use_starts_at", "use_ends_at", "send_starts_at", "send_ends_at"}
# Worth a look before the campaign runs, and while it does.
CHECKED_STATES = (Campaign.State.DRAFT, Campaign.State.ACTIVE, Campaign.State.PAUSED)


@dataclass(frozen=True)
class Row:
    """A line as the table shows it."""

    line: Line
    url: str

    @property
    def mark(self) -> str:
        return str(WORDS[self.line.mark])

    @property
    def icon(self) -> str:
        return ICONS[self.line.mark]

    @property
    def sent(self) -> str:
        """The field and the value that the provider would get."""
        if self.line.value is None or not self.line.key:
            return ""
        value = json.dumps(self.line.value, ensure_ascii=False)
        return f"{self.line.key}: {value}"


@dataclass(frozen=True)
class Table:
    """One section with its rows."""

    section: Section
    rows: list[Row]

    @property
    def has_sent(self) -> bool:
        return any(row.sent for row in self.rows)


@dataclass(frozen=True)
class Summary:
    """What the campaign's page says of its pre-flight, before anyone opens the table."""

    stops: int
    remarks: int  # that stop nothing
    is_draft: bool


class PreflightPages(CampaignAdmin):
    """Adds the page to campaigns; activating asks the same rules once more."""

    class Media:
        css = {"all": ["reports/preflight.css"]}
        js = ["reports/field_link.js"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.preflight_page))
        own = path("<int:pk>/preflight/", view, name="campaigns_campaign_preflight")
        return [own, *super().get_urls()]

    def preflight_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_view_permission(request, campaign):
            raise PermissionDenied
        found = preflight(campaign, at=timezone.now())
        may_activate = (
            campaign.state == Campaign.State.DRAFT
            and campaign.archived_at is None
            and self.has_change_permission(request, campaign)
        )
        return TemplateResponse(
            request,
            "reports/preflight.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": title_of(campaign),
                "original": campaign,
                "campaign": campaign,
                "stops": [row_of(campaign, line) for line in found.stops],
                "may_activate": may_activate,
                **tables_of(campaign, found),
            },
        )

    def stopped(self, request: HttpRequest, campaign: Campaign) -> HttpResponse | None:
        """On to the table when something keeps the campaign from being activated."""
        stops = stops_of(campaign, at=timezone.now())
        if not stops:
            return None
        for line in stops:
            messages.error(request, f"{line.what}: {line.words}")
        return HttpResponseRedirect(page_url(campaign))


def title_of(campaign: Campaign) -> str:
    """What the check is for: once the campaign runs, other places alone are left."""
    if campaign.state == Campaign.State.DRAFT:
        return _("Check before activating")
    return _("Check before publishing")


def page_url(campaign: Campaign) -> str:
    return reverse("admin:campaigns_campaign_preflight", args=[campaign.pk])


def summary_of(campaign: Campaign) -> Summary | None:
    """For the campaign's page; None when there is nothing to check any more."""
    if campaign.state not in CHECKED_STATES:
        return None
    found = preflight(campaign, at=timezone.now(), is_whole=False)
    stops = len(found.stops)
    return Summary(
        stops=stops,
        remarks=found.remarks - stops,
        is_draft=campaign.state == Campaign.State.DRAFT,
    )


def tables_of(campaign: Campaign, found: Preflight) -> dict[str, Any]:
    return {
        "ours": table_of(campaign, found.ours),
        "connected": [table_of(campaign, section) for section in found.connected],
        "others": [table_of(campaign, section) for section in found.others],
    }


def table_of(campaign: Campaign, section: Section) -> Table:
    return Table(section, rows_of(campaign, section.lines))


def rows_of(campaign: Campaign, lines: Iterable[Line]) -> list[Row]:
    return [row_of(campaign, line) for line in lines]


def row_of(campaign: Campaign, line: Line) -> Row:
    return Row(line, "" if line.is_fine else place_of(campaign, line))


def place_of(campaign: Campaign, line: Line) -> str:
    """Where a person changes it; a module opens the tab that the field is in."""
    page = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    if line.place == "stores":
        return reverse("admin:stores_store_changelist")
    if line.place == "serials":
        return f"{page}#serials"
    if line.place == "texts":
        return f"{page}#texts-group"
    if line.field:
        return f"{page}#id_{line.field}{'_0' if line.field in DATED else ''}"
    return ""
