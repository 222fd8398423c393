"""Who may do what with one coupon, and that looking changes nothing."""

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from reports.tests.record_helpers import (
    RECORD,
    Desk,
    signed_in,
    take_back_url,
    url_of,
    words_of,
)
from testing.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

BUTTONS = ("Take the verification back", "Revoke", "Issue another")
GIVEN = {"reason": "Because", "password": PASSWORD, "then": "nothing", "way": "link"}
STEPS = ("take_back", "revoke", "replace")


@pytest.fixture
def desk():
    return Desk()


def address(desk, step):
    """The step's address for a coupon that it works for."""
    status = {"take_back": "verified", "revoke": "sent", "replace": "revoked"}[step]
    coupon = desk.coupon(status)
    if step == "take_back":
        return take_back_url(coupon, coupon.verifications.get())
    return url_of(step, coupon)


def person(role):
    if role == "superuser":
        return make_user("", is_staff=True, is_superuser=True)
    return make_user(role)


def rows():
    """Every row that a step could change."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for label in ("campaigns", "serials", "coupons", "deliveries", "contacts")
        for model in apps.get_app_config(label).get_models()
        if not model._meta.proxy
    } | {"history": LogEntry.objects.count()}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("role", "status"), [("Viewer", 403), ("Editor", 403), ("Store staff", 302)]
)
def test_whoever_is_no_manager_is_kept_out(desk, step, method, role, status):
    url = address(desk, step)
    client = signed_in(person(role))
    before = rows()

    response = getattr(client, method)(url, GIVEN)

    assert response.status_code == status
    if status == 302:  # the back office's own sign-in
        assert response.url.startswith(reverse("admin:login"))
    assert rows() == before


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_has_not_signed_in_is_asked_to(desk, step, method):
    url = address(desk, step)
    before = rows()

    response = getattr(Client(), method)(url, GIVEN)

    assert response.status_code == 302
    assert response.url.startswith(reverse("admin:login"))
    assert rows() == before


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("role", ["Manager", "superuser"])
def test_a_manager_is_asked_by_get_and_acts_by_post(desk, step, role):
    url = address(desk, step)
    client = signed_in(person(role))
    before = rows()

    asked = [client.get(url, GIVEN), client.head(url)]
    same = rows() == before
    response = client.post(url, GIVEN)

    assert [answer.status_code for answer in asked] == [200, 200]
    assert same, "looking changed something"
    assert response.status_code == (200 if step == "replace" else 302)
    assert rows() != before


@pytest.mark.parametrize("step", STEPS)
def test_without_the_forms_own_token_nothing_is_done(desk, step):
    url = address(desk, step)
    client = Client(enforce_csrf_checks=True)
    client.force_login(desk.manager)
    before = rows()

    response = client.post(url, GIVEN)

    assert response.status_code == 403
    assert rows() == before


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("number", [0, 999_999, 10**30])
def test_a_coupon_that_is_not_there_is_not_found(desk, step, method, number):
    args = [number, number] if step == "take_back" else [number]

    url = reverse(f"{RECORD}{step}", args=args)

    assert getattr(desk.client, method)(url, GIVEN).status_code == 404


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_no_other_method_is_known(desk, method):
    url = address(desk, "revoke")

    assert getattr(desk.client, method)(url).status_code == 405


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("issued", ["Revoke"]),
        ("sent", ["Revoke"]),
        ("redeemed", ["Revoke"]),
        ("verified", ["Take the verification back"]),
        ("revoked", ["Issue another"]),
    ],
)
def test_each_button_stands_where_it_works(desk, status, offered):
    page = desk.record(desk.coupon(status))

    assert buttons_of(page) == offered


def test_a_replaced_coupon_has_no_button_left(desk):
    coupon = desk.coupon("revoked")
    desk.replace(coupon)

    assert buttons_of(desk.record(coupon)) == []


@pytest.mark.parametrize("role", ["Viewer", "Editor"])
@pytest.mark.parametrize("status", ["sent", "redeemed", "verified", "revoked"])
def test_viewer_and_editor_read_the_record_without_buttons(desk, role, status):
    coupon = desk.coupon(status)
    client = signed_in(person(role))

    page = client.get(url_of("change", coupon))

    assert page.status_code == 200
    assert buttons_of(page) == []
    assert "take the verification back first" not in words_of(page)


def buttons_of(page):
    """What the record's head offers, in its order."""
    head = page.content.decode().split('<div class="bo-buttons">')[1].split("</div>")[0]
    return [name for name in BUTTONS if f">{name}</a>" in head]
