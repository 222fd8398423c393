"""One process that makes batches ready as a worker would, and tells what it took.

    python benchmarks/_worker.py import CAMPAIGN FILE...
    python benchmarks/_worker.py generate CAMPAIGN PATTERN QUANTITY

The environment is that of the benchmark which starts it; the answer is one line of JSON.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = str(ROOT / "benchmarks")
# This folder last: see _house.py.
sys.path[:] = [str(ROOT), *(path for path in sys.path if path != HERE), HERE]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")

import django  # noqa: E402

django.setup()

from _memory import most_memory  # noqa: E402
from django.core.files import File  # noqa: E402

from campaigns.models import Campaign  # noqa: E402
from serials import importing, services  # noqa: E402
from serials.models import Batch  # noqa: E402

phases: dict[str, float] = defaultdict(float)


@contextmanager
def phase(name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    phases[name] += time.perf_counter() - started


def bring(campaign: Campaign, path: Path) -> None:
    """A file from its upload until people can have its serials."""
    with phase("upload"), path.open("rb") as file:
        batch = services.start_import(
            campaign, file=File(file), name=path.name, by=None
        )
    work_off(batch, "check")
    with phase("confirm"):
        services.confirm(batch)
    work_off(batch, "import")
    expect_ready(batch)


def make(campaign: Campaign, pattern: str, quantity: int) -> None:
    """So many generated serials, until people can have them."""
    with phase("ask"):
        batch = services.generate(
            campaign,
            pattern=pattern,
            quantity=quantity,
            alphabet="clear",
            name="Generated",
            by=None,
        )
    work_off(batch, "generate")
    expect_ready(batch)


def work_off(batch: Batch, name: str) -> None:
    with phase(name):
        while importing.run(batch.pk):
            pass
    batch.refresh_from_db()


def expect_ready(batch: Batch) -> None:
    if batch.state != Batch.State.READY:
        raise SystemExit(f"The batch is {batch.state}: {batch.problem}")


def main() -> None:
    command, campaign_id, *rest = sys.argv[1:]
    campaign = Campaign.objects.get(pk=campaign_id)
    if command == "import":
        for path in rest:
            bring(campaign, Path(path))
    else:
        pattern, quantity = rest
        make(campaign, pattern, int(quantity))
    found = {
        "seconds": sum(phases.values()),
        "megabytes": most_memory(),
        "phases": phases,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
