"""LINE's calls, each with the answers a shop must cope with.

Source: Messaging API reference. A call is a function from an Ask to an Answer;
to add one, write it and list it in CALLS.
"""

import base64
import binascii
import itertools
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.calls import TO, Answer, Call, Provider, RefusedError
from sandbox.courier import NO_ADDRESS
from sandbox.line.coupons import COUPON_CALLS
from sandbox.line.door import (
    BAD_BEARER,
    RETRY_KEY,
    TOO_FAST,
    LineAsk,
    enter,
    json_body,
    refuse,
    retry_key,
)
from sandbox.line.events import Postman, quote_token
from sandbox.line.messages import check_messages
from sandbox.world import USER_ID, Accepted, Channel, is_web_address

POSTMAN = web.AppKey("postman", Postman)
UNIT_NAME = re.compile(r"[A-Za-z0-9_]{1,30}")
MONTH_IS_OVER = "You have reached your monthly limit."


# Sending


def sent_messages(ids: tuple[int, ...]) -> dict[str, Any]:
    sent = [{"id": str(i), "quoteToken": quote_token(i)} for i in ids]
    return {"sentMessages": sent}


def refuse_repeat(ask: LineAsk, key: bytes | None, *, names_messages: bool) -> None:
    """Raise LINE's 409 if this key was accepted within 24 hours."""
    earlier = ask.world.accepted_before(ask.account, key) if key else None
    if earlier is None:
        return
    answer = Answer(_repeat(earlier, names_messages), 409)
    answer.headers["x-line-accepted-request-id"] = earlier.request_id
    raise RefusedError(answer)


def _repeat(earlier: Accepted, names_messages: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"message": "The retry key is already accepted"}
    if names_messages:
        data |= sent_messages(earlier.message_ids)
    return data


def check_content(data: dict[str, Any]) -> int:
    """Refuse bad messages and options; the number of messages otherwise."""
    details = check_messages(data.get("messages"))
    if not isinstance(data.get("notificationDisabled", False), bool):
        details.append(
            {"message": "Must be a boolean", "property": "notificationDisabled"}
        )
    units = data.get("customAggregationUnits")
    if units is not None and not _are_unit_names(units):
        details.append(
            {
                "message": "Must be one name of [A-Za-z0-9_]{1,30}",
                "property": "customAggregationUnits",
            }
        )
    if details:
        count = f"The request body has {len(details)} error(s)"
        raise refuse(400, count, details=details)
    return len(data["messages"])


def _are_unit_names(units: object) -> bool:
    return (
        isinstance(units, list)
        and len(units) <= 1
        and all(isinstance(u, str) and UNIT_NAME.fullmatch(u) for u in units)
    )


def check_known(ask: LineAsk, user_ids: list[str]) -> None:
    """Refuse ids of no friend, if the channel is set to."""
    friends = ask.account.friends
    if ask.account.refuse_unknown and not all(
        user_id in friends and friends[user_id].name for user_id in user_ids
    ):
        raise refuse(400, "Failed to send messages")


def send(
    ask: LineAsk, key: bytes | None, user_ids: list[str], messages: int
) -> tuple[int, ...]:
    """Accept a send: quota, phones, retry key. No await in here: it happens at once."""
    world, channel = ask.world, ask.account
    recipients = world.billable(channel, user_ids)
    if not channel.has_quota_for(max(recipients, 1)):
        raise refuse(429, MONTH_IS_OVER)
    world.charge(channel, recipients)
    ids = world.accept(channel, user_ids, ask.body, messages)
    if key is not None:
        world.remember(channel, key, ask.request_id, ids)
    return ids


async def push(ask: LineAsk) -> Answer:
    key = retry_key(ask)
    data = json_body(ask)
    refuse_repeat(ask, key, names_messages=True)
    to = data.get("to")
    if not isinstance(to, str) or not USER_ID.fullmatch(to):
        raise refuse(400, "The property, 'to', in the request body is invalid")
    ask.request[TO] = to
    messages = check_content(data)
    check_known(ask, [to])
    return Answer(sent_messages(send(ask, key, [to], messages)))


async def multicast(ask: LineAsk) -> Answer:
    key = retry_key(ask)
    data = json_body(ask)
    refuse_repeat(ask, key, names_messages=False)
    to = _recipients(data.get("to"))
    ask.request[TO] = f"{len(to)} users"
    messages = check_content(data)
    check_known(ask, to)
    send(ask, key, to, messages)
    return Answer()


def _recipients(to: object) -> list[str]:
    """All ids of a multicast once, or a no that names the first bad one."""
    if not isinstance(to, list) or not 1 <= len(to) <= 500:
        raise refuse(400, "The property, 'to', in the request body is invalid")
    for place, user_id in enumerate(to):
        if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
            where = f"'to[{place}]'"
            raise refuse(400, f"The property, {where}, in the request body is invalid")
    return list(dict.fromkeys(to))


async def broadcast(ask: LineAsk) -> Answer:
    key = retry_key(ask)
    data = json_body(ask)
    refuse_repeat(ask, key, names_messages=False)
    messages = check_content(data)
    to = list(ask.world.followers(ask.account))
    ask.request[TO] = f"all {len(to)} friends"
    send(ask, key, to, messages)
    return Answer()


async def reply(ask: LineAsk) -> Answer:
    retry_key(ask)
    data = json_body(ask)
    messages = check_content(data)
    token = data.get("replyToken")
    to = ask.world.use_reply_token(ask.account, str(token))
    if to is None:
        raise refuse(400, "Invalid reply token")
    ask.request[TO] = to
    ids = ask.world.accept(ask.account, [to], ask.body, messages)
    return Answer(sent_messages(ids))


async def validate(ask: LineAsk) -> Answer:
    retry_key(ask)
    check_content({"messages": json_body(ask).get("messages")})
    return Answer()


# Asking


async def bot_info(ask: LineAsk) -> Answer:
    channel = ask.account
    return Answer(
        {
            "userId": channel.bot_user_id,
            "basicId": f"@{channel.bot_user_id[1:9]}",
            "displayName": channel.name,
            "chatMode": "bot",
            "markAsReadMode": "auto",
        }
    )


async def profile(ask: LineAsk) -> Answer:
    user_id = ask.request.match_info["user_id"]
    if not USER_ID.fullmatch(user_id):
        raise refuse(400, "The value for the 'userId' parameter is invalid")
    friend = ask.account.friends.get(user_id)
    if friend is None or not friend.name or not friend.follows:
        raise refuse(404, "Not found")
    return Answer(
        {
            "userId": user_id,
            "displayName": friend.name,
            "language": friend.language,
        }
    )


async def follower_ids(ask: LineAsk) -> Answer:
    """A page of followers; like LINE's it may be short and still have a `next`."""
    if not ask.account.verified:
        raise refuse(403, "Access to this API is not available for your account")
    limit = _limit(ask.request.query.get("limit", "300"))
    start = _offset(ask.request.query.get("start"))
    page = list(itertools.islice(ask.account.order, start, start + limit))
    friends = ask.account.friends
    data: dict[str, Any] = {"userIds": [u for u in page if friends[u].follows]}
    if start + limit < len(ask.account.order):
        data["next"] = _continuation(start + limit)
    return Answer(data)


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise refuse(400, "The value for the 'limit' parameter is invalid")
    return int(text)


def _continuation(offset: int) -> str:
    return base64.urlsafe_b64encode(f"next {offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(token).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    match = re.fullmatch(r"next ([0-9]{1,12})", text)
    if match is None:
        raise refuse(400, "The value for the 'start' parameter is invalid")
    return int(match[1])


async def quota(ask: LineAsk) -> Answer:
    if ask.account.quota is None:
        return Answer({"type": "none"})
    return Answer({"type": "limited", "value": ask.account.quota})


async def consumption(ask: LineAsk) -> Answer:
    return Answer({"totalUsage": ask.account.used})


# The webhook's address


async def get_webhook(ask: LineAsk) -> Answer:
    if not ask.account.webhook_url:
        raise refuse(404, "Webhook endpoint not found")
    return Answer({"endpoint": ask.account.webhook_url, "active": True})


async def put_webhook(ask: LineAsk) -> Answer:
    endpoint = json_body(ask).get("endpoint")
    if not _is_address(endpoint):
        raise refuse(400, "Invalid webhook endpoint URL")
    ask.world.put_channel(ask.account.name, webhook_url=endpoint)
    return Answer()


async def test_webhook(ask: LineAsk) -> Answer:
    """Post a webhook without events and say how it went."""
    endpoint = json_body(ask).get("endpoint") if ask.body else None
    if endpoint is not None and not _is_address(endpoint):
        raise refuse(400, "Invalid webhook endpoint URL")
    postman = ask.request.app[POSTMAN]
    outcome = await postman.post(ask.account, [], url=endpoint)
    if outcome.reason == NO_ADDRESS:
        raise refuse(404, "Webhook endpoint not found")
    at = datetime.fromtimestamp(outcome.at, UTC)
    return Answer(
        {
            "success": outcome.reason == "OK",
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "statusCode": outcome.status or 0,
            "reason": outcome.reason,
            "detail": str(outcome.status or "no answer"),
        }
    )


def _is_address(value: object) -> bool:
    return isinstance(value, str) and is_web_address(value)


def _validations() -> list[Call[Channel]]:
    """One check per way of sending; all of them look at the messages alone."""
    return [
        Call(
            f"validate_{way}",
            "POST",
            f"/v2/bot/message/validate/{way}",
            f"Check messages for {way}",
            validate,
        )
        for way in ("reply", "push", "multicast", "narrowcast", "broadcast")
    ]


MESSAGE = "/v2/bot/message"
WEBHOOK = "/v2/bot/channel/webhook"
CALLS: tuple[Call[Channel], ...] = (
    Call("push", "POST", f"{MESSAGE}/push", "Push to one friend", push, True),
    Call(
        "multicast",
        "POST",
        f"{MESSAGE}/multicast",
        "Multicast to up to 500 friends",
        multicast,
        True,
    ),
    Call(
        "broadcast",
        "POST",
        f"{MESSAGE}/broadcast",
        "Broadcast to all friends",
        broadcast,
        True,
    ),
    Call("reply", "POST", f"{MESSAGE}/reply", "Reply to a webhook", reply),
    *_validations(),
    Call("quota", "GET", f"{MESSAGE}/quota", "Read the month's quota", quota),
    Call(
        "consumption",
        "GET",
        f"{MESSAGE}/quota/consumption",
        "Read how much of the quota is used",
        consumption,
    ),
    Call("info", "GET", "/v2/bot/info", "Read the account's own name", bot_info),
    Call("profile", "GET", "/v2/bot/profile/{user_id}", "Read a profile", profile),
    Call(
        "followers",
        "GET",
        "/v2/bot/followers/ids",
        "Read the follower list",
        follower_ids,
    ),
    Call(
        "get_webhook",
        "GET",
        f"{WEBHOOK}/endpoint",
        "Read the webhook's address",
        get_webhook,
    ),
    Call(
        "put_webhook",
        "PUT",
        f"{WEBHOOK}/endpoint",
        "Set the webhook's address",
        put_webhook,
    ),
    Call("test_webhook", "POST", f"{WEBHOOK}/test", "Test the webhook", test_webhook),
    *COUPON_CALLS,
)

LINE: Provider[Channel] = Provider(
    name="LINE",
    calls=CALLS,
    enter=enter,
    fault_answers={
        "500": Answer({"message": "Internal server error"}, 500),
        "429_rate": Answer({"message": TOO_FAST}, 429),
        "429_quota": Answer({"message": MONTH_IS_OVER}, 429),
        "401": Answer({"message": BAD_BEARER}, 401),
    },
    name_of=lambda channel: channel.name,
    retry_key_header=RETRY_KEY,
    request_id_header="x-line-request-id",
)


async def not_found(request: web.Request) -> web.Response:
    """A path LINE does not have."""
    return web.json_response(
        {"message": "Not found"},
        status=404,
        headers={"x-line-request-id": str(uuid.uuid4())},
    )
