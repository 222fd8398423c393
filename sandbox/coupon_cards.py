"""A native coupon as pages show it: on a phone and in the manager."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sandbox.line import wallet
from sandbox.line.couponbook import Coupon
from sandbox.line.coupons import currency_of
from sandbox.line.pictures import PATH
from sandbox.line.zones import ZONES
from sandbox.world import Channel, Friend, World

CONDITIONS = {
    "normal": "Everybody",
    "lottery": "Lottery",
    "referral": "Friend referral",
}
SIGNS = {"JPY": "¥", "TWD": "NT$", "THB": "฿"}
STATES = {
    "draft": "Draft",
    "upcoming": "Upcoming",
    "valid": "Valid",
    "ended": "Ended",
    "stopped": "Stopped",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A coupon message in a chat."""

    is_known: bool
    path: str = ""
    tag: str = ""
    title: str = ""
    period: str = ""
    picture: str = ""
    ended: str = ""
    button: str = ""


@dataclass(frozen=True, slots=True)
class Face:
    """What everybody sees of a coupon, in words."""

    id: str
    title: str
    lines: list[str]  # the description
    condition: str
    benefit: str
    period: str
    zone: str
    usage_condition: str
    code: str
    picture: str
    barcode: str
    uses: str
    state: str
    made_by: str
    opened: int
    acquired: int
    used: int


def card_of(
    world: World, channel: Channel, friend: Friend, message: dict[str, Any]
) -> Card:
    """The card of a coupon message; LINE's app asks for the coupon as it is now."""
    coupon_id, tag = str(message.get("couponId")), str(message.get("deliveryTag", ""))
    coupon = world.coupons.get(channel.name, coupon_id)
    if coupon is None or coupon.is_draft:
        return Card(is_known=False)
    return card_for(world, friend, coupon, tag)


def card_for(world: World, friend: Friend, coupon: Coupon, tag: str = "") -> Card:
    """The card of a coupon on one phone."""
    ended = coupon.status(world.now()) == "CLOSED"
    return Card(
        is_known=True,
        path=f"/phone/{friend.user_id}/coupon/{coupon.id}",
        tag=tag,
        title=coupon.fields["title"],
        period=period_of(coupon),
        picture=picture_of(coupon.picture),
        ended=wallet.why_not(coupon, world.now()) if ended else "",
        button="See coupon" if ended else button_of(world, coupon, friend),
    )


def button_of(world: World, coupon: Coupon, friend: Friend) -> str:
    if world.coupons.tickets(coupon, friend.user_id):
        return "See coupon"
    words = {"lottery": "Draw a lot", "referral": "Invite a friend"}
    return words.get(coupon.condition["type"], "Get coupon")


def face_of(coupon: Coupon, channel: Channel, now: float) -> Face:
    fields = coupon.fields
    return Face(
        id=coupon.id,
        title=fields["title"],
        lines=fields.get("description", "").splitlines(),
        condition=condition_of(coupon),
        benefit=benefit_of(fields["reward"], SIGNS[currency_of(channel)]),
        period=period_of(coupon),
        zone=fields["timezone"],
        usage_condition=fields.get("usageCondition", ""),
        code=fields.get("couponCode", ""),
        picture=picture_of(coupon.picture),
        barcode=picture_of(coupon.barcode),
        uses="Without limit" if coupon.has_unlimited_uses else "Once",
        state=state_of(coupon, now),
        made_by="manager" if coupon.by_hand else "API",
        opened=sum(path.opened for path in coupon.paths.values()),
        acquired=coupon.acquired,
        used=sum(path.used for path in coupon.paths.values()),
    )


def state_of(coupon: Coupon, now: float) -> str:
    """A key of STATES: finer than LINE's three words."""
    if coupon.is_draft:
        return "draft"
    if coupon.closed_at is not None:
        return "stopped"
    if now >= coupon.ends_at:
        return "ended"
    return "upcoming" if now < coupon.starts_at else "valid"


def condition_of(coupon: Coupon) -> str:
    condition = coupon.condition
    words = CONDITIONS[condition["type"]]
    if condition["type"] == "referral":
        return f"{words}, up to {coupon.max_tickets} each"
    if condition["type"] == "normal":
        return words
    words = f"{words}, {condition['lotteryProbability']}%"
    most = condition["maxAcquireCount"]
    return words if most == -1 else f"{words}, up to {most} winners"


def benefit_of(reward: dict[str, Any], sign: str) -> str:
    """The reward in a few words, with the currency of the account's country."""
    price = reward.get("priceInfo")
    if price is None:
        words = {"free": "Free", "gift": "A gift", "others": "A special offer"}
        return words[reward["type"]]
    if price["type"] == "explicit":
        return f"{sign}{price['originalPrice']} → {sign}{price['priceAfterDiscount']}"
    kind = "off" if reward["type"] == "discount" else "cash back"
    if price["type"] == "percentage":
        return f"{price['percentage']}% {kind}"
    return f"{sign}{price['fixedAmount']} {kind}"


def period_of(coupon: Coupon) -> str:
    """From when to when, by the coupon's own zone; a start long past is left out."""
    zone = zone_of(coupon.fields["timezone"])
    until = moment(coupon.ends_at, zone)
    if coupon.starts_at <= coupon.made_at:
        return f"Until {until}"
    return f"{moment(coupon.starts_at, zone)} – {until}"


def zone_of(name: str) -> timezone:
    """By the hours that LINE's manual gives."""
    return timezone(timedelta(hours=ZONES[name]))


def moment(at: float, zone: timezone) -> str:
    """A date and time; LINE does not say how far ahead one may be."""
    try:
        local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return "a time beyond all calendars"
    return f"{local.day} {local:%b %Y %H:%M}"


def picture_of(picture_id: str) -> str:
    return f"{PATH}/{picture_id}" if picture_id else ""
