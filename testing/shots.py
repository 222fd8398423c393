"""`make shot`: draws the README's picture and the gallery anew from a house that runs."""

import io
import sys

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

from run import ROOT
from testing.browsing import chromium, open_page
from testing.gallery import draw_gallery
from testing.house import RunningHouse, running_house

PICTURE = ROOT / "docs" / "screenshot.png"
GAP = 40  # px


def main() -> None:
    with running_house() as house:
        with chromium() as browser:
            picture = side_by_side(office(house, browser), *coupon(house, browser))
        picture.quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
        sys.stdout.write(f"Drew {PICTURE}\n")
        draw_gallery(house)


def office(house: RunningHouse, browser: Browser) -> bytes:
    """The campaign's page after a send."""
    page = open_page(browser)
    page.goto(f"{house.web}/admin/")
    page.fill("#id_username", "manager")
    page.fill("#id_password", house.password)
    page.click("button[type=submit]")
    page.goto(f"{house.web}/admin/deliveries/delivery/send/?campaign=1")
    page.select_option("select[name=contact_list]", label="Regulars")
    page.get_by_role("button", name="Check before sending").click()
    page.get_by_role("button", name="Send now").click()
    page.get_by_text("12 / 12").wait_for()
    page.goto(f"{house.web}/admin/campaigns/campaign/1/change/")
    return settled_shot(page)


def coupon(house: RunningHouse, browser: Browser) -> tuple[bytes, bytes]:
    """A friend's coupon, before and after Redeem."""
    phone = open_page(browser, phone=True)
    phone.goto(f"{house.phone}/")
    phone.get_by_role("link", name="Aiko").first.click()
    link = phone.get_by_role("link", name="Open coupon").last.get_attribute("href")
    phone.goto(str(link))
    before = settled_shot(phone)
    phone.locator("summary").get_by_text("Redeem").click()
    phone.get_by_role("button", name="Yes, redeem now").click()
    phone.locator("#serial").wait_for()
    return before, settled_shot(phone)


def settled_shot(page: Page) -> bytes:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    return page.screenshot()


def side_by_side(*shots: bytes) -> Image.Image:
    """The shots in a row on a plain ground, each with a thin edge."""
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    height = max(picture.height for picture in pictures) + 2 * GAP
    width = sum(picture.width + GAP for picture in pictures) + GAP
    ground = Image.new("RGB", (width, height), "#E7E9EE")
    left = GAP
    for picture in pictures:
        top = (height - picture.height) // 2
        ground.paste(picture, (left, top))
        edge = (left - 1, top - 1, left + picture.width, top + picture.height)
        ImageDraw.Draw(ground).rectangle(edge, outline="#C3C8D2")
        left += picture.width + GAP
    return ground


if __name__ == "__main__":
    main()
