"""What the benchmarks over HTTP share: a database, gunicorn, customers, the figures.

DATABASE_URL names the PostgreSQL server; a database of its own is made there and dropped
at the end. The web processes are those of production, with one more address: `bare/`,
the limit that a page is measured against.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
# This folder last: one of its files is called barcode, as is a package that we need.
HERE = str(ROOT / "benchmarks")
sys.path[:] = [str(ROOT), *(path for path in sys.path if path != HERE), HERE]

from testing.house import free_port, own_database  # noqa: E402

CLIENTS = 16  # requests under way at once
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))  # of one round
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


LOCAL = "postgres://postgres@127.0.0.1:5432/postgres"
NEEDED = """\
The benchmarks need PostgreSQL and may make a database of their own there:
    DATABASE_URL=postgres://user:password@host:5432/postgres make bench"""


@contextlib.contextmanager
def prepared_database() -> Iterator[None]:
    """Django, set up on an empty migrated database that goes away at the end."""
    server = os.environ.setdefault("DATABASE_URL", LOCAL)
    if not server.startswith("postgres"):
        raise SystemExit(NEEDED)
    try:
        psycopg.connect(server, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        raise SystemExit(f"{str(error).splitlines()[0]}\n\n{NEEDED}") from None
    print(f"On PostgreSQL at {urlsplit(server).netloc.rpartition('@')[2]}.", flush=True)
    with own_database() as url, TemporaryDirectory(prefix="bench-") as folder:
        os.environ |= environment(url, folder)
        manage("migrate", "--verbosity", "0")
        manage("collectstatic", "--noinput", "--verbosity", "0")
        import django

        django.setup()
        try:
            yield
        finally:
            from django.db import connections

            connections.close_all()


def environment(database: str, folder: str) -> dict[str, str]:
    """The settings that the house runs under in a benchmark."""
    return {
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "couponadmin.settings",
        "ENV_FILE": os.devnull,
        "VAR_DIR": folder,
        "SECRET_KEY": "for this benchmark alone",
        "FIELD_KEYS": "YmVuY2htYXJrcy1vbmx5LTMyLWJ5dGVzLWxvbmctMDA=",
        "SITE_URL": "http://127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "PROCESS_ROLE": "command",  # filling a million rows takes its time
    }


def manage(*command: str) -> None:
    subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, check=True)


@contextlib.contextmanager
def web(workers: int) -> Iterator[int]:
    """Gunicorn with so many workers, as production starts it; its port."""
    port = free_port()
    env = os.environ | {
        "PROCESS_ROLE": "web",
        "WEB_PORT": str(port),
        "WEB_WORKERS": str(workers),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
    log = Path(os.environ["VAR_DIR"], "web.log")
    with log.open("w") as sink:
        process = subprocess.Popen(
            [*command, "benchmarks._bare:application"], cwd=ROOT, env=env, stderr=sink
        )
    try:
        wait_for(port, log)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, log: Path) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            connection = HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"The web processes did not start:\n{log.read_text()}")


# --- customers -----------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    path: str
    body: str = ""  # POSTed as a form, if there is one


@dataclass
class Load:
    """What one round brought."""

    seconds: float = 0
    waits: list[float] = field(default_factory=list)  # seconds, one a request
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def wait(self, percent: float) -> float:
        """Milliseconds in which so many of a hundred requests were answered."""
        ordered = sorted(self.waits)
        return 1000 * ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def ask(
    port: int,
    requests: Callable[[], Request | None],
    *,
    expect: int,
    seconds: float = SECONDS,
) -> Load:
    """Let CLIENTS customers ask one after the other for `seconds`."""
    load, lock = Load(), threading.Lock()
    start = time.perf_counter()

    def customer() -> None:
        while time.perf_counter() < start + seconds:
            with lock:
                request = requests()
            if request is None:
                raise SystemExit("Too few coupons were prepared.")
            began = time.perf_counter()
            status = one(port, request)
            took = time.perf_counter() - began
            with lock:
                load.waits.append(took)
                load.statuses[status] = load.statuses.get(status, 0) + 1

    threads = [threading.Thread(target=customer) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - start
    if set(load.statuses) != {expect}:
        raise SystemExit(f"Expected only {expect}, got {load.statuses}.")
    return load


def one(port: int, request: Request) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
    if request.body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    method = "POST" if request.body else "GET"
    connection.request(method, request.path, request.body or None, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


# --- figures -----------------------------------------------------------------------------


def alternate(
    first: Callable[[], Load], second: Callable[[], Load]
) -> tuple[list[Load], list[Load]]:
    """Both by turns, ROUNDS times after one to warm up: the machine's speed drifts."""
    first(), second()
    pairs = [(first(), second()) for _ in range(ROUNDS)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def median_rate(loads: Sequence[Load]) -> float:
    return statistics.median(load.rate for load in loads)


def median_ratio(loads: Sequence[Load], limits: Sequence[Load]) -> float:
    """The median of each round's ratio to its neighbour."""
    pairs = zip(loads, limits, strict=True)
    return statistics.median(load.rate / limit.rate for load, limit in pairs)


def tell(what: str, loads: Sequence[Load]) -> None:
    p50 = statistics.median(load.wait(50) for load in loads)
    p99 = statistics.median(load.wait(99) for load in loads)
    rates = ", ".join(f"{load.rate:.0f}" for load in loads)
    print(f"{what}: {rates} a second; p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def conclude(
    name: str, loads: Sequence[Load], limits: Sequence[Load], bar: float
) -> None:
    """Print the result as one JSON object; exit 1 when the ratio misses the bar."""
    ratio = median_ratio(loads, limits)
    result = {
        "name": name,
        "figure": round(median_rate(loads), 1),
        "unit": "requests/s",
        "limit": round(median_rate(limits), 1),
        "ratio": round(ratio, 3),
        "bar": bar,
        "p99_ms": round(statistics.median(load.wait(99) for load in loads), 1),
    }
    print(json.dumps(result))
    if ratio < bar:
        raise SystemExit(1)
