"""How a test gets at a sandbox that runs in another thread."""

from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from sandbox.world import World

T = TypeVar("T")


class Stage:
    """What the parts of RunningSandbox share."""

    url: str
    _app: web.Application
    _world: World

    def _call(self, work: Callable[[], T]) -> T:
        """Run `work` on the server's thread."""
        raise NotImplementedError
