"""Pictures that LINE fetches from the shop when a coupon is made, and keeps."""

import hashlib
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.line.couponbook import CouponBook
from sandbox.line.messages import is_near

MAX_PICTURE = 10 * 1024 * 1024
PATIENCE = ClientTimeout(total=10)  # seconds; LINE does not say its own
PATH = "/line-scdn"  # where the sandbox shows what it keeps
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
STAND_IN = ""  # the kind of a picture that was not fetched


class PictureError(Exception):
    """Why a picture cannot be had, for the `message` of an error."""


async def fetch(url: str) -> tuple[str, bytes]:
    """The media type and bytes of a picture on this machine or its network.

    LINE's manual does not say what a create call answers when its picture cannot be
    had; here it raises PictureError and nothing is made, since a shop that goes
    unnoticed without its picture learns nothing. Pictures on the internet are not
    fetched, for the sandbox works without one: they get a stand-in.
    """
    if not is_near(urlsplit(url).hostname or ""):
        return STAND_IN, b""
    try:
        async with (
            ClientSession(timeout=PATIENCE) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise PictureError(f"The image could not be fetched: {answer.status}")
            raw = await answer.content.read(MAX_PICTURE + 1)
            while len(raw) <= MAX_PICTURE and (more := await answer.content.readany()):
                raw += more
    except TimeoutError:
        raise PictureError("The image could not be fetched in time") from None
    except (ClientError, ValueError):
        raise PictureError("The image could not be fetched") from None
    return kind_of(raw), raw


def kind_of(raw: bytes) -> str:
    """The media type by the first bytes, whatever a header says. Raises PictureError."""
    if len(raw) > MAX_PICTURE:
        raise PictureError("The image must not be larger than 10 MB")
    for start, kind in KINDS.items():
        if raw.startswith(start):
            return kind
    raise PictureError("The image must be a JPEG or a PNG")


def keep(book: CouponBook, kind: str, raw: bytes) -> str:
    """Keep a picture, once however many coupons show it; its id."""
    picture_id = hashlib.sha256(kind.encode() + b"\n" + raw).hexdigest()
    if book.picture(picture_id) is None:
        book.save_picture(picture_id, kind, raw)
    return picture_id
