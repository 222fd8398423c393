"""LINE's door: who asks, with what body, and how LINE says no.

Source: Messaging API reference, "Common specifications".
"""

import json
import re
import uuid
from typing import Any

from aiohttp import web

from sandbox.calls import Answer, Ask, RefusedError
from sandbox.world import Channel, World

LineAsk = Ask[Channel]

MAX_BODY = 2 * 1024 * 1024
RETRY_KEY = "X-Line-Retry-Key"
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
TOO_FAST = "The API rate limit has been exceeded. Try again later."
BAD_BEARER = (
    "Authentication failed due to the following reason: invalid token. Confirm that "
    "the access token in the authorization header is valid."
)
NO_BEARER = (
    "Authentication failed due to the following reason: "
    "missing or malformed authorization header."
)


def refuse(status: int, message: str, **more: Any) -> RefusedError:
    """A no in LINE's shape."""
    return RefusedError(Answer({"message": message} | more, status))


def enter(world: World, request: web.Request, body: bytes) -> Channel:
    """The channel whose token the request carries."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise refuse(401, NO_BEARER)
    channel = world.channel_of_token(token.strip())
    if channel is None:
        raise refuse(401, BAD_BEARER)
    if len(body) > MAX_BODY:
        raise refuse(413, "The request body is larger than 2 MB")
    return channel


def json_body(ask: LineAsk) -> dict[str, Any]:
    """The request's JSON object."""
    if ask.request.content_type != "application/json":
        kind = ask.request.content_type
        raise refuse(415, f"The content type, '{kind}', is not supported")
    try:
        data = json.loads(ask.body)
    except (ValueError, RecursionError):
        raise refuse(
            400, "The request body could not be parsed as JSON (line: -, column: -)"
        ) from None
    if not isinstance(data, dict):
        raise refuse(400, "The request body must be a JSON object")
    return data


def retry_key(ask: LineAsk) -> bytes | None:
    """The retry key as 16 bytes, if there is one."""
    text = ask.request.headers.get(RETRY_KEY)
    if text is None:
        return None
    if not ask.takes_retry_key:
        raise refuse(400, f"The {RETRY_KEY} header is not supported by this API")
    if not UUID_TEXT.fullmatch(text):
        raise refuse(400, f"The {RETRY_KEY} header must be a UUID in hexadecimal")
    return uuid.UUID(text).bytes
