"""LINE's native coupons over the API: make, list, look at, discontinue.

Source: Messaging API reference, "Coupon".
"""

import base64
import binascii
import re
from typing import Any

from sandbox.calls import Answer, Call, RefusedError
from sandbox.line import pictures
from sandbox.line.coupon_rules import check_create, kept_fields
from sandbox.line.couponbook import Coupon
from sandbox.line.door import TOO_FAST, LineAsk, json_body, refuse, retry_key
from sandbox.line.events import new_ulid
from sandbox.line.messages import Detail
from sandbox.pace import Bucket
from sandbox.world import Channel, World

MOST_VALID = 5000
PAGE_LIMIT, PAGE_DEFAULT = 100, 20
PAGE_TOKEN_LIFE = 24 * 60 * 60  # seconds; LINE's figure
STATUSES = ("DRAFT", "RUNNING", "CLOSED")
CURRENCIES = {"TW": "TWD", "TH": "THB"}  # all other countries: JPY


def refuse_details(*details: Detail, status: int = 400) -> RefusedError:
    """LINE's no with its reasons; it says `request body` even where there is none."""
    count = f"The request body has {len(details)} error(s)"
    return refuse(status, count, details=list(details))


def enter_call(ask: LineAsk, call: str) -> None:
    """What all coupon calls refuse: a retry key, and more calls than allowed."""
    retry_key(ask)
    rate = ask.account.coupon_rate
    if rate is None:
        return
    bucket = ask.account.buckets.get(call)
    if bucket is None or bucket.rate != rate:
        bucket = ask.account.buckets[call] = Bucket(rate)
    if not bucket.take():
        raise refuse(429, TOO_FAST)


# Making


async def create(ask: LineAsk) -> Answer:
    enter_call(ask, "create")
    data = json_body(ask)
    details = check_create(data, ask.world.now())
    if details:
        raise refuse_details(*details)
    found = {
        name: await _picture(data, name) for name in ("imageUrl", "barcodeImageUrl")
    }
    coupon = add(
        ask.world,
        ask.account,
        kept_fields(data),
        picture=found["imageUrl"],
        barcode=found["barcodeImageUrl"],
    )
    return Answer({"couponId": coupon.id})


async def _picture(data: dict[str, Any], name: str) -> tuple[str, bytes] | None:
    """What LINE fetches for a field with an address."""
    if data.get(name) is None:
        return None
    try:
        return await pictures.fetch(data[name])
    except pictures.PictureError as error:
        raise refuse_details({"message": str(error), "property": name}) from None


def add(
    world: World,
    channel: Channel,
    fields: dict[str, Any],
    *,
    picture: tuple[str, bytes] | None = None,
    barcode: tuple[str, bytes] | None = None,
    by_hand: bool = False,
    is_draft: bool = False,
) -> Coupon:
    """Keep a new coupon of checked fields. Raises RefusedError at LINE's limit.

    No await in here: of two requests for the last free place one is refused. That
    coupons of the manager count and that valid means RUNNING is unconfirmed.
    """
    book, now = world.coupons, world.now()
    if not is_draft and not book.has_room(channel.name, MOST_VALID, now):
        words = "You have too many coupons created."
        raise refuse_details({"message": words, "property": ""})
    coupon = Coupon(
        id=new_ulid(int(now * 1000)),
        number=book.next_number(),
        channel=channel.name,
        fields=fields,
        made_at=int(now),
        by_hand=by_hand,
        is_draft=is_draft,
        picture=pictures.keep(book, *picture) if picture else "",
        barcode=pictures.keep(book, *barcode) if barcode else "",
    )
    book.save(coupon)
    return coupon


# Looking


async def list_coupons(ask: LineAsk) -> Answer:
    """A page, newest first; LINE does not promise an order."""
    enter_call(ask, "list")
    query = ask.request.query
    wanted = _statuses(query.getall("status", []))
    limit = _limit(query.get("limit", str(PAGE_DEFAULT)))
    before = _before(query.get("start"), ask.world.now())
    now = ask.world.now()
    found = [
        coupon
        for coupon in ask.world.coupons.newest_first(ask.account.name)
        if (before is None or coupon.number < before) and coupon.status(now) in wanted
    ]
    page = found[:limit]
    items = [{"couponId": c.id, "title": c.fields["title"]} for c in page]
    data: dict[str, Any] = {"items": items}
    if len(found) > limit:
        data["next"] = _page_token(page[-1].number, now)
    return Answer(data)


def _statuses(given: list[str]) -> tuple[str, ...]:
    """Both spellings: the manual's joins by commas, the OpenAPI file's repeats."""
    wanted = tuple(word for text in given for word in text.split(","))
    if any(word not in STATUSES for word in wanted):
        known = ",".join(STATUSES)
        words = f"Must be one of the following values: [{known}]"
        raise refuse_details({"message": words, "property": "status"})
    return wanted or STATUSES


def _limit(text: str) -> int:
    words = ""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        words = "Must be an integer"
    elif int(text) > PAGE_LIMIT:
        words = f"Must be less than or equal to {PAGE_LIMIT}"
    elif int(text) < 1:
        words = "Must be greater than or equal to 1"
    if words:
        raise refuse_details({"message": words, "property": "limit"})
    return int(text)


def _page_token(number: int, now: float) -> str:
    return base64.urlsafe_b64encode(f"{number} {now:.0f}".encode()).decode()


def _before(token: str | None, now: float) -> int | None:
    """The number that the page's coupons lie below; a token is good for 24 hours."""
    if token is None:
        return None
    try:
        text = base64.urlsafe_b64decode(token).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    match = re.fullmatch(r"([0-9]{1,15}) ([0-9]{1,15})", text)
    if match is None or now - int(match[2]) >= PAGE_TOKEN_LIFE:
        raise refuse_details({"message": "Invalid value", "property": "start"})
    return int(match[1])


async def detail(ask: LineAsk) -> Answer:
    enter_call(ask, "detail")
    base = str(ask.request.url.origin())
    return Answer(detail_of(_coupon(ask), ask.account, ask.world.now(), base))


def _coupon(ask: LineAsk) -> Coupon:
    """The coupon that the path names; another channel's is as unknown as none."""
    coupon_id = ask.request.match_info["coupon_id"]
    found = ask.world.coupons.get(ask.account.name, coupon_id)
    if found is None:
        words = {"message": "coupon not found", "property": ""}
        raise refuse_details(words, status=404)
    return found


def detail_of(
    coupon: Coupon, channel: Channel, now: float, base: str
) -> dict[str, Any]:
    """A coupon as LINE tells of it; `base` is the sandbox's own address."""
    data = {"couponId": coupon.id} | coupon.fields
    data["maxTicketPerUser"] = coupon.max_tickets
    data["reward"] = _reward(coupon.fields["reward"], channel)
    for name, picture in (
        ("imageUrl", coupon.picture),
        ("barcodeImageUrl", coupon.barcode),
    ):
        if picture:
            data[name] = f"{base}{pictures.PATH}/{picture}"
    data["status"] = coupon.status(now)
    data["createdTimestamp"] = coupon.made_at
    return data


def _reward(reward: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """The reward with the currency of the account's country, where it has one."""
    price = reward.get("priceInfo")
    if price is None or price["type"] == "percentage":
        return reward
    return reward | {"priceInfo": price | {"currency": currency_of(channel)}}


def currency_of(channel: Channel) -> str:
    return CURRENCIES.get(channel.country, "JPY")


# Discontinuing


async def close(ask: LineAsk) -> Answer:
    """Close for good. LINE does not tell what becomes of a draft: here it is a 400.

    Nor of one whose time is merely over: here it is closed already.
    """
    enter_call(ask, "close")
    coupon = _coupon(ask)
    status = coupon.status(ask.world.now())
    if status == "DRAFT":
        words = {"message": "The coupon is a draft.", "property": ""}
        raise refuse_details(words)
    if status == "CLOSED":
        words = {"message": "The coupon has already been closed.", "property": ""}
        raise refuse_details(words, status=410)
    discontinue(ask.world, coupon)
    return Answer()


def discontinue(world: World, coupon: Coupon) -> None:
    """From now on nobody gets it and nobody uses it."""
    coupon.closed_at = world.now()
    world.coupons.save(coupon)


PATH = "/v2/bot/coupon"
ONE = f"{PATH}/{{coupon_id}}"
COUPON_CALLS: tuple[Call[Channel], ...] = (
    Call("coupon_create", "POST", PATH, "Make a coupon", create),
    Call("coupon_list", "GET", PATH, "List coupons", list_coupons),
    Call("coupon_detail", "GET", ONE, "Read a coupon", detail),
    Call("coupon_close", "PUT", f"{ONE}/close", "Discontinue a coupon", close),
)
