"""What tests of one coupon's record do again and again."""

import re

from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from coupons.services import verify
from testing.factories import (
    PASSWORD,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

RECORD = "admin:reports_redemptionrecord_"


class Desk:
    """A shop with one campaign, its staff, and a manager who has signed in."""

    def __init__(self, **campaign):
        campaign.setdefault("name", "Spring")
        campaign.setdefault("time_zone", "Asia/Tokyo")
        self.campaign = make_campaign(**campaign)
        self.batch = make_serials(self.campaign, 50)
        self.clerk = make_user("Store staff", username="aki", first_name="Aki")
        self.store = make_store(self.clerk, name="Clover Street")
        self.connection = make_connection(access_token="token")
        self.manager = make_user("Manager", username="mika")
        self.client = signed_in(self.manager)

    def contact(self, **fields):
        fields.setdefault("name", "Hana")
        return make_contact(self.connection, **fields)

    def coupon(self, status="sent", contact=None, **fields):
        """A coupon of that status; `verified` at the store, `revoked` by the manager."""
        if status == "verified":
            coupon = make_coupon(self.campaign, contact, status="redeemed", **fields)
            verify(coupon.pk, store=self.store, staff=self.clerk)
            coupon.refresh_from_db()
            return coupon
        if status == "revoked":
            coupon = make_coupon(self.campaign, contact, status="sent", **fields)
            self.revoke(coupon)
            coupon.refresh_from_db()
            return coupon
        return make_coupon(self.campaign, contact, status=status, **fields)

    def record(self, coupon):
        return self.client.get(reverse(f"{RECORD}change", args=[coupon.pk]))

    def take_back(self, coupon, reason="Wrong coupon", verification=None, client=None):
        verification = verification or coupon.verifications.get(undone_at=None)
        return (client or self.client).post(
            take_back_url(coupon, verification), {"reason": reason}
        )

    def revoke(self, coupon, client=None, **given):
        given = {
            "reason": "Sent by mistake",
            "password": PASSWORD,
            "then": "nothing",
        } | given
        return (client or self.client).post(url_of("revoke", coupon), given)

    def replace(self, coupon, way="link", client=None):
        return (client or self.client).post(url_of("replace", coupon), {"way": way})


def signed_in(person):
    client = Client()
    client.force_login(person)
    return client


def url_of(step, coupon):
    return reverse(f"{RECORD}{step}", args=[coupon.pk])


def take_back_url(coupon, verification):
    return reverse(f"{RECORD}take_back", args=[coupon.pk, verification.pk])


def record_url(coupon):
    return url_of("change", coupon)


def words_of(response):
    """The page's text, blanks folded, without its tags."""
    text = re.sub(r"<(script|style).*?</\1>", "", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def said_in_history():
    return list(
        LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    )
