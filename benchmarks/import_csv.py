"""A million serials from their upload until people can have them: at most 1.5 limits.

The limit is the staging line: COPY into an unlogged table, then one INSERT that leaves
duplicates out, of the same rows into a table of the same shape. Ours is two files, since
one may have 10 MB, uploaded, checked and imported by one process, whose memory may not
grow with the rows.
"""

import json
import sys
from tempfile import TemporaryDirectory

from _stock import (
    MILLION,
    by_turns,
    compared,
    made_up,
    prepared_place,
    rows_of,
    write_files,
)

BAR = 1.5
FEW = 100_000  # serials, whose memory is compared
MEMORY_LIMIT = 300  # megabytes
GROWTH_LIMIT = 1.2  # times as much memory as for FEW


def main() -> int:
    codes = made_up(MILLION)
    rows = rows_of(codes)
    with prepared_place() as place, TemporaryDirectory() as folder:
        files = write_files(folder, "many", codes)
        few = place.work("import", *write_files(folder, "few", codes[:FEW]))
        works, limits = by_turns(
            lambda: place.work("import", *files),
            lambda: place.stage_and_insert(rows),
        )
    result = compared("import_csv", works, limits, BAR)
    growth = result["memory_mb"] / few.megabytes
    print(
        json.dumps(
            result
            | {
                "memory_limit": MEMORY_LIMIT,
                "memory_ratio": round(growth, 3),
                "memory_ratio_limit": GROWTH_LIMIT,
            }
        )
    )
    is_flat = result["memory_mb"] < MEMORY_LIMIT and growth <= GROWTH_LIMIT
    return 0 if result["ratio"] <= BAR and is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
