"""LINE's Messaging API: the few calls that we make.

LINE adds fields and enum values unannounced, so answers are read for what we need and
anything else in them is ignored.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote
from uuid import UUID

from providers.answers import Answer, json_object, plain
from providers.errors import (
    Refused,
    Unauthorised,
    Unclear,
    Unreachable,
    Unreadable,
)
from providers.line_channel import LineChannel, detail_of


class Kind(StrEnum):
    """What became of a request to send. The sender decides what to do about it."""

    ACCEPTED = "accepted"  # LINE has it: any 2xx, or 409 for an earlier try's success
    RATE = "rate"  # 429: too fast
    QUOTA = "quota"  # 429: the month is used up, or reserved by another send
    REFUSED = "refused"  # any other 4xx: the same request will never do
    UNAUTHORISED = "unauthorised"  # 401: the token
    UNCLEAR = "unclear"  # may have been accepted: same body, same key, again
    UNREACHABLE = "unreachable"  # certainly not accepted, for nothing was sent


@dataclass(frozen=True)
class Outcome:
    """`request_id` is LINE's own; after a 409 that of the accepted try.

    `status` is None when none arrived. `detail` is for people.
    """

    kind: Kind
    status: int | None = None
    request_id: str = ""
    message_ids: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class BotInfo:
    """`user_id` is the `destination` of this account's webhooks."""

    user_id: str
    basic_id: str
    display_name: str
    premium_id: str = ""
    picture_url: str = ""
    chat_mode: str = ""


@dataclass(frozen=True)
class Quota:
    """Messages this month. `limit` None: unlimited. `used` is approximate."""

    limit: int | None
    used: int


@dataclass(frozen=True)
class Profile:
    user_id: str
    display_name: str
    picture_url: str = ""
    language: str = ""


@dataclass(frozen=True)
class LineClient(LineChannel):
    """Messages of one channel, and who it is."""

    def push(self, body: bytes, *, retry_key: UUID) -> Outcome:
        """Push prepared messages to one user; the same body and key on every try.

        `body` is the whole JSON request (line_messages.push_body or .fill). Never
        raises ProviderError. Source: Messaging API reference, "Send push message";
        "Retry failed API requests".
        """
        headers = {
            "Content-Type": "application/json",
            "X-Line-Retry-Key": str(retry_key),
        }
        try:
            answer = self.ask("POST", "/v2/bot/message/push", headers, body)
        except Unauthorised as error:
            return Outcome(Kind.UNAUTHORISED, detail=str(error))
        except Unreachable as error:
            return Outcome(Kind.UNREACHABLE, detail=str(error))
        except Unclear as error:
            # A cut or endless body changes nothing about the status before it.
            if error.answer is None:
                return Outcome(Kind.UNCLEAR, detail=str(error))
            answer = error.answer
        return _outcome(answer)

    def bot_info(self) -> BotInfo:
        """Who the token belongs to. Raises ProviderError."""
        found = self.get("/v2/bot/info")
        return BotInfo(
            user_id=_text(found, "userId"),
            basic_id=plain(found.get("basicId"), 100),
            display_name=plain(found.get("displayName"), 100),
            premium_id=plain(found.get("premiumId"), 100),
            picture_url=plain(found.get("pictureUrl"), 2000),
            chat_mode=plain(found.get("chatMode"), 20),
        )

    def quota(self) -> Quota:
        """The month's quota and use; two calls. Raises ProviderError."""
        found = self.get("/v2/bot/message/quota")
        limit = None
        if found.get("type") != "none" or "value" in found:
            limit = _count(found, "value")
        used = self.get("/v2/bot/message/quota/consumption")
        return Quota(limit=limit, used=_count(used, "totalUsage"))

    def profile(self, user_id: str) -> Profile | None:
        """A user's profile, or None when LINE knows none: blocked, or no consent.

        Raises ProviderError.
        """
        try:
            found = self.get(f"/v2/bot/profile/{quote(user_id, safe='')}")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return Profile(
            user_id=_text(found, "userId"),
            display_name=plain(found.get("displayName"), 100),
            picture_url=plain(found.get("pictureUrl"), 2000),
            language=plain(found.get("language"), 35),
        )


def _outcome(answer: Answer) -> Outcome:
    found = json_object(answer.body) or {}
    kind = _kind(answer.status, found)
    request_id = answer.headers.get("x-line-request-id", "")
    if answer.status == 409:
        request_id = answer.headers.get("x-line-accepted-request-id", request_id)
    return Outcome(
        kind=kind,
        status=answer.status,
        request_id=plain(request_id, 100),
        message_ids=_message_ids(found) if kind is Kind.ACCEPTED else (),
        detail="" if kind is Kind.ACCEPTED else detail_of(answer.status, found),
    )


def _kind(status: int, found: dict[str, Any]) -> Kind:
    if 200 <= status < 300 or status == 409:
        return Kind.ACCEPTED
    if status == 401:
        return Kind.UNAUTHORISED
    if status == 429:
        # LINE tells its two 429s apart by text alone and does not promise the text:
        # whoever pauses a delivery for QUOTA should ask `quota()` as well.
        message = found.get("message")
        is_quota = isinstance(message, str) and "monthly" in message.lower()
        return Kind.QUOTA if is_quota else Kind.RATE
    return Kind.REFUSED if 400 <= status < 500 else Kind.UNCLEAR


def _message_ids(found: dict[str, Any]) -> tuple[str, ...]:
    sent = found.get("sentMessages")
    ids = [
        plain(str(one["id"]), 100)
        for one in (sent if isinstance(sent, list) else [])
        if isinstance(one, dict) and isinstance(one.get("id"), str | int)
    ]
    return tuple(ids[:5])


def _text(found: dict[str, Any], name: str) -> str:
    text = plain(found.get(name), 100)
    if not text:
        raise Unreadable(f"LINE's answer has no {name}.")
    return text


def _count(found: dict[str, Any], name: str) -> int:
    number = found.get(name)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise Unreadable(f"LINE's answer has no number {name}.")
    return number
