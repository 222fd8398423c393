"""Whatever a page's content policy refuses is noticed, in every way it can be told."""

import pytest

from testing import refusals
from testing.browsing import complaints, open_page

pytestmark = pytest.mark.browser

ADDRESS = "https://shop.example/"
POLICY = "default-src 'none'; style-src 'self'; form-action 'none'"
PAGES = {
    "inline style": "<p style='color:red'>",
    "inline script": "<script>document.title = 1</script>",
    "picture": "<img src='https://other.example/a.png'>",
    "frame": "<iframe src='https://other.example/'></iframe>",
    "style sheet": "<link rel=stylesheet href='https://other.example/a.css'>",
}


def shown(page, body):
    page.route(
        "**/*",
        lambda route: route.fulfill(
            body=f"<!doctype html><title>x</title>{body}",
            content_type="text/html",
            headers={"Content-Security-Policy": POLICY},
        ),
    )
    page.goto(ADDRESS)
    page.wait_for_timeout(100)


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("what", PAGES)
def test_what_a_policy_refuses_is_noted_and_complained_of(browser, what, script):
    page = open_page(browser, java_script_enabled=script)
    if what == "inline script" and not script:
        page.context.close()
        return

    shown(page, PAGES[what])

    assert complaints(page)
    assert refusals.take()
    page.context.close()


def test_an_event_alone_is_enough(browser):
    page = open_page(browser)
    shown(page, "")

    page.evaluate(
        """() => document.dispatchEvent(new SecurityPolicyViolationEvent(
            "securitypolicyviolation",
            { effectiveDirective: "img-src", blockedURI: "x:", bubbles: true,
              documentURI: "x:", violatedDirective: "img-src", originalPolicy: "p",
              disposition: "enforce", statusCode: 200 }))"""
    )
    page.wait_for_timeout(100)

    assert complaints(page) == refusals.take() != []
    page.context.close()


def test_a_page_opened_by_another_is_watched_too(browser):
    page = open_page(browser)
    shown(page, "")
    page.context.route(
        "**/*",
        lambda route: route.fulfill(
            body=PAGES["inline style"],
            content_type="text/html",
            headers={"Content-Security-Policy": POLICY},
        ),
    )

    with page.expect_popup() as opened:
        page.evaluate("() => void open('/other')")
    opened.value.wait_for_load_state()
    page.wait_for_timeout(100)

    assert refusals.take()
    page.context.close()


def test_a_page_that_keeps_to_its_policy_is_not_complained_of(browser):
    page = open_page(browser)

    shown(page, "<p>Hello")

    assert complaints(page) == []
    page.context.close()
