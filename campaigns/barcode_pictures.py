"""A barcode as a picture to print or to send on LINE, its text below it.

Pure functions, no database.
"""

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from campaigns.look import Barcode, module_count, symbol_image

DPI = 300
MM = 25.4  # an inch
# Pixels a module: 0.34 mm and 0.85 mm, which cheap printers and readers manage.
PRINT_SCALE = {Barcode.CODE39: 4, Barcode.CODE128: 4, Barcode.QR: 10}
PRINT_BARS = 180  # pixels, or more for wide symbols: a hand need not aim
PRINT_TEXT = (40, 24)  # pixels, at most and at least: 2 mm can be read
PRINT_MARGIN = 12

# A Flex message takes no image larger than 1024 x 1024; a chat shows 1.51 : 1 whole.
LINE_WIDTH = 1024
LINE_HEIGHT = {Barcode.CODE39: 678, Barcode.CODE128: 678, Barcode.QR: 1024}
LINE_BARS = 330  # taller ones are read no better
LINE_TEXT = (88, 40)
LINE_MARGIN = 40


@dataclass(frozen=True)
class Plan:
    """Where what goes, in pixels."""

    size: tuple[int, int]
    scale: int  # of a module
    bars: tuple[int, int]  # the symbol's size, quiet zones included
    lines: list[str]
    font_size: int
    margin: int

    @property
    def millimetres(self) -> tuple[int, int]:
        """What the picture measures in print."""
        width, height = (round(side / DPI * MM) for side in self.size)
        return width, height


def print_size(kind: str, text: str) -> tuple[int, int]:
    """Width and height of the printed picture in millimetres."""
    return _print_plan(Barcode(kind), text).millimetres


def print_picture(kind: str, text: str) -> bytes:
    """PNG for print: 300 dpi, a module a whole number of its dots wide.

    Raises ValueError for what `look.refusal` refuses.
    """
    plan = _print_plan(Barcode(kind), text)
    return _png(_drawn(kind, text, plan), dpi=(DPI, DPI))


def line_picture(kind: str, text: str) -> bytes:
    """PNG of 1024 x 678 pixels, a QR code of 1024 x 1024, as LINE's messages take it.

    Raises ValueError for what `look.refusal` refuses.
    """
    plan = _line_plan(Barcode(kind), text)
    return _png(_drawn(kind, text, plan).convert("RGB"))


def _print_plan(kind: Barcode, text: str) -> Plan:
    scale = PRINT_SCALE[kind]
    width = module_count(kind, text) * scale
    bars = width if kind is Barcode.QR else max(PRINT_BARS, width * 15 // 100)
    lines, font_size = _set(text, width, *PRINT_TEXT)
    height = bars + 2 * PRINT_MARGIN + _below(lines, font_size, PRINT_MARGIN)
    return Plan((width, height), scale, (width, bars), lines, font_size, PRINT_MARGIN)


def _line_plan(kind: Barcode, text: str) -> Plan:
    size = LINE_WIDTH, LINE_HEIGHT[kind]
    lines, font_size = _set(text, LINE_WIDTH - 2 * LINE_MARGIN, *LINE_TEXT)
    below = _below(lines, font_size, LINE_MARGIN)
    modules = module_count(kind, text)
    room = size[1] - 2 * LINE_MARGIN - below
    is_square = kind is Barcode.QR
    scale = (room if is_square else LINE_WIDTH) // modules
    bars = modules * scale, modules * scale if is_square else min(room, LINE_BARS)
    return Plan(size, scale, bars, lines, font_size, LINE_MARGIN)


def _set(text: str, width: int, largest: int, smallest: int) -> tuple[list[str], int]:
    """The text in lines of this width, as large as one line allows; or in several.

    Pillow's own font knows no other letters than Latin ones: rather no text than boxes.
    """
    if not text.isascii():
        return [], smallest
    for size in range(largest, smallest, -4):
        if _font(size).getlength(text) <= width:
            return [text], size
    lines, font = [""], _font(smallest)
    for char in text:
        if font.getlength(lines[-1] + char) > width:
            lines.append("")
        lines[-1] += char
    return lines, smallest


def _below(lines: list[str], font_size: int, margin: int) -> int:
    """The height of the text with the gap above it."""
    return len(lines) * _leading(font_size) + margin // 2 if lines else 0


def _leading(font_size: int) -> int:
    return font_size * 5 // 4


@cache
def _font(size: int) -> FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, FreeTypeFont):
        raise TypeError("Pillow was built without FreeType.")
    return font


def _drawn(kind: str, text: str, plan: Plan) -> Image.Image:
    width, height = plan.size
    picture = Image.new("L", plan.size, 255)
    symbol = symbol_image(kind, text).resize(plan.bars, Image.Resampling.NEAREST)
    below = _below(plan.lines, plan.font_size, plan.margin)
    top = (height - plan.bars[1] - below) // 2
    picture.paste(symbol, ((width - plan.bars[0]) // 2, top))
    pen, font = ImageDraw.Draw(picture), _font(plan.font_size)
    y = top + plan.bars[1] + plan.margin // 2
    for line in plan.lines:
        pen.text((width / 2, y), line, fill=0, font=font, anchor="ma")
        y += _leading(plan.font_size)
    return picture


def _png(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, **options)
    return file.getvalue()
