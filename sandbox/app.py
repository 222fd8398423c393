"""Puts the sandbox together: one aiohttp application on one event loop."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import control, coupon_pages, pages
from sandbox.calls import WORLD
from sandbox.courier import COURIER, RETRY_AFTER, Courier
from sandbox.line import control as line_control
from sandbox.line.calls import LINE, POSTMAN, not_found
from sandbox.line.events import Postman
from sandbox.line.tokens import TOKENS
from sandbox.paddle import calls as paddle_calls
from sandbox.paddle import control as paddle_control
from sandbox.paddle import pages as paddle_pages
from sandbox.paddle.checkout import CHECKOUT, Checkout
from sandbox.vivoldi import calls as vivoldi_calls
from sandbox.vivoldi import control as vivoldi_control
from sandbox.vivoldi import pages as vivoldi_pages
from sandbox.vivoldi.uses import TELLER, Teller
from sandbox.world import World

WRITE_EVERY = 0.05  # seconds between two writes to the file
MAX_BODY = (
    64 * 1024 * 1024
)  # for many friends at once; LINE's own limit is in its calls

logger = logging.getLogger(__name__)


def new_app(
    world: World, redeliver_after: tuple[float, ...] = RETRY_AFTER
) -> web.Application:
    """The application around a world."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[refuse_strangers])
    app[WORLD] = world
    app[pages.TEMPLATES] = pages.new_templates()
    app.add_routes(LINE.routes())
    app.add_routes(TOKENS.routes())
    app.add_routes(paddle_calls.PADDLE.routes())
    app.add_routes(vivoldi_calls.VIVOLDI.routes())
    app.add_routes(control.routes())
    app.add_routes(line_control.routes())
    app.add_routes(paddle_control.routes())
    app.add_routes(vivoldi_control.routes())
    app.add_routes(pages.routes())
    app.add_routes(coupon_pages.routes())
    app.add_routes(paddle_pages.routes())
    app.add_routes(vivoldi_pages.routes())
    app.router.add_route("*", "/v2/{tail:.*}", not_found)
    app.router.add_route("*", "/oauth2/{tail:.*}", not_found)
    app.router.add_route("*", "/paddle.com/{tail:.*}", paddle_calls.elsewhere)
    app.router.add_route("*", "/vivoldi.com/{tail:.*}", vivoldi_calls.elsewhere)

    async def postman(app: web.Application) -> AsyncIterator[None]:
        app[POSTMAN] = Postman(world, redeliver_after)
        yield
        await app[POSTMAN].close()

    async def courier(app: web.Application) -> AsyncIterator[None]:
        carrier = app[COURIER] = Courier(world, redeliver_after)
        app[CHECKOUT] = Checkout(world, carrier)
        app[TELLER] = Teller(world, carrier)
        yield
        await carrier.close()

    app.cleanup_ctx.append(write_behind)
    app.cleanup_ctx.append(postman)
    app.cleanup_ctx.append(courier)
    return app


@web.middleware
async def refuse_strangers(
    request: web.Request, handler: Handler
) -> web.StreamResponse:
    """A page of another site, open in the same browser, gets nothing done here."""
    if _is_from_another_site(request):
        return web.json_response({"error": "Not from another site."}, status=403)
    return await handler(request)


def _is_from_another_site(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    if origin == "null":  # withheld, by a referrer policy for one; this still tells
        return request.headers.get("Sec-Fetch-Site") not in ("same-origin", "none")
    return origin.partition("://")[2] != request.host


async def write_behind(app: web.Application) -> AsyncIterator[None]:
    """Write what changed every moment, in a thread, and once more at the end."""
    done = asyncio.Event()
    task = asyncio.create_task(_write_until(done, app[WORLD]))
    yield
    done.set()
    await task  # never cancelled: its thread would still write while we close
    app[WORLD].storage.close()


async def _write_until(done: asyncio.Event, world: World) -> None:
    while world.storage.keeps and not done.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), WRITE_EVERY)
        try:
            await asyncio.to_thread(world.storage.write, world.storage.take())
        except sqlite3.Error:
            logger.exception("The sandbox could not write its file")
