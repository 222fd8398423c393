"""Twenty threads, each with its own connection, let go at the same moment."""

import os
import threading
from collections.abc import Callable
from typing import Any

from django.db import connections

ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))
THREADS = 20


class Racers:
    """Kept threads: starting one takes longer than the gap a race needs."""

    def __init__(self, count: int = THREADS) -> None:
        self.count = count
        self.start = threading.Barrier(count + 1)
        self.end = threading.Barrier(count + 1)
        self.job: Callable[[int], Any] | None = None
        self.results: list[Any] = [None] * count
        self.threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True)
            for n in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, number: int) -> None:
        connections["default"].ensure_connection()
        while True:
            self.start.wait()
            job = self.job
            if job is None:
                connections.close_all()
                return
            try:
                self.results[number] = job(number)
            except Exception as error:  # noqa: BLE001 - the race's outcome is what we look at
                self.results[number] = error
            self.end.wait()

    def race(self, job: Callable[[int], Any]) -> list[Any]:
        """Run `job(n)` in every thread at once; each one's result or exception."""
        self.job = job
        self.start.wait()
        self.end.wait()
        return list(self.results)

    def stop(self) -> None:
        self.job = None
        self.start.wait()
        for thread in self.threads:
            thread.join(10)
