"""The shop's logo: a file of the operator's, shown to customers from our own address."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from PIL import Image

MAX_BYTES = 100 * 1024  # more would be most of what a customer waits for
MAX_SIDE = 2_000  # px
KINDS = {"PNG": "image/png", "JPEG": "image/jpeg"}


class LogoError(Exception):
    """Why a file can't be the logo, in a sentence for whoever set it."""


@dataclass(frozen=True)
class Logo:
    content: bytes
    content_type: str
    width: int
    height: int

    @property
    def name(self) -> str:
        """Another one for another picture, so that it may be kept for ever."""
        ending = "png" if self.content_type == "image/png" else "jpg"
        digest = hashlib.sha256(self.content).hexdigest()
        return f"logo-{digest[:16]}.{ending}"

    @property
    def url(self) -> str:
        return f"{settings.MEDIA_URL}shop/{self.name}"


def shop_logo() -> Logo | None:
    """The logo, if there is one that can be shown; the page does without any other."""
    if not settings.SHOP_LOGO:
        return None
    try:
        return read_logo(settings.SHOP_LOGO)
    except LogoError:
        return None


def read_logo(name: str) -> Logo:
    """The file's picture, read anew when it has changed. Raises LogoError."""
    path = Path(settings.BASE_DIR, name)
    try:
        stat = path.stat()
    except (OSError, ValueError):
        raise LogoError(f"{path} is not there, or can't be read.") from None
    return logo_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def logo_of(path: Path, changed: int, size: int) -> Logo:
    """`changed` is there to tell a new file from the one that is remembered."""
    if size > MAX_BYTES:
        raise LogoError(f"{path} is larger than {MAX_BYTES // 1024} KB.")
    try:
        content = path.read_bytes()
        with Image.open(path, formats=tuple(KINDS)) as picture:
            kind, (width, height) = picture.format or "", picture.size
            if max(width, height) > MAX_SIDE:
                raise LogoError(f"{path} is more than {MAX_SIDE} pixels wide or high.")
            picture.load()
    except LogoError:
        raise
    except PermissionError:
        raise LogoError(f"{path} is not there, or can't be read.") from None
    except Exception:  # noqa: BLE001 - Pillow promises no kind for bad files
        raise LogoError(f"{path} is no PNG or JPG picture.") from None
    return Logo(content, KINDS[kind], width, height)
