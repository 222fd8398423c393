"""Barcodes as pictures for LINE and for print, read back by a scanner's own library."""

import io
import random
import string

import pytest
import zxingcpp
from PIL import Image

from campaigns.barcode_pictures import (
    LINE_MARGIN,
    line_picture,
    print_picture,
    print_size,
)
from campaigns.look import can_draw, module_count
from campaigns.tests.test_look import CODE39, KINDS, LONGEST, READERS

DRAWERS = [line_picture, print_picture]
TEXTS = ["A", "7", "SPRING-1234-ABCD", "10%OFF", "A+B/C$D", "0" * 8, "A B-C"]


def opened(picture):
    return Image.open(io.BytesIO(picture))


def read(image, kind):
    """What a scanner reads first.

    Asked for all it can find, zxing-cpp goes on to a smaller copy of a large picture,
    and may misread there what it has read already (1 of 300 codes in CODE_128).
    """
    found = zxingcpp.read_barcode(image, zxingcpp.BarcodeFormats(READERS[kind]))
    return found.text if found else None


def longest(kind):
    return ("SPRING-9Z3-" * 6)[: LONGEST[kind]]


def some_codes(kind, count=40):
    rng = random.Random(f"pictures {kind}")  # noqa: S311
    letters = CODE39 if kind == "code39" else string.ascii_letters + "0123456789@#&*-"
    codes: list[str] = []
    while len(codes) < count:
        code = "".join(rng.choices(letters, k=rng.randint(1, LONGEST[kind])))
        if can_draw(kind, code):
            codes.append(code)
    return codes


def dark_rows(image, top, bottom):
    """How many rows between the two have anything dark in them."""
    grey = image.convert("L")
    rows = (grey.crop((0, y, grey.width, y + 1)) for y in range(top, bottom))
    return sum(row.getextrema()[0] < 128 for row in rows)


def bottom_of_symbol(image):
    """Where the reader saw it end."""
    [found] = zxingcpp.read_barcodes(image)
    return max(found.position.bottom_left.y, found.position.bottom_right.y)


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_read_back(kind, draw):
    for text in [*TEXTS, longest(kind), *some_codes(kind)]:
        if can_draw(kind, text):
            assert read(opened(draw(kind, text)), kind) == text


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize("text", ["夏のラテ 🎉", "é" * 20, "あ" * 64])
def test_a_qr_code_of_any_script_is_read_back(draw, text):
    assert read(opened(draw("qr", text)), "qr") == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_for_line_has_the_size_that_its_messages_take(kind):
    for text in ("A", longest(kind)):
        picture = line_picture(kind, text)
        image = opened(picture)

        assert image.size == ((1024, 1024) if kind == "qr" else (1024, 678))
        assert image.mode == "RGB"
        assert len(picture) < 100_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_for_line_is_white_all_around(kind):
    for text in ("A", longest(kind)):
        image = opened(line_picture(kind, text)).convert("L")

        for edge in (
            (0, 0, 1024, LINE_MARGIN // 2),
            (0, image.height - LINE_MARGIN // 2, 1024, image.height),
            (0, 0, LINE_MARGIN // 2, image.height),
            (1024 - LINE_MARGIN // 2, 0, 1024, image.height),
        ):
            assert image.crop(edge).getextrema() == (255, 255)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_for_print_knows_its_dots_and_its_millimetres(kind):
    for text in ("A", "SPRING-1234", longest(kind)):
        image = opened(print_picture(kind, text))

        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert image.width % module_count(kind, text) == 0
        sides = [round(side / 300 * 25.4) for side in image.size]
        assert print_size(kind, text) == tuple(sides)


def test_a_module_in_print_is_as_wide_as_a_cheap_reader_needs():
    for kind, wide in (("code39", 0.33), ("code128", 0.33), ("qr", 0.5)):
        image = opened(print_picture(kind, "SPRING-1234"))

        scale = image.width / module_count(kind, "SPRING-1234")
        assert scale / 300 * 25.4 >= wide


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_text_stands_below_the_symbol(kind, draw):
    image = opened(draw(kind, "SPRING-1234"))

    below = bottom_of_symbol(image) + 4
    assert dark_rows(image, below, image.height) >= 12


def test_a_long_text_is_broken_rather_than_too_small_to_read():
    image = opened(print_picture("qr", "SPRING-9Z3-" * 5))

    assert dark_rows(image, bottom_of_symbol(image) + 4, image.height) >= 2 * 16


def test_a_script_that_the_font_lacks_stands_as_no_text_at_all():
    image = opened(print_picture("qr", "夏のラテ"))

    assert dark_rows(image, bottom_of_symbol(image) + 4, image.height) == 0


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize(("kind", "text"), [("code39", "abc"), ("qr", " A")])
def test_what_cannot_be_drawn_is_refused(draw, kind, text):
    with pytest.raises(ValueError, match="drawable"):
        draw(kind, text)
