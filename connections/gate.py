"""Whether more calls of a block may start, in the light of the answers so far."""

import threading
from dataclasses import dataclass, field

from connections.models import FAILURES_BEFORE_REST


@dataclass
class Gate:
    """One for each block; its threads share it."""

    failures: int = 0  # in a row
    is_closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, *, is_failure: bool, is_closing: bool) -> None:
        """Of an answer: a failure counts, and `is_closing` ends the block at once."""
        with self._lock:
            self.failures = self.failures + 1 if is_failure else 0
            if is_closing or self.failures >= FAILURES_BEFORE_REST:
                self.is_closed = True
