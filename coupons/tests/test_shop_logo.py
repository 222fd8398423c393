"""The shop's logo: a picture of the operator's, served by us alone."""

import re
import time

import pytest
from django.core.checks import run_checks
from PIL import Image

from coupons.logo import LogoError, read_logo, shop_logo
from coupons.tests.page_helpers import body, see
from testing.factories import make_campaign, make_coupon, make_serials


@pytest.fixture
def logo(tmp_path, settings):
    path = tmp_path / "logo.png"
    Image.new("RGBA", (300, 100), "red").save(path)
    settings.SHOP_LOGO = str(path)
    return path


@pytest.fixture
def coupon():
    campaign = make_campaign()
    make_serials(campaign, ["LATTE-0001"])
    return make_coupon(campaign, status="sent")


def complaints():
    return [error.msg for error in run_checks() if error.id == "couponadmin.E008"]


@pytest.mark.django_db
def test_it_stands_in_place_of_the_name_which_screen_readers_hear(client, coupon, logo):
    html = body(see(client, coupon))

    [header] = re.findall('<header class="shop">(.*?)</header>', html)
    [src] = re.findall(
        '<img src="([^"]+)" alt="Test shop" width="300" height="100">', header
    )
    picture = client.get(src)
    assert picture.content == logo.read_bytes()
    assert picture["Content-Type"] == "image/png"
    assert picture["Cache-Control"] == "public, max-age=31536000, immutable"
    assert not picture.cookies
    assert complaints() == []


@pytest.mark.django_db
def test_another_picture_has_another_address(client, coupon, logo):
    first = shop_logo().url
    time.sleep(0.01)
    Image.new("RGB", (30, 30), "blue").save(logo, "JPEG")

    second = shop_logo().url

    assert second.endswith(".jpg")
    assert second in body(see(client, coupon))
    assert client.get(first).status_code == 404
    assert client.get(second)["Content-Type"] == "image/jpeg"


def gif(path):
    Image.new("P", (10, 10)).save(path, "GIF")


def huge(path):
    Image.new("1", (2001, 10)).save(path)


def heavy(path):
    Image.effect_noise((600, 600), 90).save(path)


def broken(path):
    Image.effect_noise((60, 60), 90).save(path)
    path.write_bytes(path.read_bytes()[:600])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.unlink(), "is not there, or can't be read."),
        (lambda path: path.write_text("<svg/>"), "is no PNG or JPG picture."),
        (gif, "is no PNG or JPG picture."),
        (broken, "is no PNG or JPG picture."),
        (huge, "is more than 2000 pixels wide or high."),
        (heavy, "is larger than 100 KB."),
    ],
    ids=["missing", "svg", "gif", "broken", "huge", "heavy"],
)
def test_a_file_that_is_none_is_told_at_the_start_and_the_page_shows_the_name(
    client, coupon, logo, spoil, why
):
    spoil(logo)

    [told] = complaints()
    assert told == f"SHOP_LOGO: {logo} {why}"
    assert '<header class="shop"><p dir="auto">Test shop</p>' in body(
        see(client, coupon)
    )
    assert client.get("/media/shop/logo-0123456789abcdef.png").status_code == 404


def test_a_folder_or_a_strange_path_is_no_logo(tmp_path):
    for name in (str(tmp_path), "\x00", "x" * 5000):
        with pytest.raises(LogoError):
            read_logo(name)


def test_without_the_setting_there_is_none(settings):
    settings.SHOP_LOGO = ""

    assert shop_logo() is None
    assert complaints() == []
