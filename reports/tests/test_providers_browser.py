"""The Providers page in a real browser: numbers that move, and no need of a script."""

from contextlib import contextmanager

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from reports.tests.provider_helpers import Shop, url_of
from sync.models import Publication, RemoteCoupon
from testing.axe import WCAG_22_AA, inject
from testing.browsing import sign_in, visiting
from testing.factories import (
    PASSWORD,
    make_difference,
    make_remote_coupon,
    make_run,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop():
    return Shop()


@contextmanager
def signed_in(browser, live_server, **options):
    with visiting(browser, **options) as page:
        sign_in(page, f"{live_server.url}/admin/", "manager", PASSWORD)
        yield page


@pytest.fixture
def office(browser, live_server, shop):
    with signed_in(browser, live_server) as page:
        yield page


def shut_out(page):
    """What breaks WCAG 2.2 AA in our part of the page; its frame is unfold's."""
    inject(page)
    return page.evaluate(
        """tags => axe.run("#content", { runOnly: { type: "tag", values: tags } }).then(
          found => found.violations.map(({ id, nodes }) => [id, nodes.map(
            node => node.html.slice(0, 200) + (node.failureSummary ?? ""))]))""",
        WCAG_22_AA,
    )


def providers(shop, live_server):
    page = url_of("campaigns_campaign_providers", shop.campaign.pk)
    return f"{live_server.url}{page}"


def test_numbers_move_and_the_page_is_drawn_anew_when_it_is_done(
    office, shop, live_server
):
    publication = shop.at_paddle("live", "waiting", "waiting")
    office.goto(providers(shop, live_server))
    card = office.locator(f"#account-{shop.paddle.pk}")
    expect(card.locator("[data-number=live]")).to_have_text("1")

    row = Publication.objects.filter(pk=publication.pk)
    row.update(live=2)
    expect(card.locator("[data-number=live]")).to_have_text("2")
    expect(card.locator("progress")).to_have_js_property("value", 2)

    RemoteCoupon.objects.update(
        status="live", errand="", next_try_at=None, leased_until=None
    )
    row.update(live=3)
    expect(card.get_by_text("published", exact=True)).to_be_visible()
    expect(card.locator("progress")).to_have_count(0)


def test_from_the_campaign_s_tabs_to_a_coupon_at_line(office, shop, live_server):
    page = url_of("campaigns_campaign_change", shop.campaign.pk)
    office.goto(f"{live_server.url}{page}")
    office.locator("a.cf-elsewhere").click()

    card = office.locator(f"#account-{shop.line.pk}")
    card.get_by_role("link", name="Publish").click()
    office.get_by_text("Only who wins").click()
    office.get_by_label("Chance to win").fill("30")
    office.get_by_role("button", name="Publish now").click()

    expect(office.get_by_text("is on its way to Clover LINE")).to_be_visible()
    made = Publication.objects.get()
    assert made.terms["acquisitionCondition"]["lotteryProbability"] == 30


def test_without_script_a_coupon_is_discontinued(browser, shop, live_server):
    publication, _coupon = shop.at_line()
    with signed_in(browser, live_server, java_script_enabled=False) as page:
        page.goto(providers(shop, live_server))
        page.get_by_role("link", name="Discontinue").click()
        page.get_by_label("Type the campaign's name").fill("Spring latte")
        page.get_by_role("button", name="Discontinue for good").click()

        expect(page.get_by_text("It is being taken back.")).to_be_visible()
    publication.refresh_from_db()
    assert publication.state == Publication.State.CLOSING


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_every_page_can_be_read_by_everybody_and_fits(
    browser, shop, live_server, theme, is_phone
):
    publication, coupon = shop.at_line()
    codes = shop.at_paddle("live", "refused", "unknown")
    RemoteCoupon.objects.filter(status="live", publication=codes).update(detail="No.")
    difference = make_difference(coupon, last_seen_at=timezone.now())
    found = make_remote_coupon(
        connection=shop.line, title="Made by hand " * 5, told="RUNNING", raw={"a": "b"}
    )
    make_run(shop.line, problem="LINE answered with HTML.")
    addresses = [
        url_of("campaigns_campaign_providers", shop.campaign.pk),
        url_of("campaigns_campaign_publish", shop.campaign.pk, shop.vivoldi.pk),
        url_of("sync_publication_change", codes.pk),
        url_of("sync_publication_close", publication.pk),
        url_of("sync_publication_replace", publication.pk),
        url_of("sync_publication_changelist"),
        url_of("sync_difference_changelist"),
        url_of("sync_difference_change", difference.pk),
        url_of("sync_step_changelist"),
        url_of("sync_run_changelist"),
        url_of("sync_remotecoupon_changelist"),
        url_of("sync_remotecoupon_change", found.pk),
        f"{url_of('sync_publication_change', codes.pk)}?status=change-refused",
    ]

    with signed_in(browser, live_server, phone=is_phone, color_scheme=theme) as page:
        for address in addresses:
            page.goto(f"{live_server.url}{address}")
            page.wait_for_load_state("networkidle")
            for summary in page.locator("#content summary").all():
                summary.click()
            width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, address
            assert shut_out(page) == [], address
