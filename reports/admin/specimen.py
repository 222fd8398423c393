"""The page with a link to try a campaign on one's own phone."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.admin import CampaignAdmin
from campaigns.look import link_svg
from coupons.views.trying import VALID_FOR, specimen_path

THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class SpecimenPages(CampaignAdmin):
    """Adds the page to campaigns. Each time it is opened it has a new link."""

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:pk>/specimen/",
            self.admin_site.admin_view(require_safe(self.specimen)),
            name="campaigns_campaign_specimen",
        )
        return [own, *super().get_urls()]

    def specimen(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For whoever may see the campaign: the specimen shows no more than that."""
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_view_permission(request, campaign):
            raise PermissionDenied
        now = timezone.now()
        link = settings.SITE_URL + specimen_path(campaign, now=now)
        return TemplateResponse(
            request,
            "reports/specimen.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Try it on your phone"),
                "original": campaign,
                "campaign": campaign,
                "campaign_url": reverse(
                    "admin:campaigns_campaign_change", args=[campaign.pk]
                ),
                "link": link,
                "symbol": symbol_of(link),
                "until": now + VALID_FOR,
                "languages": languages_of(link),
                "is_here_alone": urlsplit(link).hostname in THIS_MACHINE,
            },
        )


def symbol_of(link: str) -> SafeString | str:
    try:
        return link_svg(link, _("QR code of the specimen's link"))
    except ValueError:
        return ""


def languages_of(link: str) -> list[dict[str, str]]:
    """The page in each language, as its own readers call it."""
    return [
        {
            "code": code,
            "name": get_language_info(code)["name_local"],
            "url": f"{link}?lang={code}",
        }
        for code, _name in settings.LANGUAGES
    ]
