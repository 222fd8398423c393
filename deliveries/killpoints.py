"""Where a test lets a worker die, to show that nothing is lost or sent twice."""

import os
import signal
from collections import Counter

from django.conf import settings

# `KILL_AT=after_commit:3` dies the third time that this process comes there.
passed: Counter[str] = Counter()


def killpoint(name: str) -> None:
    """Kill this process if a test asked for it; never where real providers are."""
    wanted, _, times = os.environ.get("KILL_AT", "").partition(":")
    if wanted != name or not settings.ALLOW_LOCAL_PROVIDERS:
        return
    passed[name] += 1
    if passed[name] >= int(times or 1):
        os.write(2, f"killpoint {name}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
