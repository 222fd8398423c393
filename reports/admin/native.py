"""Sending a campaign's coupon on LINE as a message: form, check, the one press of Send."""

from typing import cast
from uuid import uuid4

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.admin import CampaignAdmin
from contacts.models import ContactList
from deliveries import services as deliveries
from deliveries.admin import count_shown, kept_of, times_shown
from deliveries.errors import DeliveryError
from deliveries.forms import NativeForm, PressForm
from deliveries.messages import native_preview
from deliveries.models import Delivery
from sync.models import Publication
from sync.services.native import checked, sendable, start_native


class NativePages(CampaignAdmin):
    """Adds the pages to campaigns, one for each publication at a LINE account."""

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:pk>/native/<int:publication_id>/send/",
            self.admin_site.admin_view(self.send_native),
            name="campaigns_campaign_send_native",
        )
        return [own, *super().get_urls()]

    def send_native(
        self, request: HttpRequest, pk: int, publication_id: int
    ) -> HttpResponseBase:
        """For whoever may see the campaign and make deliveries."""
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        may_send = request.user.has_perm("deliveries.add_delivery")
        if not (may_send and self.has_view_permission(request, campaign)):
            raise PermissionDenied
        rows = Publication.objects.select_related("campaign", "connection")
        publication = get_object_or_404(rows, pk=publication_id, campaign=campaign)
        if request.method != "POST" or request.POST.get("step") == "edit":
            data = request.POST if request.method == "POST" else None
            return self._form(request, publication, NativeForm(data, campaign=campaign))
        form = NativeForm(request.POST, campaign=campaign)
        if form.is_valid():
            try:
                return self._take(request, publication, form)
            except DeliveryError as problem:
                form.refuse(problem)
        page = self._form(request, publication, form)
        page.status_code = 400
        return page

    def _form(
        self, request: HttpRequest, publication: Publication, form: NativeForm
    ) -> TemplateResponse:
        return self._page(
            request,
            publication,
            "deliveries/send_native.html",
            _("Send the coupon on LINE"),
            form=form,
            why_not=sendable(publication, at=timezone.now()),
            has_lists=ContactList.objects.exists(),
        )

    def _take(
        self, request: HttpRequest, publication: Publication, form: NativeForm
    ) -> HttpResponseBase:
        given, press = form.cleaned_data, PressForm(request.POST)
        if request.POST.get("step") != "send" or not press.is_valid():
            return self._check(request, publication, form)
        delivery = start_native(
            publication.pk,
            nonce=press.cleaned_data["nonce"],
            by=cast(User, request.user),
            **given,
        )
        return redirect("admin:deliveries_delivery_progress", delivery.pk)

    def _check(
        self, request: HttpRequest, publication: Publication, form: NativeForm
    ) -> TemplateResponse:
        """Who gets it, what it costs, how it looks, before anything happens."""
        given, campaign = form.cleaned_data, publication.campaign
        coupon = checked(publication, at=timezone.now())
        at = given["send_at"] or timezone.now()
        deliveries.check_native(campaign, publication.connection, coupon, send_at=at)
        count = deliveries.count_audience(
            campaign,
            publication.connection,
            contact_list=given["contact_list"],
            contact=given["contact"],
            is_native=True,
        )
        planned = Delivery(
            campaign=campaign,
            native_coupon_id=coupon.coupon_id,
            native_title=coupon.title,
            native_starts_at=coupon.starts_at,
            native_ends_at=coupon.ends_at,
            delivery_tag=given["tag"],
        )
        return self._page(
            request,
            publication,
            "deliveries/check.html",
            _("Check before sending"),
            given={
                **given,
                "campaign": campaign,
                "connection": publication.connection,
            },
            kept=kept_of(request, NativeForm),
            press=PressForm(initial={"nonce": uuid4()}),
            native=planned,
            preview=native_preview(planned),
            **count_shown(count, publication.connection),
            **times_shown(campaign, given["send_at"]),
        )

    def _page(
        self,
        request: HttpRequest,
        publication: Publication,
        template: str,
        title: str,
        **context: object,
    ) -> TemplateResponse:
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": title,
                "original": publication.campaign,
                "campaign": publication.campaign,
                "publication": publication,
                "action": page_url(publication),
                **context,
            },
        )


def page_url(publication: Publication) -> str:
    return reverse(
        "admin:campaigns_campaign_send_native",
        args=[publication.campaign_id, publication.pk],
    )
