"""What a person may do with a native coupon on the phone: get it, draw it, use it.

LINE tells nobody of any of this: no webhook goes out, and no call asks for it. Only
the manager's insight counts it.
"""

import secrets

from sandbox.errors import WorldError
from sandbox.line.couponbook import Coupon, Ticket
from sandbox.world import Channel, Friend, World


def find(world: World, channel: Channel, coupon_id: str) -> Coupon:
    """The coupon as a phone sees it: a draft is nothing yet. Raises WorldError."""
    coupon = world.coupons.get(channel.name, coupon_id)
    if coupon is None or coupon.is_draft:
        raise WorldError("There is no such coupon.")
    return coupon


def why_not(coupon: Coupon, at: float) -> str:
    """Why nobody gets or uses this coupon at this time; empty: they may.

    Whether LINE hands a coupon out before its start is unconfirmed; here it does not.
    """
    if coupon.closed_at is not None:
        return "This coupon was discontinued."
    if at >= coupon.ends_at:
        return "This coupon has expired."
    if at < coupon.starts_at:
        return "This coupon has not started yet."
    return ""


def is_listed(coupon: Coupon, at: float) -> bool:
    """Whether LINE shows it to everybody, who may get it now."""
    is_public = coupon.fields["visibility"] == "PUBLIC"
    return is_public and not coupon.is_draft and not why_not(coupon, at)


def held(world: World, coupon: Coupon, user_id: str) -> list[Ticket]:
    """The tickets somebody has; a lot drawn in vain is none."""
    return [t for t in world.coupons.tickets(coupon, user_id) if t.is_won]


def has_lost(world: World, coupon: Coupon, user_id: str) -> bool:
    """Whether somebody drew in vain: there is one draw for each."""
    tickets = world.coupons.tickets(coupon, user_id)
    return bool(tickets) and not any(ticket.is_won for ticket in tickets)


def look(world: World, coupon: Coupon, tag: str) -> None:
    """Count that somebody opened it."""
    coupon.path(tag).opened += 1
    world.coupons.save(coupon)


def acquire(world: World, coupon: Coupon, friend: Friend, tag: str = "") -> bool:
    """Get the coupon, or draw for it; whether they have it now. Raises WorldError."""
    _check(world, coupon)
    kind = coupon.condition["type"]
    if kind == "referral":
        raise WorldError("This coupon is for those who invite a friend.")
    if world.coupons.tickets(coupon, friend.user_id):
        raise WorldError(f"{friend.name} had a turn at this coupon already.")
    is_won = kind == "normal" or _draw(world, coupon)
    _give(world, coupon, friend, tag, is_won=is_won)
    return is_won


def _draw(world: World, coupon: Coupon) -> bool:
    """One lot. Once all winners are found, everybody loses."""
    most = coupon.condition["maxAcquireCount"]
    if most != -1 and coupon.acquired >= most:
        return False
    if world.coupons.fate:
        return world.coupons.fate.popleft()
    return secrets.randbelow(100) < int(coupon.condition["lotteryProbability"])


def invite(world: World, coupon: Coupon, friend: Friend, invited: Friend) -> None:
    """Both get one, up to what one person may hold. Raises WorldError.

    The invited person is to follow the account by now; how LINE counts somebody who
    followed it before is unconfirmed: here they cannot be invited.
    """
    _check(world, coupon)
    if coupon.condition["type"] != "referral":
        raise WorldError("Nobody needs an invitation for this coupon.")
    for person in (friend, invited):
        if len(held(world, coupon, person.user_id)) < coupon.max_tickets:
            _give(world, coupon, person, "")


def _give(
    world: World, coupon: Coupon, friend: Friend, tag: str, *, is_won: bool = True
) -> None:
    place = len(world.coupons.tickets(coupon, friend.user_id))
    at = world.now()
    world.coupons.save_ticket(
        Ticket(coupon.id, friend.user_id, place, at, tag, is_won=is_won)
    )
    if is_won:
        coupon.path(tag).acquired += 1
        world.coupons.save(coupon)


def usable(world: World, coupon: Coupon, user_id: str) -> Ticket | None:
    """The ticket whose turn it is to be used, if any is left."""
    for ticket in held(world, coupon, user_id):
        if coupon.has_unlimited_uses or ticket.uses == 0:
            return ticket
    return None


def use(world: World, coupon: Coupon, friend: Friend) -> Ticket:
    """Use it, which cannot be taken back. Raises WorldError."""
    _check(world, coupon)
    if not held(world, coupon, friend.user_id):
        raise WorldError(f"{friend.name} does not have this coupon.")
    ticket = usable(world, coupon, friend.user_id)
    if ticket is None:
        raise WorldError(f"{friend.name} used this coupon already.")
    ticket.uses += 1
    ticket.used_at = world.now()
    world.coupons.save_ticket(ticket)
    coupon.path(ticket.tag).used += 1
    world.coupons.save(coupon)
    return ticket


def _check(world: World, coupon: Coupon) -> None:
    words = why_not(coupon, world.now())
    if words:
        raise WorldError(words)
