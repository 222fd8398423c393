"""Parts of one piece of work that must not keep each other from their turn."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Parts:
    """One that fails is logged with its traceback, and the others go on.

    Whoever runs parts calls `end`, so that the whole still fails.
    """

    failed: list[Exception] = field(default_factory=list)

    def run(self, part: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the part returns; None where it failed."""
        try:
            return part(*args, **kwargs)
        except SoftTimeLimitExceeded:
            raise  # there is no time left for anybody
        except Exception as error:
            logger.exception("part.failed", extra={"part": name_of(part)})
            self.failed.append(error)
            connection.close_if_unusable_or_obsolete()
            return None

    def end(self) -> None:
        """Raises what failed first."""
        if self.failed:
            raise self.failed[0]


def name_of(part: Callable[..., object]) -> str:
    return str(getattr(part, "__qualname__", part))
