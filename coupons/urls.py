"""Addresses of the customer's page, under /c/."""

from django.urls import path, register_converter

from coupons.views import page, trying

app_name = "coupon"


class TokenConverter:
    """What a coupon's token can look like; anything else is unknown without a query."""

    regex = "[A-Za-z0-9_-]{20,32}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(TokenConverter, "token")

urlpatterns = [
    path("<token:token>", page.page, name="page"),
    path("<token:token>/redeem", page.redeem, name="redeem"),
    path("<token:token>/verify", page.verify, name="verify"),
    path("<token:token>/opened", page.opened, name="opened"),
    path("specimen/<str:token>", trying.page, name="specimen"),
    path("specimen/<str:token>/redeem", trying.redeem, name="specimen_redeem"),
    path("specimen/<str:token>/verify", trying.verify, name="specimen_verify"),
    # All else gets the same answer, with the same headers, as an unknown token.
    path("", page.unknown),
    path("<path:rest>", page.unknown),
]
