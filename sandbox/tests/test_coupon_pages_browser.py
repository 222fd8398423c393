"""The pages of native coupons in Chromium, with script and without."""

import re

import pytest
from playwright.sync_api import expect

from sandbox.tests.assertions import jwk_of, new_key
from sandbox.tests.browsing import press
from sandbox.tests.client import LOTTERY, created, get, push
from sandbox.tests.conftest import HANA, KEN
from sandbox.tests.pictures import Gallery, new_photo

pytestmark = pytest.mark.browser

PHOTO = new_photo()


def follow(page, name):
    page.get_by_role("link", name=name, exact=True).click()


def state_is(page, words):
    expect(page.locator(".state")).to_have_text(words)


def open_coupon(line, page, coupon_id, user_id=HANA):
    page.goto(f"{line.url}/phone/{user_id}/coupon/{coupon_id}")


# The manager


def test_a_coupon_made_by_hand_is_what_was_typed(line, page, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(PHOTO)
    page.goto(f"{line.url}/coupons")
    follow(page, "New coupon")
    page.get_by_label("Condition", exact=True).select_option("lottery")
    page.get_by_label("Chance to win, %").fill("30")
    page.get_by_label("Most winners").fill("500")
    page.get_by_label("Name").fill("Spring cake")
    page.get_by_label("Photo").set_input_files(photo)
    page.get_by_label("Guide").fill("- Show this.\n- Once.")
    page.get_by_label("From").fill("2026-03-01T10:00")
    page.get_by_label("Until").fill("2099-03-31T23:59")
    page.get_by_label("Time zone").select_option("ASIA_TAIPEI")
    page.get_by_label("Kind").select_option("discount explicit")
    page.get_by_label("Price before").fill("500")
    page.get_by_label("Price after").fill("380")
    page.get_by_label("Use", exact=True).select_option("-1")
    page.get_by_label("In LINE’s lists").select_option("PUBLIC")
    page.get_by_label("Coupon code").fill("CAKE380")
    page.get_by_label("Usage condition").fill("From 1,000 yen")

    press(page, "Publish")

    state_is(page, "Valid")
    [told] = line.coupons()
    assert told.pop("imageUrl")
    assert told.pop("couponId") in page.url
    assert told.pop("createdTimestamp")
    assert told == {
        "title": "Spring cake",
        "description": "- Show this.\n- Once.",
        "acquisitionCondition": {
            "type": "lottery",
            "lotteryProbability": 30,
            "maxAcquireCount": 500,
        },
        "startTimestamp": 1772330400,
        "endTimestamp": 4078655940,
        "timezone": "ASIA_TAIPEI",
        "couponCode": "CAKE380",
        "maxUseCountPerTicket": -1,
        "maxTicketPerUser": 1,
        "visibility": "PUBLIC",
        "reward": {
            "type": "discount",
            "priceInfo": {
                "type": "explicit",
                "originalPrice": 500,
                "priceAfterDiscount": 380,
                "currency": "JPY",
            },
        },
        "usageCondition": "From 1,000 yen",
        "status": "RUNNING",
    }


def test_a_draft_is_saved_edited_published_and_stopped(line, page):
    page.goto(f"{line.url}/coupons/new")
    page.get_by_label("Condition", exact=True).select_option("referral")
    page.get_by_label("Most for one person").fill("3")
    page.get_by_label("Name").fill("Bring a friend")
    page.get_by_label("Kind").select_option("cashBack percentage")
    page.get_by_label("Per cent").fill("10")
    press(page, "Save as draft")
    state_is(page, "Draft")
    drafted = line.coupons()[0]

    follow(page, "Edit")
    expect(page.get_by_label("Most for one person")).to_have_value("3")
    expect(page.get_by_label("Per cent")).to_have_value("10")
    page.get_by_label("Name").fill("Bring two friends")
    press(page, "Save as draft")
    press(page, "Publish")
    state_is(page, "Valid")
    published = line.coupons()[0]
    press(page, "Stop this coupon")
    state_is(page, "Stopped")

    assert drafted["acquisitionCondition"] == {"type": "referral"}
    assert (drafted["status"], drafted["maxTicketPerUser"]) == ("DRAFT", 3)
    assert published["title"] == "Bring two friends"
    assert published["status"] == "RUNNING"
    assert published["couponId"] == drafted["couponId"]
    assert line.coupons()[0]["status"] == "CLOSED"


def test_a_draft_is_deleted(line, page):
    draft = line.make_coupon(is_draft=True)
    page.goto(f"{line.url}/coupons/{draft}")

    press(page, "Delete")

    expect(page.get_by_text("No coupons yet.")).to_be_visible()
    assert line.coupons() == []


def test_the_list_is_narrowed_to_a_state(line, page):
    line.make_coupon(title="A running one")
    line.make_coupon(title="A draft", is_draft=True)
    page.goto(f"{line.url}/coupons")

    page.get_by_label("State").select_option("draft")
    press(page, "Show")

    expect(page.get_by_role("link", name="A draft")).to_be_visible()
    expect(page.get_by_role("link", name="A running one")).to_have_count(0)


def test_a_public_key_is_registered_and_removed(line, page):
    page.goto(f"{line.url}/account")

    page.get_by_label("Public key").fill(repr(jwk_of(new_key())).replace("'", '"'))
    press(page, "Register key")
    expect(page.get_by_role("button", name="Remove")).to_be_visible()
    registered = line.add_channel()["public_keys"]
    press(page, "Remove")
    expect(page.get_by_text("No key is registered.")).to_be_visible()

    assert len(registered) == 1
    assert line.add_channel()["public_keys"] == {}


# The phone


def test_a_coupon_message_is_a_card_that_leads_to_its_use(line, page):
    with_picture = Gallery()
    with_picture.pictures["/a.png"] = PHOTO
    coupon_id = created(
        line,
        imageUrl=f"{with_picture.url}/a.png",
        barcodeImageUrl=f"{with_picture.url}/a.png",
        couponCode="CAKE100",
    )
    with_picture.close()
    message = {"type": "coupon", "couponId": coupon_id, "deliveryTag": "spring_1"}
    assert push(line, HANA, message).status_code == 200
    page.goto(f"{line.url}/phone/{HANA}")
    card = page.get_by_role("link", name="Friends-only coupon")
    picture = card.locator("img").bounding_box()
    expect(page.get_by_text("CAKE100")).to_have_count(0)

    card.click()
    expect(page.get_by_text("CAKE100")).to_have_count(0)
    press(page, "Get coupon")
    expect(page.get_by_text("CAKE100")).to_be_visible()
    expect(page.get_by_alt_text("Barcode for the till")).to_be_visible()
    follow(page, "Use coupon")
    follow(page, "Not yet")
    follow(page, "Use coupon")
    press(page, "Use now")

    expect(page.get_by_text(re.compile(r"^Used on \d"))).to_be_visible()
    expect(page.get_by_text("CAKE100")).to_have_count(0)
    assert picture["width"] / picture["height"] == pytest.approx(1.51, abs=0.02)
    page.goto(f"{line.url}/coupons/{coupon_id}")
    row = page.get_by_role("row").filter(has_text="spring_1")
    expect(row.locator(".number")).to_have_text(["1", "1", "1"])


def test_a_phone_shows_what_it_holds_and_what_is_public(line, page):
    held = line.make_coupon(title="Mine")
    line.acquire(held, HANA)
    line.make_coupon(title="For everybody", visibility="PUBLIC")
    line.make_coupon(title="By message alone")
    line.make_coupon(title="Not yet", visibility="PUBLIC", is_draft=True)
    page.goto(f"{line.url}/phone/{HANA}")

    follow(page, "Coupons")

    shelves = page.locator(".shelf")
    expect(shelves.nth(0).get_by_role("link")).to_have_text([re.compile("Mine")])
    expect(shelves.nth(1).get_by_role("link")).to_have_text(
        [re.compile("For everybody")]
    )
    shelves.nth(1).get_by_role("link").click()
    press(page, "Get coupon")
    page.goto(f"{line.url}/phone/{HANA}/coupons")
    expect(page.locator(".shelf")).to_have_count(1)


def test_a_lot_is_drawn_once_and_lost_or_won(line, page):
    coupon_id = created(line, acquisitionCondition=LOTTERY)
    line.decide_draws(False, True)

    open_coupon(line, page, coupon_id)
    press(page, "Draw a lot")
    expect(page.get_by_text("No luck this time.")).to_be_visible()
    expect(page.get_by_role("button", name="Draw a lot")).to_have_count(0)
    open_coupon(line, page, coupon_id, KEN)
    press(page, "Draw a lot")

    expect(page.get_by_role("link", name="Use coupon")).to_be_visible()


def test_one_without_limit_can_be_used_again(line, page):
    coupon_id = created(line, maxUseCountPerTicket=-1)
    open_coupon(line, page, coupon_id)
    press(page, "Get coupon")

    for times in ("1 time", "2 times"):
        follow(page, "Use coupon")
        press(page, "Use now")
        expect(page.get_by_text(f"used {times} so far")).to_be_visible()


def test_who_invites_a_friend_gets_one_and_the_friend_too(line, shop, page):
    line.add_channel(webhook_url=shop.url)
    coupon_id = line.make_coupon(
        acquisitionCondition={"type": "referral"}, maxTicketPerUser=2
    )
    open_coupon(line, page, coupon_id)

    for name in ("Mei", "Aoi"):
        page.get_by_label("A friend’s name").fill(name)
        press(page, "Invite")
    expect(page.get_by_text("2 of 2 left")).to_be_visible()
    expect(page.get_by_label("A friend’s name")).to_have_count(0)
    line.wait_for_webhooks()

    assert [row["type"] for row in line.webhook_log()] == ["follow", "follow"]
    page.goto(f"{line.url}/coupons/{coupon_id}")
    row = page.get_by_role("row").filter(has_text="Unknown")
    expect(row.locator(".number").nth(1)).to_have_text("4")


@pytest.mark.parametrize("held", [True, False])
def test_a_coupon_that_is_over_says_so_and_offers_nothing(line, page, held):
    stopped = created(line)
    expired = created(line, endTimestamp=line.now() + 60)
    if held:
        for coupon_id in (stopped, expired):
            line.acquire(coupon_id, HANA)
    line.stop_coupon(stopped)
    line.advance(61)

    for coupon_id, words in (
        (stopped, "This coupon was discontinued."),
        (expired, "This coupon has expired."),
    ):
        open_coupon(line, page, coupon_id)
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.locator(".ticket button, .ticket .as-button")).to_have_count(0)
    assert get(line, f"coupon/{expired}").json()["status"] == "CLOSED"


def test_what_a_coupon_says_brings_no_markup(line, page):
    evil = "<img src=x onerror=alert(1)>"
    coupon_id = created(line, title=evil, description=evil, usageCondition=evil)
    push(line, HANA, {"type": "coupon", "couponId": coupon_id})

    for path in (
        f"/phone/{HANA}",
        f"/phone/{HANA}/coupon/{coupon_id}",
        "/coupons",
        f"/coupons/{coupon_id}",
    ):
        page.goto(line.url + path)
        expect(page.get_by_text(evil).first).to_be_visible()
        expect(page.locator("img[src=x]")).to_have_count(0)
