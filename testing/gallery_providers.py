"""The gallery's pages about providers: a campaign there, and Sync with what differs."""

from collections.abc import Iterator

from playwright.sync_api import Page

from testing.house import RunningHouse

PUBLISHED, ELSEWHERE = "10% off beans online", "A drip coffee on us"
SETTLED = "() => !document.querySelector('[data-card]')"
LONGEST = 60_000  # ms until all codes of the example are at a provider
LISTS = {
    "sync": "publication",
    "differences": "difference",
    "found at LINE": "remotecoupon",
    "looks": "run",
    "history": "step",
}


def publish_everywhere(house: RunningHouse, page: Page) -> str:
    """Bring a campaign of the example to each account, and change things there.

    Returns the address of its Providers page. The page has to speak English.
    """
    address = providers_of(house, page, PUBLISHED)
    page.goto(address)
    for link in links(page, "a[href*='/publish/']"):
        page.goto(link)
        page.get_by_role("button", name="Publish now").click()
        page.wait_for_url("**/providers/**")
    page.goto(address)
    page.wait_for_function(SETTLED, timeout=LONGEST)
    change_there(house, page)
    look_everywhere(house, page)
    return address


def providers_of(house: RunningHouse, page: Page, campaign: str) -> str:
    page.goto(f"{house.web}/admin/campaigns/campaign/")
    link = page.get_by_role("link", name=campaign, exact=True).first
    own = str(link.get_attribute("href")).partition("?")[0]
    return house.web + own.replace("/change/", "/providers/")


def links(page: Page, selector: str) -> list[str]:
    found: list[str] = page.locator(selector).evaluate_all(
        "links => [...new Set(links.map(link => link.href))]"
    )
    return found


def change_there(house: RunningHouse, page: Page) -> None:
    """One code is sold, another gets another benefit, and a coupon is made by hand."""
    sold, changed = house.control("GET", "paddle/coupons")["coupons"][:2]
    house.control("POST", "paddle/pay", json={"code": sold["code"]})
    dashboard = page.context.new_page()
    dashboard.goto(f"{house.phone}/paddle/coupon?code={changed['code']}")
    dashboard.fill("[name=discount_amount]", "25")
    dashboard.get_by_role("button", name="Save").click()
    dashboard.close()
    fields = {"title": "Bring a friend, and both of you get a cup"}
    house.control("POST", "coupons", json={"fields": fields})


def look_everywhere(house: RunningHouse, page: Page) -> None:
    """Look now at each account, until what was changed there shows."""
    overview = f"{house.web}/admin/sync/publication/"
    page.goto(overview)
    buttons = page.get_by_role("button", name="Look now")
    for n in range(buttons.count()):
        buttons.nth(n).click()
        page.wait_for_load_state()
    for name in ("difference", "remotecoupon"):
        count = page.locator(f"nav a[href$='/{name}/'] .provider-count")
        while not count.count():
            page.wait_for_timeout(500)
            page.goto(overview)


def provider_pages(house: RunningHouse, page: Page, published: str) -> Iterator[str]:
    """Each page as it stands, by its name."""
    page.goto(f"{house.web}/admin/connections/connection/")
    yield "connections"
    page.goto(providers_of(house, page, ELSEWHERE))
    yield "nowhere"
    page.goto(links(page, "a[href*='/publish/']")[0])
    yield "before publishing"
    page.goto(published)
    yield "published"
    own = links(page, "section a[href*='/sync/publication/'][href$='/change/']")
    for name, link in {"a coupon": own[0], "codes": own[1]}.items():
        page.goto(link)
        yield name
    page.goto(own[1].replace("/change/", "/close/"))
    yield "take back"
    for name, model in LISTS.items():
        page.goto(f"{house.web}/admin/sync/{model}/")
        yield name
    page.goto(f"{house.web}/admin/sync/difference/")
    page.goto(links(page, "a[href*='/sync/difference/'][href*='/change/']")[0])
    yield "a difference"
