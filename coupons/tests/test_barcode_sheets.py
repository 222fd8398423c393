"""Contact sheets of barcodes as a phone shows them, read back from screenshots.

Two hundred codes of each kind, drawn by Chromium in the coupon page's own card, with
its own style sheet, at 390 px and one sample a pixel: the worst screen there is.
"""

import io
import random
import string
from itertools import cycle, islice

import pytest
from PIL import Image

from campaigns.look import can_draw, refusal, symbol_svg
from campaigns.tests.test_look import CODE39, read
from coupons.tests.page_helpers import url_of
from testing.browsing import PHONE, open_page
from testing.factories import (
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EACH = 200
A_SHEET = 20  # a taller screenshot than this many QR codes is cut by the browser
AROUND = 8  # px of the card's own ground, left and right of the symbol too
CODE128 = string.printable[:94] + " "
OTHER = "夏のラテ限定券咖啡優惠ส่วนลด할인쿠폰éñßŒ★🎉🍰"
SHEET = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="color-scheme"
content="light dark"><link rel="stylesheet" href="/static/coupons/page.css">
<style>:root{--coupon-bg:%(ground)s;--coupon-text:#1b2027;--coupon-line:#1b202738}
%(more)s</style></head><body><main><article class="card">%(codes)s</article></main></body></html>
"""
ONE = """<section class="code"><div class="symbol">%s</div></section>"""
BOXES = """() => [...document.querySelectorAll(".symbol")].map(box => {
  const { top, bottom } = box.getBoundingClientRect();
  const svg = box.querySelector("svg");
  return [top + scrollY, bottom + scrollY,
          svg.getBoundingClientRect().width, Number(svg.getAttribute("width"))];
})"""


# --- the codes -------------------------------------------------------------------------

# For each kind, what its codes are made of by turns, and how many characters at most.
PARTS = {
    "code39": [
        (CODE39, "", 18),
        (string.digits, "", 18),
        (string.digits, "99", 18),
        ("AB ", "", 18),
        ("$/+%A1", "", 18),
    ],
    "code128": [
        (CODE128, "", 26),
        (string.digits, "", 52),
        (string.digits, "99", 52),
        ("Ab1 ", "", 26),
        (string.ascii_uppercase + string.digits + "-", "", 26),
    ],
    "qr": [
        (CODE128, "", 64),
        (string.digits, "", 64),
        (string.digits, "99", 64),
        ("A b", "", 64),
        (OTHER, "", 64),
        (string.ascii_uppercase + string.digits + "-", "", 64),
    ],
}


def codes_of(kind):
    """Always the same ones; of each make the shortest and the longest that are drawn."""
    rng = random.Random(f"sheets of {kind}")  # noqa: S311
    made: list[str] = []
    for letters, start, most in islice(cycle(PARTS[kind]), 10_000):
        wanted = {0: 1, 1: most}.get(len(made) // len(PARTS[kind]))
        length = wanted or rng.randint(1, most)
        code = (start + "".join(rng.choices(letters, k=length)))[: max(length, 1)]
        while length > 1 and is_too_long(kind, code):
            length -= 1
            code = code[:length]
        if can_draw(kind, code):
            made.append(code)
        if len(made) == EACH:
            return made
    raise AssertionError("Nearly nothing of these can be drawn.")


def is_too_long(kind, code):
    return code == code.strip() and refusal(kind, code) is not None


@pytest.mark.parametrize("kind", PARTS)
def test_the_codes_are_of_every_make_and_length(kind):
    codes = codes_of(kind)

    assert len(codes) == EACH
    assert min(map(len, codes)) == 1
    longest = max(PARTS[kind], key=lambda part: part[2])[2]
    assert max(map(len, codes)) == longest
    assert not can_draw(kind, max(codes, key=len) + "00")
    assert any(code.isdigit() for code in codes)
    assert any(code.startswith("99") for code in codes)
    assert any(" " in code for code in codes)
    if kind == "qr":
        assert any(not code.isascii() for code in codes)
    else:
        for sign in "$/+%":
            assert any(sign in code for code in codes)


# --- the sheets ------------------------------------------------------------------------


def sheet_of(symbols, ground, more):
    codes = "".join(ONE % symbol for symbol in symbols)
    return SHEET % {"codes": codes, "ground": ground, "more": more}


def shots_of(page, address, symbols, ground="#FFFFFF", more=""):
    """The symbols one after the other, as the screen shows them with what is beside."""
    page.route(
        address,
        lambda route: route.fulfill(
            body=sheet_of(symbols, ground, more), content_type="text/html"
        ),
    )
    page.goto(address)
    page.unroute(address)
    sheet = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    assert sheet.width == PHONE["width"]
    boxes = page.evaluate(BOXES)
    assert len(boxes) == len(symbols)
    for top, bottom, shown, own in boxes:
        assert more or shown == own, "A symbol is shown in another size than its own."
        yield sheet.crop((0, int(top) - AROUND, sheet.width, int(bottom) + AROUND))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", PARTS)
def test_every_code_is_read_back_from_the_screen(browser, live_server, kind, scheme):
    page = open_page(browser, phone=True, color_scheme=scheme)
    codes = codes_of(kind)
    ground = "#FFFFFF" if scheme == "light" else "#101216"
    misread = {}

    for first in range(0, EACH, A_SHEET):
        some = codes[first : first + A_SHEET]
        symbols = [symbol_svg(kind, code) for code in some]
        shots = shots_of(page, f"{live_server.url}/sheet", symbols, ground)
        for code, shot in zip(some, shots, strict=True):
            if (found := read(shot, kind)) != [code]:
                misread[code] = found

    assert misread == {}
    page.context.close()


def test_a_symbol_that_was_shrunk_would_be_noticed(browser, live_server):
    """The other way round: this is not read, so the tests above can fail."""
    page = open_page(browser, phone=True)
    symbol = symbol_svg("code128", "SPRING-1234-ABCD-5678")

    [shot] = shots_of(
        page, f"{live_server.url}/sheet", [symbol], more=".symbol svg { width: 200px }"
    )

    assert read(shot, "code128") == []
    page.context.close()


# --- the page itself -------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("qr", "夏のラテ 🎉"),
        ("qr", "SPRING-1234-ABCD"),
        ("code39", "A+B/C$D 10%"),
        ("code39", "SPRING-1234-ABCDEF"),
        ("code128", "99" + "0123456789" * 5),
        ("code128", "fna@5841<&>\"'"),
    ],
)
def test_the_coupons_own_page_is_read(browser, live_server, kind, code, scheme):
    campaign = make_campaign(barcode=kind)
    make_serials(campaign, [code])
    coupon = make_coupon(campaign, status="redeemed")

    assert seen_by_a_reader(browser, live_server, coupon, kind, scheme) == [code]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_fixed_serial_and_the_number_are_both_read(browser, live_server, scheme):
    campaign = make_campaign(barcode="code128")
    make_fixed_batch(campaign, code="FNA@5841")
    coupon = make_coupon(campaign, status="redeemed")

    for kind, text in (("code128", "FNA@5841"), ("qr", coupon.number)):
        assert seen_by_a_reader(browser, live_server, coupon, kind, scheme) == [text]


def seen_by_a_reader(browser, live_server, coupon, kind, scheme):
    """What is read from the whole page, as it stands on the phone."""
    page = open_page(browser, phone=True, color_scheme=scheme)
    page.goto(live_server.url + url_of(coupon))
    shot = page.screenshot(full_page=True)
    page.context.close()
    return read(Image.open(io.BytesIO(shot)).convert("RGB"), kind)
