"""The main job in a browser, against real processes: from a campaign to a till.

Web, worker, beat and sandbox run as `make run` starts them. Steps share one house and
build on each other, as a shop's day does.
"""

import contextlib
import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from testing.browsing import complaints, open_page, sign_in, watch
from testing.house import own_database, own_redis, running_house

pytestmark = [pytest.mark.browser, pytest.mark.processes]

SERIALS = ["WAY-AAAA-1111", "WAY-BBBB-2222", "WAY-CCCC-3333", "WAY-DDDD-4444"]
FILE = "\r\n".join(["serial number", *SERIALS, SERIALS[0].lower(), "two,columns", ""])


@pytest.fixture(
    scope="module",
    params=[
        "newcomer",  # SQLite, and messages through files
        pytest.param("shop", marks=[pytest.mark.postgres, pytest.mark.redis]),
    ],
)
def house(request):
    with contextlib.ExitStack() as stack:
        settings = {}
        if request.param == "shop":
            settings["DATABASE_URL"] = stack.enter_context(own_database())
            settings["REDIS_URL"] = stack.enter_context(own_redis())
        yield stack.enter_context(running_house(**settings))


def test_a_coupon_goes_from_a_campaign_to_a_stores_till(house, browser):
    office = open_page(browser)
    sign_in(office, f"{house.web}/admin/", "editor", house.password)

    campaign = make_campaign(office, house)
    upload_serials(office)
    activate(office, campaign)
    send(office, campaign)
    coupon = open_on_phone(browser, house)
    redeem(coupon)
    take_at_the_till(browser, house, coupon)
    see_it_used(coupon)
    read_the_records(office, campaign)

    for page in (office, coupon):
        assert complaints(page) == []


def make_campaign(office, house):
    """A marketer fills in the form, tab by tab; the campaign's address."""
    today = datetime.now(UTC).date()
    office.goto(f"{house.web}/admin/campaigns/campaign/add/")
    office.fill("#id_name", "The whole way")
    office.fill("#id_instructions", "Show it at the counter.")
    office.select_option("#id_benefit", "free")
    tab(office, "Dates")
    office.fill("#id_use_starts_at_0", f"{today - timedelta(days=1)}")
    office.fill("#id_use_ends_at_0", f"{today + timedelta(days=30)}")
    tab(office, "Serials and limits")
    office.select_option("#id_barcode", "code128")
    tab(office, "Look")
    office.fill("#id_background_colour", "#FFF6E9")
    office.get_by_role("button", name="Save", exact=True).click()
    expect(office.get_by_text("is saved as a draft")).to_be_visible()
    return office.url


def tab(office, name):
    office.locator("#campaign_form").get_by_text(name, exact=True).first.click()


def upload_serials(office):
    """The CSV is checked, its bad rows are told, and the bar fills."""
    office.get_by_role("link", name="Upload a CSV").click()
    office.set_input_files(
        "input[type=file]",
        {"name": "serials.csv", "mimeType": "text/csv", "buffer": FILE.encode()},
    )
    office.get_by_role("button", name="Check the file").click()
    confirm = office.get_by_role("button", name="Import 4 serials")
    confirm.wait_for()
    shown = office.locator("#content").inner_text()
    assert "two,columns" in shown
    assert "more than one column" in shown
    assert "twice in the file" in shown.lower()
    confirm.click()
    expect(office.get_by_text("ready", exact=True).first).to_be_visible(timeout=30_000)


def activate(office, campaign):
    office.goto(campaign)
    expect(office.locator(".bo-panel")).to_contain_text("4 of 4")
    office.get_by_role("link", name="Activate").click()
    office.get_by_role("button", name="Activate now").click()
    expect(office.get_by_text("The campaign is active")).to_be_visible()


def send(office, campaign):
    office.get_by_role("link", name="Send to contacts").click()
    office.select_option("select[name=contact_list]", label="Regulars")
    office.get_by_role("button", name="Check before sending").click()
    expect(office.get_by_text("12 contacts get this message")).to_be_visible()
    office.get_by_role("button", name="Send now").click()
    expect(office.get_by_text("tick").first).to_be_visible()
    office.check("#id_is_short_ok")
    office.get_by_role("button", name="Send now").click()
    expect(office.get_by_text("12 / 12")).to_be_visible(timeout=40_000)


def open_on_phone(browser, house):
    """The message is on the friend's phone; a tap opens the coupon."""
    counts = house.control("GET", "counts")["counts"]
    assert sorted(counts.values()) == [1] * 12
    phone = open_page(browser, phone=True)
    phone.goto(f"{house.phone}/")
    phone.get_by_role("link", name="Aiko").first.click()
    expect(phone.get_by_role("log").get_by_text("The whole way")).to_be_visible()
    with phone.context.expect_page() as opened:
        phone.get_by_role("link", name="Open coupon").click()
    coupon = opened.value
    coupon.set_default_timeout(20_000)
    watch(coupon)
    coupon.wait_for_load_state()
    expect(coupon.get_by_role("heading", name="The whole way")).to_be_visible()
    assert not coupon.context.cookies(house.web)
    return coupon


def redeem(coupon):
    """Redeem shows the first serial as text and as a barcode that a scanner reads."""
    coupon.locator("summary").get_by_text("Redeem").click()
    coupon.get_by_role("button", name="Yes, redeem now").dblclick()
    expect(coupon.locator("#serial")).to_have_text(SERIALS[0])
    coupon.reload()
    expect(coupon.locator("#serial")).to_have_text(SERIALS[0])
    shot = Image.open(io.BytesIO(coupon.locator(".symbol svg").first.screenshot()))
    read = zxingcpp.read_barcodes(
        shot, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.Code128)
    )
    assert [symbol.text for symbol in read] == [SERIALS[0]]


def take_at_the_till(browser, house, coupon):
    """Green once; then amber with when and where."""
    number = re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){2}", coupon.inner_text("main"))
    till = open_page(browser)
    sign_in(till, f"{house.web}/store/", "clerk", house.password)
    scan(till, SERIALS[0])
    expect(till.locator("[data-tone=go]")).to_contain_text("Verified")
    scan(till, number[0])
    expect(till.locator("[data-tone=wait]")).to_contain_text("Already used")
    expect(till.locator("[data-tone=wait]")).to_contain_text("at Clover Street by Aki")
    scan(till, "NO-SUCH-CODE")
    expect(till.locator("[data-tone=stop]")).to_be_visible()
    assert complaints(till) == []


def scan(till, text):
    """As a hardware scanner does: type, then Enter."""
    till.locator("#text").fill("")
    till.locator("#text").press_sequentially(text)
    till.keyboard.press("Enter")


def see_it_used(coupon):
    """The customer's page shows it on its very next look."""
    coupon.reload()
    expect(coupon.locator("main")).to_contain_text("Clover Street")
    expect(coupon.locator("#serial")).to_have_count(0)


def read_the_records(office, campaign):
    office.goto(campaign)
    office.get_by_role("link", name="Redemption records").last.click()
    office.get_by_label("Status").get_by_role("link", name="verified").click()
    row = office.locator("#result_list tbody tr", has_text=SERIALS[0])
    expect(row).to_have_count(1)
    for shown in ("Aiko", SERIALS[0], "Clover Street", "Aki Mori"):
        expect(row).to_contain_text(shown)
    with office.expect_download() as download:
        office.get_by_role("link", name="Export as CSV").click()
    raw = download.value.path().read_text(encoding="utf-8-sig")
    head, *rows = list(csv.reader(io.StringIO(raw)))
    assert len(rows) == 1
    record = dict(zip(head, rows[0], strict=True))
    for step in ("sent", "opened", "redeemed", "verified"):
        assert record[f"{step} (Asia/Tokyo)"]
    assert record["serial"] == SERIALS[0]


def test_a_friend_who_blocks_the_account_is_left_out_and_comes_back(house, browser):
    office = open_page(browser)
    sign_in(office, f"{house.web}/admin/", "editor", house.password)
    friends = house.control("GET", "friends")["friends"]
    kanya = next(f["user_id"] for f in friends if f["name"] == "Kanya")

    house.control("POST", f"friends/{kanya}/unfollow")
    wait_for_count(office, house, "11 contacts get this message")
    house.control("POST", f"friends/{kanya}/follow")
    wait_for_count(office, house, "12 contacts get this message")


def wait_for_count(office, house, words):
    for _ in range(40):
        office.goto(f"{house.web}/admin/deliveries/delivery/send/")
        office.select_option("select[name=campaign]", label="100 yen off any cake")
        office.select_option("select[name=contact_list]", label="Regulars")
        office.get_by_role("button", name="Check before sending").click()
        if office.get_by_text(words).count():
            return
        office.wait_for_timeout(500)
    raise AssertionError(f"never saw: {words}")
