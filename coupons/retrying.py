"""Trying again what only bad luck stopped: deadlock, serialisation, moved stock."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, connection

from serials.errors import StockMoved

P = ParamSpec("P")
R = TypeVar("R")
TRIES = 3
# Each round of StockMoved means that another customer got a unit, so this ends.
STOCK_ROUNDS = 50
# PostgreSQL: deadlock_detected, serialization_failure; and a prepared statement whose
# table has changed since, or that is gone: the rollback makes psycopg forget it.
BAD_LUCK = {"40P01", "40001", "0A000", "26000"}


def retrying(function: Callable[P, R]) -> Callable[P, R]:
    """Run a whole transaction again when the database picked it as a victim.

    Only as the outermost block: inside a caller's transaction nothing can be tried
    again, and the error travels up to whoever owns it.
    """

    @functools.wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        tries = rounds = 0
        while True:
            try:
                return function(*args, **kwargs)
            except StockMoved:
                rounds += 1
                if connection.in_atomic_block or rounds >= STOCK_ROUNDS:
                    raise
            except DatabaseError as error:
                tries += 1
                if (
                    connection.in_atomic_block
                    or tries >= TRIES
                    or getattr(error.__cause__, "sqlstate", "") not in BAD_LUCK
                ):
                    raise
                time.sleep(random.uniform(0.01, 0.05) * tries)  # noqa: S311

    return attempt
