"""A first look at 5,000 coupons on LINE: at 0.8 of the allowed calls at least.

LINE's look-alike lets 200 calls a second of each kind through and answers 429 to the
rest. The limit is what it lets through of a bare client that asks for details as fast as
it can; the figure is all calls of a first look, lists included, over its whole time. A
second look has to ask for no more than can have changed, and 5,000 coupons may need no
more memory than 1,000. Everything is a process of its own, as in production.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import IO
from urllib.parse import urlsplit

from _house import ROOT, prepared_database
from _line import TOKEN

RATE = 200  # calls a second that LINE allows, of each kind
SIZES = (1_000, 5_000)  # coupons
THREADS = 16
SECONDS = 8.0  # of the bare client
BAR = 0.8
MEMORY_BAR = 1.2  # times as much for the larger one
STOPPED = 20  # coupons that somebody discontinues between two looks

Found = dict[str, float]


class Line:
    """The look-alike with so many coupons."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self.to: IO[str] = process.stdin
        self.of: IO[str] = process.stdout
        self.url = self.of.readline().strip()

    def stop_coupons(self, count: int) -> None:
        self.to.write(f"{count}\n")
        self.to.flush()
        self.of.readline()


@contextlib.contextmanager
def line(count: int) -> Iterator[Line]:
    command = [sys.executable, "benchmarks/_line.py", str(count), str(RATE)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Line(process)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(20)


def bare(url: str) -> float:
    """Details that LINE gives a client a second which does nothing else."""
    connection = HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/v2/bot/coupon", headers=headers())
    coupon_id = json.load(connection.getresponse())["items"][0]["couponId"]
    # What an idle account has saved up is used up first.
    begins = time.monotonic() + 2
    ends = begins + SECONDS

    def customer(number: int) -> int:
        answered = 0
        own = HTTPConnection(urlsplit(url).netloc)
        while time.monotonic() < ends:
            own.request("GET", f"/v2/bot/coupon/{coupon_id}", headers=headers())
            answer = own.getresponse()
            answer.read()
            if answer.status == 200:
                answered += time.monotonic() >= begins
            else:
                time.sleep(THREADS / RATE / 4)
        return answered

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(customer, range(THREADS))) / SECONDS


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def look(url: str, *, between: Line) -> tuple[Found, Found]:
    """A first look at an account, and one after something has changed there."""
    from django.db import connections

    from testing.factories import make_connection

    account = make_connection(access_token=TOKEN).pk
    connections.close_all()
    first = one_look(url, account)
    between.stop_coupons(STOPPED)
    return first, one_look(url, account)


def one_look(url: str, account: int) -> Found:
    command = [sys.executable, "benchmarks/_looker.py", str(account), "1"]
    env = os.environ | {
        "LINE_API_URL": url,
        "ALLOW_LOCAL_PROVIDERS": "1",
        "LINE_COUPON_RATE": str(RATE),
        "PROCESS_ROLE": "worker",
    }
    answer = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    found: Found = json.loads(answer.stdout)
    print(f"  {found}", flush=True)
    return found


def main() -> int:
    peaks: list[float] = []
    limit = rate = 0.0
    second: Found = {}
    with prepared_database():
        for size in SIZES:
            with line(size) as running:
                limit = bare(running.url)
                print(f"{size:,} coupons; LINE gives {limit:.1f} details/s", flush=True)
                time.sleep(1)  # what the bare client has used up comes back
                first, second = look(running.url, between=running)
                rate = first["calls"] / first["seconds"]
                peaks.append(first["megabytes"])
    return conclude(rate, limit, second, peaks)


def conclude(rate: float, limit: float, second: Found, peaks: list[float]) -> int:
    """Print the result as one JSON object; 1 when it misses a bar."""
    drafts, size = SIZES[-1] // 50, SIZES[-1]
    memory = peaks[-1] / peaks[0]
    result = {
        "name": "sync",
        "figure": round(rate, 1),
        "unit": "requests/s",
        "limit": round(limit, 1),
        "ratio": round(rate / limit, 3),
        "bar": BAR,
        "second_look": second["calls"],
        "second_details": second["asked"],
        "may_change": drafts + STOPPED,
        "megabytes": round(peaks[-1], 1),
        "memory_ratio": round(memory, 3),
        "memory_bar": MEMORY_BAR,
    }
    print(json.dumps(result))
    is_sparing = second["asked"] <= drafts + STOPPED
    pages = -(-size // 100) + 2  # of the lists of drafts and of the running
    is_sparing = is_sparing and second["calls"] <= drafts + STOPPED + pages
    return 0 if rate >= BAR * limit and is_sparing and memory <= MEMORY_BAR else 1
