"""Deliveries for staff: the list, a new one with its check, its progress."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from campaigns.models import Campaign
from connections.models import Connection
from contacts.models import ContactList
from coupons.moments import local
from deliveries import services
from deliveries.errors import DeliveryError
from deliveries.forms import (
    AudienceForm,
    PressForm,
    SendForm,
    accounts,
    campaigns_to_send,
)
from deliveries.messages import preview_for
from deliveries.models import Delivery, Dispatch
from deliveries.preparing import Reason

State = Delivery.State
View = Callable[[HttpRequest, Delivery], HttpResponseBase]
SHOWN_NOES = 50
SEND = reverse_lazy("admin:deliveries_delivery_send")
STATE_COLOURS = {
    State.PREPARING: "info",
    State.READY: "info",
    State.PAUSED: "warning",
    State.CANCELLED: "default",
    State.DONE: "success",
}
REASONS = {
    Reason.BLOCKED: gettext_lazy("blocked the account on LINE"),
    Reason.NO_LINE_ID: gettext_lazy("no LINE user id is known"),
    Reason.OTHER_ACCOUNT: gettext_lazy("a friend of another LINE account"),
    Reason.AT_LIMIT: gettext_lazy("has redeemed as often as the campaign allows"),
}
BUTTONS = {
    State.PREPARING: ("pause", "cancel"),
    State.READY: ("pause", "cancel"),
    State.PAUSED: ("resume", "cancel"),
}


def state_of(delivery: Delivery) -> dict[str, Any]:
    """What the progress page shows and asks again every second."""
    return {
        "state": delivery.state,
        "words": state_words(delivery),
        "reason": delivery.pause_reason,
        "total": delivery.total,
        "settled": delivery.settled,
        "accepted": delivery.accepted,
        "refused": delivery.refused,
        "unknown": delivery.unknown,
        "cancelled": delivery.cancelled,
        "waiting": delivery.total - delivery.settled,
        "left_out": delivery.left_out,
        "is_working": is_working(delivery),
    }


def is_working(delivery: Delivery) -> bool:
    """Whether numbers may still change without anybody pressing a button."""
    if delivery.state == State.CANCELLED:
        return delivery.settled < delivery.total
    return delivery.state in (State.PREPARING, State.READY)


def period_of(delivery: Delivery) -> str:
    """When LINE's own coupon can be used; empty where that is not known."""
    starts, ends = delivery.native_starts_at, delivery.native_ends_at
    if starts is None or ends is None:
        return ""
    return _("From %(start)s until %(end)s") % {
        "start": local(delivery.campaign, starts),
        "end": local(delivery.campaign, ends, is_end=True),
    }


def state_words(delivery: Delivery) -> str:
    if delivery.state == State.READY and delivery.send_at > timezone.now():
        return _("planned")
    return str(delivery.get_state_display())


def duration_words(seconds: float) -> str:
    """A length of time as people say it, rounded up."""
    if seconds < 60:
        return _("less than a minute")
    minutes = int(-(-seconds // 60))
    return ngettext("about %(count)s minute", "about %(count)s minutes", minutes) % {
        "count": minutes
    }


@admin.register(Delivery)
class DeliveryAdmin(ModelAdmin):
    """Nothing is edited here: each change is asked of the services."""

    list_display = (
        "campaign",
        "to",
        "shown_kind",
        "shown_state",
        "progress",
        "shown_send_at",
        "created_by",
    )
    list_display_links = ("campaign",)
    list_filter = ("state", "kind")
    list_select_related = ("campaign", "contact_list", "contact", "created_by")
    search_fields = ("campaign__name", "contact_list__name")
    ordering = ("-pk",)
    actions = None
    show_full_result_count = False

    class Media:
        css = {"all": ["deliveries/delivery.css"]}

    @admin.display(description=gettext_lazy("to"))
    def to(self, delivery: Delivery) -> str:
        return str(delivery.contact_list or delivery.contact)

    @admin.display(description=gettext_lazy("message"), ordering="kind")
    def shown_kind(self, delivery: Delivery) -> str:
        return str(delivery.get_kind_display())

    @display(description=gettext_lazy("state"), ordering="state", label=STATE_COLOURS)
    def shown_state(self, delivery: Delivery) -> tuple[str, str]:
        return delivery.state, state_words(delivery)

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, delivery: Delivery) -> str:
        return render_to_string(
            "deliveries/_progress.html", {"delivery": delivery, **state_of(delivery)}
        )

    @admin.display(description=gettext_lazy("send at"), ordering="send_at")
    def shown_send_at(self, delivery: Delivery) -> str:
        return local(delivery.campaign, delivery.send_at)

    def has_delete_permission(
        self, request: HttpRequest, obj: Delivery | None = None
    ) -> bool:
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return redirect(f"{SEND}?{request.GET.urlencode()}")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        if delivery is None:
            return redirect("admin:deliveries_delivery_changelist")
        return redirect("admin:deliveries_delivery_progress", delivery.pk)

    # --- own pages ---------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        one = "<int:delivery_id>/"
        pages = [
            ("send/", self.send, "send"),
            (f"{one}progress/", self.of_one(self.progress_page, "view"), "progress"),
            (f"{one}state/", self.of_one(self.state, "view"), "state"),
            (f"{one}pause/", self.of_one(self.pause, "change"), "pause"),
            (f"{one}resume/", self.of_one(self.resume, "change"), "resume"),
            (f"{one}cancel/", self.of_one(self.cancel, "change"), "cancel"),
        ]
        own = [
            path(
                route, self.admin_site.admin_view(view), name=f"deliveries_delivery_{n}"
            )
            for route, view, n in pages
        ]
        ours: list[URLPattern] = own + super().get_urls()
        return ours

    def of_one(self, view: View, verb: str) -> Callable[..., HttpResponseBase]:
        """A page of one delivery, for whoever may view or change it; GET reads only."""

        @functools.wraps(view)
        def page(request: HttpRequest, delivery_id: int) -> HttpResponseBase:
            related = ("campaign", "contact_list", "contact", "created_by")
            rows = Delivery.objects.select_related(*related).defer("template")
            delivery = get_object_or_404(rows, pk=delivery_id)
            if not getattr(self, f"has_{verb}_permission")(request, delivery):
                raise PermissionDenied
            return view(request, delivery)

        return require_POST(page) if verb == "change" else require_GET(page)

    def page(
        self, request: HttpRequest, template: str, title: str, **context: Any
    ) -> TemplateResponse:
        everywhere = self.admin_site.each_context(request)
        return TemplateResponse(
            request,
            f"deliveries/{template}",
            {**everywhere, "opts": self.opts, "title": title, **context},
        )

    def send(self, request: HttpRequest) -> HttpResponseBase:
        """The form, then the check of what it would do, then the one press of Send."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST" or request.POST.get("step") == "edit":
            return self.form_page(request, _asked(request))
        form = SendForm(request.POST)
        if form.is_valid():
            try:
                return self.take(request, form)
            except DeliveryError as problem:
                form.refuse(problem)
        page = self.form_page(request, form)
        page.status_code = 400
        return page

    def form_page(self, request: HttpRequest, form: SendForm) -> TemplateResponse:
        lacks = {
            "has_campaigns": campaigns_to_send().exists(),
            "has_lists": ContactList.objects.exists(),
            "has_accounts": accounts().exists(),
        }
        return self.page(
            request, "send.html", _("New delivery"), form=form, action=SEND, **lacks
        )

    def take(self, request: HttpRequest, form: SendForm) -> HttpResponseBase:
        given = form.cleaned_data
        press = PressForm(request.POST)
        if request.POST.get("step") != "send" or not press.is_valid():
            return self.check_page(request, form, PressForm(initial={"nonce": uuid4()}))
        try:
            delivery = services.start_delivery(
                **given, **press.cleaned_data, by=cast(User, request.user)
            )
        except DeliveryError as problem:
            if problem.code != "short":
                raise
            press.add_error("is_short_ok", problem.message)
            page = self.check_page(request, form, press)
            page.status_code = 400
            return page
        return redirect("admin:deliveries_delivery_progress", delivery.pk)

    def check_page(
        self, request: HttpRequest, form: SendForm, press: PressForm
    ) -> TemplateResponse:
        """Who gets what, who is left out and why, before anything happens."""
        given = form.cleaned_data
        campaign, connection = given["campaign"], given["connection"]
        at = given["send_at"] or timezone.now()
        services.check_may_start(campaign, connection, send_at=at)
        count = services.count_audience(
            campaign,
            connection,
            contact_list=given["contact_list"],
            contact=given["contact"],
        )
        supply = services.supply_of(campaign)
        return self.page(
            request,
            "check.html",
            _("Check before sending"),
            given=given,
            action=SEND,
            kept=kept_of(request, SendForm),
            press=press,
            supply=supply,
            is_supply_short=supply.is_short_for(count.recipients),
            preview=preview_for(campaign, given["kind"], given["text"]),
            **count_shown(count, connection),
            **times_shown(campaign, given["send_at"]),
        )

    def progress_page(
        self, request: HttpRequest, delivery: Delivery
    ) -> HttpResponseBase:
        noes = delivery.recipients.filter(
            outcome__in=[Dispatch.Status.REFUSED, Dispatch.Status.UNKNOWN]
        )
        may_change = self.has_change_permission(request, delivery)
        return self.page(
            request,
            "progress.html",
            str(delivery),
            delivery=delivery,
            now=state_of(delivery),
            colour=STATE_COLOURS[State(delivery.state)],
            buttons=BUTTONS.get(State(delivery.state), ()) if may_change else (),
            noes=noes.select_related("contact").order_by("pk")[:SHOWN_NOES],
            is_planned=delivery.send_at > timezone.now(),
            sends_at=local(delivery.campaign, delivery.send_at),
            made_at=local(delivery.campaign, delivery.created_at),
            period=period_of(delivery),
        )

    def state(self, request: HttpRequest, delivery: Delivery) -> HttpResponseBase:
        return JsonResponse(state_of(delivery), headers={"Cache-Control": "no-store"})

    def pause(self, request: HttpRequest, delivery: Delivery) -> HttpResponseBase:
        return _ask(request, delivery, services.pause)

    def resume(self, request: HttpRequest, delivery: Delivery) -> HttpResponseBase:
        return _ask(request, delivery, services.resume)

    def cancel(self, request: HttpRequest, delivery: Delivery) -> HttpResponseBase:
        return _ask(request, delivery, services.cancel)


def _ask(
    request: HttpRequest, delivery: Delivery, service: Callable[..., None]
) -> HttpResponseBase:
    try:
        service(delivery.pk, by=cast(User, request.user))
    except DeliveryError as problem:
        messages.error(request, problem.message)
    return redirect("admin:deliveries_delivery_progress", delivery.pk)


def _asked(request: HttpRequest) -> SendForm:
    """An empty form, one with what the address names, or the one to go back to."""
    if request.method == "POST":  # back from the check: as it was typed
        return SendForm(request.POST)
    # A time in an address is text in no zone yet; it is typed into the form.
    names = SendForm.base_fields.keys() - {"send_at"}
    return SendForm(
        initial={n: value for n, value in request.GET.items() if n in names and value}
    )


def kept_of(request: HttpRequest, form: type[AudienceForm]) -> list[tuple[str, str]]:
    """The form's own fields as they were posted, to be posted once more."""
    names = {*form.base_fields, "send_at_0", "send_at_1"}
    return [(n, str(value)) for n, value in request.POST.items() if n in names]


def count_shown(count: services.Count, connection: Connection) -> dict[str, Any]:
    """What the check page says of how many get it, what it costs and who does not."""
    quota = connection.quota
    left = None if quota is None else max(quota - (connection.quota_used or 0), 0)
    return {
        "count": count,
        "left_out": [(REASONS[why], n) for why, n in count.left_out.most_common()],
        "duration": duration_words(count.seconds),
        "quota_left": left,
        "is_quota_short": left is not None and left < count.recipients,
    }


def times_shown(campaign: Campaign, send_at: datetime | None) -> dict[str, str]:
    return {"sends_at": local(campaign, send_at) if send_at else ""}
