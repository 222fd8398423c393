"""`make shot` draws this too: every page that customers and stores see, the campaign's
form and the pages about providers, to be looked at.

Each page, in each state and language, on a phone and on a wide screen, in daylight and at
night, goes to var/gallery/; one sheet of each theme goes into docs/. One part alone:
`python -m testing.gallery store`; the others stay as they were drawn last.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, FloatRect, Page

from run import ROOT
from testing.browsing import LAPTOP, PHONE, chromium, open_page
from testing.gallery_providers import provider_pages, publish_everywhere
from testing.house import RunningHouse, running_house

FOLDER = ROOT / "var" / "gallery"
SHEET = ROOT / "docs" / "gallery-{}.png"
PARTS = ("coupon", "store", "campaign", "provider")
STAFF = ("campaign", "provider")  # parts whose pages are the back office's
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = (PHONE, LAPTOP)
LANGUAGES = ("en", "ja", "zh-hant", "th", "ko")
NO_DITHER = Image.Dither.NONE
LONGEST = 4_000  # px of a picture's height


@dataclass(frozen=True)
class Rows:
    """What was put into the house: coupons' tokens and numbers by what they show."""

    store_id: int
    campaign_id: int
    tokens: dict[str, str]
    # Of each language of the staff, and of customers: a scan uses a coupon up, and so do five wrong passwords.
    numbers: dict[str, dict[str, str]]
    locked: dict[str, str]


def main() -> None:
    with running_house() as house:
        draw_gallery(house, sys.argv[1:] or PARTS)


def draw_gallery(house: RunningHouse, parts: Sequence[str] = PARTS) -> None:
    languages = languages_of(house)
    if set(parts) == set(PARTS):
        shutil.rmtree(FOLDER, ignore_errors=True)
    if "provider" in parts:  # before there are other accounts than the example's
        with chromium() as browser:
            for name, page in pages_of_providers(house, browser, languages):
                shoot(page, name)
    rows = fill()  # outside: Playwright's loop would keep Django from its database
    with chromium() as browser:
        for name, page in every_page(house, browser, rows, parts):
            shoot(page, name)
    for theme in THEMES:
        picture = sheet(theme)
        path = Path(str(SHEET).format(theme))
        few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=NO_DITHER)
        few.save(path, optimize=True)
        sys.stdout.write(f"Drew {path}, {path.stat().st_size // 1024} KB\n")
    sys.stdout.write(f"Drew {len(list(FOLDER.rglob('*.png')))} pages in {FOLDER}\n")


def languages_of(house: RunningHouse) -> Sequence[str]:
    """The staff's; from here on the house's own database can be written to."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "couponadmin.settings",
        "ENV_FILE": str(house.var.parent / ".env"),
        "PROCESS_ROLE": "command",
    }
    import django

    django.setup()
    from django.conf import settings

    return list(settings.STAFF_LANGUAGES)


def fill() -> Rows:
    """Put a coupon in each state into the house's own database."""
    from django.conf import settings

    from campaigns.models import Campaign
    from stores.models import Store
    from testing.states import make_locked, make_one_of_each, make_scanned

    store = Store.objects.order_by("pk").first()
    return Rows(
        store_id=store.pk,
        campaign_id=Campaign.objects.order_by("pk").first().pk,
        tokens=make_one_of_each(store),
        numbers={each: make_scanned(store) for each in settings.STAFF_LANGUAGES},
        locked={language: make_locked(store) for language in LANGUAGES},
    )


# --- the pages --------------------------------------------------------------------------


def every_page(
    house: RunningHouse, browser: Browser, rows: Rows, parts: Sequence[str]
) -> Iterator[tuple[str, Page]]:
    """Each page as it stands, with its name."""
    if "coupon" in parts:
        yield from coupon_pages(house, browser, rows)
    for part, pages in (("store", store_pages), ("campaign", campaign_pages)):
        for language in rows.numbers if part in parts else ():
            page = open_page(browser, locale=language)
            for name in pages(house, page, rows, language):
                yield f"{part}, {name}, {language}", page
            page.context.close()


def coupon_pages(
    house: RunningHouse, browser: Browser, rows: Rows
) -> Iterator[tuple[str, Page]]:
    page = open_page(browser)
    for language in LANGUAGES:
        query = f"?lang={language}"
        for state, token in rows.tokens.items():
            page.goto(f"{house.web}/c/{token}{query}")
            yield f"coupon, {state}, {language}", page
        page.goto(f"{house.web}/c/{rows.tokens['ready']}{query}")
        page.locator("details.redeem summary").click()
        yield f"coupon, ready, question, {language}", page
        page.goto(f"{house.web}/c/{rows.locked[language]}{query}")
        page.locator("#password").fill("wrong")
        page.locator("#use button").click()
        page.locator("#use-problem").wait_for()
        yield f"coupon, wrong password, {language}", page
        page.goto(f"{house.web}/c/{'x' * 24}{query}")
        yield f"coupon, unknown, {language}", page
    page.context.close()


def store_pages(
    house: RunningHouse, page: Page, rows: Rows, language: str
) -> Iterator[str]:
    page.goto(f"{house.web}/store/sign-in")
    yield "sign in"
    sign_in(page, "clerk", house.password)
    page.goto(f"{house.web}/store/")
    yield "home"
    for reason, text in rows.numbers[language].items():
        page.goto(f"{house.web}/store/{rows.store_id}/")
        page.locator("#text").fill(text)
        page.locator("#scan button.main").click()
        page.locator("#answer [data-reason]").wait_for()
        yield f"answer {reason}"
    page.goto(f"{house.web}/store/{rows.store_id}/today")
    yield "today"
    take_back = page.locator("a[href*='take-back']")
    if take_back.count():
        take_back.first.click()
        page.wait_for_load_state()
        yield "take back"


def campaign_pages(
    house: RunningHouse, page: Page, rows: Rows, language: str
) -> Iterator[str]:
    page.goto(f"{house.web}/admin/")
    sign_in(page, "manager", house.password)
    page.goto(f"{house.web}/admin/campaigns/campaign/add/")
    page.wait_for_load_state("networkidle")
    yield "new"
    page.goto(f"{house.web}/admin/campaigns/campaign/{rows.campaign_id}/change/")
    page.wait_for_load_state("networkidle")
    yield "page"


def pages_of_providers(
    house: RunningHouse, browser: Browser, languages: Iterable[str]
) -> Iterator[tuple[str, Page]]:
    """A campaign is published first, in the first of the languages."""
    campaign = ""
    for language in languages:
        page = open_page(browser, locale=language)
        page.goto(f"{house.web}/admin/")
        sign_in(page, "manager", house.password)
        campaign = campaign or publish_everywhere(house, page)
        for name in provider_pages(house, page, campaign):
            yield f"provider, {name}, {language}", page
        page.context.close()


def sign_in(page: Page, name: str, password: str) -> None:
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.locator("button.main, button[type=submit]").first.click()
    page.wait_for_load_state()


# --- the pictures -----------------------------------------------------------------------


def path_of(name: str, theme: str, width: int) -> Path:
    words = re.sub("[^a-zA-Z0-9_]+", "-", name)
    return FOLDER / f"{theme}-{width}" / f"{words}.png"


def shoot(page: Page, name: str) -> None:
    """The page as it stands, in both widths and both themes."""
    page.wait_for_load_state()
    for size in SIZES:
        page.set_viewport_size(size)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            if name.startswith(STAFF):  # it looks for its theme when it loads
                page.reload(wait_until="networkidle")
            path = path_of(name, theme, size["width"])
            path.parent.mkdir(parents=True, exist_ok=True)
            height = page.evaluate("document.documentElement.scrollHeight")
            tall = min(max(height, size["height"]), LONGEST)
            if name.startswith(STAFF):  # its bars stick to the window's edges
                page.set_viewport_size({"width": size["width"], "height": tall})
            clip: FloatRect = {"x": 0, "y": 0, "width": size["width"], "height": tall}
            page.screenshot(path=path, full_page=True, clip=clip)


# What one sheet shows of the gallery, row by row.
PHONES = [
    "coupon, not_started, en",
    "coupon, ready, en",
    "coupon, ready, picture, en",
    "coupon, ready, question, en",
    "coupon, redeemed, en",
    "coupon, redeemed, fixed, en",
    "coupon, redeemed, button, en",
    "coupon, wrong password, en",
    "coupon, verified, en",
    "coupon, expired, en",
    "coupon, campaign_paused, en",
    "coupon, out_of_stock, en",
    "coupon, limit_reached, en",
    "coupon, revoked, en",
    "coupon, unknown, en",
    "coupon, ready, ja",
    "coupon, ready, zh-hant",
    "coupon, ready, th",
    "coupon, ready, ko",
    "store, answer ok, en",
    "store, answer already_verified, en",
    "store, answer invalid, en",
    "store, today, en",
    "campaign, new, en",
    "provider, before publishing, en",
    "provider, published, en",
    "provider, a coupon, en",
    "provider, codes, en",
    "provider, take back, en",
    "provider, sync, en",
    "provider, differences, en",
    "provider, history, en",
]
LAPTOPS = [
    "coupon, ready, en",
    "store, answer ok, en",
    "campaign, new, en",
    "provider, published, en",
    "provider, codes, en",
    "provider, sync, en",
]
ACROSS, ACROSS_WIDE = 8, 3
THUMB = (195, 422)  # px: half a phone
WIDE = (544, 382)
GAP, LABEL = 16, 26
GROUNDS = {"light": ("#E7E9EE", "#1B2027"), "dark": ("#2A2E36", "#F0F2F5")}


def sheet(theme: str) -> Image.Image:
    """The gallery's main pages side by side, small, each with its name."""
    ground, ink = GROUNDS[theme]
    rows_of_phones = -(-len(PHONES) // ACROSS)
    width = ACROSS * (THUMB[0] + GAP) + GAP
    rows_of_laptops = -(-len(LAPTOPS) // ACROSS_WIDE)
    height = rows_of_phones * (THUMB[1] + LABEL + GAP) + GAP
    height += rows_of_laptops * (WIDE[1] + LABEL + GAP)
    picture = Image.new("RGB", (width, height), ground)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for n, name in enumerate(PHONES):
        left = GAP + n % ACROSS * (THUMB[0] + GAP)
        top = GAP + n // ACROSS * (THUMB[1] + LABEL + GAP)
        picture.paste(thumb(path_of(name, theme, PHONE["width"]), THUMB), (left, top))
        pen.text((left, top + THUMB[1] + 6), words_of(name), fill=ink, font=font)
    below = GAP + rows_of_phones * (THUMB[1] + LABEL + GAP)
    for n, name in enumerate(LAPTOPS):
        left = GAP + n % ACROSS_WIDE * (WIDE[0] + GAP)
        top = below + n // ACROSS_WIDE * (WIDE[1] + LABEL + GAP)
        picture.paste(thumb(path_of(name, theme, LAPTOP["width"]), WIDE), (left, top))
        pen.text((left, top + WIDE[1] + 6), words_of(name), fill=ink, font=font)
    return picture


def thumb(path: Path, size: tuple[int, int]) -> Image.Image:
    """The top of the page, as much as its screen shows."""
    with Image.open(path) as page:
        shown = page.convert("RGB").crop(
            (0, 0, page.width, round(page.width * size[1] / size[0]))
        )
    return shown.resize(size, Image.Resampling.LANCZOS)


def words_of(name: str) -> str:
    return name.removesuffix(", en").replace("_", " ")


if __name__ == "__main__":
    main()
