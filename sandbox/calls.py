"""One way through the sandbox for every call of every provider.

A provider lists its calls; each is a function from an Ask to an Answer. Reading
the request, the faults and the log are the same for all and live here.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web

from sandbox.faults import REFUSING, Fault
from sandbox.world import Attempt, World

WORLD = web.AppKey("world", World)
TO = web.RequestKey("to", str)  # whom a call names, for the log
CUT = frozenset({"drop", "accept_then_drop"})
HTML = b"<!doctype html><title>Please wait</title><p>The service is busy."

Account = TypeVar("Account")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status and something JSON can say."""

    data: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A no of the provider, ready to be sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.data}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Ask(Generic[Account]):
    """A request that got past the door."""

    world: World
    account: Account
    request: web.Request
    body: bytes
    request_id: str
    takes_retry_key: bool


@dataclass(frozen=True, slots=True)
class Call(Generic[Account]):
    """One call of a provider. `title` is what it is named on the page /faults."""

    name: str
    method: str
    path: str
    title: str
    handle: Callable[[Ask[Account]], Awaitable[Answer]]
    takes_retry_key: bool = False


@dataclass(frozen=True, slots=True)
class Provider(Generic[Account]):
    """A service the sandbox plays, and how it says the things all of them say."""

    name: str
    calls: tuple[Call[Account], ...]
    enter: Callable[[World, web.Request, bytes], Account]  # raises RefusedError
    fault_answers: dict[str, Answer]
    name_of: Callable[[Account], str]
    retry_key_header: str
    request_id_header: str

    def routes(self) -> list[web.RouteDef]:
        """Its calls, for the aiohttp router."""
        return [
            web.route(call.method, call.path, self._handler(call))
            for call in self.calls
        ]

    def _handler(
        self, call: Call[Account]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            return await self.run(call, request)

        return handler

    async def run(
        self, call: Call[Account], request: web.Request
    ) -> web.StreamResponse:
        """Answer one request, with the fault whose turn it is."""
        world = request.app[WORLD]
        body = await request.read()
        request_id = str(uuid.uuid4())
        fault: Fault | None = None
        name = ""
        is_refused = False  # Paddle and Vivoldi say no with a 200
        try:
            account = self.enter(world, request, body)
            name = self.name_of(account)
            fault = world.faults.take(call.name)
            answer = self._refusal(fault) or await call.handle(
                Ask(world, account, request, body, request_id, call.takes_retry_key)
            )
        except RefusedError as refused:
            answer, is_refused = refused.answer, True
        answer.headers[self.request_id_header] = request_id
        accepted = answer.status < 300 and not is_refused
        if fault is not None:
            accepted = accepted and fault.kind not in REFUSING
            answer = self._after(fault, answer)
        self._log(call, request, body, answer, name, fault, accepted)
        return await deliver(request, answer, fault)

    def _refusal(self, fault: Fault | None) -> Answer | None:
        """The answer of a fault that comes before the work."""
        if fault is None or fault.kind not in REFUSING:
            return None
        if fault.kind == "drop":
            return Answer()
        return self._fault_answer(fault.kind)

    def _after(self, fault: Fault, answer: Answer) -> Answer:
        """The answer as a fault that comes after the work leaves it."""
        if fault.kind in ("accept_then_500", "accept_then_inner"):
            later = self._fault_answer(fault.kind.removeprefix("accept_then_"))
            later.headers.update(answer.headers)
            return later
        return answer

    def _fault_answer(self, kind: str) -> Answer:
        known = self.fault_answers.get(kind) or self.fault_answers["500"]
        return Answer(known.data, known.status, dict(known.headers))

    def _log(
        self,
        call: Call[Account],
        request: web.Request,
        body: bytes,
        answer: Answer,
        account: str,
        fault: Fault | None,
        accepted: bool,
    ) -> None:
        world = request.app[WORLD]
        kind = fault.kind if fault is not None else None
        world.attempts.append(
            Attempt(
                at=world.now(),
                call=call.name,
                channel=account,
                status=0 if kind in CUT else 200 if kind == "html" else answer.status,
                accepted=accepted,
                retry_key=request.headers.get(self.retry_key_header),
                body_hash=hashlib.sha256(body).hexdigest(),
                request_id=answer.headers[self.request_id_header],
                fault=kind,
                to=request.get(TO, "")[:100],
            )
        )


async def deliver(
    request: web.Request, answer: Answer, fault: Fault | None
) -> web.StreamResponse:
    """Send an answer back, as far as the fault lets it."""
    kind = fault.kind if fault is not None else ""
    if kind in CUT:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # nobody is there to read it
    if kind == "html":
        return web.Response(body=HTML, content_type="text/html", headers=answer.headers)
    if kind == "slow" and fault is not None:
        await asyncio.sleep(fault.seconds)
    body = json.dumps(answer.data).encode()
    if kind == "half_json":
        body = body[: len(body) // 2]
    if kind == "trickle" and fault is not None:
        return await _trickle(request, answer, body, fault.seconds)
    return web.Response(
        body=body,
        status=answer.status,
        content_type="application/json",
        headers=answer.headers,
    )


async def _trickle(
    request: web.Request, answer: Answer, body: bytes, pause: float
) -> web.StreamResponse:
    """Send a byte, wait, send a byte: a time-out per read never strikes."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = "application/json"
    response.content_length = len(body)
    try:
        await response.prepare(request)
        for place in range(len(body)):
            await response.write(body[place : place + 1])
            await asyncio.sleep(pause)
    except ConnectionError:
        pass  # the caller lost patience, which is what a trickle is for
    return response
