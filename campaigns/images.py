"""Campaign images: looked at before decoding, then drawn anew."""

import io
import secrets

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.utils.translation import gettext as _
from PIL import Image, ImageOps

MAX_BYTES = 1024 * 1024
MAX_SIDE = 4096  # px
MAX_PIXELS = 12_000_000
ENDINGS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",)}


def clean_image(upload: "File[bytes]") -> "ContentFile[bytes]":
    """The picture drawn anew, without EXIF, comments or whatever else it carried.

    Takes JPEG and PNG under 1 MB with one frame, at most 4096 px a side and 12
    megapixels. Size and kind are read from the header, so a bomb is never decoded.
    Raises ValidationError with what to do.
    """
    no = ValidationError(
        _(
            "This is no usable picture. Upload a JPG or PNG under 1 MB, at most 4096 "
            "pixels wide and high, without animation."
        )
    )
    if not upload.size or upload.size > MAX_BYTES:
        raise no
    raw = upload.read()
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as picture:
            kind = picture.format or ""
            width, height = picture.size
            if (
                not (upload.name or "").lower().endswith(ENDINGS.get(kind, ()))
                or width > MAX_SIDE
                or height > MAX_SIDE
                or width * height > MAX_PIXELS
                or getattr(picture, "n_frames", 1) != 1
            ):
                raise no
            upright = ImageOps.exif_transpose(picture)
            clear = kind == "PNG" and upright.has_transparency_data
            drawn = upright.convert("RGBA" if clear else "RGB")
    except ValidationError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow promises no kind for bad files
        raise no from error
    out = io.BytesIO()
    # A new image of the pixels alone: convert() keeps the old one's extras.
    bare = Image.new(drawn.mode, drawn.size)
    bare.paste(drawn)
    bare.save(out, kind, quality=88, optimize=True)
    ending = ENDINGS[kind][0]
    return ContentFile(out.getvalue(), name=f"{secrets.token_hex(12)}{ending}")
