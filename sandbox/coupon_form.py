"""The manager's form for a coupon: from what was typed to the create call's fields.

What cannot be is left as it was typed, for the rules to name it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.coupon_cards import zone_of
from sandbox.line.couponbook import Coupon
from sandbox.line.zones import ZONES

# The manager's kinds of reward and what each asks for.
REWARDS = {
    "discount fixed": "Discount: an amount off",
    "discount percentage": "Discount: per cent off",
    "discount explicit": "Discount: price before and after",
    "cashBack fixed": "Cash back: an amount",
    "cashBack percentage": "Cash back: per cent",
    "free": "Free",
    "gift": "Gift",
    "others": "Other",
}
PRICE_INPUTS = {
    "fixed": {"fixedAmount": "amount"},
    "percentage": {"percentage": "percentage"},
    "explicit": {"originalPrice": "original", "priceAfterDiscount": "after"},
}
TEXTS = {
    "title": "title",
    "description": "description",
    "usageCondition": "usage_condition",
    "couponCode": "code",
    "timezone": "timezone",
    "visibility": "visibility",
}
TYPED = "%Y-%m-%dT%H:%M"  # as a datetime-local input has it


def fields_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The coupon that the form describes, right or wrong."""
    # A browser ends a line with two characters; LINE's sample has one.
    texts = {name: form.get(typed, "").strip() for name, typed in TEXTS.items()}
    texts["description"] = texts["description"].replace("\r\n", "\n")
    return (
        texts
        | {
            "acquisitionCondition": _condition(form),
            "maxTicketPerUser": _tickets(form),
            "maxUseCountPerTicket": -1 if form.get("uses") == "-1" else 1,
            "startTimestamp": _instant(form, "starts"),
            "endTimestamp": _instant(form, "ends"),
            "reward": _reward(form.get("reward", "")),
        }
        | _price(form)
    )


def _condition(form: Mapping[str, str]) -> dict[str, Any]:
    kind = form.get("condition", "")
    if kind != "lottery":
        return {"type": kind}
    return {
        "type": kind,
        "lotteryProbability": _number(form, "probability"),
        "maxAcquireCount": _number(form, "winners") if form.get("winners") else -1,
    }


def _tickets(form: Mapping[str, str]) -> int | str | None:
    return _number(form, "tickets") if form.get("condition") == "referral" else 1


def _reward(choice: str) -> dict[str, Any]:
    return {"type": choice.partition(" ")[0]}


def _price(form: Mapping[str, str]) -> dict[str, Any]:
    kind, _, price = form.get("reward", "").partition(" ")
    if price not in PRICE_INPUTS:
        return {}
    inputs = PRICE_INPUTS[price]
    info = {name: _number(form, typed) for name, typed in inputs.items()}
    return {"reward": {"type": kind, "priceInfo": {"type": price} | info}}


def _number(form: Mapping[str, str], name: str) -> int | str | None:
    text = form.get(name, "").strip()
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    return text or None


def _instant(form: Mapping[str, str], name: str) -> int | str | None:
    """Seconds since 1970 for a time typed in the coupon's zone."""
    text = form.get(name, "")
    zone = form.get("timezone", "")
    try:
        # The zone is put on in the same breath.
        typed = datetime.strptime(text, TYPED).replace(  # noqa: DTZ007
            tzinfo=zone_of(zone if zone in ZONES else "EUROPE_LONDON")
        )
        return int(typed.timestamp())
    except (ValueError, OverflowError):
        return text or None


def values_of(coupon: Coupon) -> dict[str, str]:
    """The form as it stands for a draft."""
    fields = coupon.fields
    values = {typed: str(fields.get(name, "")) for name, typed in TEXTS.items()}
    condition, zone = coupon.condition, zone_of(fields["timezone"])
    most = condition.get("maxAcquireCount", -1)
    values |= {
        "condition": condition["type"],
        "probability": str(condition.get("lotteryProbability", "")),
        "winners": "" if most == -1 else str(most),
        "tickets": str(coupon.max_tickets),
        "uses": str(fields["maxUseCountPerTicket"]),
        "starts": _typed(coupon.starts_at, zone),
        "ends": _typed(coupon.ends_at, zone),
    }
    return values | _reward_values(fields["reward"])


def _typed(at: int, zone: Any) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).astimezone(zone).strftime(TYPED)
    except (OverflowError, ValueError, OSError):
        return ""


def _reward_values(reward: dict[str, Any]) -> dict[str, str]:
    price = reward.get("priceInfo")
    if price is None:
        return {"reward": reward["type"]}
    inputs = PRICE_INPUTS[price["type"]]
    values = {typed: str(price[name]) for name, typed in inputs.items()}
    return {"reward": f"{reward['type']} {price['type']}"} | values


def empty_values(now: float) -> dict[str, str]:
    """The form for a new coupon: from this hour, for a month."""
    hour = int(now) // 3600 * 3600
    zone = zone_of("ASIA_TOKYO")
    return {
        "condition": "normal",
        "tickets": "1",
        "uses": "1",
        "timezone": "ASIA_TOKYO",
        "visibility": "UNLISTED",
        "reward": "discount fixed",
        "starts": _typed(hour, zone),
        "ends": _typed(hour + 30 * 24 * 3600, zone),
    }
