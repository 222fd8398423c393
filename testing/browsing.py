"""Chromium, as Debian ships it, driven by Playwright."""

import contextlib
import os
from collections.abc import Iterator

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    sync_playwright,
)

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
PHONE: ViewportSize = {"width": 390, "height": 844}
LAPTOP: ViewportSize = {"width": 1280, "height": 900}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def open_page(browser: Browser, *, phone: bool = False, **options) -> Page:
    """A page in a context of its own: own cookies, watched for CSP reports."""
    context: BrowserContext = browser.new_context(
        viewport=PHONE if phone else LAPTOP, locale="en-GB", **options
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    watch(page)
    return page


def watch(page: Page) -> None:
    """Collect what the page complains of; `complaints(page)` gives it back."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "console",
        lambda message: found.append(message.text) if message.type == "error" else None,
    )
    page.complaints = found  # type: ignore[attr-defined]


def complaints(page: Page) -> list[str]:
    """Script errors and refused contents; a 4xx answer on purpose is not one."""
    found: list[str] = page.complaints  # type: ignore[attr-defined]
    return [
        text for text in found if "the server responded with a status of 4" not in text
    ]
