"""The campaign form's tabs, its notes and timeline, and the page that it previews.

The preview changes nothing, ever: it builds the campaign from the form, draws it and
throws it away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from csp.constants import HEADER, NONE, SELF
from csp.utils import build_policy
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe
from unfold.admin import ModelAdmin

from campaigns.forms import CampaignForm, CampaignTextFormSet, text_forms
from campaigns.models import Campaign
from coupons.views.drawing import Links, draw
from coupons.views.page import POLICY
from reports.drafts import (
    UNSAVED_IMAGE,
    Draft,
    UnsavedImage,
    draft_of,
    ignored_html,
    languages_of,
    notes_of,
    saved_draft,
    timeline_html,
    timeline_of,
)

STATES = (
    ("not_started", _("Before")),
    ("ready", _("Ready")),
    ("redeemed", _("Redeemed")),
    ("verified", _("Verified")),
    ("expired", _("Expired")),
    ("campaign_paused", _("Paused")),
)
MORE_STATES = (
    ("out_of_stock", _("None left")),
    ("limit_reached", _("Limit reached")),
    ("campaign_ended", _("Ended")),
    ("revoked", _("Revoked")),
)
ALL_STATES = dict(STATES + MORE_STATES)
# The coupon page's own, but in a frame of ours, and with nowhere to send a form.
PREVIEW_POLICY = POLICY | {"form-action": [NONE], "frame-ancestors": [SELF]}
LEADS = {
    "languages": _(
        "Customers read the coupon in their browser's language. Where nothing is written "
        "here they read the campaign's own texts, in the tab Offer."
    ),
    "paddle": _("Only for campaigns that are published at Paddle."),
}


@dataclass(frozen=True)
class Tab:
    """A part of the form, in the order of work."""

    slug: str
    name: str
    errors: int
    fieldset: Any = None
    formset: Any = None

    @property
    def lead(self) -> str:
        return str(LEADS.get(self.slug, ""))

    @property
    def has_timeline(self) -> bool:
        return self.slug == "dates"


class PreviewMixin(ModelAdmin):
    """Adds the preview's addresses, and what the form's template shows."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path(
                "add/preview/",
                view(require_POST(self.draw_new)),
                name="campaigns_campaign_draw_new",
            ),
            path(
                "<int:pk>/preview/draw/",
                view(require_POST(self.draw_changed)),
                name="campaigns_campaign_draw",
            ),
            path(
                "<int:pk>/preview/",
                view(require_safe(self.preview)),
                name="campaigns_campaign_preview",
            ),
        ]
        return [*own, *super().get_urls()]

    # The form's page

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        adminform = context["adminform"]
        formsets = context["inline_admin_formsets"]
        texts = next((one for one in formsets if is_texts(one)), None)
        formset = texts.formset if texts else None
        now = timezone.now()
        draft = draft_of(adminform.form, formset, now=now)
        context |= {
            "form_tabs": tabs_of(adminform, texts),
            "text_forms": text_forms(formset) if formset and may_write(texts) else (),
            "shown_texts": saved_texts(adminform.form.instance),
            "other_formsets": [one for one in formsets if one is not texts],
            "notes": notes_of(draft.campaign),
            "timeline": timeline_of(draft.campaign, now),
            "preview": self.preview_choices(request, draft.campaign),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def preview_choices(
        self, request: HttpRequest, campaign: Campaign
    ) -> dict[str, Any]:
        pk = campaign.pk
        if pk:
            draw_url = reverse("admin:campaigns_campaign_draw", args=[pk])
            page_url = reverse("admin:campaigns_campaign_preview", args=[pk])
        else:
            draw_url, page_url = reverse("admin:campaigns_campaign_draw_new"), ""
        may_draw = (
            self.has_change_permission(request, campaign)
            if pk
            else self.has_add_permission(request)
        )
        return {
            "states": STATES,
            "more_states": MORE_STATES,
            "languages": languages_of(campaign),
            "state": "ready",
            "language": campaign.language,
            "draw_url": draw_url if may_draw else "",
            "page_url": page_url,
        }

    # The preview's addresses

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The saved campaign's page, for a browser without script."""
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_view_or_change_permission(request, campaign):
            raise PermissionDenied
        draft = saved_draft(campaign, now=timezone.now())
        state, language = asked_of(request.GET, draft.campaign)
        html = drawn(request, draft, state, language)
        nonce = str(request.csp_nonce)  # type: ignore[attr-defined]
        response = HttpResponse(html)
        response[HEADER] = build_policy(replace=PREVIEW_POLICY, nonce=nonce)
        response["X-Frame-Options"] = "SAMEORIGIN"
        response["Cache-Control"] = "no-store, private"
        response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        return response

    def draw_new(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self.draw(request, None)

    def draw_changed(self, request: HttpRequest, pk: int) -> HttpResponse:
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        return self.draw(request, campaign)

    def draw(self, request: HttpRequest, campaign: Campaign | None) -> HttpResponse:
        """The form's data as the page, the timeline and the notes would show it."""
        now = timezone.now()
        form, formset = self.bound(request, campaign)
        draft = draft_of(form, formset, now=now)
        state, language = asked_of(request.POST, draft.campaign, "preview_")
        if "preview_image" in request.POST and not draft.image:
            keep_image(draft)
        html = drawn(request, draft, state, language)
        answer = {
            "page": html,
            "image": draft.image,
            "timeline": timeline_html(draft.campaign, now),
            "notes": notes_of(draft.campaign),
            "wrong": {one.id: one.message for one in draft.wrong},
            "ignored": ignored_html(draft.wrong),
        }
        response = JsonResponse(answer)
        response["Cache-Control"] = "no-store, private"
        return response

    def bound(
        self, request: HttpRequest, campaign: Campaign | None
    ) -> tuple[Any, CampaignTextFormSet | None]:
        """The form and its texts in other languages, checked as far as they can be.

        Without the rules about serials: they lock the campaign, and change no page.
        """
        make = self.get_form(
            request, campaign, change=bool(campaign), form=CampaignForm
        )
        form = make(request.POST, request.FILES, instance=campaign)
        form.is_valid()
        formsets, inlines = self._create_formsets(
            request, form.instance, change=bool(campaign)
        )
        texts = next((one for one in formsets if is_texts(one)), None)
        if texts is not None:
            texts.is_valid()
        return form, texts


def drawn(
    request: HttpRequest,
    draft: Draft,
    state: str,
    language: str,
) -> str:
    """In a frame that runs no script."""
    with translation.override(language):
        page = draft.page(state, language, timezone.now())
        return draw(request, page, links=Links(), has_script=False)


def asked_of(data: Any, campaign: Campaign, prefix: str = "") -> tuple[str, str]:
    """The state and language that are asked for; ready and the campaign's own else."""
    state, language = data.get(f"{prefix}state", ""), data.get(f"{prefix}lang", "")
    codes = dict(languages_of(campaign))
    return (
        state if state in ALL_STATES else "ready",
        language if language in codes else campaign.language,
    )


def keep_image(draft: Draft) -> None:
    """Draw with the picture that the script has from an earlier answer."""
    draft.campaign.image = UnsavedImage(UNSAVED_IMAGE)


def is_texts(one: Any) -> bool:
    return isinstance(getattr(one, "formset", one), CampaignTextFormSet)


def may_write(texts: Any) -> bool:
    return bool(texts) and bool(texts.has_change_permission or texts.has_add_permission)


def saved_texts(campaign: Campaign) -> Sequence[Any]:
    return list(campaign.texts.all()) if campaign.pk else ()


def tabs_of(adminform: Any, texts: Any) -> list[Tab]:
    """The form's fieldsets, and the texts in other languages after the stores."""
    found = [
        Tab(slug_of(fieldset), str(fieldset.name), errors_in(fieldset), fieldset)
        for fieldset in adminform
    ]
    if texts:
        wrong = sum(len(form.errors) for form in texts.formset.forms)
        wrong += len(texts.formset.non_form_errors())
        slugs = [tab.slug for tab in found]
        place = slugs.index("paddle") if "paddle" in slugs else len(found)
        found.insert(place, Tab("languages", str(_("Languages")), wrong, formset=texts))
    return found


def slug_of(fieldset: Any) -> str:
    named = (name for name in fieldset.classes.split() if name.startswith("tab-"))
    return next(named, "tab-more").removeprefix("tab-")


def errors_in(fieldset: Any) -> int:
    fields = (field for line in fieldset for field in line if not field.is_readonly)
    return sum(1 for field in fields if field.errors())
