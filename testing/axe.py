"""axe-core in a test's browser: what on a page keeps people out."""

from functools import cache
from importlib.resources import files

from playwright.sync_api import Page

WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """tags => axe.run({ runOnly: { type: "tag", values: tags } }).then(
  found => found.violations.map(({ id, help, nodes }) => [id, help, nodes.map(
    node => node.html.slice(0, 200) + " " + (node.failureSummary ?? ""))])
)"""


@cache
def script() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def inject(page: Page) -> None:
    """Once a page: by the driver, so that the page's own policy stays in force."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(script())


def violations(page: Page) -> list[str]:
    """What breaks WCAG 2.2 AA on the page as it is now, one line each."""
    inject(page)
    return [
        f"{rule}: {words}\n    " + "\n    ".join(places)
        for rule, words, places in page.evaluate(RUN, WCAG_22_AA)
    ]
