"""The whole house as `make run` starts it, in a folder and on ports of its own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
import requests

from run import ROOT, new_env

START_WITHIN = 120  # seconds


@dataclass
class RunningHouse:
    """Addresses and logins of a house that runs."""

    web: str
    phone: str
    var: Path
    password: str
    output: Path

    def control(self, method: str, path: str, **kwargs: Any):
        """Ask the sandbox something, as its control pages do."""
        answer = requests.request(
            method, f"{self.phone}/_control/{path}", timeout=10, **kwargs
        )
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def own_database() -> Iterator[str]:
    """An empty database of the server that DATABASE_URL names; its address."""
    server = os.environ["DATABASE_URL"]
    name = f"house_{os.getpid()}_{free_port()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    """An empty database of the Redis that REDIS_URL names; its address."""
    address = urlsplit(os.environ["REDIS_URL"])._replace(path="/11").geturl()
    client = redis.Redis.from_url(address)
    client.flushdb()
    yield address
    client.flushdb()
    client.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_house(**settings: str) -> Iterator[RunningHouse]:
    """Start everything with the example shop; stop all of it at the end.

    `settings` are lines of .env, such as DATABASE_URL.
    """
    with tempfile.TemporaryDirectory(prefix="house-") as folder:
        base = Path(folder)
        web, sandbox = free_port(), free_port()
        text = new_env()
        values = {
            "VAR_DIR": str(base / "var"),
            "WEB_PORT": str(web),
            "SANDBOX_PORT": str(sandbox),
            "WEB_WORKERS": "2",
            "SWEEP_EVERY": "1",
            **settings,
        }
        kept = [line for line in text.splitlines() if line.split("=")[0] not in values]
        lines = [*kept, *(f"{name}={value}" for name, value in values.items())]
        (base / ".env").write_text("\n".join(lines) + "\n")
        env = {
            "ENV_FILE": str(base / ".env"),
            "PATH": os.environ["PATH"],
            "HOME": folder,
        }
        output = base / "output.txt"
        with output.open("w") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "running"],
                cwd=ROOT,
                env=env,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until_ready(process, output)
            found = re.search(r"^EXAMPLE_PASSWORD=(.+)$", text, re.MULTILINE)
            yield RunningHouse(
                web=f"http://127.0.0.1:{web}",
                phone=f"http://127.0.0.1:{sandbox}",
                var=base / "var",
                password=found[1] if found else "",
                output=output,
            )
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until_ready(process: "subprocess.Popen[bytes]", output: Path) -> None:
    until = time.monotonic() + START_WITHIN
    while "Ctrl-C stops all of it" not in output.read_text():
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"The house did not start:\n{output.read_text()}")
        time.sleep(0.2)
