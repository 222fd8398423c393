"""LINE's own coupons: made, listed, looked at and closed.

LINE has no call that changes a coupon, says who has got one, or counts uses. Creating
has no idempotency key: a retry key makes LINE answer 400. Source: Messaging API
reference, "Coupon"; line-openapi, messaging-api.yml.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from providers.answers import json_object, plain, storable
from providers.errors import Refused, Unclear, Unreadable
from providers.line_channel import LineChannel, line_error
from providers.reading import Fields
from providers.verdicts import is_success, settled

STATUSES = ("DRAFT", "RUNNING", "CLOSED")
MOST_LISTED = 100
_MAX_ID = 100
_MAX_PAGE_TOKEN = 2000

_PATH = "/v2/bot/coupon"
_JSON = {"Content-Type": "application/json"}
_CLOSED_ALREADY = 410

# The words that the reference and the OpenAPI file know, of both the longer list.
_CONDITIONS = ("normal", "lottery", "referral")
_REWARDS = ("cashBack", "discount", "free", "gift", "others")
_PRICES = ("fixed", "percentage", "explicit")
_VISIBILITIES = ("PUBLIC", "UNLISTED", "PRIVATE")


@dataclass(frozen=True)
class Listed:
    """What a list tells of a coupon."""

    coupon_id: str
    title: str


@dataclass(frozen=True)
class CouponPage:
    """A page of the list; `next` is "" on the last one.

    With `oddities` some coupons could not be read: who is not here may exist.
    """

    items: tuple[Listed, ...]
    next: str = ""
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class CouponDetail:
    """A coupon as LINE tells it. `raw` can be stored as JSON in PostgreSQL.

    `status` is LINE's word, known to us or not; times are None where LINE's make no
    sense. `oddities` says what else was not as the manual has it.
    """

    coupon_id: str
    title: str
    status: str
    starts_at: datetime | None
    ends_at: datetime | None
    made_at: datetime | None
    raw: dict[str, Any] = field(repr=False)
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class LineCoupons(LineChannel):
    """The coupons of one channel. Each method is one call and raises ProviderError."""

    def create(self, body: bytes) -> str:
        """Make a coupon; LINE's id of it. `body` is the whole JSON request.

        It exists from then on, and can be sent. Raises Unclear when it may exist
        although its id is not known: then look for it before asking again. Source:
        "Create coupon".
        """
        try:
            answer = self.ask("POST", _PATH, _JSON, body)
        except Unclear as unclear:
            answer = settled(unclear)
        if not is_success(answer):
            raise line_error(answer)
        coupon_id = plain((json_object(answer.body) or {}).get("couponId"), _MAX_ID)
        if not coupon_id:
            raise Unclear("LINE's answer has no id of the new coupon.", answer)
        return coupon_id

    def page(
        self, *, statuses: Sequence[str] = (), limit: int = MOST_LISTED, start: str = ""
    ) -> CouponPage:
        """Some coupons, those made in LINE's own manager too; without statuses all.

        `start` is the `next` of the page before, good for 24 hours. Raises Unreadable
        when the answer is no page of a list. Source: "Get coupon list".
        """
        # LINE's page shows one parameter with commas, its OpenAPI file and SDKs repeat
        # it; the SDKs are what is in use.
        query: list[tuple[str, str]] = [("status", word) for word in statuses]
        query.append(("limit", str(limit)))
        if start:
            query.append(("start", start))
        return _page(self.get(f"{_PATH}?{urlencode(query)}"))

    def detail(self, coupon_id: str) -> CouponDetail:
        """All that LINE tells of a coupon; what is odd about it is said, not raised.

        Raises Refused with status 404 for one that this channel does not have.
        Source: "Get coupon detail".
        """
        return _detail(coupon_id, self.get(_path_of(coupon_id)))

    def close(self, coupon_id: str) -> bool:
        """Discontinue a coupon for good; False when it was closed already.

        Nobody can get or use it afterwards, whoever has it included. Raises Refused
        with status 404 for one that this channel does not have. Source: "Discontinue
        coupon".
        """
        try:
            answer = self.ask("PUT", f"{_path_of(coupon_id)}/close")
        except Unclear as unclear:
            if unclear.answer is None:
                raise
            answer = unclear.answer  # its status is all that matters
        if answer.status == _CLOSED_ALREADY:
            return False
        if not is_success(answer):
            raise line_error(answer)
        return True


def _path_of(coupon_id: str) -> str:
    """The coupon's path; dots alone would lead to another, so no coupon has that id."""
    if not coupon_id.strip(".") or coupon_id != plain(coupon_id, _MAX_ID):
        raise Refused("LINE has no coupon with such an id.", 404)
    return f"{_PATH}/{quote(coupon_id, safe='')}"


def _page(found: dict[str, Any]) -> CouponPage:
    items = found.get("items")
    if not isinstance(items, list):
        raise Unreadable("LINE's answer has no list of coupons.")
    listed: list[Listed] = []
    oddities: list[str] = []
    for place, item in enumerate(items):
        fields = Fields(item if isinstance(item, dict) else {}, f"items[{place}].")
        coupon_id = fields.text("couponId", _MAX_ID, required=True)
        if coupon_id:
            listed.append(Listed(coupon_id, fields.text("title", 300)))
        oddities += fields.oddities
    return CouponPage(tuple(listed), _next_of(found), tuple(oddities))


def _next_of(found: dict[str, Any]) -> str:
    """The token of the next page; one that we cannot send back would lose the rest."""
    token = found.get("next")
    if token is None:
        return ""
    if not isinstance(token, str) or token != plain(token, _MAX_PAGE_TOKEN):
        raise Unreadable("LINE's list does not say where it goes on.")
    return token


def _detail(coupon_id: str, found: dict[str, Any]) -> CouponDetail:
    fields = Fields(found)
    if fields.text("couponId", _MAX_ID) not in ("", coupon_id):
        fields.note("couponId", "is that of another coupon")
    _note_new_words(fields)
    return CouponDetail(
        coupon_id=coupon_id,
        title=fields.text("title", 300),
        status=fields.one_of("status", STATUSES, required=True),
        starts_at=fields.seconds("startTimestamp"),
        ends_at=fields.seconds("endTimestamp"),
        made_at=fields.seconds("createdTimestamp"),
        raw=_storable(found),
        oddities=tuple(fields.oddities),
    )


def _note_new_words(fields: Fields) -> None:
    fields.one_of("visibility", _VISIBILITIES)
    fields.integer("maxUseCountPerTicket")
    fields.inner("acquisitionCondition").one_of("type", _CONDITIONS)
    reward = fields.inner("reward")
    reward.one_of("type", _REWARDS)
    reward.inner("priceInfo").one_of("type", _PRICES)


def _storable(found: dict[str, Any]) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = storable(found)
    except RecursionError:
        raise Unreadable("LINE's answer is nested too deeply.") from None
    return kept
