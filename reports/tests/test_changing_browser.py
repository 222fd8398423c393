"""The question between the campaign's form and its saving, in a real browser."""

import os
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from coupons.ends import run
from coupons.models import EndsChange
from reports.tests.test_changing import filled, make_running
from testing.browsing import let_in, visiting
from testing.factories import make_coupon, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=["laptop", "phone"])
def visitor(browser, live_server, request):
    """A manager's browser, signed in."""
    client = Client()
    client.force_login(make_user("Manager", first_name="Mika"))
    with visiting(browser, phone=request.param == "phone") as page:
        let_in(page, live_server.url, client)
        page.size = request.param  # type: ignore[attr-defined]
        yield page


def shot(page, name):
    """Kept only where somebody wants to look at it."""
    folder = os.environ.get("SHOTS")
    if not folder:
        return
    page.wait_for_timeout(400)
    path = Path(folder) / f"{name}-{page.size}.png"
    page.screenshot(path=str(path), full_page=True)
    page.evaluate("document.documentElement.classList.add('dark')")
    page.screenshot(path=str(path).replace(".png", "-dark.png"), full_page=True)
    page.evaluate("document.documentElement.classList.remove('dark')")


def fits(page):
    return page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_a_manager_changes_the_end_goes_back_and_saves_for_all(visitor, live_server):
    campaign = make_running(name="Spring fair with a rather long name for a campaign")
    for status in ("sent", "sent", "redeemed"):
        make_coupon(campaign, status=status)
    address = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    visitor.goto(live_server.url + address)
    visitor.locator("#campaign_form").wait_for(state="attached")
    visitor.wait_for_load_state("networkidle")
    set_value(visitor, "use_ends_at_0", "2100-12-31")
    set_value(visitor, "usage_condition", "From 1,000 yen")
    send(visitor)

    expect(visitor.get_by_text("For whom do the new ends count?")).to_be_visible()
    assert fits(visitor)
    shot(visitor, "question")
    visitor.get_by_role("button", name="Back to the form").click()

    visitor.locator("[name=use_ends_at_0]").wait_for(state="attached")
    visitor.wait_for_load_state("networkidle")
    assert visitor.locator("[name=use_ends_at_0]").input_value() == "2100-12-31"
    assert visitor.locator("[name=usage_condition]").input_value() == "From 1,000 yen"
    send(visitor)
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.locator("input[value=all]:invalid")).to_have_count(1)
    visitor.get_by_text("Also the 3 coupons already out").click()
    shot(visitor, "chosen")
    visitor.get_by_role("button", name="Save", exact=True).click()

    working = visitor.get_by_text("of 3 coupons changed")
    expect(working).to_be_visible()
    assert fits(visitor)
    shot(visitor, "working")
    run(EndsChange.objects.get().pk)
    expect(visitor.locator("[data-done]")).to_have_text("3")
    visitor.reload()
    visitor.locator(".change-history summary").click()
    expect(visitor.get_by_text("of 3, 3 got another end")).to_be_visible()
    assert fits(visitor)
    shot(visitor, "history")


def test_what_another_changed_meanwhile_is_shown(visitor, live_server):
    campaign = make_running()
    ken = Client()
    ken.force_login(make_user("Editor", first_name="Ken"))
    address = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    visitor.goto(live_server.url + address)
    visitor.wait_for_load_state("networkidle")
    ken.post(address, filled(memo="Ken was here"))

    set_value(visitor, "memo", "Mika's own words")
    send(visitor)

    expect(visitor.get_by_text("has been changed since you opened")).to_be_visible()
    expect(visitor.get_by_text("Ken was here").first).to_be_visible()
    assert fits(visitor)
    shot(visitor, "meanwhile")


def set_value(page, name, value):
    """As typed, whichever tab of the form is shown."""
    page.eval_on_selector(
        f"#campaign_form [name={name}]",
        "(field, value) => { field.value = value }",
        value,
    )


def send(page):
    with page.expect_navigation():
        page.locator("[name=_save]").first.click()
