"""Between the campaign's form and its saving: what it does to coupons that are out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.forms.formsets import all_valid
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from campaigns.admin import CampaignAdmin
from campaigns.models import Campaign, CampaignEvent, UnsavedChange
from campaigns.services import record
from coupons.ends import change_ends
from coupons.limiting import count_redeemed
from coupons.models import EndsChange, Tally
from coupons.tasks import give_ends
from reports.differences import (
    ENDS,
    LIVE,
    Difference,
    differences,
    from_kept,
    kept,
    label_of,
    lines_of,
    terms_of,
)
from reports.offers import CHANGE
from reports.unsaved import image_of, keep, kept_by, sent_again
from serials.waking import nudge
from stores.access import StaffRequest
from stores.naming import name_of

SHOWN_EVENTS = 20
NEW, ALL, BACK = "new", "all", "back"


@dataclass(frozen=True)
class Out:
    """How many coupons of a campaign are out, by its tallies."""

    waiting: int  # issued, sent or opened
    redeemed: int  # and not verified

    @property
    def total(self) -> int:
        return self.waiting + self.redeemed


@dataclass(frozen=True)
class Change:
    """What a valid form changes of the campaign `before`."""

    before: Campaign
    after: Campaign
    found: list[Difference]

    @property
    def names(self) -> set[str]:
        return {difference.name for difference in self.found}

    @property
    def moves_ends(self) -> bool:
        return terms_of(self.before) != terms_of(self.after)

    @property
    def moves_zone(self) -> bool:
        return "time_zone" in self.names

    @property
    def has_clock(self) -> bool:
        """Whether some clock starts later than the coupon is issued."""
        return self.after.expiry != Campaign.Expiry.USE_END

    def live(self) -> list[str]:
        return [label_of(name) for name in LIVE if name in self.names]

    def must_be_asked(self, out: Out) -> bool:
        if self.moves_zone:
            return True
        has_run = self.before.state != Campaign.State.DRAFT or out.total > 0
        if has_run and (self.moves_ends or "use_starts_at" in self.names):
            return True
        return out.total > 0 and bool(self.live())


@dataclass(frozen=True)
class Decided:
    """A change as it is saved in this request."""

    change: Change
    is_for_issued: bool


class AsksBeforeChanging(CampaignAdmin):
    """The campaign's page asks before a change reaches coupons; its history is kept."""

    class Media:
        css = {"all": ["reports/changing.css"]}

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:pk>/ends/",
            self.admin_site.admin_view(require_GET(self.ends)),
            name="campaigns_campaign_ends",
        )
        return [own, *super().get_urls()]

    def ends(self, request: HttpRequest, pk: int) -> JsonResponse:
        """How far the change of the coupons' ends has come, for the page's script."""
        campaign = self.get_object(request, str(pk))
        if campaign is None:
            raise Http404
        if not self.has_view_or_change_permission(request, campaign):
            raise PermissionDenied
        work = work_of(campaign)
        if work is None:
            return JsonResponse({"state": "done"})
        return JsonResponse(
            {"state": "working", "done": work.done, "total": work.total}
        )

    # --- asking -----------------------------------------------------------------------

    def _changeform_view(
        self,
        request: StaffRequest,
        object_id: str | None,
        form_url: str,
        extra_context: dict[str, Any] | None,
    ) -> Any:
        """Runs in the transaction that Django's view begins."""
        found = self.get_object(request, unquote(object_id)) if object_id else None
        extra = dict(extra_context or {})
        if found is not None:
            extra |= history_of(found) | self.seen(request, found)
        if (
            found is not None
            and request.method == "POST"
            and self.has_change_permission(request, found)
        ):
            answer = self.ask_first(request, found, extra)
            if answer is not None:
                return answer
        return super()._changeform_view(request, object_id, form_url, extra)

    def ask_first(
        self, request: StaffRequest, found: Campaign, extra: dict[str, Any]
    ) -> HttpResponse | None:
        """The question, if there is one; None lets the form be saved or shown."""
        rows = Campaign.objects.select_for_update(no_key=True)
        campaign = rows.get(pk=found.pk)
        if "_unsaved" in request.POST:
            return self.answered(request, campaign, extra)
        take_kept_image(request, campaign)
        change = self.change_of(request, campaign)
        if change is None or not change.found:
            return None
        seen = instant_of(request.POST.get("_seen", ""))
        is_stale = seen is not None and seen != campaign.updated_at
        if is_stale or change.must_be_asked(out_of(campaign)):
            return self.question(request, change, since=seen if is_stale else None)
        decide(request, change, is_for_issued=False)
        return None

    def answered(
        self, request: StaffRequest, campaign: Campaign, extra: dict[str, Any]
    ) -> HttpResponse | None:
        """What the person said to the question; the form comes back as it was sent."""
        unsaved = kept_by(request.user, campaign, request.POST.get("_unsaved", ""))
        if unsaved is None:
            messages.info(
                request,
                _(
                    "That page was answered already, or waited for more than a day. This "
                    "is the campaign as it is now."
                ),
            )
            return redirect("admin:campaigns_campaign_change", campaign.pk)
        answer = request.POST.get("_answer", "")
        bring_back(request, unsaved)
        if answer == BACK:
            request.goes_back = True  # type: ignore[attr-defined]
            # What others changed meanwhile is asked about again.
            extra["seen"] = unsaved.seen_at.isoformat()
            if unsaved.image is not None:
                extra |= {"kept_key": unsaved.pk, "kept_image": unsaved.image_name}
            return None
        change = self.change_of(request, campaign)
        if change is None:
            unsaved.delete()
            return None  # the form says what is wrong with it by now
        if unsaved.seen_at != campaign.updated_at:
            since = unsaved.seen_at
            unsaved.delete()
            return self.question(request, change, since=since)
        if answer not in (NEW, ALL):
            unsaved.delete()
            return self.question(request, change, problem=_("Choose one of the two."))
        if answer == ALL and (
            not request.user.has_perm(CHANGE)
            or not change.moves_ends
            or change.moves_zone
        ):
            raise PermissionDenied
        unsaved.delete()
        decide(request, change, is_for_issued=answer == ALL)
        return None

    def change_of(self, request: HttpRequest, campaign: Campaign) -> Change | None:
        """What the form that was sent changes; None if something is wrong with it."""
        instance = self.get_object(request, str(campaign.pk))
        form_class = self.get_form(request, instance, change=True)
        form = form_class(request.POST, request.FILES, instance=instance)
        formsets, _inlines = self._create_formsets(request, form.instance, change=True)
        is_valid = form.is_valid() and all_valid(formsets)
        for files in request.FILES.lists():
            for file in files[1]:
                file.seek(0)  # Django reads them again
        if not is_valid:
            return None
        return Change(campaign, form.instance, differences(campaign, form, formsets))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **rest: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **rest)
        return shown_again(form) if getattr(request, "goes_back", False) else form

    def question(
        self,
        request: StaffRequest,
        change: Change,
        *,
        since: datetime | None = None,
        problem: str = "",
    ) -> HttpResponse:
        campaign, at = change.before, timezone.now()
        image = request.FILES.get("image")
        unsaved = keep(campaign, request.POST, image, owner=request.user, at=at)
        return TemplateResponse(
            request,
            "reports/change_campaign.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Save these changes?"),
                "original": campaign,
                "campaign": campaign,
                "change": change,
                "lines": lines_of(
                    change.found, was_zone=campaign.zone, now_zone=change.after.zone
                ),
                "out": out_of(campaign),
                "unsaved": unsaved,
                "meanwhile": meanwhile(campaign, since) if since else None,
                "is_stale": since is not None,
                "problem": problem,
                "asks_for_whom": change.moves_ends and out_of(campaign).total > 0,
                "may_change_issued": request.user.has_perm(CHANGE),
                "is_over": change.moves_ends and change.after.use_ends_at <= at,
                "ends_later": change.after.use_ends_at > change.before.use_ends_at,
                "work": work_of(campaign) if change.moves_ends else None,
            },
            status=409 if since else 400 if problem else 200,
        )

    def seen(self, request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
        """What the form carries along: the version that it shows, and a kept picture."""
        given = request.POST.get("_seen", "")
        is_known = instant_of(given) is not None
        return {
            "seen": given if is_known else campaign.updated_at.isoformat(),
            "kept_key": request.POST.get("_kept", ""),
        }

    # --- saving -----------------------------------------------------------------------

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        decided: Decided | None = getattr(request, "decided", None)
        if change and decided is not None:
            self.keep_change(cast(StaffRequest, request), form.instance, decided)

    def keep_change(
        self, request: StaffRequest, campaign: Campaign, decided: Decided
    ) -> None:
        """The history's line, and new ends, in the transaction that saved the form."""
        change, at = decided.change, campaign.updated_at
        if at == change.before.updated_at:  # the campaign's own row stayed as it was
            at = timezone.now()
            Campaign.objects.filter(pk=campaign.pk).update(updated_at=at)
        event = record(
            campaign.pk,
            CampaignEvent.Kind.CHANGED,
            at=at,
            by=request.user,
            request_id=request.request_id,
            details={"fields": kept(change.found)},
        )
        if not change.moves_ends or campaign.state == Campaign.State.DRAFT:
            return
        work = change_ends(
            campaign,
            was_use_ends_at=change.before.use_ends_at,
            is_for_issued=decided.is_for_issued,
            at=at,
            event=event,
            by=request.user,
        )
        if work.state == EndsChange.State.WORKING:
            transaction.on_commit(lambda: nudge(give_ends, work.pk), robust=True)

    def response_change(self, request: HttpRequest, obj: Campaign) -> HttpResponse:
        """Stay where the coupons' new ends can be watched, if they get any."""
        decided: Decided | None = getattr(request, "decided", None)
        if decided is None or not decided.is_for_issued:
            return super().response_change(request, obj)
        messages.success(
            request,
            _(
                "Saved. The coupons already out get their new ends in the background: "
                "this page shows how far that is."
            ),
        )
        return redirect("admin:campaigns_campaign_change", obj.pk)


def decide(request: HttpRequest, change: Change, *, is_for_issued: bool) -> None:
    request.decided = Decided(change, is_for_issued)  # type: ignore[attr-defined]


def shown_again(form: type[Any]) -> type[Any]:
    """The form as it was typed, whatever may be right about it: nothing is saved."""

    class ShownAgain(form):
        def is_valid(self) -> bool:
            super().is_valid()
            return False

    return ShownAgain


def bring_back(request: HttpRequest, unsaved: UnsavedChange) -> None:
    request.POST = sent_again(unsaved)  # type: ignore[assignment]
    image = image_of(unsaved)
    files = {"image": [image]} if image is not None else {}
    request._files = MultiValueDict(files)  # type: ignore[attr-defined]


def take_kept_image(request: StaffRequest, campaign: Campaign) -> None:
    """The picture chosen before the person went back, unless they chose again."""
    key = request.POST.get("_kept", "")
    if not key or "image" in request.FILES or request.POST.get("image-clear"):
        return
    unsaved = kept_by(request.user, campaign, key)
    image = image_of(unsaved) if unsaved is not None else None
    if image is not None:
        request.FILES["image"] = image


def instant_of(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def out_of(campaign: Campaign) -> Out:
    """From the tallies: a campaign may have millions of coupons."""
    sums = Tally.objects.filter(campaign=campaign).aggregate(
        issued=Sum("issued", default=0),
        verified=Sum("verified", default=0),
        revoked=Sum("revoked", default=0),
    )
    redeemed = count_redeemed(campaign.pk) - sums["verified"]
    total = sums["issued"] - sums["revoked"] - sums["verified"]
    return Out(waiting=max(total - redeemed, 0), redeemed=max(redeemed, 0))


def work_of(campaign: Campaign) -> EndsChange | None:
    """The change of ends under way."""
    return campaign.ends_changes.filter(state=EndsChange.State.WORKING).first()


def meanwhile(campaign: Campaign, since: datetime) -> list[dict[str, Any]]:
    """What others did to the campaign after `since`, the newest first."""
    events = events_of(campaign).filter(kind=CampaignEvent.Kind.CHANGED, at__gt=since)
    return [line_of(event, campaign) for event in events[:5]]


def events_of(campaign: Campaign) -> QuerySet[CampaignEvent]:
    events = CampaignEvent.objects.filter(campaign=campaign)
    return events.select_related("actor", "ends_change").order_by("-pk")


def history_of(campaign: Campaign) -> dict[str, Any]:
    """What the campaign's page shows of its past."""
    events = list(events_of(campaign)[:SHOWN_EVENTS])
    return {
        "campaign_history": [line_of(event, campaign) for event in events],
        "ends_work": work_of(campaign),
    }


def line_of(event: CampaignEvent, campaign: Campaign) -> dict[str, Any]:
    found = from_kept(event.details.get("fields", {}))
    other = event.details.get("campaign")
    return {
        "event": event,
        "who": name_of(event.actor),
        "at": event.at.astimezone(campaign.zone),
        "lines": lines_of(found, was_zone=campaign.zone, now_zone=campaign.zone),
        "ends": getattr(event, "ends_change", None),
        "other": Campaign.objects.filter(pk=other).first() if other else None,
    }


__all__ = ["ENDS", "AsksBeforeChanging", "Out", "out_of"]
