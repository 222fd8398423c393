"""A shop with an account at each provider, for tests of the pages about them."""

import html
import re
from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from serials.models import Serial
from testing.factories import (
    make_campaign,
    make_connection,
    make_fixed_batch,
    make_publication,
    make_remote_coupon,
    make_serials,
    make_store,
    make_user,
)


class Shop:
    """A campaign that every provider takes, three accounts, and people of each role."""

    def __init__(self):
        self.people = {
            role: make_user(role, username=role.lower().replace(" ", "-"))
            for role in ("Viewer", "Editor", "Manager", "Store staff")
        }
        self.store = make_store(self.people["Store staff"])
        self.campaign = make_campaign(
            self.store,
            name="Spring latte",
            time_zone="Asia/Tokyo",
            benefit="percentage",
            benefit_value=20,
            currency="JPY",
            product_ids="1234",
        )
        self.batch = make_serials(self.campaign, ["LATTE001", "LATTE002", "LATTE003"])
        self.line = make_connection(name="Clover LINE")
        self.paddle = make_connection(
            name="Clover Paddle", provider="paddle", account_id="12345"
        )
        self.vivoldi = make_connection(
            name="Clover Vivoldi", provider="vivoldi", account_id=""
        )

    def client(self, role="Manager"):
        client = Client()
        client.force_login(self.people[role])
        return client

    def at_line(self, **fields):
        """The campaign's coupon at LINE, as it is once all went well."""
        fields = {"live": 1, "prepared_at": timezone.now()} | fields
        publication = make_publication(self.campaign, self.line, **fields)
        now = timezone.now()
        coupon = make_remote_coupon(
            publication,
            title="Spring latte",
            told="RUNNING",
            starts_at=now - timedelta(days=1),
            ends_at=now + timedelta(days=30),
        )
        return publication, coupon

    def at_paddle(self, *statuses, **fields):
        """The campaign's serials at Paddle, one row of each of these statuses."""
        fields = {"prepared_at": timezone.now()} | fields
        for status in statuses:
            name = str(status)
            if name != "waiting":
                fields[name] = fields.get(name, 0) + 1
        publication = make_publication(
            self.campaign, self.paddle, total=len(statuses), **fields
        )
        serials = Serial.objects.filter(batch=self.batch).order_by("pk")
        for serial, status in zip(serials, statuses, strict=False):
            make_remote_coupon(
                publication,
                serial=serial,
                remote_id=serial.code,
                status=status,
                errand="create" if status == "waiting" else "",
            )
        return publication


def url_of(name, *args):
    return reverse(f"admin:{name}", args=args)


def text_of(response):
    body = response.content.decode()
    body = body[body.index("<main") if "<main" in body else 0 :]
    plain = html.unescape(re.sub(r"<[^>]+>", " ", body))
    return " ".join(plain.split())


def said(response):
    """What the page that follows tells the person."""
    return [str(message) for message in response.context["messages"]]


__all__ = ["Shop", "make_fixed_batch", "said", "text_of", "url_of"]
