"""Pages of native coupons: the manager's, and the coupon on a phone."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from sandbox import coupon_cards, coupon_form
from sandbox.calls import WORLD
from sandbox.coupon_words import words_of
from sandbox.errors import FieldsError, WorldError
from sandbox.line import manager, wallet
from sandbox.line.calls import POSTMAN
from sandbox.line.couponbook import Coupon
from sandbox.line.pictures import PATH, STAND_IN, PictureError, kind_of
from sandbox.line.tokens import V2_1
from sandbox.line.zones import ZONES
from sandbox.pages import back, channel_of, form_of, frame, friend_of, friend_row, page
from sandbox.world import Channel, Friend, World

SHOWN = 200
COUNTRIES = {"JP": "Japan (JPY)", "TW": "Taiwan (TWD)", "TH": "Thailand (THB)"}
Form = dict[str, str]
Picture = tuple[str, bytes]


# The manager


async def list_page(request: web.Request) -> web.StreamResponse:
    """All coupons of the account, newest first, by state."""
    world, channel = request.app[WORLD], channel_of(request)
    now, wanted = world.now(), request.query.get("state", "")
    coupons = list(world.coupons.newest_first(channel.name))
    found = [c for c in coupons if wanted in ("", coupon_cards.state_of(c, now))]
    values = frame(request, channel) | {
        "coupons": [coupon_cards.face_of(c, channel, now) for c in found[:SHOWN]],
        "found": len(found),
        "total": len(coupons),
        "state": wanted,
        "states": coupon_cards.STATES,
    }
    return page(request, "coupons.html", **values)


async def coupon_page(request: web.Request) -> web.StreamResponse:
    """One coupon with its insight."""
    channel, coupon = coupon_of(request)
    now = request.app[WORLD].now()
    values = frame(request, channel) | {
        "coupon": coupon_cards.face_of(coupon, channel, now),
        "paths": coupon.paths,
        "states": coupon_cards.STATES,
        "made_at": coupon_cards.moment(
            coupon.made_at, coupon_cards.zone_of(coupon.fields["timezone"])
        ),
    }
    return page(request, "coupon_manager.html", **values)


async def new_page(request: web.Request) -> web.StreamResponse:
    values = coupon_form.empty_values(request.app[WORLD].now())
    return form_page(request, channel_of(request), None, values)


async def edit_page(request: web.Request) -> web.StreamResponse:
    channel, coupon = coupon_of(request)
    if not coupon.is_draft:
        return back(request, f"/coupons/{coupon.id}", "Only a draft can be changed.")
    return form_page(request, channel, coupon, coupon_form.values_of(coupon))


def form_page(
    request: web.Request,
    channel: Channel,
    coupon: Coupon | None,
    values: Form,
    error: str = "",
) -> web.Response:
    """The form, with what is wrong with it above."""
    shown = frame(request, channel) | {
        "values": values,
        "coupon": coupon,
        "picture": coupon_cards.picture_of(coupon.picture) if coupon else "",
        "conditions": coupon_cards.CONDITIONS,
        "rewards": coupon_form.REWARDS,
        "zones": ZONES,
    }
    if error:
        shown["error"] = error
    answer = page(request, "coupon_form.html", **shown)
    answer.set_status(400 if error else 200)
    return answer


async def make(request: web.Request) -> web.StreamResponse:
    """Publish at once, or keep as a draft."""
    world, channel = request.app[WORLD], channel_of(request)
    form = await form_of(request)
    try:
        coupon = manager.make_by_hand(
            world,
            channel,
            coupon_form.fields_of(form),
            picture=await photo_of(request),
            is_draft=form.get("as") == "draft",
        )
    except (WorldError, PictureError) as error:
        return form_page(request, channel, None, form, said_of(error))
    return back(request, f"/coupons/{coupon.id}")


async def change(request: web.Request) -> web.StreamResponse:
    """Save a draft, and publish it if that was pressed."""
    world, (channel, coupon) = request.app[WORLD], coupon_of(request)
    form = await form_of(request)
    try:
        fields, photo = coupon_form.fields_of(form), await photo_of(request)
        manager.change_draft(world, coupon, fields, photo)
        if form.get("as") == "publish":
            manager.publish_draft(world, channel, coupon)
    except (WorldError, PictureError) as error:
        return form_page(request, channel, coupon, form, said_of(error))
    return back(request, f"/coupons/{coupon.id}")


def said_of(error: WorldError | PictureError) -> str:
    """What to say above the form, which knows no names of fields."""
    return words_of(error.details) if isinstance(error, FieldsError) else str(error)


async def photo_of(request: web.Request) -> Picture | None:
    """The photo of the form. Raises PictureError."""
    found = (await request.post()).get("photo")
    if not isinstance(found, web.FileField):
        return None
    raw = found.file.read()
    return (kind_of(raw), raw) if raw else None


async def act(request: web.Request) -> web.StreamResponse:
    """Publish or delete a draft, stop a coupon."""
    world, (channel, coupon) = request.app[WORLD], coupon_of(request)
    acts: dict[str, Callable[[], None]] = {
        "publish": lambda: manager.publish_draft(world, channel, coupon),
        "delete": lambda: manager.delete_draft(world, coupon),
        "stop": lambda: manager.stop(world, coupon),
    }
    does = request.match_info["does"]
    try:
        acts[does]()
    except WorldError as error:
        return back(request, f"/coupons/{coupon.id}", str(error))
    return back(request, "/coupons" if does == "delete" else f"/coupons/{coupon.id}")


def coupon_of(request: web.Request) -> tuple[Channel, Coupon]:
    channel = channel_of(request)
    try:
        found = manager.find(
            request.app[WORLD], channel, request.match_info["coupon_id"]
        )
    except WorldError as error:
        raise web.HTTPNotFound(text=str(error)) from None
    return channel, found


# The account


async def account_page(request: web.Request) -> web.StreamResponse:
    """What the console tells of a channel, to be put into the back office."""
    world, channel = request.app[WORLD], channel_of(request)
    alive = list(world.issued.of(channel.name, V2_1, world.now()))
    values = frame(request, channel) | {"countries": COUNTRIES, "alive": len(alive)}
    return page(request, "account.html", **values)


async def set_country(request: web.Request) -> web.StreamResponse:
    channel, form = channel_of(request), await form_of(request)
    return _set(request, channel, country=form.get("country", ""))


async def add_key(request: web.Request) -> web.StreamResponse:
    """Register the public half of a key that signs assertions; it gets an id."""
    channel, form = channel_of(request), await form_of(request)
    try:
        jwk = json.loads(form.get("jwk", ""))
    except (ValueError, RecursionError):
        return back(request, "/account", "That is no JSON Web Key.")
    try:
        manager.register_key(request.app[WORLD], channel, jwk)
    except WorldError:
        words = "That is no public RSA key of 2048 bits or more, as a JSON Web Key."
        return back(request, "/account", words)
    return back(request, "/account")


async def remove_key(request: web.Request) -> web.StreamResponse:
    channel, form = channel_of(request), await form_of(request)
    keys = {k: v for k, v in channel.public_keys.items() if k != form.get("kid")}
    return _set(request, channel, public_keys=keys)


def _set(request: web.Request, channel: Channel, **settings: Any) -> web.StreamResponse:
    """Change the channel, or say why not."""
    try:
        request.app[WORLD].put_channel(channel.name, **settings)
    except WorldError as error:
        return back(request, "/account", str(error))
    return back(request, "/account")


# The phone


async def wallet_page(request: web.Request) -> web.StreamResponse:
    """What somebody holds, and what LINE shows in its lists: coupons made PUBLIC."""
    channel, friend = friend_of(request)
    world = request.app[WORLD]
    mine, listed = [], []
    for coupon in world.coupons.newest_first(channel.name):
        if wallet.held(world, coupon, friend.user_id):
            mine.append(coupon)
        elif wallet.is_listed(coupon, world.now()):
            listed.append(coupon)
    values = frame(request, channel) | {
        "friend": friend_row(friend),
        "mine": [coupon_cards.card_for(world, friend, c) for c in mine[:SHOWN]],
        "listed": [coupon_cards.card_for(world, friend, c) for c in listed[:SHOWN]],
    }
    return page(request, "wallet.html", **values)


async def phone_coupon(request: web.Request) -> web.StreamResponse:
    """A coupon opened on a phone; `step=use` asks once more before it is used."""
    channel, friend = friend_of(request)
    world, tag = request.app[WORLD], request.query.get("tag", "")[:30]
    coupon = _on_phone(request, channel)
    if coupon is not None and not request.query.get("step"):
        wallet.look(world, coupon, tag)
    values = frame(request, channel) | {"friend": friend_row(friend), "tag": tag}
    values |= _hand(world, channel, friend, coupon)
    values["step"] = request.query.get("step", "")
    return page(request, "coupon.html", **values)


def _on_phone(request: web.Request, channel: Channel) -> Coupon | None:
    coupon_id = request.match_info["coupon_id"]
    try:
        return wallet.find(request.app[WORLD], channel, coupon_id)
    except WorldError:
        return None


def _hand(
    world: World, channel: Channel, friend: Friend, coupon: Coupon | None
) -> dict[str, Any]:
    """What one person can do with the coupon now."""
    if coupon is None:
        return {"coupon": None}
    tickets = wallet.held(world, coupon, friend.user_id)
    used = max((t.used_at for t in tickets if t.used_at), default=None)
    zone = coupon_cards.zone_of(coupon.fields["timezone"])
    return {
        "coupon": coupon_cards.face_of(coupon, channel, world.now()),
        "kind": coupon.condition["type"],
        "why_not": wallet.why_not(coupon, world.now()),
        "held": len(tickets),
        "left": sum(coupon.has_unlimited_uses or not t.uses for t in tickets),
        "most": coupon.max_tickets,
        "has_lost": wallet.has_lost(world, coupon, friend.user_id),
        "used_at": coupon_cards.moment(used, zone) if used else "",
        "uses": sum(ticket.uses for ticket in tickets),
    }


async def phone_act(request: web.Request) -> web.StreamResponse:
    """A button on the coupon was pressed."""
    channel, friend = friend_of(request)
    form, does = await form_of(request), request.match_info["does"]
    tag, step, error = form.get("tag", "")[:30], "seen", ""
    try:
        coupon = wallet.find(
            request.app[WORLD], channel, request.match_info["coupon_id"]
        )
        if does == "use":
            wallet.use(request.app[WORLD], coupon, friend)
            step = "used"
        elif does == "invite":
            _invite(request, channel, friend, coupon, form.get("name", ""))
        else:
            wallet.acquire(request.app[WORLD], coupon, friend, tag)
    except WorldError as refusal:
        error = str(refusal)
    query = {"channel": request.query.get("channel", ""), "tag": tag, "step": step}
    query["error"] = error
    text = urlencode({name: value for name, value in query.items() if value})
    raise web.HTTPSeeOther(f"{request.path.rpartition('/')[0]}?{text}")


def _invite(
    request: web.Request, channel: Channel, friend: Friend, coupon: Coupon, name: str
) -> None:
    """Somebody new adds the account by a friend's link: a webhook, a coupon for both.

    Raises WorldError.
    """
    world = request.app[WORLD]
    words = wallet.why_not(coupon, world.now())
    if words:
        raise WorldError(words)
    invited = world.add_friend(channel, name, follows=False)
    if invited.state.value != "none":
        raise WorldError(f"{invited.name} knows this account already.")
    request.app[POSTMAN].follow(channel, invited)
    wallet.invite(world, coupon, friend, invited)


async def show_picture(request: web.Request) -> web.StreamResponse:
    """A picture that was fetched when its coupon was made."""
    found = request.app[WORLD].coupons.picture(request.match_info["picture_id"])
    if found is None:
        raise web.HTTPNotFound
    kind, raw = found
    if kind == STAND_IN:
        raise web.HTTPFound("/static/coupon.svg")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=86400"}
    return web.Response(body=raw, content_type=kind, headers=headers)


def routes() -> list[web.AbstractRouteDef]:
    """Everything about native coupons that people look at."""
    phone = "/phone/{user_id}/coupon/{coupon_id}"
    return [
        web.get("/coupons", list_page),
        web.post("/coupons", make),
        web.get("/coupons/new", new_page),
        web.get("/coupons/{coupon_id}", coupon_page),
        web.post("/coupons/{coupon_id}", change),
        web.get("/coupons/{coupon_id}/edit", edit_page),
        web.post("/coupons/{coupon_id}/{does:publish|delete|stop}", act),
        web.get("/account", account_page),
        web.post("/account/country", set_country),
        web.post("/account/keys", add_key),
        web.post("/account/keys/remove", remove_key),
        web.get("/phone/{user_id}/coupons", wallet_page),
        web.get(phone, phone_coupon),
        web.post(phone + "/{does:get|use|invite}", phone_act),
        web.get(PATH + "/{picture_id}", show_picture),
    ]
