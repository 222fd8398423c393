"""“Why did this contact not get it, or not redeem it?”: the search and its answers."""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as gettext_now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminTextInputWidget

from campaigns.admin import CampaignAdmin
from campaigns.models import Campaign
from contacts.models import Contact
from reports import finding
from reports.why import LONGEST, Hits, answers_for, find_contacts

# The answer tells of all of these.
NEEDED = (
    "contacts.view_contact",
    "coupons.view_coupon",
    "deliveries.view_delivery",
)
MAX_ID = 9_223_372_036_854_775_807


class ContactForm(forms.Form):
    """Whom somebody asks about; a pasted coupon link is never looked up or shown."""

    q = forms.CharField(
        label=_("Contact"),
        max_length=LONGEST,
        widget=UnfoldAdminTextInputWidget(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "enterkeyhint": "search",
            }
        ),
        help_text=_(
            "Name, the shop's own id, phone, e-mail, or the beginning of a LINE user id."
        ),
        error_messages={"required": _("Type who it is about.")},
    )

    def clean_q(self) -> str:
        typed: str = self.cleaned_data["q"]
        if finding.is_link(typed):
            self.data = {}
            raise forms.ValidationError(
                _(
                    "That is a coupon's link. Whoever has it can redeem, so it isn't "
                    "looked up or shown here. Type the contact's name instead."
                )
            )
        return typed


class WhyPages(CampaignAdmin):
    """Adds the question to campaigns, for whoever may read contacts and records."""

    def get_urls(self) -> list[URLPattern]:
        page = require_http_methods(["GET", "HEAD", "POST"])(self.why_page)
        view = self.admin_site.admin_view(page)
        own = path("<int:pk>/why/", view, name="campaigns_campaign_why")
        return [own, *super().get_urls()]

    def why_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What is typed comes by POST: names and phone numbers get into no address.

        One hit goes on to an address with the contact's id, to be kept and gone back to.
        """
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not may_ask(request) or not self.has_view_permission(request, campaign):
            raise PermissionDenied
        if request.method != "POST":
            return self._of_one(request, campaign)
        form = ContactForm(request.POST)
        if not form.is_valid():
            return self._why(request, campaign, form, status=400)
        hits = find_contacts(form.cleaned_data["q"])
        if len(hits.contacts) == 1:
            return HttpResponseRedirect(
                f"{why_url(campaign)}?contact={hits.contacts[0].pk}"
            )
        return self._why(request, campaign, form, hits=hits)

    def _of_one(self, request: HttpRequest, campaign: Campaign) -> HttpResponse:
        asked = request.GET.get("contact", "")
        if not asked:
            form = ContactForm()
            form.fields["q"].widget.attrs["autofocus"] = True
            return self._why(request, campaign, form)
        known = asked.isascii() and asked.isdigit() and int(asked[:19]) <= MAX_ID
        rows = Contact.objects.select_related("connection")
        contact = rows.filter(pk=int(asked[:19])).first() if known else None
        if contact is None:
            raise Http404
        return self._why(request, campaign, ContactForm(), hits=Hits([contact]))

    def _why(
        self,
        request: HttpRequest,
        campaign: Campaign,
        form: ContactForm,
        *,
        hits: Hits | None = None,
        status: int = 200,
    ) -> TemplateResponse:
        answers = (
            answers_for(campaign, hits.contacts, at=timezone.now())
            if hits and hits.contacts
            else []
        )
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext_now("Why did this contact not get it?"),
            "original": campaign,
            "campaign": campaign,
            "form": form,
            "hits": hits,
            "answers": answers,
            "zone": campaign.zone,
        }
        return TemplateResponse(request, "reports/why.html", context, status=status)


def may_ask(request: HttpRequest) -> bool:
    return request.user.has_perms(NEEDED)


def why_url(campaign: Campaign) -> str:
    return reverse("admin:campaigns_campaign_why", args=[campaign.pk])
