"""Worker and scheduler as real processes, with a database, a queue and a LINE given."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from run import ROOT

Popen = subprocess.Popen[bytes]


class Processes:
    """Starts our programs with the same settings; `far` steps look into the database.

    `folder` takes logs and what else they write; `settings` are environment variables.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.env = os.environ | {
            "VAR_DIR": str(folder),
            "SEND_LEASE": "3",
            "SEND_DEADLINE": "2",
            "SEND_THREADS": "8",
            "SEND_RATE": "60",
            "SWEEP_EVERY": "1",
            "LOG_LEVEL": "WARNING",
            "REDIS_URL": "",
            **settings,
        }

    def run(self, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of ours to its end."""
        return subprocess.run(
            [sys.executable, *command],
            env=self.env | env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def step(self, *command: str, of: str = "deliveries") -> Any:
        """A step of <app>/tests/far.py, and what it says."""
        return json.loads(self.must_run("-m", f"{of}.tests.far", *command))

    def must_run(self, *command: str) -> str:
        """Run a program of ours; what it printed. Fails if it failed."""
        done = self.run(*command)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def start(self, name: str, *command: str, **env: str) -> Popen:
        """Start a program in a process group of its own; its words go to `name`.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                env=self.env | env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def worker(self, name: str, *, concurrency: int = 1, **env: str) -> Popen:
        options = ["-n", f"{name}@%h", "--concurrency", str(concurrency)]
        options += ["--without-gossip", "--without-mingle"]
        celery = ("-m", "celery", "-A", "couponadmin")
        return self.start(
            name, *celery, "worker", *options, "--loglevel", "WARNING", **env
        )

    def start_beat(self) -> Popen:
        schedule = str(self.folder / "schedule")
        return self.start(
            "beat", "-m", "celery", "-A", "couponadmin", "beat", "-s", schedule
        )

    @contextmanager
    def beat(self) -> Iterator[None]:
        process = self.start_beat()
        try:
            yield
        finally:
            kill(process)

    def logs(self) -> str:
        return "\n".join(p.read_text()[-2000:] for p in self.folder.glob("*.log"))


def kill(process: Popen) -> None:
    """The whole group at once, as when the machine loses its power."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
