"""The pages for when something is wrong: they need nothing that may be wrong too."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

PAGES = ["400.html", "403.html", "404.html", "500.html", "503.html"]


@pytest.mark.parametrize("name", PAGES)
def test_a_plain_page_is_whole_without_any_context(name):
    with translation.override("ja"):
        html = render_to_string(name)

    assert '<html lang="ja">' in html
    assert html.count("<h1>") == 1
    assert len(re.findall(r"<p>\S[^<]{20,}</p>", html)) == 1
    assert "<script" not in html
    assert "<style" not in html
    assert "noindex" in html


def test_the_style_they_link_to_exists_under_its_plain_name():
    html = render_to_string("500.html")

    [href] = re.findall(r'rel="stylesheet" href="([^"]+)"', html)
    assert href.startswith(settings.STATIC_URL)
    path = Path(settings.BASE_DIR) / "static" / href.removeprefix(settings.STATIC_URL)
    assert path.is_file()


def test_style_and_script_of_the_customers_page_are_small():
    folder = Path(settings.BASE_DIR) / "static" / "coupons"

    assert sum(file.stat().st_size for file in folder.iterdir()) < 18_500
