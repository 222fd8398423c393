"""What is wrong with a coupon in the manager's form, in a person's words.

The rules name fields and limits as LINE's API does; whoever typed the form knows its
labels.
"""

import re
from collections.abc import Iterable, Mapping

LABELS = {
    "title": "Name",
    "description": "Guide",
    "usageCondition": "Usage condition",
    "couponCode": "Coupon code",
    "acquisitionCondition": "Condition",
    "acquisitionCondition.lotteryProbability": "Chance to win",
    "acquisitionCondition.maxAcquireCount": "Most winners",
    "maxTicketPerUser": "Most for one person",
    "maxUseCountPerTicket": "Use",
    "startTimestamp": "From",
    "endTimestamp": "Until",
    "timezone": "Time zone",
    "visibility": "In LINE’s lists",
    "reward": "Kind",
    "reward.priceInfo": "Kind",
    "reward.priceInfo.fixedAmount": "Amount",
    "reward.priceInfo.percentage": "Per cent",
    "reward.priceInfo.originalPrice": "Price before",
    "reward.priceInfo.priceAfterDiscount": "Price after",
}
TIMES = ("startTimestamp", "endTimestamp")
# What the rules say, and what it comes to. Groups are the rule's numbers.
SENTENCES = [
    (r"May not be (?:null|empty)", "fill this in"),
    (r"Must be an integer", "type a whole number"),
    (r"Must be a string", "type a text"),
    (r"Must be greater than or equal to (\d+)", r"must be at least \1"),
    (r"Must be less than or equal to (\d+)", r"must be at most \1"),
    (r"Must be between (\d+) and (\d+)", r"must be \1 to \2"),
    (r"Size must be between 0 and (\d+)", r"may have \1 characters at most"),
    (r"Size must be between (\d+) and (\d+)", r"must have \1 to \2 characters"),
    (r"Must not be before the current time", "must lie in the future"),
    (r"Must not be before startTimestamp", "must come after From"),
    (r"Must (?:be|not) .*", "choose one of those in the list"),
]


def words_of(details: Iterable[Mapping[str, str]]) -> str:
    """All of it as sentences, each with the form's own label."""
    return " ".join(dict.fromkeys(_sentence(row) for row in details))


def _sentence(row: Mapping[str, str]) -> str:
    place = row["property"]
    label = LABELS.get(place) or LABELS.get(place.removesuffix(".type"), place)
    return f"{label}: {_what(place, row['message'])}."


def _what(place: str, message: str) -> str:
    if place in TIMES and message in ("Must be an integer", "May not be null"):
        return "choose a day and a time"
    for rule, words in SENTENCES:
        found = re.fullmatch(rule, message)
        if found:
            return found.expand(words)
    return message
