"""How fast somebody may call: LINE's token bucket."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """`rate` calls a second, and at most as many at once after a rest."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.rate, self.clock()

    def take(self) -> bool:
        """Whether one more call may pass; counts it if so."""
        now = self.clock()
        self.left = min(self.rate, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True
