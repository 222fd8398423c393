"""Webhooks: what happened on a phone, told to the shop the way LINE tells it.

Source: Messaging API reference, "Webhook event objects" and "Signature validation".
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from aiohttp import ClientTimeout

from sandbox.courier import NO_ADDRESS, RETRY_AFTER, Carrier, Letter
from sandbox.world import (
    Channel,
    Friend,
    State,
    WebhookRecord,
    WebhookTry,
    World,
    WorldError,
)

Event = dict[str, Any]

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ANSWER_LIMIT = ClientTimeout(total=2)  # seconds; LINE logs request_timeout after this


def sign(secret: str, body: bytes) -> str:
    """The x-line-signature of a body."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def new_ulid(ms: int) -> str:
    """An id that sorts by time: 48 bits of it, then 80 of chance."""
    number = (ms << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def new_event(
    world: World, channel: Channel, friend: Friend, kind: str, **parts: Any
) -> Event:
    """What all events have, and `parts`; a reply token unless the user left."""
    ms = int(world.now() * 1000)
    event: Event = {
        "type": kind,
        "mode": "active",
        "timestamp": ms,
        "source": {"type": "user", "userId": friend.user_id},
        "webhookEventId": new_ulid(ms),
        "deliveryContext": {"isRedelivery": False},
    }
    if kind != "unfollow":
        event["replyToken"] = secrets.token_hex(16)
        world.give_reply_token(channel, event["replyToken"], friend.user_id, ms)
    return event | parts


class Postman(Carrier):
    """Posts LINE's webhooks and notes what the shop answered."""

    def __init__(
        self, world: World, redeliver_after: tuple[float, ...] = RETRY_AFTER
    ) -> None:
        super().__init__(world, ANSWER_LIMIT, redeliver_after)

    # What a person does on the phone

    def follow(self, channel: Channel, friend: Friend) -> WebhookRecord:
        """Add the account, or unblock it."""
        unblocked = friend.state is State.BLOCKED
        self._world.set_state(channel, friend, State.FOLLOWS)
        return self._tell(channel, friend, "follow", follow={"isUnblocked": unblocked})

    def unfollow(self, channel: Channel, friend: Friend) -> WebhookRecord:
        """Block the account."""
        self._world.set_state(channel, friend, State.BLOCKED)
        return self._tell(channel, friend, "unfollow")

    def say(self, channel: Channel, friend: Friend, text: str) -> WebhookRecord:
        """Write to the account. Raises WorldError."""
        if not friend.follows:
            raise WorldError(f"{friend.name} does not follow {channel.name}.")
        if not text.strip() or len(text) > 5000:
            raise WorldError("A message has 1 to 5000 characters.")
        shown = self._world.write(channel, friend, text)
        message = {
            "type": "text",
            "id": str(shown.id),
            "quoteToken": quote_token(shown.id),
            "text": text,
        }
        return self._tell(channel, friend, "message", message=message)

    def press(
        self, channel: Channel, friend: Friend, data: str, display_text: str = ""
    ) -> WebhookRecord:
        """Press a postback button. Raises WorldError."""
        if not friend.follows:
            raise WorldError(f"{friend.name} does not follow {channel.name}.")
        if not data or len(data) > 300:
            raise WorldError("The data of a postback has 1 to 300 characters.")
        if display_text:
            self._world.write(channel, friend, display_text[:300])
        return self._tell(channel, friend, "postback", postback={"data": data})

    def redeliver(self, event_id: str) -> WebhookRecord:
        """Post an event once more, as LINE does after a failure. Raises WorldError."""
        record = self._world.webhooks.get(event_id)
        if record is None:
            raise WorldError("There is no such webhook event.")
        channel = self._world.channel(record.channel)
        self._start(self._post_again(channel, record))
        return record

    # Posting

    def _tell(
        self, channel: Channel, friend: Friend, kind: str, **parts: Any
    ) -> WebhookRecord:
        event = new_event(self._world, channel, friend, kind, **parts)
        record = WebhookRecord(
            event["webhookEventId"], channel.name, kind, friend.user_id, event
        )
        self._world.log_webhook(record)
        self._start(self._post_until_taken(channel, record))
        return record

    async def _post_until_taken(self, channel: Channel, record: WebhookRecord) -> None:
        record.tries.append(await self.post(channel, [record.event]))
        for pause in self._retry_after:
            if record.tries[-1].reason in ("OK", NO_ADDRESS) or not channel.redelivery:
                return
            await asyncio.sleep(pause)
            await self._post_again(channel, record)

    async def _post_again(self, channel: Channel, record: WebhookRecord) -> None:
        """The same event but for isRedelivery; its reply token lives again."""
        event = record.event | {"deliveryContext": {"isRedelivery": True}}
        token = channel.reply_tokens.get(record.event.get("replyToken", ""))
        if token is not None and self._world.now() - token.event_ms / 1000 < 1200:
            token.good_until = self._world.now() + 60
        record.tries.append(await self.post(channel, [event], is_redelivery=True))

    async def post(
        self,
        channel: Channel,
        events: list[Event],
        *,
        url: str | None = None,
        is_redelivery: bool = False,
    ) -> WebhookTry:
        """Post events now; the outcome has LINE's words for failures."""
        url = url or channel.webhook_url
        if not url:
            return WebhookTry(self._world.now(), None, NO_ADDRESS, 0, is_redelivery)
        envelope = {"destination": channel.bot_user_id, "events": events}
        body = json.dumps(envelope, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "LineBotWebhook/2.0",
            "x-line-signature": sign(channel.secret, body),
        }
        letter = Letter(url, body, headers)
        return await self._try(lambda: letter, is_redelivery=is_redelivery)


def quote_token(message_id: int) -> str:
    """The token to quote a message by; the same each time, so a 409 can repeat it."""
    digest = hashlib.sha256(f"quote {message_id}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
