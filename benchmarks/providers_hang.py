"""The house while LINE, Paddle and Vivoldi all hang: at least 0.9 of its usual speed.

A worker sends, publishes and looks at all three the whole time. In the disturbed rounds
no provider answers in time: half of the calls wait for a minute, the others get a byte a
second. Every kind of request is measured by turns with the same house at rest.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from _house import (
    HERE,
    ROOT,
    ROUNDS,
    SECONDS,
    Load,
    Request,
    ask,
    conclude,
    prepared_database,
    tell,
    web,
)

from testing.house import free_port
from testing.servers import private_redis

BAR = 0.9
MOST_A_SECOND = 500  # redeemed; what so many coupons are prepared for
RECIPIENTS = 3_000
PROCESSES = 7  # of the worker: each of the tasks below can hang in one of its own
CODES = 500  # at Paddle and at Vivoldi
TOKEN, AUTH_CODE, API_KEY = "token", "auth-code", "api-key"  # noqa: S105
VENDOR_ID = 4711
WAIT = 90  # seconds for a worker to begin, or to come to rest


def main() -> None:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(private_redis())
        sandbox = stack.enter_context(look_alike())
        os.environ |= surroundings(sandbox, redis.url)
        stack.enter_context(prepared_database())
        from _providers import Work

        work = Work.make(
            coupons=int(MOST_A_SECOND * SECONDS * (ROUNDS + 1) * 2),
            recipients=RECIPIENTS,
            codes=CODES,
            keys={"line": TOKEN, "paddle": AUTH_CODE, "vivoldi": API_KEY},
            vendor_id=VENDOR_ID,
        )
        stack.enter_context(worker())
        port = stack.enter_context(web(workers=2))
        hang(sandbox)
        measured = measure(port, work)
    for kind, (calm, hanging) in measured.items():
        tell(f"{kind}, at rest", calm)
        tell(f"{kind}, providers hang", hanging)
    for kind, (calm, hanging) in measured.items():
        conclude(f"providers_hang_{kind}", hanging, calm, BAR)


# --- measuring -----------------------------------------------------------------------


def measure(port: int, work: Any) -> dict[str, tuple[list[Load], list[Load]]]:
    """Each kind of request at rest and disturbed, by turns, after a round to warm up."""
    kinds = kinds_of(port, work)
    calm: dict[str, list[Load]] = {name: [] for name in kinds}
    hanging: dict[str, list[Load]] = {name: [] for name in kinds}
    for number in range(ROUNDS + 1):
        for loads, surrounding in ((calm, come_to_rest), (hanging, begin_to_hang)):
            for name, load in kinds.items():
                surrounding(work)
                found = load()
                if number:
                    loads[name].append(found)
            print(f"Calls under way after the round: {work.calls()}", flush=True)
    return {name: (calm[name], hanging[name]) for name in kinds}


def kinds_of(port: int, work: Any) -> dict[str, Callable[[], Load]]:
    """What customers and staff do: redeem, look at the page, have it taken."""
    to_redeem = iter(work.tokens)
    redeemed: list[str] = []
    to_take = iter(redeemed)

    def press() -> Request | None:
        token = next(to_redeem, None)
        if token is None:
            return None
        redeemed.append(token)
        return Request(*work.redeem(token))

    def look() -> Request | None:
        return Request(
            f"/c/{redeemed[int(time.monotonic_ns() / 1000) % len(redeemed)]}"
        )

    def take() -> Request | None:
        token = next(to_take, None)
        return None if token is None else Request(*work.verify(token))

    return {
        "redeem": lambda: ask(port, press, expect=303),
        "page": lambda: ask(port, look, expect=200, seconds=SECONDS / 2),
        "verify": lambda: ask(port, take, expect=303, seconds=SECONDS / 2),
    }


def come_to_rest(work: Any) -> None:
    """Nothing to be done at any provider, and no call under way."""
    work.stop()
    wait_until(work.is_at_rest, "The worker does not rest")


def begin_to_hang(work: Any) -> None:
    """Calls to all three are under way; none ends within the time that is measured.

    What a worker does before it calls is its usual work, so that is waited for.
    """
    if not all(work.calls().values()):
        work.start()
    wait_until(lambda: all(work.calls().values()), "No call hangs at one of the three")
    seen = [work.calls()]

    def is_steady() -> bool:
        time.sleep(0.8)
        seen.append(work.calls())
        return bool(seen[-1] == seen[-2])

    wait_until(is_steady, "The calls under way never are the same for a second")


def wait_until(condition: Callable[[], bool], words: str) -> None:
    ends = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > ends:
            raise SystemExit(f"{words} within {WAIT} s.")
        time.sleep(0.2)


# --- the processes around ------------------------------------------------------------


def surroundings(sandbox: str, redis: str) -> dict[str, str]:
    return {
        "LINE_API_URL": sandbox,
        "PADDLE_API_URL": f"{sandbox}/paddle.com",
        "VIVOLDI_API_URL": f"{sandbox}/vivoldi.com",
        "ALLOW_LOCAL_PROVIDERS": "1",
        "REDIS_URL": redis,
    }


@contextlib.contextmanager
def look_alike() -> Iterator[str]:
    """All three providers in a process of their own; its address."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--port",
        str(port),
        "--data",
        ":memory:",
    ]
    command += ["--token", TOKEN, "--paddle-vendor-id", str(VENDOR_ID)]
    command += ["--paddle-auth-code", AUTH_CODE, "--vivoldi-api-key", API_KEY]
    url = f"http://127.0.0.1:{port}"
    with running(command, os.environ, "sandbox.log"):
        wait_until(lambda: answers(url), "The sandbox does not answer")
        yield url


def answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url, timeout=5).ok
    return False


def hang(sandbox: str) -> None:
    """Let no call of any provider come to its end."""
    for fault in (
        {"kind": "slow", "seconds": 60, "share": 0.5},
        {"kind": "trickle", "seconds": 1},
    ):
        answer = requests.post(
            f"{sandbox}/_control/faults", json={"call": "*", **fault}, timeout=5
        )
        answer.raise_for_status()


@contextlib.contextmanager
def worker() -> Iterator[None]:
    """Workers and the beat, as production starts them; enough to hang at all three."""
    celery = [sys.executable, "-m", "celery", "-A", "couponadmin"]
    quiet = ["--loglevel", "WARNING"]
    work = [*celery, "worker", *quiet, "--concurrency", str(PROCESSES)]
    env = os.environ | {"PROCESS_ROLE": "worker"}
    with (
        running([*work, "--without-gossip", "--without-mingle"], env, "worker.log"),
        running([*celery, "beat", *quiet], env | {"PROCESS_ROLE": "beat"}, "beat.log"),
    ):
        yield


@contextlib.contextmanager
def running(command: list[str], env: Any, log: str) -> Iterator[None]:
    folder = Path(os.environ.get("VAR_DIR", HERE))
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(os.devnull, "w"))
        if folder.is_dir() and folder != Path(HERE):
            sink = stack.enter_context((folder / log).open("w"))
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(env), stdout=sink, stderr=sink
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # it waits for calls that hang
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
