"""Coupons as LINE Official Account Manager makes them: by hand, drafts, referrals.

What the manager offers is told here after third parties' descriptions of it, and so
unconfirmed.
"""

import secrets
from typing import Any

from sandbox.calls import RefusedError
from sandbox.errors import FieldsError, WorldError
from sandbox.line.coupon_rules import REFERRAL_TICKETS, check_coupon, kept_fields
from sandbox.line.couponbook import Coupon
from sandbox.line.coupons import MOST_VALID, add, discontinue
from sandbox.line.pictures import keep
from sandbox.world import Channel, World

CONDITIONS = ("normal", "lottery", "referral")
DAY = 24 * 60 * 60


def find(world: World, channel: Channel, coupon_id: str) -> Coupon:
    """A coupon of this channel, drafts too. Raises WorldError."""
    coupon = world.coupons.get(channel.name, coupon_id)
    if coupon is None:
        raise WorldError("There is no such coupon.")
    return coupon


def make_by_hand(
    world: World,
    channel: Channel,
    fields: dict[str, Any],
    *,
    picture: tuple[str, bytes] | None = None,
    is_draft: bool = False,
) -> Coupon:
    """Make a coupon or a draft, with `fields` over plain ones. Raises WorldError."""
    checked = check_fields(world, defaults(world.now()) | fields)
    try:
        return add(
            world, channel, checked, picture=picture, by_hand=True, is_draft=is_draft
        )
    except RefusedError:
        raise WorldError(f"There are {MOST_VALID} valid coupons already.") from None


def defaults(now: float) -> dict[str, Any]:
    """A plain coupon that can be got at once, for a month."""
    return {
        "title": "Friends-only coupon",
        "acquisitionCondition": {"type": "normal"},
        "startTimestamp": int(now),
        "endTimestamp": int(now) + 30 * DAY,
        "timezone": "ASIA_TOKYO",
        "maxUseCountPerTicket": 1,
        "visibility": "UNLISTED",
        "reward": {"type": "others"},
    }


def check_fields(world: World, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as a coupon keeps them. Raises FieldsError."""
    details = check_coupon(fields, world.now(), CONDITIONS)
    tickets = fields.get("maxTicketPerUser", 1)
    most = 1
    if not details and fields["acquisitionCondition"]["type"] == "referral":
        most = REFERRAL_TICKETS
    if type(tickets) is not int or not 1 <= tickets <= most:
        words = f"Must be between 1 and {most}"
        details.append({"message": words, "property": "maxTicketPerUser"})
    if details:
        raise FieldsError(details)
    return kept_fields(fields) | {"maxTicketPerUser": tickets}


def change_draft(
    world: World,
    coupon: Coupon,
    fields: dict[str, Any],
    picture: tuple[str, bytes] | None,
) -> None:
    """Write a draft anew; whatever is published stays as it is. Raises WorldError."""
    _check_draft(coupon)
    coupon.fields = check_fields(world, fields)
    if picture is not None:
        coupon.picture = keep(world.coupons, *picture)
    world.coupons.save(coupon)


def publish_draft(world: World, channel: Channel, coupon: Coupon) -> None:
    """From now on people can get it. Raises WorldError."""
    _check_draft(coupon)
    if world.now() >= coupon.ends_at:
        raise WorldError("This draft's time is over: change its end first.")
    if not world.coupons.has_room(channel.name, MOST_VALID, world.now()):
        raise WorldError(f"There are {MOST_VALID} valid coupons already.")
    coupon.is_draft = False
    world.coupons.save(coupon)


def delete_draft(world: World, coupon: Coupon) -> None:
    """Forget a draft. Raises WorldError."""
    _check_draft(coupon)
    world.coupons.remove(coupon)


def stop(world: World, coupon: Coupon) -> None:
    """Discontinue a coupon, as the API's close does. Raises WorldError."""
    if coupon.status(world.now()) != "RUNNING":
        raise WorldError("Only a running coupon can be stopped.")
    discontinue(world, coupon)


def _check_draft(coupon: Coupon) -> None:
    if not coupon.is_draft:
        raise WorldError("Only a draft can be changed.")


def register_key(world: World, channel: Channel, jwk: object, kid: str = "") -> str:
    """Register the public half of a key that signs assertions; its id.

    Raises WorldError when it is no public RSA key of 2048 bits or more.
    """
    kid = kid or secrets.token_urlsafe(16)
    world.put_channel(channel.name, public_keys=channel.public_keys | {kid: jwk})
    return kid
