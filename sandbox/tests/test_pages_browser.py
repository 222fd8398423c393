"""The pages in Chromium, with script and without: every button does its work."""

import pytest
import requests
from playwright.sync_api import expect

from sandbox.tests.browsing import press
from sandbox.tests.client import card, push
from sandbox.tests.conftest import HANA

pytestmark = pytest.mark.browser


def state_of(line, user_id):
    rows = requests.get(f"{line.url}/_control/friends", timeout=5).json()["friends"]
    return next(row for row in rows if row["user_id"] == user_id)


def test_who_presses_block_gets_nothing_until_they_unblock(line, page):
    page.goto(f"{line.url}/phone/{HANA}")

    press(page, "Block")
    expect(page.get_by_text("Hana blocked Sandbox")).to_be_visible()
    push(line)
    blocked = state_of(line, HANA)
    press(page, "Unblock")
    expect(page.get_by_role("button", name="Block", exact=True)).to_be_visible()
    push(line)

    assert [blocked["state"], blocked["undelivered"]] == ["blocked", 1]
    assert state_of(line, HANA)["state"] == "follows"
    assert len(line.messages(HANA)) == 1
    assert [row["type"] for row in line.webhook_log()] == ["unfollow", "follow"]


def test_a_fault_is_switched_on_and_off(line, page):
    page.goto(f"{line.url}/faults")

    page.get_by_label("What happens").select_option("500")
    press(page, "Switch on")
    expect(page.get_by_text("1 fault on")).to_be_visible()
    struck = push(line)
    press(page, "Switch off")
    expect(page.get_by_text("All calls work as they should.")).to_be_visible()
    taken = push(line)

    assert [struck.status_code, taken.status_code] == [500, 200]


def test_an_event_is_posted_again(line, shop, page):
    line.add_channel(webhook_url=shop.url)
    line.say(HANA, "coupon")
    line.wait_for_webhooks()
    page.goto(f"{line.url}/faults")

    press(page, "Again")
    expect(page.get_by_role("heading", name="Let something go wrong")).to_be_visible()
    line.wait_for_webhooks()

    assert [done["is_redelivery"] for done in line.webhook_log()[0]["tries"]] == [
        False,
        True,
    ]


def test_a_new_friend_has_a_phone_and_follows(line, page):
    page.goto(line.url)

    page.get_by_label("New friend’s name").fill("Mei")
    press(page, "Add friend")

    expect(page.get_by_text("on Mei’s phone")).to_be_visible()
    assert state_of(line, page.url.rpartition("/")[2])["state"] == "follows"


def test_a_message_is_written_and_stands_in_the_chat(line, page):
    page.goto(f"{line.url}/phone/{HANA}")

    page.get_by_label("Write a message").fill("coupon")
    press(page, "Send")

    chat = page.get_by_role("log", name="Messages")
    expect(chat.get_by_text("coupon", exact=True)).to_be_visible()
    expect(page.get_by_label("Write a message")).to_have_value("")
    assert [row["message"]["text"] for row in line.chat(HANA)] == ["coupon"]


def test_a_hero_image_fills_the_width_of_its_bubble(line, page):
    message = card()
    message["contents"]["hero"] = {
        "type": "image",
        "url": f"{line.url}/static/icon.svg",
        "size": "full",
        "aspectRatio": "20:13",
        "aspectMode": "cover",
    }
    assert push(line, HANA, message).status_code == 200

    page.goto(f"{line.url}/phone/{HANA}")

    picture = page.locator(".block-hero img")
    expect(picture).to_have_css("object-fit", "cover")
    shown = picture.bounding_box()
    bubble = page.locator(".bubble").bounding_box()
    assert shown["width"] == pytest.approx(bubble["width"], abs=2)
    assert shown["width"] / shown["height"] == pytest.approx(20 / 13, abs=0.02)


@pytest.mark.parametrize("policy", ["no-referrer", "origin"])
def test_a_form_of_another_site_is_refused(line, browser, policy):
    form = f'<form method="post" action="{line.url}/phone/{HANA}/block">'
    with browser.new_page() as page:
        page.route(
            "http://evil.example/",
            lambda route: route.fulfill(
                content_type="text/html",
                headers={"Referrer-Policy": policy},
                body=f"{form}<button>Win</button></form>",
            ),
        )
        page.goto("http://evil.example/")

        with page.expect_response(f"**/phone/{HANA}/block") as refused:
            press(page, "Win")

        assert refused.value.status == 403
    assert state_of(line, HANA)["state"] == "follows"
