"""What a till reads from the page: every symbol, back to the exact text."""

import re

import pytest

from campaigns.tests.test_look import read, screenshot
from coupons.tests.page_helpers import body, see
from testing.factories import (
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
)

pytestmark = pytest.mark.django_db


def symbols(response):
    return re.findall(r"<svg xmlns.*?</svg>", body(response))


@pytest.mark.parametrize("background", ["#FFFFFF", "#000000", "#06C755"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("qr", "SPRING-1234-ABCD"),
        ("qr", "https://x.example/?a=1&b=<2>"),
        ("qr", "夏のラテ 🎉"),
        ("code39", "SPRING-1234"),
        ("code39", "A+B/C$D 10%"),
        ("code128", "SPRING-1234-ABCD"),
        ("code128", "fna@5841<&>\"'"),
        ("code128", "W" * 20),
    ],
)
def test_the_serial_is_read_back_from_the_page(client, kind, code, background):
    campaign = make_campaign(barcode=kind, background_colour=background)
    make_serials(campaign, [code])

    response = see(client, make_coupon(campaign, status="redeemed"))

    [symbol] = symbols(response)
    assert read(screenshot(symbol, background), kind) == [code]


@pytest.mark.parametrize("kind", ["qr", "code128", "none"])
def test_a_fixed_serial_comes_with_the_number_as_qr(client, kind):
    campaign = make_campaign(barcode=kind)
    make_fixed_batch(campaign, code="FNA@5841")
    coupon = make_coupon(campaign, status="redeemed")

    *serial, number = symbols(see(client, coupon))

    assert read(screenshot(number), "qr") == [coupon.number]
    assert len(serial) == (0 if kind == "none" else 1)
    for symbol in serial:
        assert read(screenshot(symbol), kind) == ["FNA@5841"]


def test_a_fixed_serial_that_nobody_checks_needs_no_second_symbol(client):
    campaign = make_campaign(barcode="qr", verifying="none")
    make_fixed_batch(campaign)

    response = see(client, make_coupon(campaign, status="redeemed"))

    assert len(symbols(response)) == 1


def test_no_barcode_means_text_alone(client):
    campaign = make_campaign(barcode="none")
    make_serials(campaign, ["CODE-1"])

    response = see(client, make_coupon(campaign, status="redeemed"))

    assert symbols(response) == []
    assert "CODE-1" in body(response)


def test_no_symbol_holds_the_link(client):
    campaign = make_campaign(barcode="qr")
    make_fixed_batch(campaign)
    coupon = make_coupon(campaign, status="redeemed")

    for symbol in symbols(see(client, coupon)):
        [text] = read(screenshot(symbol), "qr")
        assert coupon.token not in text
