"""What LINE accepts as a coupon.

Source: Messaging API reference, "Create a coupon" and "Reward object". Where the
reference does not say how a wrong field is answered, the words are ours; the status
(400) and the shape are LINE's.
"""

from typing import Any

from sandbox.line.messages import Detail, Node, Problems, is_image_url, utf16_length
from sandbox.line.zones import ZONES

INT32, INT64 = 2**31 - 1, 2**63 - 1
MOST_WINNERS = 999_999
REFERRAL_TICKETS = 30
# LINE's own order: its error for a wrong one lists them so.
REWARDS = ("discount", "free", "gift", "cashBack", "others")
PRICES: dict[str, dict[str, tuple[str, ...]]] = {
    "discount": {
        "fixed": ("fixedAmount",),
        "percentage": ("percentage",),
        "explicit": ("originalPrice", "priceAfterDiscount"),
    },
    "cashBack": {"fixed": ("fixedAmount",), "percentage": ("percentage",)},
}
PRICE_FIELDS = ("fixedAmount", "percentage", "originalPrice", "priceAfterDiscount")
TEXTS = {"title": (1, 60), "description": (0, 1000), "usageCondition": (0, 100)}
CODE_LIMIT = 16
URL_LIMIT = 2000
PLAIN_FIELDS = (
    "title",
    "description",
    "acquisitionCondition",
    "startTimestamp",
    "endTimestamp",
    "timezone",
    "couponCode",
    "maxUseCountPerTicket",
    "visibility",
    "reward",
    "usageCondition",
)


def check_create(data: Node, now: float) -> list[Detail]:
    """What LINE would refuse in a create request; empty when all is well."""
    return check_coupon(data, now, conditions=("normal", "lottery"))


def check_coupon(data: Node, now: float, conditions: tuple[str, ...]) -> list[Detail]:
    """The same for a coupon with one of these conditions: the manager has one more."""
    problems = Problems()
    for name, (least, most) in TEXTS.items():
        _check_text(data, name, least, most, problems)
    _check_text(data, "couponCode", 0, CODE_LIMIT, problems)
    _check_condition(data.get("acquisitionCondition"), conditions, problems)
    _check_uses(data.get("maxUseCountPerTicket"), problems)
    _check_period(data, now, problems)
    problems.choice(data.get("timezone"), "timezone", tuple(ZONES))
    problems.choice(data.get("visibility"), "visibility", ("UNLISTED", "PUBLIC"))
    _check_reward(data.get("reward"), problems)
    for name in ("imageUrl", "barcodeImageUrl"):
        _check_picture(data.get(name), name, problems)
    return problems.details


def kept_fields(data: Node) -> dict[str, Any]:
    """A checked request as the coupon keeps it: known fields, those that are set."""
    kept = {
        name: data[name] for name in PLAIN_FIELDS if data.get(name) not in (None, "")
    }
    kept["acquisitionCondition"] = _kept_condition(data["acquisitionCondition"])
    kept["reward"] = _kept_reward(data["reward"])
    return kept


def _kept_condition(condition: Node) -> Node:
    names = ["type"]
    if condition["type"] == "lottery":
        names += ["lotteryProbability", "maxAcquireCount"]
    return {name: condition[name] for name in names}


def _kept_reward(reward: Node) -> Node:
    """The kind and, where it has one, the price, without fields LINE does not know."""
    if reward["type"] not in PRICES:
        return {"type": reward["type"]}
    price = reward["priceInfo"]
    names = ("type", *PRICES[reward["type"]][price["type"]])
    return {"type": reward["type"], "priceInfo": {name: price[name] for name in names}}


def _check_text(
    data: Node, name: str, least: int, most: int, problems: Problems
) -> None:
    value = data.get(name)
    if value is None and least == 0:
        return
    if value is None:
        problems.add(name, "May not be null")
    elif not isinstance(value, str):
        problems.add(name, "Must be a string")
    elif not least <= utf16_length(value) <= most:
        problems.add(name, f"Size must be between {least} and {most}")


def _check_condition(
    condition: object, known: tuple[str, ...], problems: Problems
) -> None:
    where = "acquisitionCondition"
    if not isinstance(condition, dict):
        problems.add(where, "May not be null")
    elif problems.choice(condition.get("type"), f"{where}.type", known):
        if condition["type"] == "lottery":
            _check_lottery(condition, where, problems)


def _check_lottery(condition: Node, where: str, problems: Problems) -> None:
    _check_number(condition, "lotteryProbability", where, 1, 99, problems)
    if condition.get("maxAcquireCount") != -1:
        _check_number(condition, "maxAcquireCount", where, 1, MOST_WINNERS, problems)


def _check_uses(value: object, problems: Problems) -> None:
    """LINE's OpenAPI file has a maximum only; its reference allows these two."""
    if not _is_whole(value) or value not in (1, -1):
        problems.add("maxUseCountPerTicket", "Must be 1 or -1")


def _check_period(data: Node, now: float, problems: Problems) -> None:
    before = len(problems.details)
    for name in ("startTimestamp", "endTimestamp"):
        _check_number(data, name, "", 0, INT64, problems)
    if len(problems.details) > before:
        return
    if data["endTimestamp"] < now:
        problems.add("endTimestamp", "Must not be before the current time")
    elif data["endTimestamp"] < data["startTimestamp"]:
        problems.add("endTimestamp", "Must not be before startTimestamp")


def _check_reward(reward: object, problems: Problems) -> None:
    """LINE's reference requires a reward, its OpenAPI file does not: we do."""
    if not isinstance(reward, dict):
        problems.add("reward", "May not be null")
        return
    if not problems.choice(reward.get("type"), "reward.type", REWARDS):
        return
    price, where = reward.get("priceInfo"), "reward.priceInfo"
    forms = PRICES.get(reward["type"])
    if forms is None and price is not None:
        problems.add(where, "Must not be specified")
    elif forms is not None and not isinstance(price, dict):
        problems.add(where, "May not be null")
    elif forms is not None and isinstance(price, dict):
        _check_price(price, forms, where, problems)


def _check_price(
    price: Node, forms: dict[str, tuple[str, ...]], where: str, problems: Problems
) -> None:
    if not problems.choice(price.get("type"), f"{where}.type", tuple(forms)):
        return
    wanted = forms[price["type"]]
    for name in PRICE_FIELDS:
        if name in wanted:
            most = 99 if name == "percentage" else INT64
            _check_number(price, name, where, 1, most, problems)
        elif price.get(name) is not None:
            problems.add(f"{where}.{name}", "Must not be specified")


def _check_number(
    node: Node, name: str, where: str, least: int, most: int, problems: Problems
) -> None:
    value, place = node.get(name), f"{where}.{name}".lstrip(".")
    if value is None:
        problems.add(place, "May not be null")
    elif not _is_whole(value):
        problems.add(place, "Must be an integer")
    elif value < least:
        problems.add(place, f"Must be greater than or equal to {least}")
    elif value > most:
        problems.add(place, f"Must be less than or equal to {most}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_picture(url: object, name: str, problems: Problems) -> None:
    """An address LINE could fetch; letters beyond ASCII must come percent-encoded."""
    if url is None:
        return
    if not isinstance(url, str) or not url.isascii() or not is_image_url(url):
        problems.add(name, "Must be a valid HTTPS URL")
    elif len(url) > URL_LIMIT:
        problems.add(name, f"Size must be between 1 and {URL_LIMIT}")
