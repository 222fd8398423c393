"""A customer's browser for tests: it reads the page and presses what is on it."""

import re
from html import unescape

from django.urls import reverse

from coupons.models import Attempt, ContactUse, Coupon, Event, Tally, Verification
from serials.models import Serial, Stock

WATCHED = (Coupon, Event, Attempt, Tally, Verification, ContactUse, Serial, Stock)


def url_of(coupon, name="page"):
    return reverse(f"coupon:{name}", args=[coupon.token])


def see(client, coupon, query="", **options):
    return client.get(url_of(coupon) + query, **options)


def body(response):
    return response.content.decode()


def state_of(response):
    found = re.search(r'data-state="(\w+)"', body(response))
    assert found, "no coupon on the page"
    return found[1]


def text_of(response):
    """What a person reads: no tags, one blank between words."""
    html = body(response).partition("<body")[2].partition(">")[2]
    html = re.sub(r"<script.*?</script>", " ", html, flags=re.DOTALL)
    words = re.sub(r"<[^>]+>", " ", html)
    return " ".join(unescape(words).split())


def form_token(response):
    found = re.search(r'name="form_token" value="([^"]+)"', body(response))
    assert found, "no form on the page"
    return found[1]


def press(client, coupon, token=None, **options):
    """Press Redeem on the page as it is now, or with an earlier page's form token."""
    if token is None:
        token = form_token(see(client, coupon))
    return client.post(url_of(coupon, "redeem"), {"form_token": token}, **options)


def rows():
    """Every row that a coupon's life touches."""
    return {
        model.__name__: list(model.objects.order_by("pk").values()) for model in WATCHED
    }
