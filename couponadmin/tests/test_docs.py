"""What the documents name is there: files, and pages that they lead to."""

import re

import pytest

from run import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# A path as it is written in a page; `shop` stands for a provider that is to come.
PATH = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_0-9-]+\.(?:py|md|html|css|js))?)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def problems(page, text):
    """What the page names and is not there."""
    named = {path for path in PATH.findall(text) if "shop" not in path}
    named -= {path for path in named if path.startswith("var/")}
    lost = [path for path in sorted(named) if not (ROOT / path).exists()]
    linked = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    return lost + linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page):
    assert problems(page, page.read_text()) == []


def test_a_lost_file_is_found():
    page = ROOT / "README.md"

    assert problems(page, "`sync/nowhere.py` and [more](docs/nothing.md)") == [
        "sync/nowhere.py",
        "docs/nothing.md",
    ]


def test_the_guide_to_a_new_provider_names_files_of_every_part():
    text = (ROOT / "docs" / "adding-a-provider.md").read_text()

    parts = {path.partition("/")[0] for path in PATH.findall(text)}

    assert {"sandbox", "providers", "connections", "sync", "reports"} <= parts
