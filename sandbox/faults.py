"""Things that go wrong on purpose: which call, how, how often."""

import itertools
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

# What each fault does, in the words of the page /faults. Those of REFUSING come
# before anything is accepted; all others let the call do its work first.
KINDS = {
    "500": "Answer 500, nothing accepted",
    "inner": "Say that something broke inside: Paddle's error 120; 500 elsewhere",
    "429_rate": "Answer 429: too many requests",
    "429_quota": "Answer 429: monthly limit reached",
    "401": "Answer 401: token refused",
    "drop": "Cut the connection, nothing accepted",
    "accept_then_drop": "Accept, then cut the connection without an answer",
    "accept_then_500": "Accept, then answer 500",
    "accept_then_inner": "Accept, then say that something broke inside",
    "slow": "Accept, then keep the answer back for some seconds",
    "trickle": "Accept, then answer one byte at a time",
    "html": "Accept, then answer 200 with a web page instead of JSON",
    "half_json": "Accept, then answer 200 with half of the JSON",
}
REFUSING = frozenset({"500", "inner", "429_rate", "429_quota", "401", "drop"})
DEFAULT_SECONDS = {"slow": 20.0, "trickle": 1.0}
MAX_SECONDS = 3600.0
EVERY_CALL = "*"


class FaultError(ValueError):
    """A fault that cannot be: the sentence says why."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong: `times` calls, a `share` of calls, or each call."""

    id: int
    call: str
    kind: str
    times: int | None = None
    share: float | None = None
    seconds: float = 0.0
    seed: int = 1
    hits: int = 0
    _random: Random = field(default_factory=Random, repr=False)

    def strikes(self) -> bool:
        """Whether it is this call's turn; counts it if so."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.share is not None and self._random.random() >= self.share:
            return False
        self.hits += 1
        return True

    def is_spent(self) -> bool:
        """All its times are used up."""
        return self.times is not None and self.hits >= self.times

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        row = asdict(self)
        del row["_random"]
        return row


class FaultBook:
    """The faults that are switched on, oldest first."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)

    def add(
        self,
        call: str,
        kind: str,
        *,
        times: int | None = None,
        share: float | None = None,
        seconds: float | None = None,
        seed: int = 1,
    ) -> Fault:
        """Switch a fault on for one call, or for "*". Raises FaultError."""
        _check(kind, times, share, seconds)
        if seconds is None:
            seconds = DEFAULT_SECONDS.get(kind, 0.0)
        # Seeded so that a test fails the same way twice; nothing secret.
        dice = Random(seed)  # noqa: S311
        fault = Fault(
            next(self._ids), call, kind, times, share, seconds, seed, _random=dice
        )
        self._faults[fault.id] = fault
        return fault

    def take(self, call: str) -> Fault | None:
        """The fault that strikes this call, if any."""
        if not self._faults:
            return None
        for fault in list(self._faults.values()):
            if fault.call in (call, EVERY_CALL) and fault.strikes():
                return fault
        return None

    def active(self) -> list[Fault]:
        """Those that can still strike."""
        return [fault for fault in self._faults.values() if not fault.is_spent()]

    def remove(self, fault_id: int) -> bool:
        """Switch one off; False if there was none."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Switch all off."""
        self._faults.clear()


def _check(
    kind: str, times: int | None, share: float | None, seconds: float | None
) -> None:
    if kind not in KINDS:
        raise FaultError(f"There is no fault {kind!r}. Known: {', '.join(KINDS)}.")
    if times is not None and times < 1:
        raise FaultError("A fault happens at least once.")
    if share is not None and not 0 < share <= 1:
        raise FaultError("A share lies above 0 and goes up to 1.")
    if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
        raise FaultError(f"Seconds lie between 0 and {MAX_SECONDS:.0f}.")
