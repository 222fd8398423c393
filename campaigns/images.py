"""Campaign images: looked at before decoding, cut to a square, drawn anew."""

import io
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from math import ceil
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile

logger = logging.getLogger(__name__)

MAX_BYTES = 1024 * 1024
MAX_SIDE = 4096  # px
MAX_PIXELS = 12_000_000
KEPT_SIDE = 1280  # px, the most that is kept of a square
ADVISED_SIDE = 640  # px, see `design.md`: below that it looks blurred
HEAVY = 300 * 1024  # bytes: a PNG without clear parts beyond that may become a JPEG

ENDINGS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",)}
STARTS = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
OTHERS = {
    "GIF": re.compile(rb"GIF8"),
    "WebP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "HEIC": re.compile(rb".{4}ftyp(?:hei|hev|mif|msf)", re.DOTALL),
    "AVIF": re.compile(rb".{4}ftypavi", re.DOTALL),
    "SVG": re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|!doctype|svg)", re.I),
    "PDF": re.compile(rb"%PDF"),
    "BMP": re.compile(rb"BM"),
    "TIFF": re.compile(rb"II\*\x00|MM\x00\*"),
}

# A PNG's chunks that are drawn, say how it lies, or that it moves. The others may be
# small and unpack to a lot.
DRAWN = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL"}
# In a JPEG's data 0xff comes before a marker, but not before these.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
PADDING = b"\x00\xff\r\n\t "
CROP = re.compile(r"([0-9]{1,5}),([0-9]{1,5}),([0-9]{1,5})")

ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Box(NamedTuple):
    """A square part of a picture that stands upright, in its pixels."""

    left: int
    top: int
    side: int


def clean_image(upload: "File[bytes]", crop: str | None = None) -> "ContentFile[bytes]":
    """The chosen square of the picture, drawn anew at 1280 px or less and under 1 MB.

    Nothing else of the file is kept: no EXIF, colour profile, comment or name. `crop`
    is "left,top,side" in pixels of the upright picture; without it the middle is taken.
    Takes JPEG and PNG up to 1 MB with one frame, at most 4096 px a side and 12
    megapixels; the header is asked first, so a bomb is never decoded. Raises
    ValidationError with what is wrong with this file.
    """
    try:
        raw = _bytes_of(upload)
        kind = _kind_of(raw, upload.name or "")
        picture = _opened(raw, kind)
        try:
            square = _cut(picture, kind, crop or "")
        finally:
            picture.close()
    except ValidationError as error:
        facts = {"what": "image", "reason": error.code, "bytes": upload.size}
        logger.info("upload.refused", extra=facts)
        raise
    ending, content = _encoded(square, kind)
    return ContentFile(content, name=f"{secrets.token_hex(12)}{ending}")


# --- What is looked at before decoding -------------------------------------------------


def _bytes_of(upload: "File[bytes]") -> bytes:
    size = upload.size or 0
    if not size:
        raise ValidationError(
            _("This file is empty: it has 0 bytes. Choose the picture again."), "empty"
        )
    if size > MAX_BYTES:
        raise ValidationError(
            _(
                "This file is too large: %(size)s bytes, and %(most)s (1 MB) is the "
                "most. Save it with fewer pixels or as a JPG."
            )
            % {"size": _number(size), "most": _number(MAX_BYTES)},
            "too_many_bytes",
        )
    raw: bytes = upload.read()
    return raw


def _kind_of(raw: bytes, name: str) -> str:
    """JPEG or PNG: what it is inside, if its name says so too."""
    kind = next((kind for kind in STARTS if raw.startswith(STARTS[kind])), "")
    if not kind:
        other = next((kind for kind in OTHERS if OTHERS[kind].match(raw)), "")
        words = (
            _(
                "This file is a %(kind)s inside, whatever its name. Save it as JPG or PNG."
            )
            if other
            else _("This file is neither JPG nor PNG inside, whatever its name.")
        )
        raise ValidationError(words % {"kind": other}, "other_kind")
    if not name.lower().endswith(ENDINGS[kind]):
        raise ValidationError(
            _(
                "This file is a %(kind)s inside, but its name does not end in "
                "%(ending)s. Give it that ending and upload it again."
            )
            % {"kind": _shown(kind), "ending": ENDINGS[kind][0]},
            "wrong_ending",
        )
    return kind


def _opened(raw: bytes, kind: str) -> ImageFile:
    """The picture with its header read and nothing decoded."""
    try:
        # Not Image.open: it refuses a bomb without saying how large it is.
        if kind == "PNG":
            raw, rest = _png_parts(raw)
            picture: ImageFile = PngImageFile(io.BytesIO(raw))
        else:
            rest = raw[_jpeg_end(raw) :]
            picture = jpeg_factory(io.BytesIO(raw))
    except Exception as error:  # noqa: BLE001 - Pillow promises no kind for bad files
        raise _damaged(kind) from error
    width, height = picture.size
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise ValidationError(
            _(
                "This picture has too many pixels: %(width)s × %(height)s. At most "
                "%(side)s on each side and %(pixels)s million in all are taken."
            )
            % {
                "width": _number(width),
                "height": _number(height),
                "side": _number(MAX_SIDE),
                "pixels": MAX_PIXELS // 1_000_000,
            },
            "too_many_pixels",
        )
    if getattr(picture, "n_frames", 1) != 1:
        words = (
            _("This PNG is animated. Upload a picture that stands still.")
            if kind == "PNG"
            else _(
                "This JPG holds several pictures, as some cameras save them. Open it, "
                "save it as a new JPG, and upload that."
            )
        )
        raise ValidationError(words, "animated")
    if rest.strip(PADDING):
        raise ValidationError(
            _(
                "Something else hangs on behind this picture: %(size)s bytes that are "
                "no part of it. Open it, save it as a new %(kind)s, and upload that."
            )
            % {"size": _number(len(rest)), "kind": _shown(kind)},
            "more_behind",
        )
    return picture


def _damaged(kind: str) -> ValidationError:
    return ValidationError(
        _(
            "This %(kind)s is damaged or cut off, so it can't be drawn. Save or "
            "download it once more."
        )
        % {"kind": _shown(kind)},
        "damaged",
    )


def _png_parts(raw: bytes) -> tuple[bytes, bytes]:
    """What is drawn of a PNG, and what comes after its end."""
    kept, at = [STARTS["PNG"]], len(STARTS["PNG"])
    for name, end in _png_chunks(raw):
        if name in DRAWN:
            kept.append(raw[at:end])
        at = end
    return b"".join(kept), raw[at:]


def _png_chunks(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Each chunk's name and end, the last of them IEND or the one that is cut off."""
    at, name = len(STARTS["PNG"]), b""
    while at < len(raw) and name != b"IEND":
        name = raw[at + 4 : at + 8]
        at += 12 + int.from_bytes(raw[at : at + 4])
        yield name, min(at, len(raw))


def _jpeg_end(raw: bytes) -> int:
    """Where the picture ends; the file's end if no mark says so."""
    at = 2
    while found := MARKER.search(raw, at):
        marker = raw[found.start() + 1]
        if marker == 0xD9:
            return found.end()
        # Segments tell their length: a small picture inside one is passed over.
        at = found.end() + int.from_bytes(raw[found.end() : found.end() + 2])
    return len(raw)


# --- The square ------------------------------------------------------------------------


def _cut(picture: ImageFile, kind: str, crop: str) -> Image.Image:
    """The chosen square, upright, in RGB or, where some of it is clear, RGBA."""
    try:
        orientation = _orientation(picture)
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(kind) from error
    full = width, height = picture.size
    box = _box(crop, height, width) if orientation >= 5 else _box(crop, width, height)
    try:
        # A large JPEG can be decoded at half its size or less.
        enough = [ceil(length * KEPT_SIDE / box.side) for length in full]
        picture.draft(None, (enough[0], enough[1]))
        scale = picture.width / full[0]
        left, top = _stored_corner(box, orientation, full)
        right, bottom = left + box.side, top + box.side
        part = picture.crop(
            (
                round(left * scale),
                round(top * scale),
                round(right * scale),
                round(bottom * scale),
            )
        )
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(kind) from error
    picture.close()  # its pixels are not needed twice
    side = min(box.side, KEPT_SIDE)
    square = _in_colours(part).resize((side, side), Image.Resampling.LANCZOS)
    turn = TURNS.get(orientation)
    return _without_needless_alpha(square if turn is None else square.transpose(turn))


def _orientation(picture: ImageFile) -> int:
    """How the picture lies by its EXIF, 1 to 8."""
    # Pillow would take it from XMP too, which no browser does.
    for name in ("xmp", "XML:com.adobe.xmp"):
        picture.info.pop(name, None)
    found = picture.getexif().get(ORIENTATION, 1)
    return found if found in TURNS else 1


def _box(crop: str, width: int, height: int) -> Box:
    """The chosen square of a picture of this size, else its middle."""
    if not crop:
        side = min(width, height)
        return Box((width - side) // 2, (height - side) // 2, side)
    found = CROP.fullmatch(crop)
    if found is None:
        raise ValidationError(
            _("The chosen part of the picture can't be read. Choose it once more."),
            "bad_crop",
        )
    box = Box(*(int(number) for number in found.groups()))
    if not box.side or box.left + box.side > width or box.top + box.side > height:
        raise ValidationError(
            _(
                "The chosen square is not inside this picture of %(width)s × "
                "%(height)s pixels. Choose it once more."
            )
            % {"width": _number(width), "height": _number(height)},
            "crop_outside",
        )
    return box


def _stored_corner(
    box: Box, orientation: int, size: tuple[int, int]
) -> tuple[int, int]:
    """The box's left and top in the picture as it is stored, before it is turned."""
    x, y = (box.top, box.left) if orientation >= 5 else (box.left, box.top)
    if orientation in (2, 3, 7, 8):
        x = size[0] - x - box.side
    if orientation in (3, 4, 6, 7):
        y = size[1] - y - box.side
    return x, y


def _in_colours(part: Image.Image) -> Image.Image:
    """In RGB, or RGBA if some of it may be clear; not copied if it is already."""
    if part.mode.startswith("I"):  # 16 bits of grey, of which the upper 8 are kept
        part = part.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    mode = "RGBA" if part.has_transparency_data else "RGB"
    return part if part.mode == mode else part.convert(mode)


def _without_needless_alpha(square: Image.Image) -> Image.Image:
    if square.mode != "RGBA":
        return square
    lowest, _highest = square.getchannel("A").getextrema()
    return square if lowest != 255 else square.convert("RGB")


# --- Drawn anew ------------------------------------------------------------------------


def _encoded(square: Image.Image, kind: str) -> tuple[str, bytes]:
    """The file's ending and its bytes, always under 1 MB.

    A heavy PNG, a photo say, becomes a JPEG if that is smaller. With clear parts it
    stays PNG and gets 256 colours. What is still too large is drawn smaller.
    """
    # A new image of the pixels alone: the old one's comments would be saved too.
    bare = Image.new(square.mode, square.size)
    bare.paste(square)
    if kind == "PNG":
        png = _as_png(bare)
        if len(png) <= HEAVY:
            return ".png", png
        if bare.mode == "RGBA":
            is_light = len(png) < MAX_BYTES
            return ".png", png if is_light else _fitted(bare, _as_small_png)
        jpeg = _fitted(bare, _as_jpeg)
        return (".jpg", jpeg) if len(jpeg) < len(png) else (".png", png)
    return ".jpg", _fitted(bare, _as_jpeg)


def _fitted(square: Image.Image, save: Callable[[Image.Image], bytes]) -> bytes:
    content = save(square)
    while len(content) >= MAX_BYTES:
        side = square.width * 4 // 5
        square = square.resize((side, side), Image.Resampling.LANCZOS)
        content = save(square)
    return content


def _as_jpeg(square: Image.Image) -> bytes:
    out = io.BytesIO()
    square.save(out, "JPEG", quality=88, optimize=True, progressive=True)
    return out.getvalue()


def _as_png(square: Image.Image) -> bytes:
    out = io.BytesIO()
    square.save(out, "PNG", optimize=True)
    return out.getvalue()


def _as_small_png(square: Image.Image) -> bytes:
    return _as_png(square.quantize(256, method=Image.Quantize.FASTOCTREE))


# --- Words -----------------------------------------------------------------------------


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)


def _shown(kind: str) -> str:
    """As people call it."""
    return "JPG" if kind == "JPEG" else kind
