"""Vivoldi's coupons: numbers with a page of their own.

There is no list, and no way to take a use back. Answers are `{code, message, result}`,
code 0 being yes; the other codes are not published, so only the words tell more. Source:
Vivoldi's coupon API, "create", "update", "delete", "validate" and "redeem".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from providers.answers import Answer, json_object, plain, storable
from providers.errors import ProviderError, Refused, Unauthorised, Unclear, Unreadable
from providers.http import DEADLINE, Http
from providers.reading import Fields, decimal_of
from providers.verdicts import error_of, is_success, settled

RATE, AMOUNT = 457, 458  # discTypeIdx: per cent, money
MAX_DETAIL = 500  # characters
_MAX_NUMBER = 40
_HIDDEN = "onsitePwd"  # the password of the staff button


@dataclass(frozen=True)
class VivoldiCoupon:
    """A coupon as Vivoldi tells it. `raw` can be stored as JSON in PostgreSQL.

    Vivoldi returns the password of its staff button in clear: it is left out. `kind` is
    RATE, AMOUNT, another number that is new to us, or 0 when there is none. Days are
    Vivoldi's; in which time zone they begin is not in its manual. None where it says
    nothing, or nothing that can be read: then `oddities` says so.
    """

    number: str
    name: str
    kind: int
    amount: Decimal | None
    currency: str
    starts_on: date | None
    ends_on: date | None
    use_limit: int | None
    use_count: int | None
    is_onsite: bool | None
    url: str
    memo: str
    user_id: str
    raw: dict[str, Any] = field(repr=False)
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class VivoldiClient:
    """One account. Each method is one call and raises ProviderError.

    `base_url` is what comes before /api/; `deadline` is seconds for a whole call.
    Refused has Vivoldi's `code` as code. 403 means that the key may not do it or, so its
    manual, that it does not like our User-Agent.
    """

    base_url: str
    api_key: str = field(repr=False)
    allow_local: bool = False
    deadline: float = DEADLINE

    def create(self, fields: Mapping[str, Any]) -> str:
        """Make a coupon; its number. `fields` are those of Vivoldi's manual.

        With `cpnNo` among them a second try cannot make a second coupon. Raises Unclear
        when it may exist.
        """
        answer, result = self._change("POST", "create", fields)
        number = plain(result, _MAX_NUMBER) or plain(fields.get("cpnNo"), _MAX_NUMBER)
        if not number:
            raise Unclear("Vivoldi's answer has no coupon number.", answer)
        return number

    def update(self, fields: Mapping[str, Any]) -> None:
        """Change the coupon of `cpnNo`; after its first use only the memo can be."""
        self._change("PUT", "update", fields)

    def delete(self, number: str) -> None:
        """Take a coupon back."""
        query = urlencode({"cpnNo": _bare(number)})
        answer = self._ask("DELETE", f"delete?{query}")
        self._result(answer, Unclear("Vivoldi's answer is no JSON.", answer))

    def validate(self, number: str) -> VivoldiCoupon:
        """Look at a coupon that could be used now.

        Raises Refused for one that is unknown, not begun, over or used up: Vivoldi tells
        those apart in words only.
        """
        query = urlencode({"cpnNo": _bare(number)})
        answer = self._ask("GET", f"validate?{query}")
        result = self._result(answer, Unreadable("Vivoldi's answer is no JSON."))
        if not isinstance(result, dict):
            raise Unreadable("Vivoldi's answer has no coupon.")
        return _coupon(_bare(number), result)

    def redeem(
        self, number: str, *, password: str = "", user_id: str = "", memo: str = ""
    ) -> None:
        """Take one use of a coupon, for good.

        A second try after Unclear may take a second use: look at `use_count` first.
        `password` where the coupon has one, `user_id` where it allows 2 to 5 uses.
        """
        fields = {
            "cpnNo": number,
            _HIDDEN: password or None,
            "userId": user_id or None,
            "memo": memo or None,
        }
        self._change("PUT", "redeem", fields)

    def _change(
        self, method: str, call: str, fields: Mapping[str, Any]
    ) -> tuple[Answer, Any]:
        """Send a JSON object; the answer and its result."""
        body = {name: value for name, value in fields.items() if value is not None}
        if isinstance(body.get("cpnNo"), str):
            body["cpnNo"] = _bare(body["cpnNo"])
        answer = self._ask(method, call, json.dumps(body, default=_number).encode())
        unclear = Unclear("Vivoldi's answer is no JSON.", answer)
        return answer, self._result(answer, unclear, _password_of(fields))

    def _ask(self, method: str, call: str, body: bytes | None = None) -> Answer:
        key = self.api_key
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise Unauthorised("This is not an API key.", 401)
        headers = {"Authorization": f"APIKey {key}", "Accept-Language": "en"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        http = Http((self.base_url,), self.allow_local, self.deadline)
        url = f"{self.base_url.rstrip('/')}/api/coupon/v1/{call}"
        try:
            return http.request(method, url, headers=headers, body=body)
        except Unclear as unclear:
            return settled(unclear)

    def _result(
        self, answer: Answer, unreadable: ProviderError, password: str = ""
    ) -> Any:
        """What is in an answer that says yes; `unreadable` when it says nothing."""
        found = json_object(answer.body)
        if not is_success(answer):
            raise error_of(answer, *self._said(answer, found or {}, password))
        if found is None or _code_of(found) is None:
            raise unreadable
        if _code_of(found) != 0:
            detail, code = self._said(answer, found, password)
            raise Refused(detail, answer.status, code)
        return found.get("result")

    def _said(
        self, answer: Answer, found: dict[str, Any], password: str
    ) -> tuple[str, int | None]:
        words = plain(found.get("message"), MAX_DETAIL) or f"HTTP {answer.status}"
        for secret in (self.api_key, password):
            if secret:  # should an answer ever quote what was sent
                words = words.replace(secret, "…")
        return words, _code_of(found)


def _bare(number: str) -> str:
    """Vivoldi's pages print dashes, which its calls do not take."""
    return number.replace("-", "")


def _password_of(fields: Mapping[str, Any]) -> str:
    password = fields.get(_HIDDEN)
    return password if isinstance(password, str) else ""


def _code_of(found: dict[str, Any]) -> int | None:
    number = decimal_of(found.get("code"))
    if number is None or number != number.to_integral_value():
        return None
    return int(number)


def _number(value: object) -> int | float:
    """JSON for money: Vivoldi's `disc` is a double."""
    if not isinstance(value, Decimal):
        raise TypeError("Only numbers and texts can be sent.")
    return int(value) if value == value.to_integral_value() else float(value)


def _coupon(number: str, result: dict[str, Any]) -> VivoldiCoupon:
    fields = Fields(result)
    told = _bare(fields.text("cpnNo", _MAX_NUMBER))
    if told not in ("", number):
        fields.note("cpnNo", "is that of another coupon")
    return VivoldiCoupon(
        number=number,
        name=fields.text("nm", 300),
        kind=_kind(fields),
        amount=fields.number("disc"),
        currency=fields.text("discCurrency", 10),
        starts_on=fields.parsed("strtYmd", date.fromisoformat),
        ends_on=fields.parsed("endYmd", date.fromisoformat),
        use_limit=fields.count("useLimit"),
        use_count=fields.count("useCnt", required=True),
        is_onsite=fields.flag("onsiteYn"),
        url=fields.text("url", 2000),
        memo=fields.text("memo", 1000),
        user_id=fields.text("userId", 200),
        raw=without_password(result),
        oddities=tuple(fields.oddities),
    )


def _kind(fields: Fields) -> int:
    kind = fields.count("discTypeIdx", required=True)
    if kind is not None and kind not in (RATE, AMOUNT):
        fields.note("discTypeIdx", f"is new to us: {kind}")
    return kind or 0


def without_password(found: dict[str, Any]) -> dict[str, Any]:
    """The same to keep: storable, and without the password of the staff button."""
    try:
        kept: dict[str, Any] = storable(_open(found))
    except RecursionError:
        raise Unreadable("Vivoldi's answer is nested too deeply.") from None
    return kept


def _open(value: Any) -> Any:
    """The same without any field that is called a password, however deep."""
    if isinstance(value, dict):
        return {
            name: _open(inner)
            for name, inner in value.items()
            if name.lower() not in (_HIDDEN.lower(), "password")
        }
    return [_open(inner) for inner in value] if isinstance(value, list) else value
