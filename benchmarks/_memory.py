"""How much memory this process has needed at most."""

import re
import resource
from pathlib import Path


def most_memory() -> float:
    """Megabytes. What getrusage tells may be of the process that started this one."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024
