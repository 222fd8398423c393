"""Steps of work on a batch: each a transaction that proves the batch is still ours."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction

from serials import storing
from serials.codes import fits
from serials.models import Batch

Clock = Callable[[], datetime]

LEASE = timedelta(seconds=30)  # longer than a step; after it another worker goes on
TRIES = 5
# PostgreSQL: deadlock_detected, serialization_failure, lock_not_available.
BAD_LUCK = {"40P01", "40001", "55P03"}
MARKS = (("fits_code39", "code39"), ("fits_code128", "code128"))


class Collision(Exception):
    """Another import's serials went away while we looked at them: do it again."""


@contextmanager
def step(batch: Batch, clock: Clock, **changes: Any) -> Iterator[None]:
    """A transaction that starts by proving that the batch is still ours."""
    lease = clock() + LEASE
    with transaction.atomic():
        storing.be_patient()
        batch.hold(**{"leased_until": lease, **changes})
        yield
    batch.leased_until = lease


def again(work: Callable[[], None]) -> None:
    """Run a transaction again when only bad luck stopped it."""
    for tries in range(1, TRIES + 1):
        try:
            return work()
        except (OperationalError, Collision) as error:
            is_luck = isinstance(error, Collision) or (
                getattr(error.__cause__, "sqlstate", "") in BAD_LUCK
            )
            if not is_luck or tries == TRIES:
                raise
            time.sleep(random.uniform(0.05, 0.2) * tries)  # noqa: S311


def all_fit(kind: str, codes: Iterator[str]) -> bool:
    """Whether the barcode draws each of them."""
    return all(fits(kind, code) for code in codes)
