"""Adding an account and using a key of our own, in a real browser."""

import json

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from connections.models import Connection
from testing.browsing import sign_in, visiting
from testing.factories import PASSWORD, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NO_WIDER = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(params=[False, True], ids=["laptop", "phone"])
def office(request, browser, live_server):
    make_user("Manager", username="mia")
    with visiting(browser, phone=request.param) as page:
        sign_in(page, f"{live_server.url}/admin/", "mia", PASSWORD)
        yield page


def test_from_the_cards_to_a_paddle_account(office, live_server):
    office.goto(live_server.url + reverse("admin:connections_connection_add"))
    assert office.evaluate(NO_WIDER)
    office.get_by_role("link", name="Paddle Classic").click()
    office.get_by_label("Name").fill("Checkout")
    office.get_by_label("Vendor id").fill("4711")
    office.get_by_label("Auth code").fill("0123456789abcdef")
    office.get_by_role("button", name="Save", exact=True).click()

    expect(office.get_by_text("Checkout").first).to_be_visible()
    assert Connection.objects.get().provider == "paddle"


def test_only_the_fields_of_the_chosen_kind_of_token_are_there(office, live_server):
    add = live_server.url + reverse("admin:connections_connection_add")
    office.goto(f"{add}?provider=line")
    pasted, channel = office.locator("#id_new_access_token"), "#id_channel_id"
    expect(pasted).to_be_visible()
    expect(office.locator(channel)).to_be_hidden()

    office.get_by_label("Stateless").check()

    expect(pasted).to_be_hidden()
    expect(office.locator(channel)).to_be_visible()
    assert office.evaluate(NO_WIDER)


def test_a_key_is_made_registered_and_put_to_use(
    office, live_server, channel, stateless
):
    Connection.objects.update(token_kind="v2_1")
    page = reverse("admin:connections_connection_change", args=[stateless.pk])
    office.goto(live_server.url + page)

    office.get_by_role("button", name="Make a key").click()
    jwk = json.loads(office.locator("#new-jwk").input_value())
    assert office.evaluate(NO_WIDER)
    office.get_by_label("Paste the key id").fill(channel.register_key(jwk))
    office.get_by_role("button", name="Use this key").click()

    expect(office.get_by_text("the key is in use from now on")).to_be_visible()
    office.get_by_role("button", name="Test").click()
    expect(office.get_by_text("LINE answers")).to_be_visible()
