"""The customer's page of one coupon: see it, redeem it, tell that it was opened, let the
store's staff mark it as used.

Whoever has the link is the customer, so there is no sign-in and no cookie. Only POST
changes anything, and only with a form token of our own page.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.signing import BadSignature, TimestampSigner
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import get_supported_language_variant
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from coupons import services
from coupons.errors import CouponError
from coupons.forms import UseForm, UsePasswordForm
from coupons.models import Coupon
from coupons.services import Press, Source
from coupons.showing import find_shown
from coupons.views.drawing import Links, draw
from coupons.views.shown import NOTHING_ENTERED, CouponPage, Entered, use_problem

logger = logging.getLogger(__name__)

FORM_SALT = "coupons.page.form"
FORM_AGE = timedelta(hours=24)
# Absent from old browsers; "none" is a reload of the answer by its person.
OUR_OWN = ("same-origin", "none", None)
POLICY = {
    "default-src": [NONE],
    "img-src": [SELF, "data:"],
    "style-src": [SELF, NONCE],
    "script-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
    # The house's policy names these; here default-src stands for them.
    "font-src": None,
    "manifest-src": None,
}

View = Callable[..., HttpResponse]


class SeeOther(HttpResponseRedirect):
    status_code = 303


class PageRequest(HttpRequest):
    """A request with the name that the middleware gave it."""

    request_id: str


# --- what holds for every address here -------------------------------------------------


def customer_page(*methods: str) -> Callable[[View], View]:
    """Answer these methods, in the customer's language, with the headers of /c/."""

    def decorate(view: View) -> View:
        # Checked here: Django's own decorator would log the path, token and all.
        # No CSRF cookie: in-app browsers may drop it. See `is_fresh` and `is_foreign`.
        @csrf_exempt
        @wraps(view)
        def enter(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            with translation.override(language_of(request)):
                if request.method not in methods:
                    return harden(HttpResponseNotAllowed(methods))
                try:
                    return harden(view(request, *args, **kwargs))
                except (BadRequest, MultiPartParserError, SuspiciousOperation):
                    return harden(render(request, "400.html", status=400))

        return enter

    return decorate


def harden(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "same-origin"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Content-Language"] = translation.get_language()
    response._csp_replace = POLICY  # type: ignore[attr-defined]
    # Django would write a line with the path, and with it the token, for each 4xx.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def asked_language(request: HttpRequest) -> str:
    """The language that the address asks for, if we have it."""
    wanted = request.GET.get("lang", "")
    try:
        return get_supported_language_variant(wanted) if len(wanted) < 36 else ""
    except LookupError:
        return ""


def language_of(request: HttpRequest) -> str:
    """By the address, else as the middleware read it from the browser."""
    return asked_language(request) or translation.get_language()


def is_foreign(request: HttpRequest) -> bool:
    """Whether another site's page sent this."""
    return request.headers.get("Sec-Fetch-Site") not in OUR_OWN


def form_token(token: str) -> str:
    """A token for the forms of one coupon's page: when it was shown, signed."""
    signed = TimestampSigner(salt=FORM_SALT).sign(token)
    return signed.removeprefix(f"{token}:")


def is_fresh(request: HttpRequest, token: str) -> bool:
    """Whether the form came from a page of this coupon shown in the last 24 hours."""
    signed = f"{token}:{request.POST.get('form_token', '')}"
    try:
        TimestampSigner(salt=FORM_SALT).unsign(signed, max_age=FORM_AGE)
    except BadSignature:
        return False
    return True


# --- the pages -------------------------------------------------------------------------


@customer_page("GET", "HEAD")
def page(request: PageRequest, token: str) -> HttpResponse:
    return screen(request, token)


@customer_page("GET", "HEAD", "POST")
def redeem(request: PageRequest, token: str) -> HttpResponse:
    """Redeem, then send the browser to the page: reloading that redeems nothing."""
    if request.method != "POST":  # a browser brings its last address back
        return see_page(request, token)
    if is_foreign(request):
        logger.warning("redeem.foreign", extra={"request_id": request.request_id})
        return render(request, "403.html", status=403)
    if not is_fresh(request, token):
        stale = _("This page was open for very long. Press Redeem once more.")
        return screen(request, token, problem=stale, status=400)
    source = Source("page", request_id=request.request_id)
    try:
        services.redeem(token, source=source)
    except CouponError as error:
        return refused(request, token, error, source)
    return see_page(request, token)


def refused(
    request: PageRequest, token: str, error: CouponError, source: Source
) -> HttpResponse:
    # Without script this press is the first we hear of somebody who saw the page.
    services.open_coupon(token, source=source)
    logger.info(
        "redeem.refused",
        extra={"reason": error.code, "request_id": request.request_id},
    )
    return screen(request, token, refusal=error.code, status=409)


@customer_page("GET", "HEAD", "POST")
def verify(request: PageRequest, token: str) -> HttpResponse:
    """Mark as used what the store's staff press on, then show the page as it is."""
    if request.method != "POST":
        return see_page(request, token)
    if is_foreign(request):
        logger.warning("verify.foreign", extra={"request_id": request.request_id})
        return render(request, "403.html", status=403)
    form = (UsePasswordForm if "password" in request.POST else UseForm)(request.POST)
    is_valid = form.is_valid()
    entered = Entered(form.problem, form.problem_field, form.cleaned_data.get("store"))
    if not is_fresh(request, token):
        words = _("This page was open for very long. Try once more.")
        entered = Entered(words, store_id=entered.store_id)
    elif is_valid:
        return use(request, token, form.cleaned_data)
    return screen(request, token, entered=entered, status=400)


def use(request: PageRequest, token: str, given: dict[str, Any]) -> HttpResponse:
    press = Press(
        token=token,
        store_id=given["store"],
        way="password" if "password" in given else "button",
        nonce=given["press"],
        source=Source("page", request_id=request.request_id),
        password=given.get("password", ""),
    )
    try:
        services.verify_on_page(press)
    except CouponError as error:
        return not_used(request, press, error)
    return see_page(request, token)


def not_used(request: PageRequest, press: Press, error: CouponError) -> HttpResponse:
    """Say in place why the staff's press did nothing."""
    is_guess = error.code in ("wrong_password", "too_many_tries")
    logger.log(
        logging.WARNING if is_guess else logging.INFO,
        "verify.refused",
        extra={
            "reason": error.code,
            "store_id": press.store_id,
            "request_id": request.request_id,
        },
    )
    entered = use_problem(error).at(press.store_id)
    status = 429 if error.code == "too_many_tries" else 409
    return screen(request, press.token, entered=entered, status=status)


@customer_page("POST")
def opened(request: PageRequest, token: str) -> HttpResponse:
    """Take the script's word that somebody sees the page."""
    if is_foreign(request):
        return HttpResponse(status=403)
    if not is_fresh(request, token):
        return HttpResponse(status=400)
    source = Source("page", request_id=request.request_id)
    coupon = services.open_coupon(token, source=source)
    return HttpResponse(status=204) if coupon else not_found(request)


@customer_page("GET", "HEAD", "POST")
def unknown(request: PageRequest, rest: str = "") -> HttpResponse:
    return not_found(request)


def not_found(request: HttpRequest) -> HttpResponse:
    """The same for unknown, malformed and erased tokens."""
    logger.info("page.unknown")
    return render(request, "coupons/unknown.html", status=404)


def see_page(request: HttpRequest, token: str) -> HttpResponse:
    return SeeOther(reverse("coupon:page", args=[token]) + query_of(request))


def query_of(request: HttpRequest) -> str:
    language = asked_language(request)
    return f"?{urlencode({'lang': language})}" if language else ""


def screen(
    request: HttpRequest,
    token: str,
    *,
    problem: str = "",
    refusal: str = "",
    entered: Entered = NOTHING_ENTERED,
    status: int = 200,
) -> HttpResponse:
    """The one page, in whatever state the coupon is now."""
    language = translation.get_language()
    found = find_shown(token, language=language)
    if found is None:
        return not_found(request)
    coupon, facts = found
    at = timezone.now()
    shown = CouponPage(coupon, facts, at, language, refusal, entered)
    drawn = draw(request, shown, links=links_of(request, coupon), problem=problem)
    return HttpResponse(drawn, status=status)


def links_of(request: HttpRequest, coupon: Coupon) -> Links:
    query = query_of(request)

    def address(name: str) -> str:
        return reverse(f"coupon:{name}", args=[coupon.token])

    is_unseen = coupon.status in (Coupon.Status.ISSUED, Coupon.Status.SENT)
    return Links(
        page=address("page") + query,
        redeem=address("redeem") + query,
        verify=address("verify") + query,
        opened=address("opened") if is_unseen else "",
        form_token=form_token(coupon.token),
    )
