"""Native coupons in the control API: /_control/coupons and below."""

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.control import answer_errors, field_of, object_of, text_of
from sandbox.line import manager, wallet
from sandbox.line.couponbook import Coupon
from sandbox.line.coupons import detail_of
from sandbox.world import Channel, Friend, WorldError


def channel_of(request: web.Request) -> Channel:
    return request.app[WORLD].channel(request.query.get("channel"))


async def coupons(request: web.Request) -> web.StreamResponse:
    """All of a channel's as the detail call tells of them, newest first."""
    world, channel = request.app[WORLD], channel_of(request)
    base = str(request.url.origin())
    found = [
        detail_of(coupon, channel, world.now(), base)
        for coupon in world.coupons.newest_first(channel.name)
    ]
    return web.json_response({"coupons": found})


async def make(request: web.Request) -> web.StreamResponse:
    """Make one as the manager would: {"fields": {...}, "is_draft"?}."""
    data = await object_of(request)
    coupon = manager.make_by_hand(
        request.app[WORLD],
        channel_of(request),
        field_of(data, "fields", dict, {}),
        is_draft=field_of(data, "is_draft", bool, False),
    )
    return web.json_response({"coupon_id": coupon.id})


async def stop(request: web.Request) -> web.StreamResponse:
    """Discontinue one as the manager would."""
    world, coupon_id = request.app[WORLD], request.match_info["coupon_id"]
    manager.stop(world, manager.find(world, channel_of(request), coupon_id))
    return web.json_response({})


async def publish(request: web.Request) -> web.StreamResponse:
    """Publish a draft as the manager would."""
    world, channel = request.app[WORLD], channel_of(request)
    draft = manager.find(world, channel, request.match_info["coupon_id"])
    manager.publish_draft(world, channel, draft)
    return web.json_response({})


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete a draft as the manager would."""
    world, coupon_id = request.app[WORLD], request.match_info["coupon_id"]
    manager.delete_draft(world, manager.find(world, channel_of(request), coupon_id))
    return web.json_response({})


async def acquire(request: web.Request) -> web.StreamResponse:
    """Get it on a phone, or draw for it: {"user_id"}."""
    coupon, friend = await _in_hand(request)
    is_won = wallet.acquire(request.app[WORLD], coupon, friend)
    return web.json_response({"has_it": is_won})


async def use(request: web.Request) -> web.StreamResponse:
    """Press Use on a phone: {"user_id"}."""
    coupon, friend = await _in_hand(request)
    ticket = wallet.use(request.app[WORLD], coupon, friend)
    return web.json_response({"uses": ticket.uses})


async def _in_hand(request: web.Request) -> tuple[Coupon, Friend]:
    world, channel = request.app[WORLD], channel_of(request)
    user_id = text_of(await object_of(request), "user_id")
    coupon = wallet.find(world, channel, request.match_info["coupon_id"])
    return coupon, world.friend(channel, user_id)


async def add_key(request: web.Request) -> web.StreamResponse:
    """Register the public half of a key that signs assertions: {"jwk"}."""
    jwk = (await object_of(request)).get("jwk")
    if not isinstance(jwk, dict):
        raise WorldError("jwk must be an object.")
    kid = manager.register_key(request.app[WORLD], channel_of(request), jwk)
    return web.json_response({"kid": kid})


def routes() -> list[web.RouteDef]:
    """Everything about native coupons and tokens under /_control/."""
    one = "/_control/coupons/{coupon_id}"
    return [
        web.get("/_control/coupons", answer_errors(coupons)),
        web.post("/_control/coupons", answer_errors(make)),
        web.post(f"{one}/stop", answer_errors(stop)),
        web.post(f"{one}/publish", answer_errors(publish)),
        web.post(f"{one}/delete", answer_errors(delete)),
        web.post(f"{one}/acquire", answer_errors(acquire)),
        web.post(f"{one}/use", answer_errors(use)),
        web.post("/_control/keys", answer_errors(add_key)),
    ]
