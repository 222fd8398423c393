"""The pre-flight and the marketer's questions in a real browser."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from reports.tests.record_helpers import PASSWORD
from testing.browsing import chromium, complaints, open_page
from testing.factories import (
    make_campaign,
    make_serials,
    make_store,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def browser(django_db_setup):
    # Playwright keeps an event loop in this thread; the rows are read beside it.
    with pytest.MonkeyPatch.context() as patch, chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser


@pytest.fixture
def office(browser, live_server):
    page = open_page(browser)
    make_user("Editor", username="emi")
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "emi")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")
    yield page
    assert complaints(page) == []
    page.context.close()


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
