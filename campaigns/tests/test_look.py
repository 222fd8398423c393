import io
import os
import re
import string

import pytest
import zxingcpp
from django.conf import settings
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from campaigns.look import (
    BOX,
    Barcode,
    can_draw,
    contrast,
    css_properties,
    is_colour,
    module_count,
    refusal,
    symbol_png,
    symbol_svg,
)

if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
    settings.configure(USE_I18N=False)  # these tests alone, without the project

PAGE = 390  # CSS px
READERS = {
    # Standard: by default zxing-cpp also tries "Extended" and reads A+B as Ab.
    "code39": zxingcpp.BarcodeFormat.Code39Std,
    "code128": zxingcpp.BarcodeFormat.Code128,
    "qr": zxingcpp.BarcodeFormat.QRCode,
}
KINDS = sorted(READERS)
CODE39 = string.ascii_uppercase + string.digits + "-. $/+%"
RUN = re.compile(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z")


def found_in(svg, pattern):
    found = re.search(pattern, svg)
    assert found is not None
    return found.group(1)


def attribute(svg, name):
    return int(found_in(svg, rf'<svg [^>]*\b{name}="(\d+)"'))


def screenshot(svg, background="#fff", density=1):
    """A 390 px page with the symbol on it at its own size, one sample a pixel.

    That is what shape-rendering="crispEdges" asks of a browser. The path is drawn from
    its text by our own few lines: M, h, v, h, z.
    """
    width, height = map(int, found_in(svg, r'viewBox="0 0 (\d+ \d+)"').split())
    drawn = Image.new("L", (width, height), 255)
    path = found_in(svg, r' d="([^"]*)"')
    assert RUN.sub("", path) == ""
    for x, y, right, down, left in RUN.findall(path):
        assert right == left
        drawn.paste(0, (int(x), int(y), int(x) + int(right), int(y) + int(down)))
    size = attribute(svg, "width") * density, attribute(svg, "height") * density
    shown = drawn.resize(size, Image.Resampling.NEAREST)
    page = Image.new("RGB", (PAGE * density, size[1] + 40), background)
    page.paste(shown.convert("RGB"), ((PAGE * density - size[0]) // 2, 20))
    return page


def read(image, kind):
    return [
        found.text
        for found in zxingcpp.read_barcodes(
            image, zxingcpp.BarcodeFormats(READERS[kind])
        )
    ]


def is_plain(text):
    return text == text.strip() and text != ""


# Capitals and digits, as serials have them: as long as each kind can be.
LONGEST = {"code39": 18, "code128": 26, "qr": 64}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text", ["A", "7", "SPRING-1234-ABCD", "10%OFF", "A+B/C$D", "0" * 8]
)
def test_a_symbol_is_read_back(kind, text):
    assert read(screenshot(symbol_svg(kind, text)), kind) == [text]
    assert read(Image.open(io.BytesIO(symbol_png(kind, text))), kind) == [text]


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_text_is_read_from_a_plain_screen(kind):
    text = ("SPRING-9Z3-" * 6)[: LONGEST[kind]]

    assert read(screenshot(symbol_svg(kind, text)), kind) == [text]
    assert not can_draw(kind, text + "A")


@given(st.text(CODE39, min_size=1, max_size=18).filter(is_plain))
def test_every_code39_text_is_read_back_without_check_character(text):
    assert read(screenshot(symbol_svg("code39", text)), "code39") == [text]


@given(st.text(CODE39 + string.ascii_lowercase + "@!~", min_size=1).filter(is_plain))
@example("12345678901234567890")
@example("1a22b333c4444d55555")
@example("a123")
def test_every_code128_text_is_read_back_or_refused(text):
    if can_draw("code128", text):
        assert read(screenshot(symbol_svg("code128", text)), "code128") == [text]
    else:
        assert len(text) > 16


qr_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=64
)


@given((qr_texts | st.text(string.printable[:94], min_size=1)).filter(is_plain))
@example("あ" * 64)
@example("😀" * 64)
@example("é")
def test_every_drawable_qr_text_is_read_back(text):
    if can_draw("qr", text):
        assert read(screenshot(symbol_svg("qr", text)), "qr") == [text]


@given(st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=18))
def test_a_sharper_screen_reads_too(text):
    for kind in KINDS:
        assert read(screenshot(symbol_svg(kind, text), density=2), kind) == [text]


@pytest.mark.parametrize("background", ["#000", "#06C755", "#7f7f7f"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_symbol_is_read_on_any_background(kind, background):
    page = screenshot(symbol_svg(kind, "SPRING-1234"), background)

    assert read(page, kind) == ["SPRING-1234"]


@given(st.sampled_from(KINDS), st.text(CODE39, min_size=1, max_size=30))
def test_what_is_drawn_fits_the_screen_in_whole_pixels(kind, text):
    if not can_draw(kind, text):
        return
    svg = symbol_svg(kind, text)

    width = attribute(svg, "width")
    assert width <= BOX
    assert width % module_count(kind, text) == 0


def test_the_svg_is_one_path_with_a_name():
    svg = symbol_svg("code128", "ABC", label='<b> "&')

    assert svg.count("<path") == svg.count("<rect") == svg.count("<svg") == 1
    assert 'role="img"' in svg
    assert 'aria-label="&lt;b&gt; &quot;&amp;"' in svg
    assert "mm" not in svg
    assert "style" not in svg


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1, 3, 40])
def test_a_png_has_two_colours_and_whole_modules(kind, scale):
    image = Image.open(io.BytesIO(symbol_png(kind, "ABC-1", scale)))

    assert image.mode == "1"
    assert image.width == module_count(kind, "ABC-1") * scale


@pytest.mark.parametrize("scale", [0, -1, 41])
def test_a_png_of_any_other_scale_is_refused(scale):
    with pytest.raises(ValueError, match="pixels"):
        symbol_png("qr", "A", scale)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("code39", "FNA@5841"),
        ("code39", "abc"),
        ("code39", "A*B"),
        ("code39", "É"),
        ("code39", "ß"),
        ("code39", "A" * 19),
        ("code128", "é"),
        ("code128", "あ"),
        ("code128", "\xf1A"),
        ("code128", "A" * 27),
        ("qr", "A" * 65),
        *((kind, "") for kind in KINDS),
        *((kind, " A") for kind in KINDS),
        *((kind, "A\n") for kind in KINDS),
        *((kind, "A\x00B") for kind in KINDS),
        *((kind, "A\ud800B") for kind in KINDS),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_reason(kind, text):
    assert len(str(refusal(kind, text))) > 20
    assert not can_draw(kind, text)
    with pytest.raises(ValueError, match="drawable"):
        symbol_svg(kind, text)
    with pytest.raises(ValueError, match="drawable"):
        symbol_png(kind, text)


def test_the_reason_names_the_characters():
    assert "“@” “a”" in str(refusal("code39", "FNA@@a5841"))


@pytest.mark.parametrize("kind", ["code128", "qr", "none"])
def test_a_fixed_serial_with_an_at_sign_is_fine(kind):
    assert refusal(kind, "FNA@5841") is None


def test_no_barcode_has_no_symbol():
    assert module_count("none", "A") == 0
    with pytest.raises(ValueError, match="no barcode"):
        symbol_svg(Barcode.NONE, "A")
    with pytest.raises(ValueError, match="ean"):
        symbol_svg("ean", "A")


NO_COLOURS = [
    "",
    "#",
    "#fff",
    "#12345",
    "#1234567",
    "#123456789",
    "#12345g",
    "#123456\n",
    " #123456",
    "123456",
    "red",
    "#１２３４５６",
    "#123456;}body{display:none",
    "#123456</style><script>",
    "url(https://x)",
    "#123456/**/",
    "var(--x)",
]


@pytest.mark.parametrize("text", NO_COLOURS)
def test_whatever_is_not_a_colour_is_refused(text):
    assert not is_colour(text)
    with pytest.raises(ValueError, match="RRGGBB"):
        css_properties({"bg": text})
    with pytest.raises(ValueError, match="RRGGBB"):
        contrast("#000000", text)
    with pytest.raises(ValueError, match="RRGGBB"):
        contrast(text, "#000000")


@pytest.mark.parametrize("name", ["", "a:b", "A", "a b", "a;", "-a", "a\n", "a{"])
def test_a_property_has_a_plain_name(name):
    with pytest.raises(ValueError, match="RRGGBB"):
        css_properties({name: "#123456"})


def test_css_properties():
    found = css_properties({"bg": "#aBcDeF", "button-text": "#12345678"})

    assert found == "--coupon-bg:#aBcDeF;--coupon-button-text:#12345678;"


@given(st.text())
def test_a_colour_is_only_ever_letters_and_digits(text):
    if is_colour(text):
        assert re.fullmatch("#[0-9a-fA-F]+", text)


@pytest.mark.parametrize(
    ("foreground", "background", "ratio"),
    [
        ("#000000", "#FFFFFF", 21),
        ("#ffffff", "#FFFFFF", 1),
        ("#767676", "#FFFFFF", 4.54),
        ("#FFFFFF", "#777777", 4.48),
        ("#00000000", "#FFFFFF", 1),
        ("#000000", "#00000000", 21),
        ("#00000080", "#FFFFFF", 3.98),
        ("#FFFFFF", "#00000080", 3.98),
    ],
)
def test_contrast(foreground, background, ratio):
    assert contrast(foreground, background) == pytest.approx(ratio, abs=0.05)
    if len(foreground + background) == 14:
        assert contrast(background, foreground) == contrast(foreground, background)


@pytest.mark.parametrize(
    "text", ["99", "9912", "9999", "99A", "1299", "A9912", "999999"]
)
def test_code128_that_begins_with_99_keeps_its_first_digits(text):
    svg = symbol_svg("code128", text)

    assert read(screenshot(svg), "code128") == [text]
