"""A LINE account with coupons, as a process of its own.

    python benchmarks/_line.py COUPONS CALLS_A_SECOND

Of a hundred coupons two are drafts and eight are closed. Prints its address, discontinues
as many as are written to it a line, and ends with its input.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not this folder: see _house.py

from sandbox.testing import start_sandbox  # noqa: E402

TOKEN = "for-this-benchmark"  # noqa: S105 - the look-alike's own


def main() -> None:
    count, rate = int(sys.argv[1]), int(sys.argv[2])
    with start_sandbox(token=TOKEN, coupon_rate=rate) as line:
        running = []
        for number in range(count):
            coupon_id = line.make_coupon(
                title=f"Coupon {number}",
                description="Show this at the till. " * 10,
                is_draft=number % 50 == 0,
            )
            if number % 50 == 0:
                continue
            if number % 25 in (1, 2):
                line.stop_coupon(coupon_id)
            else:
                running.append(coupon_id)
        sys.stdout.write(f"{line.url}\n")
        sys.stdout.flush()
        for text in sys.stdin:
            for _ in range(int(text)):
                line.stop_coupon(running.pop())
            sys.stdout.write("done\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
