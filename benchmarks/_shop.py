"""Campaigns and coupons for the benchmarks; imported once Django is set up."""

from collections.abc import Iterator
from urllib.parse import urlencode

from _house import Request
from django.db import connection
from django.utils import timezone

from campaigns.models import Campaign
from connections.models import Connection
from coupons.models import Coupon
from coupons.services import Source, mark_sent
from coupons.views.page import form_token
from testing.factories import make_campaign, make_contacts, make_coupons

SOURCE = Source("push")
PIECE = 2_000


def make_offer() -> Campaign:
    """A running campaign with as much to read as a usual one."""
    return make_campaign(
        name="Spring offer",
        instructions="Show this page at the counter before you pay.\nOne a visit.",
        usage_condition="Not with other offers.",
        benefit=Campaign.Benefit.PERCENTAGE,
        benefit_value=10,
    )


def send_coupons(campaign: Campaign, count: int, account: Connection) -> list[Coupon]:
    """So many coupons, sent, each to a contact of its own."""
    coupons: list[Coupon] = []
    for first in range(0, count, PIECE):
        contacts = make_contacts(account, min(PIECE, count - first))
        piece = make_coupons(campaign, contacts)
        mark_sent({coupon.pk: timezone.now() for coupon in piece}, source=SOURCE)
        coupons += piece
    return coupons


def settle() -> None:
    """Let PostgreSQL look at what was filled in, as it does in a house that has run."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def presses(coupons: list[Coupon]) -> Iterator[Request]:
    """A press of Redeem on each of the coupons, as its page sends it."""
    for coupon in coupons:
        body = urlencode({"form_token": form_token(coupon.token)})
        yield Request(f"/c/{coupon.token}/redeem", body)
