"""Posts webhooks in the background, again until they are taken, and logs each try.

LINE has a postman of its own, in line/events.py, with rules of its own.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    web,
)

from sandbox.errors import WorldError
from sandbox.world import KEPT_WEBHOOKS, WebhookRecord, WebhookTry, World

PATIENCE = ClientTimeout(total=5)  # seconds; Vivoldi's figure, Paddle's is not told
RETRY_AFTER = (2.0, 10.0, 30.0)  # seconds; none of them says its own
AT_ONCE = 20
NO_ADDRESS = "no_webhook_url"


@dataclass(frozen=True, slots=True)
class Letter:
    """One request, ready to be posted."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Carrier:
    """Posts in the background, so many letters at once; until it is closed."""

    def __init__(
        self, world: World, patience: ClientTimeout, retry_after: tuple[float, ...]
    ) -> None:
        self._world = world
        self._retry_after = retry_after
        self._session = ClientSession(timeout=patience)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Drop what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def is_idle(self) -> bool:
        """Nothing on its way, tries that wait included."""
        return not self._tasks

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(
        self, make: Callable[[], Letter], *, is_redelivery: bool
    ) -> WebhookTry:
        """Post once, when it is its turn; what the shop answered."""
        async with self._turns:
            at, started, letter = self._world.now(), time.monotonic(), make()
            status, reason = await post(self._session, letter)
        ms = int((time.monotonic() - started) * 1000)
        return WebhookTry(at, status, reason, ms, is_redelivery)


class Courier(Carrier):
    """Carries Paddle's and Vivoldi's. What to post is made anew for each try."""

    def __init__(
        self, world: World, retry_after: tuple[float, ...] = RETRY_AFTER
    ) -> None:
        super().__init__(world, PATIENCE, retry_after)
        self._makers: dict[str, Callable[[], Letter]] = {}

    def send(self, record: WebhookRecord, make: Callable[[], Letter]) -> None:
        """Post until it is taken, as often as the provider would."""
        self._world.log_webhook(record)
        self._makers[record.event_id] = make
        if len(self._makers) > KEPT_WEBHOOKS:
            self._forget_old()
        self._start(self._post_until_taken(record, make))

    def redeliver(self, event_id: str) -> WebhookRecord:
        """Post an event once more. Raises WorldError."""
        record, make = self._world.webhooks.get(event_id), self._makers.get(event_id)
        if record is None or make is None:
            raise WorldError("There is no such webhook event.")
        self._start(self._post(record, make, is_redelivery=True))
        return record

    def _forget_old(self) -> None:
        """Let go of what the log no longer has."""
        known = self._world.webhooks
        self._makers = {k: make for k, make in self._makers.items() if k in known}

    async def _post_until_taken(
        self, record: WebhookRecord, make: Callable[[], Letter]
    ) -> None:
        await self._post(record, make, is_redelivery=False)
        for pause in self._retry_after:
            if record.tries[-1].reason in ("OK", NO_ADDRESS):
                return
            await asyncio.sleep(pause)
            await self._post(record, make, is_redelivery=True)

    async def _post(
        self, record: WebhookRecord, make: Callable[[], Letter], *, is_redelivery: bool
    ) -> None:
        record.tries.append(await self._try(make, is_redelivery=is_redelivery))


async def post(session: ClientSession, letter: Letter) -> tuple[int | None, str]:
    """Post a letter; the status, and OK or a word for what went wrong."""
    if not letter.url:
        return None, NO_ADDRESS
    try:
        async with session.post(
            letter.url, data=letter.body, headers=letter.headers, allow_redirects=False
        ) as response:
            good = 200 <= response.status < 300
            return response.status, "OK" if good else "error_status_code"
    except TimeoutError:
        return None, "request_timeout"
    except ClientConnectorError:
        return None, "could_not_connect"
    except (ClientError, ValueError):
        return None, "unclassified"


COURIER = web.AppKey("courier", Courier)
