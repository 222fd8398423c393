"""Paddle Classic's coupons: codes at its checkout.

Every call is a POST, and answers HTTP 200 whether it worked or not: `success` tells.
There is no idempotency key and no id: a code is its own identity. Source: Paddle Classic
API, "Create coupon", "List coupons", "Update coupon", "Delete coupon" and "API error
codes".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from providers.answers import Answer, json_object, plain, storable
from providers.errors import ProviderError, Refused, Unauthorised, Unclear, Unreadable
from providers.http import DEADLINE, Http
from providers.reading import Fields, decimal_of
from providers.verdicts import error_of, is_success, settled

MOST_LISTED = 500
MAX_CODE = 300
MAX_DETAIL = 500  # characters

INTERNAL = 120  # "internal error": may have been done
NOT_US = (102, 107, 111, 112)  # bad key, no permission, two kinds of bad token
DUPLICATE = 132
NOT_FOUND = 135
NO_PRODUCT = 108

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class PaddleCoupon:
    """A code as Paddle lists it. `raw` can be stored as JSON in PostgreSQL.

    `amount` is money or per cent (10 is 10 %); Paddle's list has per cent as fractions.
    `expires_at` is when it dies. None where Paddle says nothing, or nothing that can be
    read: then `oddities` says so. `currency` is often empty, a known fault of theirs.
    """

    code: str
    description: str
    discount_type: str
    amount: Decimal | None
    currency: str
    allowed_uses: int | None
    times_used: int | None
    is_recurring: bool | None
    expires_at: datetime | None
    raw: dict[str, Any] = field(repr=False)
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaddlePage:
    """Some codes; `total` is how many there are in all, where Paddle says so.

    With `oddities` some codes could not be read: who is not here may exist. `count` is
    how many there were, those included: where the next page begins.
    """

    coupons: tuple[PaddleCoupon, ...]
    total: int | None
    count: int = 0
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaddleClient:
    """One vendor account. Each method is one call and raises ProviderError.

    `base_url` is what comes before /api/; `deadline` is seconds for a whole call.
    Refused has Paddle's error code as `code`.
    """

    base_url: str
    vendor_id: int
    auth_code: str = field(repr=False)
    allow_local: bool = False
    deadline: float = DEADLINE

    def create(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """Make codes; which ones. `fields` are those of Paddle's manual.

        Raises Unclear when they may exist: then look for them before asking again.
        """
        answer = self._ask("2.1/product/create_coupon", fields)
        found = self._success(answer, Unclear("Paddle's answer is no JSON.", answer))
        codes = _texts(found.get("response"), "coupon_codes")
        if not codes:
            raise Unclear("Paddle's answer names no code that it made.", answer)
        return codes

    def page(
        self,
        *,
        product_id: int | None = None,
        code: str = "",
        limit: int = MOST_LISTED,
        offset: int = 0,
        is_valid: bool | None = None,
    ) -> PaddlePage:
        """Codes from `offset` on: of a product, only `code`, only valid ones or not.

        Whether codes for the whole checkout are listed without a product is not said in
        Paddle's manual. Raises Unreadable when the answer is no page of a list.
        """
        fields = {
            "product_id": product_id,
            "coupon": code or None,
            "limit": limit,
            "offset": offset,
            "is_valid": is_valid,
        }
        answer = self._ask("2.0/product/list_coupons", fields)
        return _page(self._success(answer, Unreadable("Paddle's answer is no JSON.")))

    def update(
        self, *, code: str = "", group: str = "", fields: Mapping[str, Any]
    ) -> int:
        """Change one code or a whole group; how many were changed.

        An empty text in `fields` takes away what there was. `coupon_type`,
        `discount_type` and `description` cannot be changed.
        """
        if bool(code) == bool(group):
            raise ValueError("An update is of a code or of a group.")
        which = {"coupon_code": code} if code else {"group": group}
        answer = self._ask("2.1/product/update_coupon", {**fields, **which})
        found = self._success(answer, Unclear("Paddle's answer is no JSON.", answer))
        response = found.get("response")
        said = response.get("updated") if isinstance(response, dict) else None
        updated = decimal_of(said)
        if updated is None or updated < 0:
            raise Unclear("Paddle's answer does not say how many it changed.", answer)
        return int(updated)

    def delete(self, code: str, *, product_id: int | None = None) -> None:
        """Take a code back; one for products wants one of its product ids."""
        fields = {"coupon_code": code, "product_id": product_id}
        answer = self._ask("2.0/product/delete_coupon", fields)
        self._success(answer, Unclear("Paddle's answer is no JSON.", answer))

    def _ask(self, path: str, fields: Mapping[str, Any]) -> Answer:
        """The answer to a form with who we are in it."""
        if not self.auth_code or self.vendor_id < 1:
            raise Unauthorised("There is no vendor id or no auth code.", 401)
        us = {"vendor_id": self.vendor_id, "vendor_auth_code": self.auth_code}
        http = Http((self.base_url,), self.allow_local, self.deadline)
        try:
            return http.request(
                "POST",
                f"{self.base_url.rstrip('/')}/api/{path}",
                headers=_FORM,
                body=urlencode(_form({**fields, **us})).encode(),
            )
        except Unclear as unclear:
            return settled(unclear)

    def _success(self, answer: Answer, unreadable: ProviderError) -> dict[str, Any]:
        """The answer's object when it says success; `unreadable` when it says nothing."""
        found = json_object(answer.body)
        if not is_success(answer):
            raise error_of(answer, *self._said(answer, found or {}))
        if found is None or not isinstance(found.get("success"), bool):
            raise unreadable
        if not found["success"]:
            raise self._refusal(answer, found)
        return found

    def _refusal(self, answer: Answer, found: dict[str, Any]) -> ProviderError:
        detail, code = self._said(answer, found)
        if code == INTERNAL:
            return Unclear(detail, answer)
        if code in NOT_US:
            return Unauthorised(detail, answer.status, code)
        return Refused(detail, answer.status, code)

    def _said(self, answer: Answer, found: dict[str, Any]) -> tuple[str, int | None]:
        """Paddle's words and code: `{error: {code, message}}`."""
        error = found.get("error")
        fields = error if isinstance(error, dict) else {}
        number = decimal_of(fields.get("code"))
        code = None if number is None else int(number)
        words = plain(fields.get("message"), MAX_DETAIL) or f"HTTP {answer.status}"
        if self.auth_code:  # should an answer ever quote what was sent
            words = words.replace(self.auth_code, "…")
        return (f"{words} ({code})" if code is not None else words), code


def _form(fields: Mapping[str, Any]) -> dict[str, str]:
    """Values as Paddle reads them; what is None is left out.

    Yes and no are 1 and 0, which its manual asks for where it says anything.
    """
    form: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, bool):
            form[name] = str(int(value))
        elif isinstance(value, Decimal):
            form[name] = f"{value:f}"
        elif value is not None:
            form[name] = str(value)
    return form


def _texts(response: object, name: str) -> tuple[str, ...]:
    found = response.get(name) if isinstance(response, dict) else None
    texts = [plain(one, MAX_CODE) for one in found] if isinstance(found, list) else []
    return tuple(text for text in texts if text)


def _page(found: dict[str, Any]) -> PaddlePage:
    rows = found.get("response")
    if not isinstance(rows, list):
        raise Unreadable("Paddle's answer has no list of coupons.")
    coupons: list[PaddleCoupon] = []
    oddities: list[str] = []
    for place, row in enumerate(rows):
        coupon = _coupon(row) if isinstance(row, dict) else None
        if coupon is None:
            oddities.append(f"response[{place}] has no coupon code")
        else:
            coupons.append(coupon)
    return PaddlePage(
        tuple(coupons), Fields(found).count("total"), len(rows), tuple(oddities)
    )


def _coupon(row: dict[str, Any]) -> PaddleCoupon | None:
    fields = Fields(row)
    code = fields.text("coupon", MAX_CODE)
    if not code:
        return None
    kind = fields.one_of("discount_type", ("flat", "percentage"), required=True)
    return PaddleCoupon(
        code=code,
        description=fields.text("description", 300),
        discount_type=kind,
        amount=_amount(fields, kind),
        currency=fields.text("discount_currency", 10),
        allowed_uses=fields.count("allowed_uses"),
        times_used=fields.count("times_used", required=True),
        is_recurring=fields.flag("is_recurring"),
        expires_at=fields.parsed("expires", _midnight),
        raw=_storable(row),
        oddities=tuple(fields.oddities),
    )


def _amount(fields: Fields, kind: str) -> Decimal | None:
    """Money, or per cent: 0.25 in Paddle's list is 25 %, which its create calls 25."""
    amount = fields.number("discount_amount", required=True)
    if amount is None or kind != "percentage":
        return amount
    if amount > 1:
        fields.note("discount_amount", "is no fraction; taken as per cent")
        return amount
    return amount * 100


def _midnight(text: str) -> datetime:
    """`YYYY-MM-DD 00:00:00`, or the date alone, which Paddle means in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = storable(row)
    except RecursionError:
        raise Unreadable("Paddle's answer is nested too deeply.") from None
    return kept
