"""The store's screen: sign in, choose a store, scan, see today's, take one back."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from math import ceil
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from campaigns.benefit import benefit_words, condition_words
from coupons import services
from coupons.errors import MESSAGES, CouponError
from coupons.forms import ScanForm, SignInForm, TakeBackForm
from coupons.models import Attempt, Verification
from coupons.pausing import begin_scan, not_a_miss
from stores.access import StaffRequest, access_store, stores_for
from stores.models import Store

logger = logging.getLogger(__name__)

LATEST = 10  # verifications beside the scan field
FRESH = timedelta(minutes=2)


# --- signing in ----------------------------------------------------------------------


class SignIn(LoginView):
    """The store's own door: a till stays signed in for a shift."""

    template_name = "store/sign_in.html"
    authentication_form = SignInForm
    next_page = "store:home"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        # Whoever may enter the back office keeps its shorter session.
        if not form.get_user().is_staff:
            self.request.session.set_expiry(settings.STORE_SESSION_AGE)
        return response


class SignOut(LogoutView):
    next_page = "store:sign_in"


# --- which store -----------------------------------------------------------------------


@require_safe
@login_required
@cache_control(private=True, no_store=True)
def home(request: StaffRequest) -> HttpResponse:
    stores = list(stores_for(request.user))
    if len(stores) == 1:
        return redirect("store:scan", stores[0].pk)
    return render(request, "store/home.html", {"stores": stores})


def at_store(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let in the store's staff alone, and show every time in the store's zone."""

    @login_required
    @cache_control(private=True, no_store=True)
    @wraps(view)
    def enter(request: StaffRequest, store_id: int, **rest: Any) -> HttpResponse:
        store = access_store(request.user, store_id)
        with timezone.override(store.zone):
            return view(request, store, **rest)

    return enter


# --- scanning ----------------------------------------------------------------------------


@require_safe
@at_store
def scan(request: StaffRequest, store: Store) -> HttpResponse:
    problem = _("Nothing was checked. Scan again.") if "again" in request.GET else ""
    return screen(request, store, problem=problem)


@at_store
def check(request: StaffRequest, store: Store) -> HttpResponse:
    """Verify what was scanned, then send the browser to the page of the answer.

    That page can be reloaded and gone back to without scanning anything again.
    """
    if request.method != "POST":  # back from signing in
        return redirect(f"{store_url(store)}?again=1")
    form = ScanForm(request.POST)
    if not form.is_valid():
        if wants_json(request):
            return as_json(services.Answer("invalid", words=form.problem), 400)
        return screen(request, store, problem=form.problem, status=400)
    at = timezone.now()
    left = begin_scan(request.user, at=at)
    if left is not None:
        return paused(request, store, left)
    text = form.cleaned_data["text"]
    scan_id = id_of_scan(form.cleaned_data["nonce"], store, request.user, text)
    is_miss = False
    try:
        found = services.scan(
            text,
            store=store,
            staff=request.user,
            nonce=scan_id,
            request_id=request.request_id,
        )
        is_miss = found.reason == "invalid"
    finally:  # what failed was no guess either
        if not is_miss:
            not_a_miss(request.user, at=at)
    if wants_json(request):
        return as_json(found, 200 if found.is_ok else 409)
    return redirect("store:answer", store.pk, scan_id)


def as_json(found: services.Answer, status: int) -> HttpResponse:
    return JsonResponse(found.shape(), status=status)


def wants_json(request: HttpRequest) -> bool:
    """Whether a till's own program asks, which reads the answer instead of a page."""
    return request.get_preferred_type(["text/html", "application/json"]) == (
        "application/json"
    )


def id_of_scan(nonce: UUID, store: Store, user: User, text: str) -> UUID:
    """One id for one scan: a page's nonce counts for one person, store and text.

    So nobody gets the answer to another person's scan, and a page kept open still
    tells two coupons apart.
    """
    return uuid5(nonce, f"{store.pk} {user.pk} {text}")


def paused(request: StaffRequest, store: Store, left: timedelta) -> HttpResponse:
    seconds = ceil(left.total_seconds())
    problem = ngettext(
        "Too many scans, or too many that were not ours. Wait %(seconds)d second, then "
        "scan again.",
        "Too many scans, or too many that were not ours. Wait %(seconds)d seconds, then "
        "scan again.",
        seconds,
    ) % {"seconds": seconds}
    if wants_json(request):
        response = as_json(services.Answer("too_many_tries", words=problem), 429)
    else:
        response = screen(request, store, problem=problem, status=429)
    response["Retry-After"] = str(seconds)
    return response


@require_safe
@at_store
def answer(request: StaffRequest, store: Store, scan_id: UUID) -> HttpResponse:
    attempts = Attempt.objects.select_related(
        "coupon__campaign",
        "coupon__batch",
        "coupon__serial",
        "verification__store",
        "verification__staff",
        "verification__coupon",
    )
    # Two of them only if SECRET_KEY was changed in between and the old one dropped.
    mine = attempts.filter(nonce=scan_id, store=store, staff=request.user)
    attempt = mine.order_by("pk").first()
    if attempt is None:
        raise Http404
    shown = shown_answer(attempt, user=request.user, at=timezone.now())
    return screen(request, store, shown=shown)


@dataclass(frozen=True)
class Words:
    """How one answer is told: its tone (a colour and an icon), a word, what to do."""

    tone: str  # go, wait, stop, note
    word: str | Promise
    advice: str | Promise = ""


WORDS = {
    "ok": Words("go", pgettext_lazy("scan", "Verified")),
    "already_verified": Words(
        "wait", gettext_lazy("Already used"), gettext_lazy("Don't take it again.")
    ),
    "not_redeemed": Words(
        "wait", gettext_lazy("Not redeemed yet"), gettext_lazy("Then scan again.")
    ),
    "not_started": Words("wait", gettext_lazy("Too early")),
    "campaign_paused": Words(
        "wait",
        gettext_lazy("Paused"),
        gettext_lazy("A manager can say when it goes on."),
    ),
    "ambiguous": Words("wait", gettext_lazy("Which one?")),
    "conflict": Words(
        "wait", gettext_lazy("Just changed"), gettext_lazy("Scan again.")
    ),
    "not_needed": Words(
        "note", gettext_lazy("No check needed"), gettext_lazy("Nothing was recorded.")
    ),
    "invalid": Words("stop", gettext_lazy("Not found")),
    "specimen": Words("stop", gettext_lazy("Specimen"), gettext_lazy("Don't take it.")),
    "expired": Words("stop", gettext_lazy("Expired"), gettext_lazy("Don't take it.")),
    "revoked": Words("stop", gettext_lazy("Withdrawn"), gettext_lazy("Don't take it.")),
    "wrong_store": Words(
        "stop", gettext_lazy("Not for this store"), gettext_lazy("Don't take it.")
    ),
    "campaign_ended": Words(
        "stop", gettext_lazy("Offer ended"), gettext_lazy("Don't take it.")
    ),
}
TAKEN_BACK = Words(
    "note",
    gettext_lazy("Taken back"),
    gettext_lazy("The coupon can be used again."),
)
OTHER = Words("stop", gettext_lazy("Not taken"), gettext_lazy("Don't take it."))


def shown_answer(attempt: Attempt, *, user: User, at: datetime) -> dict[str, Any]:
    """What the answer's panel shows. Taken-back verifications never stay green."""
    first = attempt.verification
    is_taken_back = services.answer_of(attempt).is_taken_back
    words = TAKEN_BACK if is_taken_back else WORDS.get(attempt.reason, OTHER)
    campaign = attempt.coupon.campaign if attempt.coupon is not None else None
    return {
        "reason": "taken_back" if is_taken_back else attempt.reason,
        "words": words,
        "message": MESSAGES.get(attempt.reason, ""),
        "attempt": attempt,
        "coupon": attempt.coupon,
        "campaign": campaign,
        "benefit": benefit_words(campaign) if campaign else "",
        "condition": condition_words(campaign) if campaign else "",
        "verification": first,
        # An old green answer must not pass for the next customer's.
        "is_old": at - attempt.at > FRESH,
        "used_ago": how_long_ago(first.at, at) if first is not None else "",
        "is_used_today": first is not None
        and timezone.localdate(first.at) == timezone.localdate(at),
        "may_take_back": attempt.reason == "ok"
        and first is not None
        and may_take_back(first, user=user, at=at),
    }


def how_long_ago(then: datetime, at: datetime) -> str:
    if at - then < timedelta(minutes=1):
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(then, at)}


def screen(
    request: StaffRequest,
    store: Store,
    *,
    shown: dict[str, Any] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """The one page of the till: the field, the answer, what was taken today.

    What was scanned is never sent back: it may be a customer's secret link.
    """
    at = timezone.now()
    taken = verifications_of_day(store, at)
    context = {
        "store": store,
        "shown": shown,
        "problem": problem,
        "nonce": uuid4(),
        "rows": rows_of(taken[:LATEST], user=request.user, at=at),
        "count": taken.filter(undone_at=None).count(),
        "latest": LATEST,
        "has_other_stores": has_other_stores(request.user, store),
    }
    return render(request, "store/scan.html", context, status=status)


def store_url(store: Store) -> str:
    return redirect("store:scan", store.pk).url


def has_other_stores(user: User, store: Store) -> bool:
    return stores_for(user).exclude(pk=store.pk).exists()


# --- today --------------------------------------------------------------------------------


@require_safe
@at_store
def today(request: StaffRequest, store: Store) -> HttpResponse:
    at = timezone.now()
    taken = verifications_of_day(store, at)
    context = {
        "store": store,
        "today": at,
        "rows": rows_of(taken, user=request.user, at=at),
        "count": taken.filter(undone_at=None).count(),
        "has_other_stores": has_other_stores(request.user, store),
    }
    return render(request, "store/today.html", context)


def day_of(store: Store, at: datetime) -> tuple[datetime, datetime]:
    """The store's own day around `at`, from midnight to midnight: [start, end) in UTC."""
    local = at.astimezone(store.zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # A day is not always 24 hours, so it is added before UTC is asked.
    return start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)


def verifications_of_day(store: Store, at: datetime) -> QuerySet[Verification]:
    start, end = day_of(store, at)
    return (
        store.verifications.filter(at__gte=start, at__lt=end)
        .select_related("coupon__campaign", "staff")
        .order_by("-at", "-pk")
    )


def rows_of(
    verifications: QuerySet[Verification], *, user: User, at: datetime
) -> list[dict[str, Any]]:
    return [
        {
            "verification": verification,
            "may_take_back": may_take_back(verification, user=user, at=at),
        }
        for verification in verifications
    ]


# --- taking back ---------------------------------------------------------------------------


def may_take_back(verification: Verification, *, user: User, at: datetime) -> bool:
    """Whether to offer it; `services.undo` decides."""
    return (
        verification.undone_at is None
        and verification.staff_id == user.pk
        and at < verification.at + services.UNDO_BY_STAFF
        and at < verification.coupon.ends_at
    )


@at_store
def take_back(
    request: StaffRequest, store: Store, verification_id: int
) -> HttpResponse:
    verification = get_object_or_404(
        store.verifications.select_related("coupon__campaign", "staff", "undone_by"),
        pk=verification_id,
    )
    if request.method == "POST":
        return try_to_take_back(request, store, verification)
    refusal = why_not(verification, user=request.user)
    return confirm_page(request, store, verification, TakeBackForm(), refusal)


def why_not(verification: Verification, *, user: User) -> CouponError | None:
    if verification.undone_at is not None:
        return CouponError("conflict")
    at = timezone.now()
    if at >= verification.coupon.ends_at:
        return CouponError("expired")
    if not may_take_back(verification, user=user, at=at):
        return CouponError("too_late")
    return None


def try_to_take_back(
    request: StaffRequest, store: Store, verification: Verification
) -> HttpResponse:
    form = TakeBackForm(request.POST)
    if not form.is_valid():
        return confirm_page(request, store, verification, form, status=400)
    try:
        services.undo(
            verification.pk,
            by=request.user,
            reason=form.cleaned_data["reason"],
            is_manager=False,
            request_id=request.request_id,
        )
    except CouponError as error:
        # Pressed twice: the first press did it, and the person sees that it worked.
        if not services.is_undone_by(verification.pk, request.user):
            return confirm_page(request, store, verification, form, error, status=409)
    messages.success(
        request,
        _("Coupon %(number)s is taken back. It can be used again.")
        % {"number": verification.coupon.shown_number},
    )
    return redirect("store:scan", store.pk)


def confirm_page(
    request: StaffRequest,
    store: Store,
    verification: Verification,
    form: TakeBackForm,
    refusal: CouponError | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "store": store,
        "verification": verification,
        "form": form,
        "refusal": refusal,
    }
    return render(request, "store/take_back.html", context, status=status)
