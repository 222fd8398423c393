"""What Paddle takes for a coupon, and which of its error codes it answers else.

A request's fields come as texts, whichever way they were sent. Where Paddle has not
published a code for a wrong value, it is 116 here.
"""

import re
import secrets
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.errors import WorldError
from sandbox.paddle.book import CURRENCY, Coupon, PaddleAccount, PaddleBook

Fields = dict[str, str]

MESSAGES = {
    101: "Bad method call",
    102: "Bad api key",
    107: "You don't have permission to access this resource",
    108: "Unable to find requested product",
    116: "One or more required arguments are missing",
    120: "Internal error",
    122: "Provided date is not valid",
    127: "Unable to recognise the coupon type, only flat and percentage are allowed",
    128: "Percentage is not valid, it must be a number less than 100",
    129: "The flat amount must be a number of 0.01 or more",
    130: "Allowed uses must be a number",
    131: "Coupon code must be at least 5 characters long",
    132: "Coupon code already used for the product",
    133: "The expiry date format must be Y-m-d",
    134: "The given coupon currency is invalid. "
    "The currency must match your balance currency.",
    135: "Unable to find requested coupon",
    136: "Allowed uses cannot be less than times used",
    137: "Allowed uses must be 0 or more",
    138: "The expiry date must be empty or a future date in the format Y-m-d",
}
SHORTEST, LONGEST = 5, 300  # characters of a code
WITHOUT_END = 999_999  # allowed uses
MOST_AT_ONCE = 10_000  # the sandbox's own limit; Paddle publishes none
PAGE = 500
NUMBER = re.compile(r"[0-9]{1,9}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class PaddleError(WorldError):
    """A no with one of Paddle's codes."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message or MESSAGES[code])
        self.code = code


# The calls


def create(book: PaddleBook, account: PaddleAccount, fields: Fields) -> list[str]:
    """Make a coupon, or several with codes of their own; the codes."""
    plan = planned(account, fields, book.now())
    codes = codes_for(account, fields)
    for code in codes:
        number = book.next_number(account)
        book.save_coupon(account, replace(plan, code=code, number=number))
    return codes


def page(
    account: PaddleAccount, fields: Fields, at: float
) -> tuple[list[dict[str, Any]], int]:
    """A page of coupons as the list shows them, and how many there are in all."""
    wanted = [c for c in _named(account, fields) if _is_wanted(c, fields, at)]
    limit = min(_whole(fields.get("limit", ""), 1, PAGE), PAGE)
    offset = _whole(fields.get("offset", ""), 0, 0)
    shown = wanted[offset : offset + limit]
    return [row_of(account, coupon) for coupon in shown], len(wanted)


def update(book: PaddleBook, account: PaddleAccount, fields: Fields) -> int:
    """Change a coupon or all of a group, or none of them; how many."""
    coupons = _chosen(account, fields)
    changed = [_changed(account, coupon, fields, book.now()) for coupon in coupons]
    new_code = fields.get("new_coupon_code", "")
    if new_code and new_code != coupons[0].code:
        _check_new_code(account, new_code)
    for coupon in changed:
        book.save_coupon(account, coupon)
    if new_code and new_code != changed[0].code:
        book.rename_coupon(account, changed[0], new_code)
    return len(changed)


def delete(book: PaddleBook, account: PaddleAccount, fields: Fields) -> None:
    """Take a coupon away; the product, if one is named, has to be one of its own."""
    coupon = _coupon(account, _needed(fields, "coupon_code"))
    if fields.get("product_id"):
        product_id = _product_ids(account, fields["product_id"])[0]
        if product_id not in coupon.product_ids:
            raise PaddleError(135)
    elif coupon.product_ids and account.delete_needs_product:
        raise PaddleError(116)
    book.drop_coupon(account, coupon)


# A new coupon


def planned(account: PaddleAccount, fields: Fields, at: float) -> Coupon:
    """A coupon as the fields describe it, still without its code."""
    coupon_type = _needed(fields, "coupon_type")
    if coupon_type not in ("product", "checkout"):
        raise PaddleError(116, "coupon_type is product or checkout")
    kind = _needed(fields, "discount_type")
    if kind not in ("flat", "percentage"):
        raise PaddleError(127)
    amount = _amount(kind, _needed(fields, "discount_amount"))
    ids = fields.get("product_ids", "")
    if coupon_type == "product" and not ids:
        raise PaddleError(116, "product_ids is required")
    needs_currency = kind == "flat" or account.needs_currency
    _check_currency(account, fields, is_needed=needs_currency)
    return Coupon(
        number=0,
        code="",
        coupon_type=coupon_type,
        discount_type=kind,
        discount_amount=amount,
        currency=fields.get("currency") or account.currency,
        allowed_uses=_uses(fields.get("allowed_uses") or str(WITHOUT_END)),
        product_ids=_product_ids(account, ids),
        recurring=_yes_or_no(fields.get("recurring", "")),
        expires=_expires(fields.get("expires", ""), at),
        minimum_threshold=_threshold(fields.get("minimum_threshold", "")),
        group=fields.get("group", ""),
        description=_description(fields.get("description", "")),
    )


def codes_for(account: PaddleAccount, fields: Fields) -> list[str]:
    """The code that was given, or as many new ones as were asked for."""
    code = fields.get("coupon_code", "")
    prefix, count = fields.get("coupon_prefix", ""), fields.get("num_coupons", "")
    if code and (prefix or count):
        said = "coupon_prefix and num_coupons are not valid with coupon_code"
        raise PaddleError(116, said)
    if code:
        _check_new_code(account, code)
        return [code]
    wanted = _whole(count, 1, 1)
    if wanted > MOST_AT_ONCE:
        raise PaddleError(116, f"num_coupons is at most {MOST_AT_ONCE}")
    return [new_code(prefix) for _ in range(wanted)]


def new_code(prefix: str) -> str:
    """Thirteen hexadecimal digits, as Paddle's samples have; the alphabet is not told."""
    return f"{prefix}{secrets.randbits(52):013X}"


def _check_new_code(account: PaddleAccount, code: str) -> None:
    if not SHORTEST <= len(code) <= LONGEST:
        raise PaddleError(131)
    if code in account.coupons:
        raise PaddleError(132)


# The list


def row_of(account: PaddleAccount, coupon: Coupon) -> dict[str, Any]:
    """A coupon as the list shows it: a percentage comes as a fraction there."""
    amount = coupon.amount()
    is_share = coupon.discount_type == "percentage"
    return {
        "coupon": coupon.code,
        "description": coupon.description,
        "discount_type": coupon.discount_type,
        "discount_amount": float(amount / 100 if is_share else amount),
        "discount_currency": coupon.currency if account.tells_currency else None,
        "allowed_uses": coupon.allowed_uses,
        "times_used": coupon.times_used,
        "is_recurring": coupon.recurring,
        "expires": f"{coupon.expires} 00:00:00" if coupon.expires else None,
    }


def _named(account: PaddleAccount, fields: Fields) -> list[Coupon]:
    """All coupons, those of a product, or the one of a code."""
    product, code = fields.get("product_id", ""), fields.get("coupon", "")
    if not product and account.list_needs_product:
        raise PaddleError(116)
    found = list(account.coupons.values())
    if code:
        found = [account.coupons[code]] if code in account.coupons else []
    if not product:
        return found
    product_id = _product_ids(account, product)[0]
    return [coupon for coupon in found if product_id in coupon.product_ids]


def _is_wanted(coupon: Coupon, fields: Fields, at: float) -> bool:
    asked = fields.get("is_valid", "")
    return asked == "" or _yes_or_no(asked) == coupon.is_valid(at)


# A change


def _chosen(account: PaddleAccount, fields: Fields) -> list[Coupon]:
    """The coupon or the group that an update is about."""
    code, group = fields.get("coupon_code", ""), fields.get("group", "")
    if bool(code) == bool(group):
        raise PaddleError(116, "Exactly one of coupon_code and group is required")
    if code:
        return [_coupon(account, code)]
    if fields.get("new_coupon_code"):
        raise PaddleError(116, "new_coupon_code is not valid with group")
    found = account.group(group)
    if not found:
        raise PaddleError(135)
    return found


def _changed(
    account: PaddleAccount, coupon: Coupon, fields: Fields, at: float
) -> Coupon:
    """The coupon after the update; the one there is stays as it is."""
    is_flat = coupon.discount_type == "flat"
    needs_currency = is_flat or "discount_amount" in fields
    _check_currency(account, fields, is_needed=needs_currency)
    changes: dict[str, Any] = {}
    if fields.get("currency") and fields["currency"] != coupon.currency:
        _check_threshold_again(coupon, fields)
        changes["currency"] = fields["currency"]
    if "discount_amount" in fields:
        given = fields["discount_amount"]
        changes["discount_amount"] = _amount(coupon.discount_type, given)
    if "allowed_uses" in fields:
        uses = _uses(fields["allowed_uses"] or str(WITHOUT_END))
        if uses < coupon.times_used:
            raise PaddleError(136)
        changes["allowed_uses"] = uses
    if "product_ids" in fields:
        changes["product_ids"] = _product_ids(account, fields["product_ids"])
    if "expires" in fields:
        changes["expires"] = _expires(fields["expires"], at)
    if "recurring" in fields:
        changes["recurring"] = _yes_or_no(fields["recurring"])
    if "minimum_threshold" in fields:
        changes["minimum_threshold"] = _threshold(fields["minimum_threshold"])
    if fields.get("new_group"):
        changes["group"] = fields["new_group"]
    return replace(coupon, **changes)


def _check_threshold_again(coupon: Coupon, fields: Fields) -> None:
    if coupon.minimum_threshold and "minimum_threshold" not in fields:
        said = "minimum_threshold is required when the currency changes"
        raise PaddleError(116, said)


# Values


def _needed(fields: Fields, name: str) -> str:
    if not fields.get(name):
        raise PaddleError(116)
    return fields[name]


def _coupon(account: PaddleAccount, code: str) -> Coupon:
    if code not in account.coupons:
        raise PaddleError(135)
    return account.coupons[code]


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -6 or abs(number) >= 10**12:
        return None  # not finite, too fine or too large
    return number


def _amount(kind: str, text: str) -> str:
    number = _decimal(text)
    if kind == "percentage":
        if number is None or not 0 <= number < 100:
            raise PaddleError(128)
    elif number is None or number < Decimal("0.01"):
        raise PaddleError(129)
    return f"{number:f}"


def _check_currency(account: PaddleAccount, fields: Fields, *, is_needed: bool) -> None:
    currency = fields.get("currency", "")
    if not currency and not is_needed:
        return
    if not CURRENCY.fullmatch(currency) or currency != account.currency:
        raise PaddleError(134)


def _product_ids(account: PaddleAccount, text: str) -> list[int]:
    """Ids of products, of a text such as "510509,511520"; an empty one has none."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    for part in parts:
        if not NUMBER.fullmatch(part) or int(part) not in account.products:
            raise PaddleError(108)
    return list(dict.fromkeys(int(part) for part in parts))


def _uses(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise PaddleError(130)
    if int(text) < 0:
        raise PaddleError(137)
    return int(text)


def _expires(text: str, at: float) -> str:
    if not text:
        return ""
    if not DAY.fullmatch(text):
        raise PaddleError(133)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise PaddleError(122) from None
    if day <= datetime.fromtimestamp(at, UTC).date():
        raise PaddleError(138)
    return text


def _threshold(text: str) -> str:
    """A sum that the cart has to exceed; nothing and 0 are none."""
    number = _decimal(text or "0")
    if number is None or number < 0:
        raise PaddleError(116, "minimum_threshold is a number")
    return f"{number:f}" if number else ""


def _description(text: str) -> str:
    if len(text) > 300:
        raise PaddleError(116, "description has at most 300 characters")
    return text


def _yes_or_no(text: str) -> bool:
    if text not in ("", "0", "1", "true", "false"):
        raise PaddleError(116, "Yes is 1 or true, no is 0 or false")
    return text in ("1", "true")


def _whole(text: str, least: int, default: int) -> int:
    if not text:
        return default
    if not NUMBER.fullmatch(text) or int(text) < least:
        raise PaddleError(116, f"A whole number from {least} on is needed")
    return int(text)
