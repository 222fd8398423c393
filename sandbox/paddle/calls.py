"""Paddle's four coupon calls, as the vendor's API answers them.

Source: Paddle Classic API reference, "Coupons" and "API error codes". A no is HTTP
200 with `success: false`; both API versions are taken for all four.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.book import is_whole
from sandbox.calls import TO, Answer, Ask, Call, Provider, RefusedError
from sandbox.paddle import rules
from sandbox.paddle.book import PaddleAccount
from sandbox.paddle.rules import MESSAGES, Fields, PaddleError
from sandbox.world import World

T = TypeVar("T")

PaddleAsk = Ask[PaddleAccount]
FIELDS: web.RequestKey[Fields] = web.RequestKey("paddle fields", dict)
API = r"/paddle.com/api/{version:2\.[01]}/product"


def failure(code: int, message: str = "") -> Answer:
    """A no in Paddle's shape."""
    error = {"code": code, "message": message or MESSAGES[code]}
    return Answer({"success": False, "error": error})


# The door


def enter(world: World, request: web.Request, body: bytes) -> PaddleAccount:
    """The account whose vendor id and auth code are among the fields."""
    fields = request[FIELDS] = read(request, body)
    vendor_id, auth_code = fields.get("vendor_id"), fields.get("vendor_auth_code")
    if not vendor_id or not auth_code:
        raise RefusedError(failure(116))
    is_number = rules.NUMBER.fullmatch(vendor_id)
    account = world.paddle.of_vendor(int(vendor_id)) if is_number else None
    if account is None:  # which code this gives is unconfirmed
        raise RefusedError(failure(107))
    if account.auth_code != auth_code:
        raise RefusedError(failure(102))
    return account


def read(request: web.Request, body: bytes) -> Fields:
    """The fields of a form or of a JSON object, as texts. JSON's null is no field."""
    if request.content_type == "application/json":
        return read_json(body)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise RefusedError(failure(116)) from None
    return dict(pairs)


def read_json(body: bytes) -> Fields:
    try:
        data = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise RefusedError(failure(116))
    return {name: _text(v) for name, v in data.items() if v is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float) or (isinstance(value, str) and is_whole(value)):
        return str(value)
    raise RefusedError(failure(116))


# The calls


async def create(ask: PaddleAsk) -> Answer:
    fields = ask.request[FIELDS]
    ask.request[TO] = fields.get("coupon_code") or fields.get("coupon_prefix", "")
    codes = done(lambda: rules.create(ask.world.paddle, ask.account, fields))
    return success({"coupon_codes": codes})


async def list_coupons(ask: PaddleAsk) -> Answer:
    fields, at = ask.request[FIELDS], ask.world.now()
    ask.request[TO] = fields.get("coupon") or fields.get("product_id", "")
    rows, total = done(lambda: rules.page(ask.account, fields, at))
    head = {"success": True, "count": len(rows), "total": total}
    return Answer(head | {"response": rows})


async def update(ask: PaddleAsk) -> Answer:
    fields = ask.request[FIELDS]
    ask.request[TO] = fields.get("coupon_code") or fields.get("group", "")
    count = done(lambda: rules.update(ask.world.paddle, ask.account, fields))
    return success({"updated": count})


async def delete(ask: PaddleAsk) -> Answer:
    fields = ask.request[FIELDS]
    ask.request[TO] = fields.get("coupon_code", "")
    done(lambda: rules.delete(ask.world.paddle, ask.account, fields))
    return Answer({"success": True})


def done(work: Callable[[], T]) -> T:
    """What the work gives. Raises RefusedError with Paddle's error."""
    try:
        return work()
    except PaddleError as error:
        raise RefusedError(failure(error.code, str(error))) from None


def success(response: Any) -> Answer:
    return Answer({"success": True, "response": response})


async def elsewhere(request: web.Request) -> web.Response:
    """A path Paddle does not have, or a verb other than POST."""
    if request.method != "POST":
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])
    return web.json_response(failure(101).data)


CALLS: tuple[Call[PaddleAccount], ...] = (
    Call(
        "paddle_create",
        "POST",
        f"{API}/create_coupon",
        "Paddle: create coupons",
        create,
    ),
    Call(
        "paddle_list",
        "POST",
        f"{API}/list_coupons",
        "Paddle: list coupons",
        list_coupons,
    ),
    Call(
        "paddle_update",
        "POST",
        f"{API}/update_coupon",
        "Paddle: update coupons",
        update,
    ),
    Call(
        "paddle_delete",
        "POST",
        f"{API}/delete_coupon",
        "Paddle: delete a coupon",
        delete,
    ),
)

PADDLE: Provider[PaddleAccount] = Provider(
    name="Paddle",
    calls=CALLS,
    enter=enter,
    fault_answers={
        "500": Answer({"message": "Server Error"}, 500),
        "429_rate": Answer({"message": "Too Many Attempts."}, 429),
        "429_quota": Answer({"message": "Too Many Attempts."}, 429),
        "401": failure(102),
        "inner": failure(120),
    },
    name_of=lambda account: account.name,
    retry_key_header="",  # Paddle has none
    request_id_header="X-Sandbox-Request-Id",  # nor this: for the log alone
)
