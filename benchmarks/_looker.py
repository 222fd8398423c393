"""One process that looks at a LINE account as a worker would, and tells what it took.

    python benchmarks/_looker.py CONNECTION LOOKS

The environment is that of the benchmark which starts it; the answer is one line of JSON
for each look.
"""

import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = str(ROOT / "benchmarks")
sys.path[:] = [str(ROOT), *(path for path in sys.path if path != HERE), HERE]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")

import django  # noqa: E402

django.setup()

from _memory import most_memory  # noqa: E402
from django.utils import timezone  # noqa: E402

from connections.models import Connection  # noqa: E402
from sync.models import Run  # noqa: E402
from sync.pulling import runs  # noqa: E402
from sync.pulling.working import pull, turn_seconds  # noqa: E402


def look(connection: Connection) -> None:
    started = time.perf_counter()
    run = runs.begin(connection, at=timezone.now())
    while pull(run.pk, seconds=turn_seconds()):
        pass
    seconds = time.perf_counter() - started
    run.refresh_from_db()
    if run.state != Run.State.DONE:
        raise SystemExit(f"The look is {run.state}: {run.problem}")
    found = {
        "seconds": seconds,
        "processor": time.process_time(),
        "listed": run.listed,
        "asked": run.asked,
        "calls": run.calls,
        "megabytes": most_memory(),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    connection = Connection.objects.get(pk=sys.argv[1])
    for _ in range(int(sys.argv[2])):
        look(connection)


if __name__ == "__main__":
    main()
