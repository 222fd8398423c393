"""A million serials generated, until people can have them: at most 1.6 limits.

The limit is the staging line of as many serials that are made already: COPY into an
unlogged table, then one INSERT that leaves duplicates out, into a table of the same shape.
"""

import json
import sys

from _stock import MILLION, by_turns, compared, made_up, prepared_place, rows_of

BAR = 1.6
PATTERN = "SPRING-####-####"  # as long as the serials that are made up


def main() -> int:
    rows = rows_of([f"SPRING-{code[:4]}-{code[4:8]}" for code in made_up(MILLION)])
    with prepared_place() as place:
        works, limits = by_turns(
            lambda: place.work("generate", PATTERN, MILLION),
            lambda: place.stage_and_insert(rows),
        )
    result = compared("generate", works, limits, BAR)
    print(json.dumps(result))
    return 0 if result["ratio"] <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
