"""What a worker's turn at a run is, whichever the provider."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sync.pulling.runs import Held


@dataclass
class Turn:
    """A turn goes on where the run stands, and leaves where its time ends."""

    held: Held
    pool: ThreadPoolExecutor

    @property
    def stage(self) -> str:
        """Where the run stands; "" is its beginning."""
        return str(self.held.run.cursor.get("stage", ""))

    def is_over(self, ends: float) -> bool:
        """Whether to leave the rest to the next turn; `ends` is monotonic."""
        return time.monotonic() >= ends

    def work(self, ends: float) -> bool:
        """Look until `ends`; True when all that this run looks at has been seen.

        Raises ProviderError and Lost.
        """
        raise NotImplementedError
