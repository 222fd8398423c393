"""The generate form in a real browser: what its script fills in and asks for."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from serials.models import Batch
from testing.browsing import complaints, let_in, visiting
from testing.factories import make_campaign, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(browser, live_server, client):
    client.force_login(make_user("Editor"))
    with visiting(browser) as page:
        let_in(page, live_server.url, client)
        yield page


def visit(page, live_server, campaign):
    path = reverse("admin:serials_batch_generate")
    page.goto(f"{live_server.url}{path}?campaign={campaign.pk}")


def test_prefix_and_length_are_another_way_to_write_the_pattern(page, live_server):
    visit(page, live_server, make_campaign())
    pattern = page.get_by_label("Pattern")
    prefix = page.get_by_label("Prefix")
    length = page.get_by_label("Random characters")
    expect(length).to_have_value("8")

    prefix.fill("SPRING-")
    expect(pattern).to_have_value("SPRING-########")
    length.fill("10")
    expect(pattern).to_have_value("SPRING-##########")

    pattern.fill("A-####-####/X")
    expect(prefix).to_have_value("A-")
    expect(length).to_have_value("8")
    for count, text in (
        ("9", "A-####-#####/X"),
        ("5", "A-####-#/X"),
        ("", "A-####-#/X"),
    ):
        length.fill(count)
        expect(pattern).to_have_value(text)
    prefix.fill("B#")
    length.fill("6")
    expect(pattern).to_have_value("B####-##/X")


def test_samples_and_refusals_come_while_typing(page, live_server):
    visit(page, live_server, make_campaign(barcode="code39"))
    pattern = page.get_by_label("Pattern")
    wrong = page.locator("#id_pattern_error")
    expect(page.get_by_role("button", name="Show samples")).to_have_count(0)

    pattern.fill("a-########")
    expect(wrong).to_contain_text("CODE_39 cannot draw “a”")
    expect(pattern).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_quantity_error")).to_be_hidden()  # still empty
    pattern.fill("A-########")
    expect(wrong).to_be_hidden()
    page.get_by_label("How many").fill("1000")
    expect(page.get_by_text("Very good")).to_be_visible()
    samples = page.locator("[data-panel] li")
    expect(samples).to_have_text([re.compile("^A-[2-9A-Z]{8}$")] * 3)
    assert not Batch.objects.exists()
    assert complaints(page) == []

    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("being made").first).to_be_visible()
