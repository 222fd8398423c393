"""Vivoldi's coupon calls and its door.

Source: Vivoldi's coupon API documentation. Every answer is an envelope of `code`,
`message` and `result`; which HTTP status a bad key gives is unconfirmed.
"""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox.calls import TO, Answer, Ask, Call, Provider, RefusedError
from sandbox.vivoldi import rules
from sandbox.vivoldi.book import VivoldiAccount
from sandbox.vivoldi.rules import Code, VivoldiError
from sandbox.vivoldi.uses import TELLER
from sandbox.world import World

VivoldiAsk = Ask[VivoldiAccount]
API = "/vivoldi.com/api/coupon/v1"
MINUTE, HOUR = 60.0, 3600.0


def envelope(result: Any = None) -> Answer:
    """A yes."""
    return Answer({"code": 0, "message": "", "result": result})


def failure(code: Code, message: str, status: int = 200) -> Answer:
    """A no."""
    return Answer({"code": int(code), "message": message, "result": None}, status)


BAD_KEY = failure(Code.BAD_KEY, "The API key is not valid.", 401)
TOO_MANY = failure(Code.TOO_MANY, "Too many requests. Try again later.", 429)


# The door


def enter(world: World, request: web.Request, body: bytes) -> VivoldiAccount:
    """The account whose key the request carries, if its plan lets it call now."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    account = world.vivoldi.of_key(key) if scheme == "APIKey" else None
    agent = request.headers.get("User-Agent", "").lower()
    blocked = account.blocked_agents if account else []
    if not agent.strip() or agent.startswith(tuple(blocked)):
        said = "Set a User-agent of your own."
        raise RefusedError(failure(Code.BLOCKED, said, 403))
    if account is None:
        raise RefusedError(fresh(BAD_KEY))
    check_rate(account, world.now())
    if account.plan == "free":
        said = "This API is available starting from the Personal plan."
        raise RefusedError(failure(Code.PLAN, said))
    return account


def fresh(answer: Answer) -> Answer:
    """A copy: whoever sends an answer adds headers to it."""
    return Answer(answer.data, answer.status)


def check_rate(account: VivoldiAccount, at: float) -> None:
    """Count a call, or refuse it when the plan's calls are spent."""
    a_minute, an_hour = account.limits()
    if a_minute is None:
        return
    calls = account.calls
    while calls and calls[0] <= at - HOUR:
        calls.popleft()
    lately = sum(1 for when in calls if when > at - MINUTE)
    if lately >= a_minute or (an_hour is not None and len(calls) >= an_hour):
        raise RefusedError(fresh(TOO_MANY))
    calls.append(at)


def json_body(ask: VivoldiAsk) -> dict[str, Any]:
    """The request's JSON object."""
    try:
        data = json.loads(ask.body)
    except (ValueError, RecursionError):
        data = None
    if ask.request.content_type != "application/json" or not isinstance(data, dict):
        said = "The request body is not a JSON object."
        raise RefusedError(failure(Code.BAD_FIELD, said))
    ask.request[TO] = str(data.get("cpnNo", ""))
    return data


def asked_number(ask: VivoldiAsk) -> str:
    """The coupon number of a query."""
    number = ask.request.query.get("cpnNo", "")
    ask.request[TO] = number
    return number


# The calls


async def create(ask: VivoldiAsk) -> Answer:
    data = json_body(ask)
    return done(lambda: rules.create(ask.world.vivoldi, ask.account, data))


async def update(ask: VivoldiAsk) -> Answer:
    data = json_body(ask)
    return done(lambda: rules.update(ask.world.vivoldi, ask.account, data))


async def delete(ask: VivoldiAsk) -> Answer:
    number = asked_number(ask)
    return done(lambda: rules.delete(ask.world.vivoldi, ask.account, number))


async def validate(ask: VivoldiAsk) -> Answer:
    number, at = asked_number(ask), ask.world.now()
    return done(lambda: rules.validate(ask.account, number, at))


async def redeem(ask: VivoldiAsk) -> Answer:
    data = json_body(ask)
    teller = ask.request.app[TELLER]

    def work() -> None:
        teller.redeem(ask.account, data, way="api")

    return done(work)


def done(work: Callable[[], Any]) -> Answer:
    """What the work gives, in an envelope; so is a no."""
    try:
        return envelope(work())
    except VivoldiError as error:
        raise RefusedError(failure(error.code, str(error))) from None


async def elsewhere(request: web.Request) -> web.Response:
    """A path that Vivoldi does not have, or another verb."""
    status = 405 if request.path in {call.path for call in CALLS} else 404
    answer = failure(Code.NOT_FOUND, "Not found.", status)
    return web.json_response(answer.data, status=answer.status)


CALLS: tuple[Call[VivoldiAccount], ...] = (
    Call("vivoldi_create", "POST", f"{API}/create", "Vivoldi: create a coupon", create),
    Call("vivoldi_update", "PUT", f"{API}/update", "Vivoldi: edit a coupon", update),
    Call(
        "vivoldi_delete",
        "DELETE",
        f"{API}/delete",
        "Vivoldi: delete a coupon",
        delete,
    ),
    Call(
        "vivoldi_validate",
        "GET",
        f"{API}/validate",
        "Vivoldi: validate a coupon",
        validate,
    ),
    Call("vivoldi_redeem", "PUT", f"{API}/redeem", "Vivoldi: redeem a coupon", redeem),
)

VIVOLDI: Provider[VivoldiAccount] = Provider(
    name="Vivoldi",
    calls=CALLS,
    enter=enter,
    fault_answers={
        "500": failure(Code.BROKEN, "Internal server error.", 500),
        "429_rate": TOO_MANY,
        "429_quota": TOO_MANY,
        "401": BAD_KEY,
        "inner": failure(Code.BROKEN, "Internal server error."),
    },
    name_of=lambda account: account.name,
    retry_key_header="",  # Vivoldi has none
    request_id_header="X-Sandbox-Request-Id",  # nor this: for the log alone
)
