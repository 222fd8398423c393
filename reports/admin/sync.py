"""Sync's other pages: differences, what was found at LINE, looks, and the history.

Viewers read. Editors ask for a look and mend; a Manager alone does what can't be undone
at the provider, and says whose coupon one made in LINE's manager is.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from connections.models import SECRETS, Connection
from reports.admin.sync_overview import RUN_COLOURS
from reports.admin.sync_pages import SyncPages
from reports.difference_words import readable
from reports.line_words import value_words
from reports.provider_forms import AdoptForm
from reports.publications import FOUND, OPEN, coupon_state
from reports.remote_codes import code_of
from reports.step_words import all_steps, field_name, told
from stores.access import StaffRequest
from sync.errors import SyncError
from sync.models import Difference, RemoteCoupon, Run, Step
from sync.ports.line import flat
from sync.services.pulling import (
    Action,
    Wording,
    actions_for,
    adopt,
    mend,
    start_run,
    words_for,
)

A_PAGE = 50
LOOK, MEND, MEND_GRAVE = (
    "sync.add_run",
    "sync.change_difference",
    "sync.delete_publication",
)
ADOPT = "sync.change_remotecoupon"
OF_CONNECTION = [f"connection__{name}" for name in SECRETS]

Some = TypeVar("Some", bound=Model)


class Listing(SyncPages):
    """A list by pages of its own: newest first, and nothing is counted."""

    template = ""
    heading: Any = ""

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        raise NotImplementedError

    def shown(self, request: HttpRequest, row: Any) -> Any:
        return row

    def accounts(self) -> QuerySet[Connection]:
        """Those that the list can be narrowed to."""
        return connections()

    def listing(self, request: HttpRequest) -> HttpResponse:
        rows, more = slice_of(self.rows(request), number(request, "before"))
        return self.page(
            request,
            self.template,
            str(self.heading),
            tabs=self.tabs(request),
            rows=[self.shown(request, row) for row in rows],
            more=more,
            is_later="before" in request.GET,
            kept=kept_query(request),
            connections=self.accounts(),
            chosen=number(request, "connection"),
        )


def slice_of(rows: QuerySet[Some], before: int | None) -> tuple[Sequence[Some], int]:
    """A page of rows below the id `before`, and where the next one goes on, 0: nowhere."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: A_PAGE + 1])
    shown = found[:A_PAGE]
    return shown, shown[-1].pk if len(found) > A_PAGE else 0


def number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    is_number = given.isascii() and given.isdecimal() and len(given) < 19
    return int(given) if is_number else None


def kept_query(request: HttpRequest) -> str:
    """The filters, for the link to the next page."""
    names = ("connection", "campaign")
    return "".join(
        f"{name}={found}&" for name in names if (found := number(request, name))
    )


def connections() -> QuerySet[Connection]:
    return Connection.objects.defer(*SECRETS).order_by("provider", "name")


def of_connection(rows: QuerySet[Some], request: HttpRequest) -> QuerySet[Some]:
    chosen = number(request, "connection")
    return rows if chosen is None else rows.filter(connection=chosen)


# --- differences ------------------------------------------------------------------------


@admin.register(Difference)
class DifferenceAdmin(Listing):
    """What we and a provider say differently, and what mends it."""

    template = "sync_differences.html"
    heading = gettext_lazy("Differences")

    def get_urls(self) -> list[URLPattern]:
        view = self.of_one(require_POST(self.mend), MEND)
        own = path(
            "<int:pk>/mend/",
            self.admin_site.admin_view(view),
            name="sync_difference_mend",
        )
        return [own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Difference]:
        rows = Difference.objects.select_related(
            "publication__campaign",
            "publication__connection",
            "coupon__serial",
            "coupon__batch",
        )
        hidden = [f"publication__connection__{name}" for name in SECRETS]
        return rows.defer("publication__onsite_password", "coupon__raw", *hidden)

    def rows(self, request: HttpRequest) -> QuerySet[Difference]:
        rows = self.get_queryset(request).filter(OPEN)
        if chosen := number(request, "connection"):
            rows = rows.filter(publication__connection=chosen)
        if campaign := number(request, "campaign"):
            rows = rows.filter(publication__campaign=campaign)
        return rows

    def shown(self, request: HttpRequest, row: Difference) -> dict[str, Any]:
        return {
            "difference": row,
            "words": worded(row),
            "code": code_of(row.coupon) if row.coupon else "",
            "actions": self.offered(request, row),
        }

    def offered(self, request: HttpRequest, row: Difference) -> list[Action]:
        """What this person may do about it."""
        if row.ended_at is not None or not request.user.has_perm(MEND):
            return []
        may_grave = request.user.has_perm(MEND_GRAVE)
        return [x for x in actions_for(row) if may_grave or not x.is_grave]

    def detail(self, request: HttpRequest, row: Difference) -> HttpResponse:
        shown = self.shown(request, row)
        return self.page(
            request,
            "sync_difference.html",
            _("Difference"),
            original=shown["words"].field,
            shown=shown,
        )

    def mend(self, request: StaffRequest, row: Difference) -> HttpResponse:
        """Do what the pressed button says; what is grave needs a Manager."""
        key = request.POST.get("action", "")
        try:
            action = next((x for x in actions_for(row) if x.key == key), None)
            is_grave = action is not None and action.is_grave
            if is_grave and not request.user.has_perm(MEND_GRAVE):
                raise PermissionDenied
            mend(row.pk, key, by=request.user)
        except SyncError as error:
            messages.error(request, error.message)
        else:
            self.log_change(request, row, f"mend: {key}")
            messages.success(request, _("Done. The next look will tell."))
        return redirect("admin:sync_difference_changelist")


def worded(row: Difference) -> Wording:
    """Its field and both values; a difference of nobody's coupon stays as it is."""
    words, publication = words_for(row), row.publication
    if publication is None:
        return words
    provider = publication.connection.provider
    return readable(words, row.field, provider, publication)


# --- found at LINE ----------------------------------------------------------------------


@admin.register(RemoteCoupon)
class FoundCouponAdmin(Listing):
    """Coupons that were made in LINE's own manager; a campaign can take them over."""

    template = "sync_found.html"
    heading = gettext_lazy("Found at LINE")

    def get_urls(self) -> list[URLPattern]:
        asks = require_http_methods(["GET", "HEAD", "POST"])
        own = path(
            "<int:pk>/adopt/",
            self.admin_site.admin_view(self.of_one(asks(self.adopt), ADOPT)),
            name="sync_remotecoupon_adopt",
        )
        return [own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RemoteCoupon]:
        rows = RemoteCoupon.objects.select_related(
            "connection", "publication__campaign"
        )
        return rows.defer("publication__onsite_password", *OF_CONNECTION)

    def rows(self, request: HttpRequest) -> QuerySet[RemoteCoupon]:
        return of_connection(self.get_queryset(request).filter(FOUND), request)

    def accounts(self) -> QuerySet[Connection]:
        return connections().filter(provider=Connection.Provider.LINE)

    def shown(self, request: HttpRequest, row: RemoteCoupon) -> dict[str, Any]:
        return {
            "coupon": row,
            "state": coupon_state(row, timezone.now()),
            "is_referral": is_referral(row),
            "may_adopt": request.user.has_perm(ADOPT),
        }

    def detail(self, request: HttpRequest, row: RemoteCoupon) -> HttpResponseBase:
        """Of a campaign's coupon, its publication; of another, what LINE says of it."""
        if row.publication_id is not None:
            return redirect("admin:sync_publication_change", row.publication_id)
        return self.coupon_page(request, row, None)

    def coupon_page(
        self,
        request: HttpRequest,
        row: RemoteCoupon,
        form: AdoptForm | None,
        status: int = 200,
        problem: str = "",
    ) -> HttpResponse:
        return self.page(
            request,
            "sync_coupon.html",
            row.title or row.remote_id,
            status,
            original=row,
            shown=self.shown(request, row),
            facts=facts_of(row),
            form=form,
            problem=problem,
        )

    def adopt(self, request: StaffRequest, row: RemoteCoupon) -> HttpResponseBase:
        """Make it a campaign's; pressed twice, the second press finds it done."""
        if row.publication_id is not None and request.method != "POST":
            return redirect("admin:sync_publication_change", row.publication_id)
        form = AdoptForm(request.POST or None, connection=row.connection)
        if row.publication_id is not None:  # an earlier press of the same button
            messages.info(request, _("It belongs to a campaign by now."))
            return redirect("admin:sync_publication_change", row.publication_id)
        if request.method != "POST" or not form.is_valid():
            status = 400 if request.method == "POST" else 200
            return self.coupon_page(request, row, form, status)
        try:
            made = adopt(row.pk, form.cleaned_data["campaign"].pk, by=request.user)
        except SyncError as error:
            return self.coupon_page(request, row, form, 409, error.message)
        self.log_change(request, row, f"adopt: {made.campaign_id}")
        messages.success(
            request,
            _("It is “%(campaign)s” at LINE from now on.")
            % {"campaign": made.campaign.name},
        )
        return redirect("admin:sync_publication_change", made.pk)


def is_referral(row: RemoteCoupon) -> bool:
    """Made for friends who bring friends: LINE's manager alone makes those."""
    raw = row.raw if isinstance(row.raw, dict) else {}
    condition = raw.get("acquisitionCondition")
    return isinstance(condition, dict) and condition.get("type") == "referral"


def facts_of(row: RemoteCoupon) -> list[tuple[str, str]]:
    """What LINE says of it, part by part; a field new to us goes by LINE's name."""
    raw = row.raw if isinstance(row.raw, dict) else {}
    dated = ("startTimestamp", "endTimestamp", "createdTimestamp", "status", "couponId")
    return [
        (field_name(str(name)), value_words(str(name), value))
        for name, value in flat(raw).items()
        if name not in dated and value not in (None, "", {}, [])
    ]


# --- looks and history --------------------------------------------------------------------


@admin.register(Run)
class RunAdmin(Listing):
    """Looks at accounts, with what they found."""

    template = "sync_runs.html"
    heading = gettext_lazy("Looks")

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "start/",
            self.admin_site.admin_view(self.start_view),
            name="sync_run_start",
        )
        return [own, *super().get_urls()]

    def rows(self, request: HttpRequest) -> QuerySet[Run]:
        rows = Run.objects.select_related("connection", "asked_by")
        return of_connection(rows.defer(*OF_CONNECTION), request)

    def shown(self, request: HttpRequest, row: Run) -> dict[str, Any]:
        return {"run": row, "colour": RUN_COLOURS[Run.State(row.state)]}

    def start_view(self, request: StaffRequest) -> HttpResponse:
        if not request.user.has_perms(["sync.view_run", LOOK]):
            raise PermissionDenied
        return require_POST(self.start)(request)

    def start(self, request: StaffRequest) -> HttpResponse:
        """Look at one account now; while a look is under way, that one goes on."""
        given = request.POST.get("connection", "")
        is_number = given.isascii() and given.isdecimal() and len(given) < 19
        is_whole = "whole" in request.POST
        try:
            run = start_run(
                int(given) if is_number else 0, by=request.user, is_whole=is_whole
            )
        except SyncError as error:
            messages.error(request, error.message)
        else:
            self.say_begun(request, run, is_whole=is_whole)
        return redirect(reverse("admin:sync_publication_changelist"))

    def say_begun(self, request: HttpRequest, run: Run, *, is_whole: bool) -> None:
        if is_whole and not run.is_whole:
            messages.warning(
                request,
                _(
                    "A look at this account is under way, and not at everything. Press "
                    "again when it is over."
                ),
            )
            return
        words = _("Looking. What is found appears here as it comes in.")
        messages.success(request, words)


@admin.register(Step)
class StepAdmin(Listing):
    """What was done and seen at providers, the newest first."""

    template = "sync_history.html"
    heading = gettext_lazy("History")

    def rows(self, request: HttpRequest) -> QuerySet[Step]:
        rows = of_connection(all_steps(), request)
        if campaign := number(request, "campaign"):
            rows = rows.filter(publication__campaign=campaign)
        return rows

    def shown(self, request: HttpRequest, row: Step) -> Any:
        return told(row)
