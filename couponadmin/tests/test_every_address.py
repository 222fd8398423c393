"""Every address of the house, by GET and HEAD, as everybody: nothing changes, nothing breaks."""

import re

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from coupons.services import verify
from coupons.tests.ends_helpers import later, save_terms
from coupons.views.trying import specimen_path
from deliveries.models import Delivery
from reports.models import SerialExport
from reports.serial_exports import make_export
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_difference,
    make_list,
    make_publication,
    make_remote_coupon,
    make_run,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

WATCHED = (
    "campaigns",
    "serials",
    "coupons",
    "deliveries",
    "contacts",
    "stores",
    "sync",
)


def patterns(resolver=None, prefix=""):
    """Every route as one string, such as `store/<int:store_id>/`."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        else:
            yield route


class House:
    """One row of everything, so that each route can be filled in."""

    def __init__(self):
        self.manager = make_user("Manager", is_superuser=True)
        self.clerk = make_user("Store staff")
        self.store = make_store(self.clerk, self.manager)
        self.connection = make_connection()
        self.contact = make_contact(self.connection)
        self.list = make_list(self.contact)
        self.campaign = make_campaign(self.store)
        self.batch = make_serials(self.campaign, 5)
        save_terms(self.campaign, is_for_issued=False, use_ends_at=later(60))
        self.coupons = [
            make_coupon(self.campaign, status="sent"),
            make_coupon(self.campaign, status="redeemed"),
            make_coupon(self.campaign, status="redeemed"),
        ]
        self.verification = verify(
            self.coupons[2].pk, store=self.store, staff=self.clerk
        )
        save_terms(self.campaign, use_ends_at=later(90))  # under way
        self.delivery = Delivery.objects.create(
            campaign=self.campaign,
            connection=self.connection,
            contact_list=self.list,
            send_at=self.campaign.use_starts_at,
            nonce="6f1c39c5-9b5e-4f6e-8a55-3a1f1f3f7d11",
            template="[]",
        )

        self.publication = make_publication(self.campaign, self.connection, live=1)
        self.remote = make_remote_coupon(self.publication)
        self.run = make_run(self.connection)
        self.difference = make_difference(self.remote)
        self.export = make_export(
            self.manager,
            campaign=self.campaign,
            batch=None,
            states=SerialExport.States.ALL,
            format=SerialExport.Format.EXCEL,
            columns=SerialExport.Columns.ALL,
        )

    def fill(self, route):
        """The route's addresses, its places filled with real rows and with strange ones."""
        route = re.sub(r"^\^|\$$|\\Z", "", route).replace("^", "")
        if route.startswith("c/"):
            tokens = [coupon.token for coupon in self.coupons]
            tokens.append(specimen_path(self.campaign, now=timezone.now())[12:])
            return [self.put(route, token) for token in [*tokens, "no-such-token"]]
        model = self.model_of(route)
        found = (
            [self.put(route, str(model.objects.order_by("pk").first().pk))]
            if (model and model.objects.exists())
            else []
        )
        own = {
            "store/": [str(self.store.pk), str(self.verification.pk)],
            "hooks/": [self.connection.hook_key],
        }
        for start, values in own.items():
            if route.startswith(start):
                found += [self.put(route, value) for value in values]
        return [*found, self.put(route, "1"), self.put(route, "999999")]

    def put(self, route, value):
        route = re.sub(r"<(?:path|str|slug|int|uuid):[^>]+>|<[^>]+>", value, route)
        return "/" + re.sub(r"\(\?P.*?\)(?=/|$)|\(\?P.*\)", value, route)

    def model_of(self, route):
        parts = route.split("/")
        if parts[0] != "admin" or len(parts) < 3:
            return None
        try:
            return apps.get_model(parts[1], parts[2])
        except LookupError:
            return None


def dump():
    """Every row of every watched table."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for label in WATCHED
        for model in apps.get_app_config(label).get_models()
        if not model._meta.proxy
    }


def visitors(house):
    for person in (None, house.manager, house.clerk, make_user("Viewer")):
        client = Client(raise_request_exception=True)
        if person:
            client.force_login(person)
        yield person, client


def test_get_and_head_change_no_row_and_break_nowhere():
    house = House()
    routes = sorted(set(patterns()))
    everyone = list(visitors(house))
    before = dump()
    tried = 0

    for route in routes:
        for address in dict.fromkeys(house.fill(route)):
            for person, client in everyone:
                if "logout" in address or "sign-out" in address:
                    client = Client()
                for method in (client.get, client.head):
                    response = method(address)
                    tried += 1
                    assert response.status_code < 500, (address, person)
                    if response.streaming:
                        b"".join(response.streaming_content)
                    headers_are_safe(address, response)

    assert dump() == before
    assert len(routes) > 60
    assert tried > 1000


# Their content is the same for everybody, or says nothing of anybody.
MAY_BE_KEPT = ("/media/", "/healthz", "/admin/jsi18n/")


def headers_are_safe(address, response):
    assert response["X-Content-Type-Options"] == "nosniff", address
    assert response["Referrer-Policy"] == "same-origin", address
    assert response["X-Frame-Options"] in ("DENY", "SAMEORIGIN"), address
    assert "Content-Security-Policy" in response, address
    policy = response["Content-Security-Policy"]
    assert "default-src" in policy, address
    if not address.startswith("/admin/"):
        assert "unsafe" not in policy, address
    if response.status_code == 200 and not address.startswith(MAY_BE_KEPT):
        assert "no-store" in response.get("Cache-Control", ""), address
    if address.startswith("/c/"):
        assert response["Cache-Control"] == "no-store, private", address
        assert "noindex" in response["X-Robots-Tag"], address
        assert not response.cookies, address


def test_a_row_changed_by_a_get_would_be_noticed():
    house = House()
    before = dump()

    type(house.coupons[0]).objects.filter(pk=house.coupons[0].pk).update(memo="x")

    assert dump() != before
