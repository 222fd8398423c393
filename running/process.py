"""One of PROCESSES: its start, its log, its end."""

import ctypes
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from run import PROCESSES, ROLES, ROOT, last_lines, say

STEADY_AFTER = 60.0  # seconds after which an end counts as the first again
NOTABLE = re.compile(r"\b(ERROR|CRITICAL)\b|^Traceback|^[\w.]+(Error|Exception)\b")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Process:
    """One of PROCESSES: its start, its log, its end."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.name = name
        self.command = [sys.executable, *shlex.split(PROCESSES[name])[1:]]
        self.env = env | ({"PROCESS_ROLE": ROLES[name]} if name in ROLES else {})
        self.log = Path(env["VAR_DIR"]) / "logs" / f"{name}.log"
        self.restarted_at: float | None = None
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))

    def start(self) -> None:
        """Start it in a process group of its own, so that Ctrl-C reaches us alone."""
        self.popen = subprocess.Popen(  # noqa: S603 - of our own table
            self.command,
            env=self.env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        threading.Thread(target=self.listen, args=[self.popen], daemon=True).start()

    def listen(self, popen: "subprocess.Popen[bytes]") -> None:
        """Keep all it says in its log, and show the terminal what needs a person."""
        shown: dict[str, float] = {}
        assert popen.stdout is not None  # noqa: S101 - for the type checker
        with self.log.open("ab", buffering=0) as log:
            for raw in popen.stdout:
                log.write(raw)
                text = notable(raw.decode(errors="replace"))
                now = time.monotonic()
                if text and now - shown.get(text, -STEADY_AFTER) >= STEADY_AFTER:
                    shown[text] = now
                    say(f"{self.name:>8} | {text}")

    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def how(self) -> str:
        """How it ended."""
        code = self.popen.returncode
        if code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        return f"ended by itself (exit code {code})"

    def may_restart(self) -> bool:
        """Once; again only after it ran steadily since."""
        at = self.restarted_at
        return at is None or time.monotonic() - at > STEADY_AFTER

    def restart(self) -> None:
        self.send(signal.SIGKILL)  # what it left behind may hold the port
        self.restarted_at = time.monotonic()
        self.start()

    def ask_to_stop(self) -> None:
        """SIGTERM to the first process alone: it knows how to end its own workers."""
        if not self.has_ended():
            self.popen.terminate()

    def send(self, number: signal.Signals) -> None:
        """Send to everything it started, whether or not it lives itself."""
        try:
            os.killpg(self.popen.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS says the latter
            pass


def end_with_parent() -> None:
    """In a new process: get SIGTERM should `make run` die, even by SIGKILL (Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def notable(line: str) -> str | None:
    """What the terminal shows of a log line: warnings and errors, on one line."""
    try:
        record = json.loads(line)
    except ValueError:
        return line.strip() if NOTABLE.search(line) else None
    if not isinstance(record, dict):
        return None
    level = record.get("level")
    if level not in ("warning", "error", "critical"):
        return None
    event = str(record.get("event", "")).splitlines()[:1]
    cause = str(record.get("trace", "")).strip().splitlines()[-1:]
    return f"{level}: {' / '.join(event + cause)}"


def post_mortem(process: Process, when: str) -> str:
    return (
        f"{last_lines(process.log)}\n\nThe {process.name} process {process.how()}, "
        f"{when}; above is the end of {process.log}."
    )
