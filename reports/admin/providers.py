"""The Providers page of a campaign: every account with its state, and publishing."""

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.admin import CampaignAdmin
from campaigns.models import Campaign
from connections.models import SECRETS, Connection
from reports.admin.preflight import row_of, table_of
from reports.admin.sync_pages import nonce_of
from reports.outdated import NOTHING, outdated
from reports.provider_forms import OptionsForm, options_form
from reports.publications import Card, cards_of, is_lost, label_of, until_of
from stores.access import StaffRequest
from sync.errors import SyncError
from sync.models import Publication
from sync.native import sendable
from sync.preflight.checking import NAMES, Section, preflight
from sync.pulling.terms import changes_of
from sync.services.publishing import newcomers, publish

VIEW, PUBLISH = "sync.view_publication", "sync.add_publication"
STATE = Publication.State


class ProviderPages(CampaignAdmin):
    """Adds the pages to campaigns; what is done there `sync` does."""

    class Media:
        css = {"all": ["reports/providers.css"]}

    def get_urls(self) -> list[URLPattern]:
        asks = require_http_methods(["GET", "HEAD", "POST"])
        view = self.admin_site.admin_view
        own = [
            path(
                "<int:pk>/providers/",
                view(require_safe(self.providers_page)),
                name="campaigns_campaign_providers",
            ),
            path(
                "<int:pk>/providers/<int:connection_id>/publish/",
                view(asks(self.publish_page)),
                name="campaigns_campaign_publish",
            ),
        ]
        return [*own, *super().get_urls()]

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """Besides, say at which accounts it stands otherwise than it was just saved."""
        super().save_related(request, form, formsets, change)
        if names := outdated_at(form.instance) if change else []:
            messages.warning(
                request,
                _(
                    "Nothing of this has been sent to %(accounts)s yet: do it on the "
                    "campaign's Providers page."
                )
                % {"accounts": ", ".join(names)},
            )

    def of_campaign(self, request: HttpRequest, pk: int, permission: str) -> Campaign:
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        may = self.has_view_permission(request, campaign)
        if not may or not request.user.has_perms([VIEW, permission]):
            raise PermissionDenied
        found: Campaign = campaign
        return found

    def provider_page(
        self,
        request: HttpRequest,
        campaign: Campaign,
        template: str,
        title: str,
        status: int = 200,
        **context: Any,
    ) -> HttpResponse:
        shown = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "original": campaign,
            "campaign": campaign,
            **context,
        }
        return TemplateResponse(request, f"reports/{template}", shown, status=status)

    def providers_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        campaign = self.of_campaign(request, pk, VIEW)
        cards = [shown_card(campaign, card) for card in cards_of(campaign)]
        return self.provider_page(
            request,
            campaign,
            "providers.html",
            _("Providers"),
            cards=cards,
            is_working=any(shown["card"].is_working for shown in cards),
            missing=missing_providers([shown["card"] for shown in cards]),
        )

    # --- publishing ---------------------------------------------------------------------

    def publish_page(
        self, request: StaffRequest, pk: int, connection_id: int
    ) -> HttpResponse:
        """The provider's pre-flight and what is chosen besides; a POST publishes."""
        campaign = self.of_campaign(request, pk, PUBLISH)
        connections = Connection.objects.defer(*SECRETS)
        connection = connections.filter(pk=connection_id).first()
        if connection is None:
            raise Http404
        if request.method != "POST":
            return self.ask_to_publish(
                request, campaign, connection, options_form(campaign, connection)
            )
        form = options_form(campaign, connection, request.POST)
        if not form.is_valid():
            return self.ask_to_publish(request, campaign, connection, form, 400)
        return self.do_publish(request, campaign, connection, form)

    def do_publish(
        self,
        request: StaffRequest,
        campaign: Campaign,
        connection: Connection,
        form: OptionsForm,
    ) -> HttpResponse:
        try:
            made = publish(
                campaign.pk,
                connection.pk,
                options=form.options(),
                by=request.user,
                nonce=nonce_of(request),
            )
        except SyncError as error:
            return self.ask_to_publish(
                request, campaign, connection, form, 409, problem=error.message
            )
        self.log_change(request, campaign, f"publish: {connection.pk} {made.pk}")
        messages.success(
            request,
            _("“%(campaign)s” is on its way to %(account)s.")
            % {"campaign": campaign.name, "account": connection.name},
        )
        return redirect(f"{page_url(campaign)}#account-{connection.pk}")

    def ask_to_publish(
        self,
        request: HttpRequest,
        campaign: Campaign,
        connection: Connection,
        form: OptionsForm,
        status: int = 200,
        problem: str = "",
    ) -> HttpResponse:
        section = section_of(campaign, connection)
        stops = [row_of(campaign, line) for line in section.stops]
        reasons = reasons_against(campaign, connection)
        return self.provider_page(
            request,
            campaign,
            "publish.html",
            _("Publish"),
            status,
            connection=connection,
            table=table_of(campaign, section),
            stops=stops,
            reasons=reasons,
            is_possible=not stops and not reasons,
            form=form,
            nonce=nonce_of(request) if request.method == "POST" else uuid4(),
            problem=problem,
            back_url=page_url(campaign),
        )


def outdated_at(campaign: Campaign) -> list[str]:
    """The accounts that have other terms than the campaign has now."""
    rows = Publication.objects.filter(campaign=campaign, state=STATE.OPEN)
    found = rows.select_related("campaign", "connection").order_by("pk")
    at = timezone.now()
    hidden = ("onsite_password", *(f"connection__{name}" for name in SECRETS))
    return [one.connection.name for one in found.defer(*hidden) if changes_of(one, at)]


def page_url(campaign: Campaign) -> str:
    return reverse("admin:campaigns_campaign_providers", args=[campaign.pk])


def section_of(campaign: Campaign, connection: Connection) -> Section:
    """The part of the pre-flight that is about this provider."""
    found = preflight(campaign, at=timezone.now())
    sections = (*found.connected, *found.others)
    return next(x for x in sections if x.key == connection.provider)


def reasons_against(campaign: Campaign, connection: Connection) -> list[str]:
    """Why it can't be published there now, besides what the pre-flight says."""
    reasons = [
        words_of_campaign(campaign),
        words_of_account(connection),
        words_of_current(campaign, connection),
    ]
    return [reason for reason in reasons if reason]


def words_of_campaign(campaign: Campaign) -> str:
    if campaign.archived_at is not None:
        return _("The campaign is archived. Bring it back first.")
    return {
        Campaign.State.DRAFT: _("The campaign is a draft. Activate it first."),
        Campaign.State.PAUSED: _("The campaign is paused. Resume it first."),
        Campaign.State.ENDED: _("The campaign has ended. Make a copy of it instead."),
    }.get(Campaign.State(campaign.state), "")


def words_of_account(connection: Connection) -> str:
    if connection.state != Connection.State.PAUSED:
        return ""
    return _("This account is paused: %(reason)s Resume it under Connections.") % {
        "reason": connection.pause_reason
    }


def words_of_current(campaign: Campaign, connection: Connection) -> str:
    """A campaign has one publication at an account at a time."""
    current = Publication.objects.filter(campaign=campaign, connection=connection)
    if not current.exclude(state=STATE.CLOSED).exists():
        return ""
    return _("The campaign is published at this account already.")


def panel_of_providers(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """What the campaign's own page says of its providers, to whoever may see it."""
    if not request.user.has_perm(VIEW):
        return {}
    at = timezone.now()
    current = [card for card in cards_of(campaign) if card.is_current]
    return {
        "providers_url": page_url(campaign),
        "provider_cards": [
            {
                "account": str(card.connection.pk),
                "name": card.connection.name,
                "label": label_of(card, at),
                "differences": card.open_differences,
            }
            for card in current
        ],
    }


def missing_providers(cards: list[Card]) -> list[str]:
    """The providers that there is no account at."""
    connected = {card.connection.provider for card in cards}
    return [str(NAMES[key]) for key in NAMES if key not in connected]


def shown_card(campaign: Campaign, card: Card) -> dict[str, Any]:
    """A card with what only the page needs."""
    at, found = timezone.now(), card.publication
    is_open = found is not None and found.state == STATE.OPEN
    has_codes = is_open and not card.is_line
    return {
        "card": card,
        "found": found,
        "label": label_of(card, at),
        "until": until_of(card.coupon, campaign),
        "newcomers": newcomers(found) if found and has_codes else 0,
        "not_sendable": sendable(found, at=at)
        if found and is_open and card.is_line
        else "",
        "is_open": is_open,
        "outdated": outdated(found, at) if found and has_codes else NOTHING,
        "is_lost": is_lost(card.coupon, at),
    }
