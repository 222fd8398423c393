"""Paddle in the control API: /_control/paddle and below."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.control import answer_errors, field_of, object_of, text_of
from sandbox.paddle import rules
from sandbox.paddle.book import Coupon, PaddleAccount, PaddleBook
from sandbox.paddle.checkout import CHECKOUT, product_for

# A coupon for 10 % off everything.
USUAL: dict[str, object] = {
    "coupon_type": "checkout",
    "discount_type": "percentage",
    "discount_amount": 10,
}


def described(coupon: Coupon) -> dict[str, Any]:
    """A coupon in plain values."""
    row = asdict(coupon)
    del row["number"]
    return row


def texts(fields: dict[str, object]) -> dict[str, str]:
    """Fields as a form has them; None leaves one out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return {
        name: ("1" if value else "0") if isinstance(value, bool) else str(value)
        for name, value in given.items()
    }


def book_of(request: web.Request) -> PaddleBook:
    return request.app[WORLD].paddle


def account_of(request: web.Request) -> PaddleAccount:
    return book_of(request).account(request.query.get("account"))


async def put(request: web.Request) -> web.StreamResponse:
    """Make or change an account: {"name", ...settings}."""
    data = await object_of(request)
    text_of(data, "name")
    return web.json_response(book_of(request).put(**data).settings())


async def coupons(request: web.Request) -> web.StreamResponse:
    found = account_of(request).coupons.values()
    return web.json_response({"coupons": [described(coupon) for coupon in found]})


async def make(request: web.Request) -> web.StreamResponse:
    """Make coupons as in the dashboard: fields of the create call, over USUAL."""
    data = texts(USUAL | await object_of(request))
    codes = rules.create(book_of(request), account_of(request), data)
    return web.json_response({"coupon_codes": codes})


async def drop_product(request: web.Request) -> web.StreamResponse:
    """Delete a product: {"product_id"}; coupons keep its id."""
    book, account = book_of(request), account_of(request)
    book.drop_product(account, field_of(await object_of(request), "product_id", int))
    return web.json_response(account.settings())


async def pay(request: web.Request) -> web.StreamResponse:
    """Pay with a coupon: {"code", "product_id"?, "quantity"?, "email"?}."""
    data, account = await object_of(request), account_of(request)
    code = text_of(data, "code")
    payment = request.app[CHECKOUT].pay(
        account,
        field_of(data, "product_id", int) or product_for(account, code),
        code=code,
        quantity=field_of(data, "quantity", int, 1),
        email=field_of(data, "email", str, "buyer@example.com"),
    )
    return web.json_response({"order_id": payment.order_id})


async def refund(request: web.Request) -> web.StreamResponse:
    """Give the money of an order back: {"order_id"}."""
    order_id = text_of(await object_of(request), "order_id")
    payment = request.app[CHECKOUT].refund(account_of(request), order_id)
    return web.json_response({"order_id": payment.order_id})


def routes() -> list[web.RouteDef]:
    return [
        web.post("/_control/paddle", answer_errors(put)),
        web.get("/_control/paddle/coupons", answer_errors(coupons)),
        web.post("/_control/paddle/coupons", answer_errors(make)),
        web.post("/_control/paddle/products/delete", answer_errors(drop_product)),
        web.post("/_control/paddle/pay", answer_errors(pay)),
        web.post("/_control/paddle/refund", answer_errors(refund)),
    ]
