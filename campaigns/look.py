"""How a coupon looks: its colours and its barcode. Pure functions, no database.

Barcodes are one SVG path whose size is a whole number of CSS pixels a module. That is
what makes one readable from a plain 390 px screen: stretched to 350 px, zxing-cpp
missed some CODE_128 symbols of 187 modules and nearly all beyond 220; at whole pixels
it read every one.
"""

import io
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

import qrcode
from barcode.charsets import code39
from barcode.codex import Code39, Code128
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from PIL import Image
from qrcode.constants import ERROR_CORRECT_M

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAX_TEXT = 64  # characters, as long as a serial may be
BOX = 350  # CSS px: a 390 px phone without its margins
_QR_QUIET = 4  # modules on each side
_LINEAR_QUIET = 10
_MAX_SCALE = 40
_MAX_LINK = 300  # characters

# A symbol's mask only spreads dark and light evenly: trying all eight takes eight times
# as long and every reader takes any. This one is `(row + column) % 3`.
_QR_MASK = 3

_COLOUR = re.compile("#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
_PROPERTY = re.compile("[a-z]+(?:-[a-z]+)*")
_RUN = re.compile("1+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_CODE39 = re.compile(f"[^{re.escape(''.join(code39.REF))}]")
_NOT_CODE128 = re.compile("[^ -~]")


class Barcode(StrEnum):
    """What a coupon's serial is drawn as."""

    NONE = "none"
    QR = "qr"
    CODE39 = "code39"
    CODE128 = "code128"


def refusal(kind: str, text: str) -> "StrOrPromise | None":
    """Why a text cannot be drawn and read back, for people, or None when it can."""
    kind = Barcode(kind)
    if kind is Barcode.NONE:
        return None
    if not text or text != text.strip():
        return _("A barcode needs a text without blanks at its ends.")
    if _CONTROL.search(text):
        return _("A barcode cannot hold control characters.")
    if len(text) > MAX_TEXT:
        return format_lazy(
            _("A barcode holds at most {most} characters."), most=MAX_TEXT
        )
    if kind is Barcode.CODE39 and (wrong := _NOT_CODE39.findall(text)):
        return format_lazy(
            _(
                "CODE_39 cannot draw {characters}. It has capital letters A-Z, digits, "
                "the blank and - . $ / + %."
            ),
            characters=_quoted(wrong),
        )
    if kind is Barcode.CODE128 and (wrong := _NOT_CODE128.findall(text)):
        return format_lazy(
            _("CODE_128 cannot draw {characters}. It has unaccented characters only."),
            characters=_quoted(wrong),
        )
    if kind is not Barcode.QR and _width(kind, text) > BOX:
        return _(
            "This text is too long for a linear barcode on a phone's screen. "
            "Shorten it or use a QR code."
        )
    return None


def can_draw(kind: str, text: str) -> bool:
    return refusal(kind, text) is None


def module_count(kind: str, text: str) -> int:
    """The symbol's width in modules, quiet zones included; 0 for no barcode."""
    kind = Barcode(kind)
    return 0 if kind is Barcode.NONE else _width(kind, text)


def symbol_svg(kind: str, text: str, label: "StrOrPromise" = "") -> SafeString:
    """The barcode as an SVG image; `label` is its name for screen readers.

    Black on its own white whatever the page's colours are. Its width and height are the
    most whole CSS pixels a module that fit into BOX; stretch it only where a CSS pixel
    is two or more of the screen's. Raises ValueError for what `refusal` refuses.
    """
    return _svg(*_checked(kind, text), label)


def link_svg(link: str, label: "StrOrPromise" = "") -> SafeString:
    """A link as a QR code, drawn in the same way; it may be longer than a serial.

    Raises ValueError beyond 300 characters: the modules would be too small.
    """
    if len(link) > _MAX_LINK:
        raise ValueError("This link is too long for a QR code.")
    return _svg(*_modules(Barcode.QR, link), label)


def _svg(rows: list[str], height: int, label: "StrOrPromise") -> SafeString:
    width = len(rows[0])
    scale = max(1, BOX // width)
    step = height // len(rows)
    # Each run of dark modules is a rectangle: right along its top, down, back, up.
    path = "".join(
        f"M{run.start()} {y * step}h{run.end() - run.start()}v{step}"
        f"h{run.start() - run.end()}z"
        for y, row in enumerate(rows)
        for run in _RUN.finditer(row)
    )
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" '
        'height="{}" role="img" aria-label="{}" shape-rendering="crispEdges">'
        '<rect width="{}" height="{}" fill="#fff"/><path fill="#000" d="{}"/></svg>',
        width,
        height,
        width * scale,
        height * scale,
        label,
        width,
        height,
        path,
    )


def symbol_png(kind: str, text: str, scale: int = 4) -> bytes:
    """The barcode as a PNG of two colours, `scale` pixels a module, 1 to 40."""
    if not 1 <= scale <= _MAX_SCALE:
        raise ValueError(f"A module is 1 to {_MAX_SCALE} pixels wide.")
    rows, height = _checked(kind, text)
    size = len(rows[0]) * scale, height * scale
    image = _image(rows).resize(size, Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def symbol_image(kind: str, text: str) -> Image.Image:
    """The barcode with a pixel a module, to be enlarged; a linear one is one row."""
    rows, _height = _checked(kind, text)
    return _image(rows)


def _image(rows: list[str]) -> Image.Image:
    modules = Image.new("1", (len(rows[0]), len(rows)))
    modules.putdata([char == "0" for row in rows for char in row])
    return modules


def is_colour(text: str) -> bool:
    """Whether it is #RRGGBB or #RRGGBBAA and nothing more."""
    return _COLOUR.fullmatch(text) is not None


def contrast(foreground: str, background: str) -> float:
    """WCAG 2.2 contrast ratio, 1 to 21, of colours as they show on a white page."""
    behind = _over(background, (1.0, 1.0, 1.0))
    light, dark = sorted(
        (_luminance(behind), _luminance(_over(foreground, behind))), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


def css_properties(colours: Mapping[str, str]) -> SafeString:
    """`{"bg": "#112233"}` as `--coupon-bg:#112233;`, safe inside a style element.

    Raises ValueError for whatever is not a colour or not a plain name.
    """
    for name, colour in colours.items():
        if not _PROPERTY.fullmatch(name) or not is_colour(colour):
            raise ValueError("A colour is #RRGGBB or #RRGGBBAA.")
    return SafeString(
        "".join(f"--coupon-{name}:{colour};" for name, colour in colours.items())
    )


def _checked(kind: str, text: str) -> tuple[list[str], int]:
    if Barcode(kind) is Barcode.NONE:
        raise ValueError("There is no barcode to draw.")
    reason = refusal(kind, text)
    if reason is not None:
        raise ValueError(f"Not drawable as {Barcode(kind)}.")
    return _modules(Barcode(kind), text)


def _modules(kind: Barcode, text: str) -> tuple[list[str], int]:
    """Rows of "0" and "1" and the symbol's height in modules."""
    if kind is Barcode.QR:
        quiet = "0" * _QR_QUIET
        matrix = [
            quiet + "".join("1" if dark else "0" for dark in row) + quiet
            for row in _qr(text)
        ]
        above = ["0" * len(matrix[0])] * _QR_QUIET
        rows = above + matrix + above
        return rows, len(rows)
    quiet = "0" * _LINEAR_QUIET
    row = f"{quiet}{_bars(kind, text)}{quiet}"
    return [row], len(row) * 3 // 10


def _width(kind: Barcode, text: str) -> int:
    if kind is Barcode.QR:
        return len(_qr(text)) + 2 * _QR_QUIET
    return len(_bars(kind, text)) + 2 * _LINEAR_QUIET


def _bars(kind: Barcode, text: str) -> str:
    if kind is Barcode.CODE39:
        return str(Code39(text, add_checksum=False).build()[0])
    return str(_Code128(text).build()[0])


class _Code128(Code128):  # type: ignore[misc]
    """The library's encoder, without its slip over codes that begin with 99.

    It starts in set C, where 99 is the two digits; it takes that for a switch to set
    C and leaves it out, so that a scanner reads 9912 as 12.
    """

    def _try_to_optimize(self, encoded: list[int]) -> list[int]:
        if encoded[1] == 99:
            return encoded
        optimized: list[int] = super()._try_to_optimize(encoded)
        return optimized


def _qr(text: str) -> list[list[bool]]:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, mask_pattern=_QR_MASK)
    code.add_data(text, optimize=0)
    code.make()
    modules: list[list[bool]] = code.modules
    return modules


def _quoted(characters: list[str]) -> str:
    return " ".join(f"“{char}”" for char in dict.fromkeys(characters[:8]))


def _over(
    colour: str, behind: tuple[float, float, float]
) -> tuple[float, float, float]:
    """What a colour looks like on another; shares of red, green and blue, 0 to 1."""
    if not is_colour(colour):
        raise ValueError("A colour is #RRGGBB or #RRGGBBAA.")
    *parts, alpha = bytes.fromhex(colour[1:].ljust(8, "F"))
    share = alpha / 255
    red, green, blue = (
        part / 255 * share + under * (1 - share)
        for part, under in zip(parts, behind, strict=True)
    )
    return red, green, blue


def _luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
