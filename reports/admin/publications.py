"""A campaign at one account: each code of it, the buttons, and the pages that ask first.

Viewers read. Editors publish, pause, try again and decide what is unclear: all of it can
be mended. Only Managers take back, replace and let go: customers lose what they hold, and
nothing brings it back.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import uuid4

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from connections.models import SECRETS, Connection
from reports.admin.preflight import row_of
from reports.admin.providers import section_of
from reports.admin.sync_overview import overview_page
from reports.admin.sync_pages import SyncPages, nonce_of
from reports.provider_forms import DecideForm, TakeBackThereForm, options_form
from reports.publications import card_for, is_lost, label_of, numbers_of, until_of
from reports.refunds import refunds_of
from reports.remote_codes import (
    CHANGE_REFUSED,
    COLOURS,
    ERRANDS,
    FILTERS,
    LONGEST_SEARCH,
    NAMES,
    ORDER,
    Cursor,
    code_of,
    is_change_refused,
    page_of,
    search,
)
from reports.step_words import steps_of
from stores.access import StaffRequest
from sync.errors import SyncError
from sync.models import Publication, RemoteCoupon
from sync.options import LineOptions
from sync.services import publishing, pulling
from sync.services.publishing import what_is_lost

CHANGE, TAKE_BACK = "sync.change_publication", "sync.delete_publication"
ADOPT = "sync.change_remotecoupon"
SHOWN_STEPS = 20
Status = RemoteCoupon.Status
State = Publication.State


@admin.register(Publication)
class PublicationAdmin(SyncPages):
    """The overview of Sync, and the page of each publication with all it can do."""

    def get_urls(self) -> list[URLPattern]:
        asks = require_http_methods(["GET", "HEAD", "POST"])
        pages: list[tuple[str, Callable[..., Any], str, str]] = [
            ("state", require_safe(self.state), "state", "sync.view_publication"),
            ("pause", require_POST(self.pause), "pause", CHANGE),
            ("resume", require_POST(self.resume), "resume", CHANGE),
            ("retry", require_POST(self.retry), "retry", CHANGE),
            ("send-terms", require_POST(self.send_terms), "send_terms", CHANGE),
            ("top-up", require_POST(self.top_up), "top_up", CHANGE),
            ("decide", require_POST(self.decide), "decide", CHANGE),
            ("close", asks(self.close), "close", TAKE_BACK),
            ("replace", asks(self.replace), "replace", TAKE_BACK),
            ("let-go", require_POST(self.let_go), "let_go", ADOPT),
        ]
        own = [
            path(
                f"<int:pk>/{route}/",
                self.admin_site.admin_view(self.of_one(view, permission)),
                name=f"sync_publication_{name}",
            )
            for route, view, name, permission in pages
        ]
        return [*own, *super().get_urls()]

    def one(self, request: HttpRequest, pk: int | str) -> Publication:
        text = str(pk)
        rows = Publication.objects.select_related("campaign", "connection")
        rows = rows.defer(*(f"connection__{name}" for name in SECRETS))
        known = text.isascii() and text.isdecimal() and len(text) < 19
        found = rows.filter(pk=int(text)).first() if known else None
        if found is None:
            raise Http404
        return found

    # --- reading ------------------------------------------------------------------------

    def listing(self, request: HttpRequest) -> HttpResponse:
        return self.page(
            request,
            "sync_overview.html",
            _("Sync"),
            tabs=self.tabs(request),
            **overview_page(request.GET, at=timezone.now()),
        )

    def detail(self, request: HttpRequest, row: Publication) -> HttpResponse:
        """Each code with what became of it, troubles first."""
        return self.codes_page(request, row)

    def codes_page(
        self, request: HttpRequest, publication: Publication, status: int = 200
    ) -> HttpResponse:
        chosen, text = request.GET.get("status", ""), search_text(request)
        chosen = chosen if chosen in FILTERS else ""
        after = Cursor.read(request.GET.get("after", ""))
        found = (
            search(publication, text)
            if text
            else page_of(publication, status=chosen, after=after)
        )
        card = card_for(publication)
        return self.page(
            request,
            "publication.html",
            _("Each code"),
            status,
            original=publication,
            publication=publication,
            campaign=publication.campaign,
            card=card,
            rows=shown_rows(found.rows),
            codes=found,
            text=text,
            chosen=chosen,
            is_later=after is not None,
            filters=filters_of(publication),
            steps=steps_of(publication, SHOWN_STEPS),
            label=label_of(card, timezone.now()),
            until=until_of(card.coupon, publication.campaign),
            may_change=request.user.has_perm(CHANGE),
        )

    def state(self, request: HttpRequest, publication: Publication) -> JsonResponse:
        """Its numbers as they are now, for the page's script."""
        return JsonResponse(numbers_of(card_for(publication)))

    # --- buttons ------------------------------------------------------------------------

    def pause(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        said = _("Paused: nothing more is sent there until you press Resume.")
        return self.ask(request, publication, publishing.pause, said)

    def resume(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        return self.ask(request, publication, publishing.resume, _("It goes on."))

    def send_terms(
        self, request: StaffRequest, publication: Publication
    ) -> HttpResponse:
        said = _("The terms as they are now are on their way there.")
        return self.ask(request, publication, publishing.send_terms, said)

    def top_up(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        said = _("Serials that were not there yet are being published.")
        return self.ask(request, publication, publishing.top_up, said)

    def retry(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        """All that was refused, or the one row that the form names."""
        one = named_coupon(request, publication)
        how: dict[str, Any] = {} if one is None else {"coupon_ids": [one.pk]}
        said = _("Tried again: the page shows what comes of it.")
        return self.ask(request, publication, publishing.retry, said, **how)

    def decide(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        """What a person found at the provider about an unclear coupon."""
        one, form = named_coupon(request, publication), DecideForm(request.POST)
        if one is None or not form.is_valid():
            messages.error(
                request, _("That could not be read. Press the button again.")
            )
            return back(request, publication)
        is_there = form.cleaned_data["is_there"] == "yes"
        try:
            publishing.decide(one.pk, is_there=is_there, by=request.user)
        except SyncError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, said_after_deciding(one, is_there=is_there))
            self.log_change(request, publication, f"decide: {one.pk} {is_there}")
        return back(request, publication)

    def let_go(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        """An adopted coupon is its campaign's no more; at LINE it stays as it is."""
        coupon = card_for(publication).coupon
        if coupon is None:
            raise Http404
        try:
            pulling.let_go(coupon.pk, by=request.user)
        except SyncError as error:
            messages.error(request, error.message)
            return back(request, publication)
        messages.success(request, _("Let go. At LINE it stays as it is."))
        return redirect(providers_url(publication))

    def ask(
        self,
        request: StaffRequest,
        publication: Publication,
        service: Callable[..., Any],
        said: str,
        **how: Any,
    ) -> HttpResponse:
        """Ask the service, and say what came of it on the page the person came from."""
        try:
            service(publication.pk, by=request.user, **how)
        except SyncError as error:
            messages.error(request, error.message)
        else:
            self.log_change(request, publication, said)
            messages.success(request, said)
        return back(request, publication)

    # --- pages that ask first -----------------------------------------------------------

    def close(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        """Discontinue at LINE, delete elsewhere; says first what that means."""
        form = TakeBackThereForm(request.POST or None, campaign=publication.campaign)
        if request.method != "POST" or not form.is_valid():
            return self.asking(request, publication, "publication_close.html", form)
        try:
            publishing.close(publication.pk, by=request.user)
        except SyncError as error:
            return self.refused(
                request, publication, "publication_close.html", form, error
            )
        self.log_change(request, publication, "close")
        messages.success(request, _("It is being taken back."))
        return redirect(providers_url(publication))

    def replace(self, request: StaffRequest, publication: Publication) -> HttpResponse:
        """Close and create again, as LINE knows no change."""
        if publication.connection.provider != Connection.Provider.LINE:
            raise Http404  # elsewhere the terms can be sent anew
        template = "publication_replace.html"
        form = TakeBackThereForm(request.POST or None, campaign=publication.campaign)
        options = options_form(
            publication.campaign,
            publication.connection,
            request.POST or None,
            before=publication,
        )
        is_ready = request.method == "POST" and form.is_valid() and options.is_valid()
        if not is_ready:
            return self.asking(request, publication, template, form, options=options)
        try:
            made = publishing.replace(
                publication.pk,
                options=cast(LineOptions, options.options()),
                by=request.user,
                nonce=nonce_of(request),
            )
        except SyncError as error:
            return self.refused(
                request, publication, template, form, error, options=options
            )
        self.log_change(request, made, "replace")
        messages.success(request, _("The old one is closed, and the new one is made."))
        return redirect(providers_url(publication))

    def asking(
        self,
        request: StaffRequest,
        publication: Publication,
        template: str,
        form: TakeBackThereForm,
        status: int = 200,
        **context: Any,
    ) -> HttpResponse:
        is_over = publication.state in (State.CLOSING, State.CLOSED)
        if is_over and request.method != "POST":  # a link of a page that is old by now
            return redirect(providers_url(publication))
        is_wrong = request.method == "POST" and status == 200
        section = section_of(publication.campaign, publication.connection)
        card = card_for(publication)
        return self.page(
            request,
            template,
            str(publication),
            400 if is_wrong else status,
            original=publication,
            publication=publication,
            campaign=publication.campaign,
            card=card,
            is_lost=is_lost(card.coupon, timezone.now()),
            lost=what_is_lost(publication),
            stops=[row_of(publication.campaign, line) for line in section.stops],
            form=form,
            nonce=request.POST.get("nonce") or uuid4(),
            back_url=providers_url(publication),
            **context,
        )

    def refused(
        self,
        request: StaffRequest,
        publication: Publication,
        template: str,
        form: TakeBackThereForm,
        error: SyncError,
        **context: Any,
    ) -> HttpResponse:
        return self.asking(
            request, publication, template, form, 409, problem=error.message, **context
        )


def providers_url(publication: Publication) -> str:
    """The campaign's page of providers, at this account."""
    page = reverse("admin:campaigns_campaign_providers", args=[publication.campaign_id])
    return f"{page}#account-{publication.connection_id}"


def codes_url(publication: Publication) -> str:
    return reverse("admin:sync_publication_change", args=[publication.pk])


def back(request: HttpRequest, publication: Publication) -> HttpResponse:
    """The page on which the button stood: there are two."""
    if request.POST.get("from") == "codes":
        chosen = request.POST.get("status", "")
        query = f"?status={chosen}" if chosen in FILTERS else ""
        return redirect(f"{codes_url(publication)}{query}")
    return redirect(providers_url(publication))


def named_coupon(request: HttpRequest, publication: Publication) -> RemoteCoupon | None:
    """The row that the form names; a 404 when the publication has no such row."""
    given = request.POST.get("coupon", "")
    if not given:
        return None
    known = given.isascii() and given.isdecimal() and len(given) < 19
    rows = RemoteCoupon.objects.filter(publication=publication)
    found = rows.filter(pk=int(given)).first() if known else None
    if found is None:
        raise Http404
    return found


def search_text(request: HttpRequest) -> str:
    text = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    return text if text.isprintable() else ""


def shown_rows(rows: Sequence[RemoteCoupon]) -> list[dict[str, Any]]:
    """The table's lines."""
    refunds = refunds_of(row.pk for row in rows)
    return [{**shown_row(row), "refunds": refunds.get(row.pk, ())} for row in rows]


def shown_row(row: RemoteCoupon) -> dict[str, Any]:
    """A line of the table."""
    status = Status(row.status)
    return {
        "row": row,
        "code": code_of(row),
        "colour": COLOURS[status],
        "words": NAMES[status],
        "errand": ERRANDS.get(row.errand, "") if status != Status.WAITING else "",
        "is_fixed": row.batch_id is not None,
        "is_unclear": status == Status.UNKNOWN,
        "is_refused": status == Status.REFUSED or is_change_refused(row),
        "is_use": "redeem" in row.own,
    }


def filters_of(publication: Publication) -> list[tuple[str, Any, int | None]]:
    """Status, its name, and how many there are by the publication's own counts.

    None is kept of those whose last change was refused.
    """
    names = {Status.UNKNOWN: "unknown", Status.REFUSED: "refused"}
    names |= {Status.WAITING: "waiting", Status.LIVE: "live", Status.GONE: "gone"}
    found: list[tuple[str, Any, int | None]] = [
        (status.value, NAMES[status], getattr(publication, names[status]))
        for status in ORDER
    ]
    return [*found, (CHANGE_REFUSED, _("Change refused"), None)]


def said_after_deciding(row: RemoteCoupon, *, is_there: bool) -> str:
    if "redeem" in row.own:
        return _("“%(code)s” is settled.") % {"code": code_of(row)}
    if is_there:
        return _("“%(code)s” counts as published.") % {"code": code_of(row)}
    return _("“%(code)s” counts as not there: it is made again.") % {
        "code": code_of(row)
    }
