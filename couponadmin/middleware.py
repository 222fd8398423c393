"""What every request passes: a name for it, and an answer when the database is away."""

import logging
import uuid
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.db import DataError, InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

logger = logging.getLogger(__name__)

Answer = Callable[[HttpRequest], HttpResponse]


def admin_policy(get_response: Answer) -> Answer:
    """Give the admin's pages, and no others, the content policy that unfold needs."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith(reverse("admin:index")):
            response._csp_replace = settings.ADMIN_POLICY  # type: ignore[attr-defined]
        return response

    return middleware


def request_id(get_response: Answer) -> Answer:
    """Name each request, so that a log line and an event can be laid side by side."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
        response = get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response

    return middleware


def not_too_large(get_response: Answer) -> Answer:
    """Refuse a request that says it is too large before any of it is read."""

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > settings.REQUEST_MAX_SIZE:
            return render(request, "413.html", status=413)
        return get_response(request)

    return middleware


def no_nul(get_response: Answer) -> Answer:
    """Refuse NUL in what the admin is asked for, and forget a cookie that holds one.

    PostgreSQL takes none in a text, and the admin's filters pass on what they get. The
    other pages look at their few parameters themselves.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        address = unquote_to_bytes(request.META.get("QUERY_STRING", ""))
        if b"\x00" in address and request.path.startswith(reverse("admin:index")):
            return render(request, "400.html", status=400)
        for name in [name for name, text in request.COOKIES.items() if "\x00" in text]:
            del request.COOKIES[name]
        return get_response(request)

    return middleware


def staff_language(get_response: Answer) -> Answer:
    """English for staff in whose language their pages are not, as the customers' are."""

    def middleware(request: HttpRequest) -> HttpResponse:
        places = (reverse("admin:index"), reverse("store:home"))
        is_staffs = request.path.startswith(places)
        if is_staffs and translation.get_language() not in settings.STAFF_LANGUAGES:
            translation.activate(settings.LANGUAGE_CODE)
            request.LANGUAGE_CODE = settings.LANGUAGE_CODE
        return get_response(request)

    return middleware


class BadAddress:
    """Answers 400 where the admin chokes on a made-up value in an address or a form.

    Its pages only ever send values that they offered; whatever else comes is somebody
    trying. It is logged like any error, so that one of ours is not missed.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        is_value = isinstance(error, (ValueError, OverflowError, DataError))
        if not is_value or not request.path.startswith(reverse("admin:index")):
            return None
        logger.error("admin.bad_value", exc_info=error)
        return render(request, "400.html", status=400)


# Ended by the server: idle for too long, lasting too long, or a standby by now.
ENDED = {"25P03", "25P04", "25006"}


def is_away(error: BaseException | None) -> bool:
    """Whether the database is away or too busy, so that trying again may help."""
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", "") in ENDED
    return isinstance(error, (OperationalError, InterfaceError))


def try_again(error: BaseException | None) -> HttpResponse:
    """503: nothing was lost, and when to come again."""
    logger.error("database.away", extra={"why": type(error).__name__})
    return HttpResponse(
        render_to_string("503.html"),
        status=503,
        headers={
            "Retry-After": "5",
            "Cache-Control": "no-store, private",
            "X-Robots-Tag": "noindex, nofollow, noarchive",
        },
    )


class DatabaseAway:
    """Turns a database that is away or too busy into a 503 that says when to try again.

    A class, because an exception inside a view reaches only `process_exception`. One
    of another middleware reaches only `views.failed`.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        return try_again(error) if is_away(error) else None
