"""One barcode as SVG: linear ones in at most 0.2 ms, QR no slower than segno's.

segno is the fastest encoder of QR codes in Python that we know of. It draws as it does by
default, which is its choice of eight masks; ours are of one mask, so the same is told for
segno with one mask too. Both correct as many errors (level M).
"""

import json
import random
import statistics
import string
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Not this folder: a package that we need is called barcode too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import segno  # noqa: E402
from django.conf import settings  # noqa: E402

settings.configure(USE_I18N=False)

from campaigns.look import symbol_svg  # noqa: E402

CODES = 300
ROUNDS = 5
LINEAR_BAR = 0.2  # ms
QR_BAR = 1.0
LETTERS = string.ascii_uppercase + string.digits + "-"

Draw = Callable[[str], str]


def random_codes() -> list[str]:
    """Of 8 to 16 characters, always the same ones."""
    rng = random.Random(2345)  # noqa: S311
    return ["".join(rng.choices(LETTERS, k=rng.randint(8, 16))) for _ in range(CODES)]


def milliseconds(draw: Draw, code: str) -> float:
    start = time.perf_counter()
    draw(code)
    return 1000 * (time.perf_counter() - start)


def by_turns(draws: Sequence[Draw]) -> list[float]:
    """The median of each over all codes, drawn one beside the other."""
    codes = random_codes()
    taken: list[list[float]] = [[] for _ in draws]
    for turn in range(1 + ROUNDS):
        for code in codes:
            for draw, times in zip(draws, taken, strict=True):
                took = milliseconds(draw, code)
                if turn:  # the first is to warm up
                    times.append(took)
    return [statistics.median(times) for times in taken]


def ours(kind: str) -> Draw:
    return lambda code: symbol_svg(kind, code, code)


def segnos(mask: int | None = None) -> Draw:
    return lambda code: segno.make_qr(code, error="m", mask=mask).svg_inline()


def tell(name: str, figure: float, limit: float, bar: float, **more: float) -> bool:
    """Print the result as one JSON object; whether it keeps to its bar."""
    ratio = figure / limit
    result = {
        "name": name,
        "figure": round(figure, 4),
        "unit": "ms",
        "limit": round(limit, 4),
        "ratio": round(ratio, 3),
        "bar": bar,
        **{key: round(value, 4) for key, value in more.items()},
    }
    print(json.dumps(result))
    return ratio <= bar


def main() -> int:
    code39, code128 = by_turns([ours("code39"), ours("code128")])
    qr, free, fixed = by_turns([ours("qr"), segnos(), segnos(mask=3)])
    kept = [
        tell("barcode_code39", code39, LINEAR_BAR, 1.0),
        tell("barcode_code128", code128, LINEAR_BAR, 1.0),
        tell("barcode_qr", qr, free, QR_BAR, segno_one_mask=fixed),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
