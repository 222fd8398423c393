"""The sandbox's own JSON API under /_control/: set the stage, look behind it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.every import CALLS
from sandbox.faults import EVERY_CALL, FaultError
from sandbox.line.calls import POSTMAN
from sandbox.redeliver import redeliver as post_again
from sandbox.world import Channel, Friend, World, WorldError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CALL_NAMES = {call.name for call in CALLS} | {EVERY_CALL}


def set_fault(world: World, call: str, kind: str, **options: Any) -> dict[str, Any]:
    """Switch a fault on. Raises FaultError."""
    if call not in CALL_NAMES:
        known = ", ".join(sorted(CALL_NAMES))
        raise FaultError(f"There is no call {call!r}. Known: {known}.")
    return world.faults.add(call, kind, **options).as_dict()


def chat_of(friend: Friend) -> list[dict[str, Any]]:
    """What the phone shows, oldest first."""
    return [
        {"id": str(m.id), "at_ms": m.at_ms, "mine": m.mine, "message": m.content()}
        for m in friend.chat
    ]


def counts_of(channel: Channel) -> dict[str, int]:
    """Sends accepted per user, those who blocked included; nobody with none."""
    return {u: f.sent for u, f in channel.friends.items() if f.sent}


def friend_row(friend: Friend) -> dict[str, Any]:
    return {
        "user_id": friend.user_id,
        "name": friend.name,
        "state": friend.state.value,
        "accepted": friend.sent,
        "undelivered": friend.unseen,
        "messages": len(friend.chat),
        "unread": friend.unread,
    }


# Reading requests


def answer_errors(handler: Handler) -> Handler:
    """What cannot be done becomes a 400 with a sentence."""

    async def careful(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (WorldError, FaultError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return careful


async def object_of(request: web.Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        raise WorldError("The body is not JSON.") from None
    if not isinstance(data, dict):
        raise WorldError("The body is not a JSON object.")
    return data


def field_of(data: dict[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = data.get(name, default)
    if value is not default and type(value) is not kind:
        raise WorldError(f"{name} must be {kind.__name__}.")
    return value


def text_of(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise WorldError(f"{name} must be a text.")
    return value


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise WorldError(f"{name} must be a whole number.")
    return min(int(text), most)


def _channel(request: web.Request) -> Channel:
    return request.app[WORLD].channel(request.query.get("channel"))


def _friend(request: web.Request) -> tuple[Channel, Friend]:
    channel = _channel(request)
    user_id = request.match_info["user_id"]
    return channel, request.app[WORLD].friend(channel, user_id)


# Channels and friends


async def list_channels(request: web.Request) -> web.StreamResponse:
    channels = request.app[WORLD].channels.values()
    return web.json_response(
        {"channels": [c.settings() | {"used": c.used} for c in channels]}
    )


async def put_channel(request: web.Request) -> web.StreamResponse:
    data = await object_of(request)
    name = text_of(data, "name")
    if not name.strip():
        raise WorldError("A channel needs a name.")
    channel = request.app[WORLD].put_channel(**data)
    return web.json_response(channel.settings())


async def list_friends(request: web.Request) -> web.StreamResponse:
    text = request.query.get("q", "")
    limit = _number(request, "limit", 100, 10_000)
    found = request.app[WORLD].find_friends(_channel(request), text, limit)
    return web.json_response({"friends": [friend_row(f) for f in found]})


async def add_friends(request: web.Request) -> web.StreamResponse:
    """Many at once: {"friends": [{"name", "user_id"?, "follows"?}], "webhook"?}."""
    data = await object_of(request)
    channel = _channel(request)
    rows = field_of(data, "friends", list, [])
    tell = field_of(data, "webhook", bool, False)
    made = [_add_friend(request.app[WORLD], channel, row) for row in rows]
    if tell:
        for friend in made:
            if friend.follows:
                request.app[POSTMAN].follow(channel, friend)
    return web.json_response({"user_ids": [friend.user_id for friend in made]})


def _add_friend(world: World, channel: Channel, row: object) -> Friend:
    if not isinstance(row, dict):
        raise WorldError("A friend is an object with a name.")
    return world.add_friend(
        channel,
        text_of(row, "name"),
        user_id=field_of(row, "user_id", str),
        follows=field_of(row, "follows", bool, True),
        language=field_of(row, "language", str, "en"),
    )


async def follow(request: web.Request) -> web.StreamResponse:
    record = request.app[POSTMAN].follow(*_friend(request))
    return web.json_response({"webhook_event_id": record.event_id})


async def unfollow(request: web.Request) -> web.StreamResponse:
    record = request.app[POSTMAN].unfollow(*_friend(request))
    return web.json_response({"webhook_event_id": record.event_id})


async def say(request: web.Request) -> web.StreamResponse:
    text = text_of(await object_of(request), "text")
    record = request.app[POSTMAN].say(*_friend(request), text)
    return web.json_response({"webhook_event_id": record.event_id})


async def press(request: web.Request) -> web.StreamResponse:
    data = text_of(await object_of(request), "data")
    record = request.app[POSTMAN].press(*_friend(request), data)
    return web.json_response({"webhook_event_id": record.event_id})


async def messages(request: web.Request) -> web.StreamResponse:
    _, friend = _friend(request)
    return web.json_response({"messages": chat_of(friend)})


# Looking behind


async def counts(request: web.Request) -> web.StreamResponse:
    return web.json_response({"counts": counts_of(_channel(request))})


async def requests(request: web.Request) -> web.StreamResponse:
    call = request.query.get("call")
    attempts = request.app[WORLD].attempts
    found = [a.as_dict() for a in attempts if call in (None, a.call)]
    return web.json_response({"requests": found})


async def webhooks(request: web.Request) -> web.StreamResponse:
    records = request.app[WORLD].webhooks.values()
    return web.json_response({"webhooks": [record.as_dict() for record in records]})


async def redeliver(request: web.Request) -> web.StreamResponse:
    record = post_again(request.app, request.match_info["event_id"])
    return web.json_response({"webhook_event_id": record.event_id})


# Trouble, time, a fresh start


async def list_faults(request: web.Request) -> web.StreamResponse:
    faults = request.app[WORLD].faults.active()
    return web.json_response({"faults": [fault.as_dict() for fault in faults]})


async def add_fault(request: web.Request) -> web.StreamResponse:
    data = await object_of(request)
    share, seconds = data.get("share"), data.get("seconds")
    for name, value in (("share", share), ("seconds", seconds)):
        if value is not None and type(value) not in (int, float):
            raise WorldError(f"{name} must be a number.")
    fault = set_fault(
        request.app[WORLD],
        text_of(data, "call"),
        text_of(data, "kind"),
        times=field_of(data, "times", int),
        share=share,
        seconds=seconds,
        seed=field_of(data, "seed", int, 1),
    )
    return web.json_response(fault)


async def clear_faults(request: web.Request) -> web.StreamResponse:
    request.app[WORLD].faults.clear()
    return web.json_response({"faults": []})


async def advance(request: web.Request) -> web.StreamResponse:
    """Put the clock forward: {"seconds": 90000}."""
    seconds = (await object_of(request)).get("seconds")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= 10**9:
        raise WorldError("seconds must be a number from 0 to 1000000000.")
    request.app[WORLD].advance(seconds)
    return web.json_response({"now": request.app[WORLD].now()})


async def reset(request: web.Request) -> web.StreamResponse:
    request.app[WORLD].reset()
    return web.json_response({})


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "channels", list_channels),
    ("POST", "channels", put_channel),
    ("GET", "friends", list_friends),
    ("POST", "friends", add_friends),
    ("POST", "friends/{user_id}/follow", follow),
    ("POST", "friends/{user_id}/unfollow", unfollow),
    ("POST", "friends/{user_id}/say", say),
    ("POST", "friends/{user_id}/press", press),
    ("GET", "friends/{user_id}/messages", messages),
    ("GET", "counts", counts),
    ("GET", "requests", requests),
    ("GET", "webhooks", webhooks),
    ("POST", "webhooks/{event_id}/redeliver", redeliver),
    ("GET", "faults", list_faults),
    ("POST", "faults", add_fault),
    ("DELETE", "faults", clear_faults),
    ("POST", "clock", advance),
    ("POST", "reset", reset),
)


def routes() -> list[web.RouteDef]:
    """Everything under /_control/."""
    return [
        web.route(method, f"/_control/{path}", answer_errors(handler))
        for method, path, handler in ROUTES
    ]
