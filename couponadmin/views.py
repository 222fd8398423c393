"""What belongs to no app: health, the way in, campaign images."""

import sys

from django.conf import settings
from django.db import OperationalError, connection
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.defaults import server_error
from django.views.static import serve

from couponadmin.middleware import is_away, try_again
from couponadmin.version import VERSION
from coupons.logo import shop_logo
from sync.pictures import barcode_of


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the database answers, 503 while it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError:
        return JsonResponse({"status": "database away"}, status=503)
    return JsonResponse({"status": "ok", "version": VERSION})


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The bare address leads staff to the back office and clerks to their store."""
    is_clerk = request.user.is_authenticated and not request.user.is_staff
    return redirect("store:home" if is_clerk else "admin:index")


@require_safe
def media(request: HttpRequest, name: str) -> HttpResponse | FileResponse:
    """A campaign's image. Names are random and never used again, so it may be kept."""
    response = serve(
        request, name, document_root=str(settings.MEDIA_ROOT / "campaigns")
    )
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_safe
def shop_picture(request: HttpRequest, name: str) -> HttpResponse:
    """The shop's logo. Its name tells its content, so it may be kept."""
    logo = shop_logo()
    if logo is None or logo.name != name:
        raise Http404
    response = HttpResponse(logo.content, content_type=logo.content_type)
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_safe
def barcode_picture(request: HttpRequest, name: str) -> HttpResponse:
    """A fixed code's barcode, for providers to fetch. Its name says all, so it is kept."""
    picture = barcode_of(name)
    if picture is None:
        raise Http404
    response = HttpResponse(picture, content_type="image/png")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, in the words of the place: a role that is too small, or a foreign page."""
    is_office = request.path.startswith(reverse("admin:index"))
    return render(request, "403.html", {"is_office": is_office}, status=403)


def failed(request: HttpRequest) -> HttpResponse:
    """500; but 503 when a middleware met a database that is away."""
    error = sys.exc_info()[1]
    return try_again(error) if is_away(error) else server_error(request)
