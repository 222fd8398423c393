"""The web application with one more address: the least that a page of ours can be."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")

from couponadmin.wsgi import application  # noqa: E402, I001
from django.conf import settings  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402

from coupons.models import Coupon  # noqa: E402

__all__ = ["application"]


def bare(request: HttpRequest, token: str) -> HttpResponse:
    """One indexed query through the ORM, no template."""
    return HttpResponse(Coupon.objects.get(token=token).number)


settings.ROOT_URLCONF = __name__
urlpatterns = [
    path("bare/<str:token>", bare),
    path("", include("couponadmin.urls")),
]
