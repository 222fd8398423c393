"""Chromium, as Debian ships it, driven by Playwright."""

import contextlib
import os
from collections.abc import Iterator

from django.conf import settings
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    sync_playwright,
)

from testing import refusals

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
PHONE: ViewportSize = {"width": 390, "height": 844}
LAPTOP: ViewportSize = {"width": 1280, "height": 900}

# A browser's own line about a refusal is in its own words, and it has none for some.
POLICY = "Content Security Policy"
TELL_OF_REFUSALS = f"""
addEventListener("securitypolicyviolation", ({{ effectiveDirective, blockedURI }}) =>
  console.error(`{POLICY}: ${{effectiveDirective}} refused ${{blockedURI}}`));
"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def open_page(
    browser: Browser, *, phone: bool = False, locale: str = "en-GB", **options
) -> Page:
    """A page in a context of its own: own cookies, watched for CSP reports.

    A test in which there is one fails, whether it asks for `complaints` or not.
    """
    options = {"viewport": PHONE if phone else LAPTOP, "locale": locale} | options
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(20_000)
    watch_policy(context)
    page = context.new_page()
    watch(page)
    return page


@contextlib.contextmanager
def visiting(browser: Browser, **options) -> Iterator[Page]:
    """A page of `open_page` that must not have complained when the block is over."""
    page = open_page(browser, **options)
    yield page
    found = complaints(page)
    page.context.close()
    assert found == []


def sign_in(page: Page, address: str, name: str, password: str) -> None:
    """Fill in the form that is met at this address: the office's or the store's."""
    page.goto(address)
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    with page.expect_navigation():
        page.locator("button.main, button[type=submit]").first.click()


def let_in(page: Page, address: str, client: Client) -> None:
    """Give the page the session of a client that has signed in at this site."""
    name = settings.SESSION_COOKIE_NAME
    value = client.cookies[name].value
    page.context.add_cookies([{"name": name, "value": value, "url": address}])


def watch_policy(context: BrowserContext) -> None:
    """Note what the policies of all its pages refuse, of those that they open too."""
    context.add_init_script(TELL_OF_REFUSALS)
    context.on("console", note_refusal)


def note_refusal(message: ConsoleMessage) -> None:
    if POLICY in message.text:
        refusals.note(message.text)


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
