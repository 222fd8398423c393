"""Another campaign like this one, and campaigns out of sight: buttons and a filter."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from campaigns.admin import CampaignAdmin
from campaigns.errors import CampaignError
from campaigns.models import Campaign
from campaigns.services import ARCHIVABLE, archive, duplicate, unarchive
from serials.models import StockWatch
from serials.services import set_stock_warning
from stores.access import StaffRequest


class ArchiveFilter(admin.SimpleListFilter):
    """What is archived is left out unless somebody asks for it."""

    title = gettext_lazy("archive")
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", gettext_lazy("archived")), ("all", gettext_lazy("all"))]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for place, choice in enumerate(super().choices(changelist)):
            # Django's own first choice is "All": here it is what lists start with.
            yield {**choice, "display": _("not archived")} if not place else choice

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Campaign]
    ) -> QuerySet[Campaign]:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


class CopiesAndArchives(CampaignAdmin):
    """The campaign's buttons for both."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path(
                f"<int:pk>/{name}/",
                view(require_POST(getattr(self, name))),
                name=f"campaigns_campaign_{name}",
            )
            for name in ("duplicate", "archive", "unarchive")
        ]
        return [*own, *super().get_urls()]

    def asked_for(self, request: HttpRequest, pk: int) -> Campaign:
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        return campaign

    def duplicate(self, request: StaffRequest, pk: int) -> HttpResponse:
        """Make a draft like this campaign, once for each page that was shown."""
        source = self.asked_for(request, pk)
        if not self.has_add_permission(request):
            raise PermissionDenied
        nonce = uuid_of(request.POST.get("nonce", ""))
        if nonce is None:
            messages.error(request, _("That page was too old. Press the button again."))
            return redirect("admin:campaigns_campaign_change", pk)
        copy = self.make_copy(request, source, nonce)
        for words in notices_of(source, copy):
            messages.warning(request, words)
        return redirect("admin:campaigns_campaign_change", copy.pk)

    @transaction.atomic
    def make_copy(
        self, request: StaffRequest, source: Campaign, nonce: UUID
    ) -> Campaign:
        copy, is_new = duplicate(
            source.pk, nonce=nonce, by=request.user, request_id=request.request_id
        )
        if is_new:
            watch = StockWatch.objects.filter(campaign=source).first()
            set_stock_warning(copy, watch.warn_below if watch else None)
            said = _("Made as a copy of “%(name)s”.") % {"name": source.name}
            self.log_addition(request, copy, said)
        messages.success(
            request,
            _(
                "“%(name)s” is a draft with the same settings. Give it a name and "
                "serials: those were not copied."
            )
            % {"name": copy.name},
        )
        return copy

    def archive(self, request: StaffRequest, pk: int) -> HttpResponse:
        campaign = self.asked_for(request, pk)
        try:
            if archive(pk, by=request.user, request_id=request.request_id):
                self.log_change(request, campaign, "archived")
        except CampaignError as error:
            messages.error(request, error.message)
        else:
            messages.success(
                request,
                _(
                    "“%(name)s” is archived: it is out of the list and of the choices. "
                    "Nothing of it is deleted."
                )
                % {"name": campaign.name},
            )
        return redirect("admin:campaigns_campaign_change", pk)

    def unarchive(self, request: StaffRequest, pk: int) -> HttpResponse:
        campaign = self.asked_for(request, pk)
        if unarchive(pk, by=request.user, request_id=request.request_id):
            self.log_change(request, campaign, "unarchived")
        messages.success(
            request,
            _("“%(name)s” is in the list again.") % {"name": campaign.name},
        )
        return redirect("admin:campaigns_campaign_change", pk)


def buttons_of(campaign: Campaign) -> dict[str, Any]:
    """What the panel's buttons need; the nonce is the shown page's own."""
    found: dict[str, Any] = {
        "copy_nonce": uuid4(),
        "may_archive": campaign.archived_at is None and campaign.state in ARCHIVABLE,
    }
    # What is archived is taken back first.
    return found if campaign.archived_at is None else found | {"steps": []}


def notices_of(source: Campaign, copy: Campaign) -> list[str]:
    """What the copy still lacks, or carries along from the past."""
    words = []
    now = timezone.now()
    if copy.use_ends_at <= now:
        words.append(
            _("Its dates were kept, and the use period is over: choose new ones first.")
        )
    elif copy.use_starts_at <= now or (copy.send_ends_at and copy.send_ends_at <= now):
        words.append(
            _("Its dates were kept, and some lie in the past: look at them first.")
        )
    if source.password:
        words.append(
            _(
                "The campaign's own password was not copied: each store's own counts "
                "until you set one."
            )
        )
    return words


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
