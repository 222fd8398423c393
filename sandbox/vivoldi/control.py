"""Vivoldi in the control API: /_control/vivoldi and below."""

from datetime import timedelta
from typing import Any

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.control import answer_errors, field_of, object_of, text_of
from sandbox.vivoldi import rules
from sandbox.vivoldi.book import VivoldiAccount, VivoldiBook, VivoldiCoupon
from sandbox.vivoldi.uses import TELLER


def described(account: VivoldiAccount, coupon: VivoldiCoupon) -> dict[str, Any]:
    """A coupon in plain values."""
    return rules.told(account, coupon) | {"uses": list(coupon.uses)}


def usual(account: VivoldiAccount, at: float) -> dict[str, Any]:
    """A coupon for 10 % off, good for a month from today."""
    today = account.today(at)
    return {
        "nm": "Ten per cent off",
        "discTypeIdx": rules.RATE,
        "disc": 10,
        "strtYmd": today.isoformat(),
        "endYmd": (today + timedelta(days=30)).isoformat(),
    }


def book_of(request: web.Request) -> VivoldiBook:
    return request.app[WORLD].vivoldi


def account_of(request: web.Request) -> VivoldiAccount:
    return book_of(request).account(request.query.get("account"))


async def put(request: web.Request) -> web.StreamResponse:
    """Make or change an account: {"name", ...settings}."""
    data = await object_of(request)
    text_of(data, "name")
    return web.json_response(book_of(request).put(**data).settings())


async def coupons(request: web.Request) -> web.StreamResponse:
    account = account_of(request)
    found = [described(account, coupon) for coupon in account.coupons.values()]
    return web.json_response({"coupons": found})


async def make(request: web.Request) -> web.StreamResponse:
    """Make a coupon as in the dashboard: the fields of the create call."""
    account, book = account_of(request), book_of(request)
    data = usual(account, book.now()) | await object_of(request)
    return web.json_response({"cpnNo": rules.create(book, account, data)})


async def use(request: web.Request) -> web.StreamResponse:
    """Use a coupon: {"number", "way"?, "userId"?, "onsitePwd"?, "memo"?}."""
    data, account = await object_of(request), account_of(request)
    way = field_of(data, "way", str, "dashboard")
    sent = data | {"cpnNo": text_of(data, "number")}
    record = request.app[TELLER].redeem(account, sent, way=way)
    return web.json_response({"event_id": record.event_id if record else ""})


def routes() -> list[web.RouteDef]:
    return [
        web.post("/_control/vivoldi", answer_errors(put)),
        web.get("/_control/vivoldi/coupons", answer_errors(coupons)),
        web.post("/_control/vivoldi/coupons", answer_errors(make)),
        web.post("/_control/vivoldi/use", answer_errors(use)),
    ]
