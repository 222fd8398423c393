"""The sandbox for tests: a real server in a thread, and what one asks of it.

    with start_sandbox(token="t", secret="s") as line:
        line.add_friend("U" + "1" * 32, "Hana")
        ...push to line.url...
        assert line.counts() == {"U" + "1" * 32: 1}

Each helper runs on the server's own thread and comes back when it is done.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from sandbox.app import new_app
from sandbox.control import chat_of, counts_of, set_fault
from sandbox.courier import COURIER
from sandbox.line.calls import POSTMAN
from sandbox.line.testing import CouponStage
from sandbox.paddle.testing import PaddleStage
from sandbox.redeliver import redeliver
from sandbox.storage import Storage
from sandbox.vivoldi.testing import VivoldiStage
from sandbox.world import Attempt, Channel, WebhookRecord, World

T = TypeVar("T")


class RunningSandbox(CouponStage, PaddleStage, VivoldiStage):
    """A sandbox that runs. `channel` arguments name one; without it, the first."""

    def __init__(self, data: str, clock: Callable[[], float], retry: tuple[float, ...]):
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(data, clock, retry), daemon=True, name="sandbox"
        )

    def start(self) -> Self:
        """Start the thread and wait until the server answers."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop the server and write its file; a second time does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(
        self, data: str, clock: Callable[[], float], retry: tuple[float, ...]
    ) -> None:
        try:
            self._loop.run_until_complete(self._serve(data, clock, retry))
        except Exception as error:  # noqa: BLE001 (start() raises it in its thread)
            self._failure = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._ready.set()

    async def _serve(
        self, data: str, clock: Callable[[], float], retry: tuple[float, ...]
    ) -> None:
        self._world = World(Storage(data), clock)
        self._app = new_app(self._world, retry)
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _call(self, work: Callable[[], T]) -> T:
        """Run `work` on the server's thread."""

        async def on_loop() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()

    def _channel(self, name: str | None) -> Channel:
        return self._world.channel(name)

    # Setting the stage

    def add_channel(self, name: str = "Sandbox", **settings: Any) -> dict[str, Any]:
        """Make or change a channel; its settings. Takes what `start_sandbox` takes."""
        return self._call(lambda: self._world.put_channel(name, **settings).settings())

    def add_friend(
        self,
        user_id: str | None,
        name: str,
        follows: bool = True,
        *,
        channel: str | None = None,
    ) -> str:
        """Set a person up without a webhook; the user id."""
        return self._call(
            lambda: (
                self._world.add_friend(
                    self._channel(channel), name, user_id=user_id, follows=follows
                ).user_id
            )
        )

    def fault(
        self,
        call: str,
        kind: str,
        *,
        times: int | None = None,
        share: float | None = None,
        seconds: float | None = None,
        seed: int = 1,
    ) -> int:
        """Switch a fault on: `times` calls, a `share` of them, or all; its number."""
        fault = self._call(
            lambda: set_fault(
                self._world,
                call,
                kind,
                times=times,
                share=share,
                seconds=seconds,
                seed=seed,
            )
        )
        return int(fault["id"])

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._call(self._world.faults.clear)

    def advance(self, seconds: float) -> None:
        """Put the sandbox's clock forward."""
        self._call(lambda: self._world.advance(seconds))

    def reset(self) -> None:
        """Forget friends, messages, logs and faults; channels stay."""
        self._call(self._world.reset)

    # What a person does

    def follow(self, user_id: str, *, channel: str | None = None) -> str:
        """Add or unblock the account; the webhook's event id."""
        return self._act("follow", user_id, channel)

    def unfollow(self, user_id: str, *, channel: str | None = None) -> str:
        """Block the account; the webhook's event id."""
        return self._act("unfollow", user_id, channel)

    def say(self, user_id: str, text: str, *, channel: str | None = None) -> str:
        """Write to the account; the webhook's event id."""
        return self._act("say", user_id, channel, text)

    def press(self, user_id: str, data: str, *, channel: str | None = None) -> str:
        """Press a postback button; the webhook's event id."""
        return self._act("press", user_id, channel, data)

    def redeliver(self, event_id: str) -> None:
        """Post an event again, as its provider does; LINE's with isRedelivery."""
        self._call(lambda: redeliver(self._app, event_id))

    def _act(self, does: str, user_id: str, name: str | None, *more: str) -> str:
        def act() -> str:
            channel = self._channel(name)
            friend = self._world.friend(channel, user_id)
            record: WebhookRecord = getattr(self._app[POSTMAN], does)(
                channel, friend, *more
            )
            return record.event_id

        return self._call(act)

    def wait_for_webhooks(self, seconds: float = 10) -> None:
        """Wait until none is on its way, redeliveries that wait included."""
        until = time.monotonic() + seconds
        while not self._call(self._is_idle):
            if time.monotonic() > until:
                raise TimeoutError("Webhooks are still on their way.")
            time.sleep(0.01)

    def _is_idle(self) -> bool:
        return self._app[POSTMAN].is_idle() and self._app[COURIER].is_idle()

    # What came of it

    def messages(
        self, user_id: str, *, channel: str | None = None
    ) -> list[dict[str, Any]]:
        """The account's message objects that this person's phone shows."""
        return [
            row["message"]
            for row in self.chat(user_id, channel=channel)
            if not row["mine"]
        ]

    def chat(self, user_id: str, *, channel: str | None = None) -> list[dict[str, Any]]:
        """All the phone shows: id, at_ms, mine, message."""

        def read() -> list[dict[str, Any]]:
            friend = self._channel(channel).friends.get(user_id)
            return chat_of(friend) if friend is not None else []

        return self._call(read)

    def counts(self, *, channel: str | None = None) -> dict[str, int]:
        """Sends accepted per user, shown or not; several objects are one send."""
        return self._call(lambda: counts_of(self._channel(channel)))

    def requests(self, call: str | None = None) -> list[Attempt]:
        """Every attempt that reached the server, refused and cut ones included."""
        return self._call(
            lambda: [a for a in self._world.attempts if call in (None, a.call)]
        )

    def webhook_log(self) -> list[dict[str, Any]]:
        """Every event with its tries: status, reason, ms, is_redelivery."""
        return self._call(
            lambda: [record.as_dict() for record in self._world.webhooks.values()]
        )


def start_sandbox(
    *,
    name: str = "Sandbox",
    data: str = ":memory:",
    clock: Callable[[], float] = time.time,
    redeliver_after: tuple[float, ...] = (0.05, 0.1),
    **channel: Any,
) -> RunningSandbox:
    """Start a server on a free port with one channel.

    `channel` takes token, secret, bot_user_id, webhook_url, quota, redelivery,
    verified, refuse_unknown, channel_id, country, coupon_rate and public_keys.
    """
    sandbox = RunningSandbox(data, clock, redeliver_after).start()
    try:
        sandbox.add_channel(name, **channel)
    except ValueError:
        sandbox.stop()
        raise
    return sandbox
