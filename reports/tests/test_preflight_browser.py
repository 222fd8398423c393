"""The pre-flight and the marketer's questions in a real browser."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from testing.browsing import sign_in, visiting
from testing.factories import (
    PASSWORD,
    make_campaign,
    make_serials,
    make_store,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def office(browser, live_server):
    make_user("Editor", username="emi")
    with visiting(browser) as page:
        sign_in(page, f"{live_server.url}/admin/", "emi", PASSWORD)
        yield page


def test_from_the_button_over_what_stops_it_to_an_active_campaign(office, live_server):
    campaign = make_campaign(
        make_store(), state="draft", use_ends_at=timezone.now() - timedelta(hours=1)
    )
    make_serials(campaign, 3)
    page = reverse("admin:campaigns_campaign_change", args=[campaign.pk])

    office.goto(f"{live_server.url}{page}")
    office.get_by_role("link", name="Activate").click()
    office.get_by_role("alert").get_by_role("link", name="Use period").click()

    expect(office.locator("#id_use_ends_at_0")).to_be_focused()
    ends = campaign.use_ends_at = timezone.now() + timedelta(days=9)
    type(campaign).objects.filter(pk=campaign.pk).update(use_ends_at=ends)
    office.goto(f"{live_server.url}{page}")
    office.get_by_role("link", name="Activate").click()
    office.get_by_role("button", name="Activate now").click()
    expect(office.get_by_text("The campaign is active")).to_be_visible()
