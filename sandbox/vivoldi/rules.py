"""What Vivoldi takes for a coupon, and when one may be used.

Vivoldi has not published its error numbers: those here are the sandbox's own, and so
are the words. `code` 0 is success, anything else is not; that much is sure.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import date
from enum import IntEnum
from typing import Any

from sandbox.book import is_whole
from sandbox.errors import WorldError
from sandbox.vivoldi.book import COLOUR, VivoldiAccount, VivoldiBook, VivoldiCoupon

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
RATE, AMOUNT = 457, 458
SYMBOLS = {
    "KRW": "₩",
    "CAD": "C$",
    "CNY": "CN¥",
    "EUR": "€",
    "GBP": "£",
    "IDR": "Rp",
    "JPY": "¥",
    "MUR": "₨",
    "RUB": "₽",
    "SGD": "S$",
    "USD": "$",
}
# Field -> what it is when it is left out. Those that are None have to be given.
DEFAULTS: dict[str, Any] = {
    "nm": None,
    "discTypeIdx": None,
    "disc": None,
    "strtYmd": None,
    "endYmd": None,
    "discCurrency": "KRW",
    "domain": "https://vvd.bz",
    "webhookEnableYn": "",
    "useLimit": 1,  # what it is when left out is unconfirmed
    "grpIdx": 0,
    "tmplIdx": 0,
    "onsiteYn": "N",
    "onsitePwd": "",
    "memo": "",
    "url": "",
    "color": "#4F4F4FFF",
    "background": "#FFFFFFFF",
    "userId": "",
    "userNm": "",
    "userPhnno": "",
    "userEml": "",
    "userEtc1": "",
    "userEtc2": "",
}
WAYS = {"api": "by API", "page": "on its page", "dashboard": "by hand"}
WHOLE = frozenset({"discTypeIdx", "useLimit", "grpIdx", "tmplIdx", "cpnNoDigits"})
MOST_USES = 5
MUCH = 10**12  # money: more than anybody takes off
LONGEST = 1000  # characters of a text; Vivoldi tells no limits
# Of the coupon object that validate gives, in Vivoldi's order.
TOLD = (
    "cpnNo domain nm discTypeIdx disc discCurrency formatDiscCurrency strtYmd endYmd "
    "useLimit imgUrl onsiteYn onsitePwd memo url userId userNm userPhnno userEml "
    "userEtc1 userEtc2 useCnt regYmdt"
).split()


class Code(IntEnum):
    """Made up: see above."""

    BAD_KEY = 401
    BLOCKED = 403
    TOO_MANY = 429
    BROKEN = 500
    PLAN = 1001
    BAD_FIELD = 1002
    NOT_FOUND = 2001
    TAKEN = 2002
    LOCKED = 2003
    NOT_STARTED = 2011
    EXPIRED = 2012
    USED_UP = 2013
    NEEDS_USER = 2014
    BAD_PASSWORD = 2015


class VivoldiError(WorldError):
    """A no of Vivoldi's: an envelope whose code is not 0."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


# The calls


def create(book: VivoldiBook, account: VivoldiAccount, sent: Mapping[str, Any]) -> str:
    """Make a coupon; its number."""
    data = checked(account, DEFAULTS | only_known(sent))
    number = new_number(account, sent)
    coupon = VivoldiCoupon(book.next_number(account), number, data, book.now())
    book.save_coupon(account, coupon)
    return number


def update(book: VivoldiBook, account: VivoldiAccount, sent: Mapping[str, Any]) -> None:
    """Change what is given of a coupon; of one that was used, only its memo."""
    coupon = found(account, sent.get("cpnNo"))
    given = only_known(sent)
    data = checked(account, coupon.data | given)
    locked = {name for name in given if name != "memo"}
    if coupon.uses and any(data[name] != coupon.data[name] for name in locked):
        said = "The coupon has been used: only its memo can be changed."
        raise VivoldiError(Code.LOCKED, said)
    coupon.data = data
    book.save_coupon(account, coupon)


def delete(book: VivoldiBook, account: VivoldiAccount, number: object) -> None:
    """Take a coupon away. What becomes of used ones is unconfirmed: they go too."""
    book.drop_coupon(account, found(account, number))


def validate(account: VivoldiAccount, number: object, at: float) -> dict[str, Any]:
    """The coupon object of one that can be used now; the password in clear, as there."""
    try:
        coupon = found(account, number)
        check_usable(account, coupon, at)
    except VivoldiError:
        if account.tells_why:
            raise
        said = "The coupon cannot be used."
        raise VivoldiError(Code.NOT_FOUND, said) from None
    return told(account, coupon)


def redeem(
    book: VivoldiBook, account: VivoldiAccount, sent: Mapping[str, Any], *, way: str
) -> VivoldiCoupon:
    """Take one use of a coupon. `way` is one of WAYS."""
    if way not in WAYS:
        raise WorldError(f"A coupon is used by one of {', '.join(WAYS)}.")
    coupon = found(account, sent.get("cpnNo"))
    at = book.now()
    check_usable(account, coupon, at)
    user_id, memo = (_text(sent.get(name), name) for name in ("userId", "memo"))
    password = account.shown(coupon)["onsitePwd"]
    if password and way != "dashboard" and sent.get("onsitePwd") != password:
        raise VivoldiError(Code.BAD_PASSWORD, "The on-site password is wrong.")
    if coupon.limit > 1 and (way != "api" or not user_id):
        said = "A coupon for 2 to 5 uses is redeemed by API, with a userId."
        raise VivoldiError(Code.NEEDS_USER, said)
    coupon.uses.append({"at": at, "userId": user_id, "memo": memo, "way": way})
    book.save_coupon(account, coupon)
    return coupon


# Reading


def found(account: VivoldiAccount, number: object) -> VivoldiCoupon:
    """The coupon of this number, which has no dashes here."""
    if not isinstance(number, str) or number not in account.coupons:
        raise VivoldiError(Code.NOT_FOUND, "The coupon number does not exist.")
    return account.coupons[number]


def check_usable(account: VivoldiAccount, coupon: VivoldiCoupon, at: float) -> None:
    """Refuse one that has not begun, is over or used up."""
    shown, today = account.shown(coupon), account.today(at).isoformat()
    if today < shown["strtYmd"]:
        raise VivoldiError(Code.NOT_STARTED, "The coupon cannot be used yet.")
    if today > shown["endYmd"]:  # that the last day counts is unconfirmed
        raise VivoldiError(Code.EXPIRED, "The coupon has expired.")
    if coupon.is_used_up():
        raise VivoldiError(Code.USED_UP, "The coupon has already been used.")


def told(account: VivoldiAccount, coupon: VivoldiCoupon) -> dict[str, Any]:
    """A coupon as validate describes it."""
    shown = account.shown(coupon) | {
        "cpnNo": coupon.cpnNo,
        "formatDiscCurrency": discount_words(coupon.data),
        "useCnt": len(coupon.uses),
        "regYmdt": f"{account.local(coupon.made_at):%Y-%m-%d %H:%M:%S}",
    }
    return {name: shown.get(name, "") for name in TOLD}


def discount_words(data: Mapping[str, Any]) -> str:
    """The discount as people read it: 10%, $5."""
    value = f"{data['disc']:,.2f}".removesuffix(".00")
    if data["discTypeIdx"] == RATE:
        return f"{value}%"
    return f"{SYMBOLS[data['discCurrency']]}{value}"


# Values


def only_known(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a coupon among those sent; others are passed over."""
    return {name: value for name, value in sent.items() if name in DEFAULTS}


def checked(account: VivoldiAccount, data: dict[str, Any]) -> dict[str, Any]:
    """All fields of a coupon in their own types, agreeing with each other."""
    data = {name: _value(name, value) for name, value in data.items()}
    _check_discount(data)
    _check_dates(data)
    if not 0 <= data["useLimit"] <= MOST_USES:
        raise bad("useLimit is 0 to 5.")
    if data["useLimit"] > 1 and not data["userId"]:
        raise bad("userId is required when useLimit is 2 to 5.")
    if data["grpIdx"] and account.group(data["grpIdx"]) is None:
        raise bad("grpIdx: there is no such coupon group.")
    if data["tmplIdx"] and str(data["tmplIdx"]) not in account.templates:
        raise bad("tmplIdx: there is no such coupon template.")
    if data["webhookEnableYn"] == "Y" and account.plan != "enterprise":
        said = "webhookEnableYn: available from the Enterprise plan."
        raise VivoldiError(Code.PLAN, said)
    return data


def bad(sentence: str) -> VivoldiError:
    return VivoldiError(Code.BAD_FIELD, sentence)


def _value(name: str, value: object) -> Any:
    if value is None:
        if DEFAULTS[name] is None:
            raise bad(f"{name} is required.")
        value = DEFAULTS[name]
    if name in WHOLE:
        return _whole(name, value)
    if name == "disc":
        return _number(value)
    text = _text(value, name)
    if name.endswith("Yn") and text not in ("Y", "N", ""):
        raise bad(f"{name} is Y or N.")
    if name in ("color", "background") and not COLOUR.fullmatch(text):
        raise bad(f"{name} is a HEX value of up to 9 characters.")
    return text or DEFAULTS[name] or ""


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise bad(f"{name} is a whole number.")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad("disc is a number.")
    return float(min(value, MUCH))


def _text(value: object, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST or not is_whole(value):
        raise bad(f"{name} is a text.")
    return value


def _check_discount(data: dict[str, Any]) -> None:
    if not data["nm"]:
        raise bad("nm is required.")
    if data["discTypeIdx"] not in (RATE, AMOUNT):
        raise bad("discTypeIdx is 457 or 458.")
    most = 100 if data["discTypeIdx"] == RATE else MUCH - 1
    least = 1 if data["discTypeIdx"] == RATE else 0.01
    if not least <= data["disc"] <= most:
        raise bad("disc is out of range.")
    if data["discCurrency"] not in SYMBOLS:
        raise bad("discCurrency is not one of Vivoldi's.")


def _check_dates(data: dict[str, Any]) -> None:
    for name in ("strtYmd", "endYmd"):
        try:
            is_day = date.fromisoformat(data[name]).isoformat() == data[name]
        except ValueError:
            is_day = False
        if not is_day:
            raise bad(f"{name} is a date: yyyy-mm-dd.")
    if data["endYmd"] < data["strtYmd"]:
        raise bad("endYmd lies before strtYmd.")


def new_number(account: VivoldiAccount, sent: Mapping[str, Any]) -> str:
    """The number that was given, or one of 16, 12 or 8 characters."""
    number = _text(sent.get("cpnNo"), "cpnNo")
    if not number:
        digits = sent.get("cpnNoDigits", 16)
        if digits not in (16, 12, 8):
            raise bad("cpnNoDigits is 16, 12 or 8.")
        return "".join(secrets.choice(LETTERS) for _ in range(digits))
    if not re.fullmatch(r"[A-Z0-9]{8,16}", number):
        raise bad("cpnNo has 8 to 16 capital letters and digits.")
    if number in account.coupons:
        raise VivoldiError(Code.TAKEN, "The coupon number is in use already.")
    return number
