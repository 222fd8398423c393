"""`make run`: from a bare machine to a running back office.

This file needs nothing installed and reads on Python 3.6 too, so that an old one is
told what is wrong. It makes .venv and .env, then hands over to running/, which
starts what PROCESSES lists.
"""

import argparse
import base64
import fcntl
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NEWER = ["python3.14", "python3.13", "python3.12", "python3.11"]

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
ENV_FILE = ROOT / ".env"
LOGS = ROOT / "var" / "logs"

# What runs. docker-compose.yml starts the same; test_compose.py compares the two.
PROCESSES = {
    "web": "python -m gunicorn --config gunicorn.conf.py couponadmin.wsgi",
    "worker": "python -m celery -A couponadmin worker --loglevel WARNING"
    " --concurrency 2 --without-gossip --without-mingle",
    "beat": "python -m celery -A couponadmin beat --loglevel WARNING",
    "sandbox": "python -m sandbox",
}
# How long each waits for the database: PROCESS_ROLES in couponadmin/settings.py.
ROLES = {"web": "web", "worker": "worker", "beat": "worker"}


class CannotRun(Exception):
    """Why it cannot go on, as a sentence for the person at the terminal."""


def main() -> None:
    """Set up and, unless asked for the set-up alone, start everything."""
    parser = argparse.ArgumentParser(description="Sets up and starts the back office.")
    parser.add_argument("--setup", metavar="REQUIREMENTS", help="set up, start nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        check_python()
        set_up(ROOT / (options.setup or "requirements.txt"))
        if not options.setup:
            write_env(ENV_FILE)
    except CannotRun as error:
        sys.exit(f"\n{error}\n")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    if not options.setup:
        os.chdir(str(ROOT))
        os.execv(str(VENV_PYTHON), [str(VENV_PYTHON), "-m", "running"])  # noqa: S606


def interrupt(*_: object) -> None:
    """Let SIGTERM do what Ctrl-C does: end what was started, then stop."""
    raise KeyboardInterrupt


def say(text: str) -> None:
    print(text, flush=True)


# --- Python -------------------------------------------------------------------------


def check_python() -> None:
    """Raise CannotRun if this Python is too old or cannot make an environment."""
    version = sys.version_info[:2]
    if version < OLDEST:
        raise CannotRun(too_old(version, find_newer()))
    if not is_there("venv") or not is_there("ensurepip"):
        raise CannotRun(no_venv(version))


def is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def too_old(version: "tuple[int, int]", newer: "str | None") -> str:
    """What to say to a Python that is too old; `newer` is one that would do."""
    what = f"Python {dotted(OLDEST)} or newer is needed, this is {dotted(version)}"
    if newer:
        return f"{what}. A newer one is here: run `make run PYTHON={newer}`."
    return (
        f"{what}: install one (Debian, Ubuntu: apt install python3.12 python3.12-venv; "
        "macOS: brew install python@3.12; or from python.org), then run "
        "`make run PYTHON=python3.12`."
    )


def no_venv(version: "tuple[int, int]") -> str:
    return (
        "This Python cannot make virtual environments: its venv module is missing.\n"
        "Debian, Ubuntu: apt install python3-venv "
        f"(or python{dotted(version)}-venv).\nThen run it again."
    )


def dotted(version: "tuple[int, int]") -> str:
    return ".".join(map(str, version))


def find_newer() -> "str | None":
    """The name of a newer Python on this machine that really starts."""
    return next((name for name in NEWER if shutil.which(name) and starts(name)), None)


def starts(python: str) -> bool:
    """Whether this Python starts and is new enough; a pyenv shim may do neither."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    try:
        done = subprocess.run(
            [python, "-c", check],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


# --- .venv --------------------------------------------------------------------------


def set_up(requirements: Path) -> None:
    """Make .venv and install what `requirements` pins, if that is not done yet.

    Raises CannotRun.
    """
    if not requirements.exists():
        raise CannotRun(f"There is no file {requirements}.")
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS.parent / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits, then finds it done
        if not is_installed(requirements):
            install(requirements)


def is_installed(requirements: Path) -> bool:
    return fingerprint(requirements) in read_stamp() and starts(str(VENV_PYTHON))


def read_stamp() -> "list[str]":
    return STAMP.read_text().split() if STAMP.exists() else []


def fingerprint(requirements: Path) -> str:
    """A hash of the pins in this file and in those it includes by `-r`."""
    text = requirements.read_text()
    for line in text.splitlines():
        if line.startswith("-r "):
            text += fingerprint(requirements.parent / line[3:].strip())
    return hashlib.sha256(text.encode()).hexdigest()


def install(requirements: Path) -> None:
    if not has_pip():
        say("Making a virtual environment in .venv ...")
        run_or_explain(
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            "The virtual environment could not be made. Is there room on the disk, "
            "and may you write in this folder?",
        )
    say(f"Installing {requirements.name} (a minute or two the first time) ...")
    run_or_explain(
        [str(VENV_PYTHON), "-m", "pip", "install", "-r", str(requirements)],
        f"pip could not install {requirements.name}. Is this machine online? Behind a "
        "proxy, set HTTPS_PROXY first. Then run it again.",
    )
    note_installed(requirements)


def has_pip() -> bool:
    """Whether .venv is whole: a move, an upgrade or Ctrl-C can leave it broken."""
    if not starts(str(VENV_PYTHON)):
        return False
    pip = [str(VENV_PYTHON), "-m", "pip", "--version"]
    return subprocess.run(pip, stdout=subprocess.DEVNULL).returncode == 0


def note_installed(requirements: Path) -> None:
    """Remember these pins, and those they include, as installed."""
    done = [fingerprint(requirements)]
    base = ROOT / "requirements.txt"
    if f"-r {base.name}" in requirements.read_text().splitlines():
        done.append(fingerprint(base))
    STAMP.write_text("\n".join(done) + "\n")


def run_or_explain(command: "list[str]", sentence: str) -> None:
    """Run with the output in var/logs/setup.log; raise CannotRun if it fails."""
    log = LOGS / "setup.log"
    with log.open("wb") as out:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    if done.returncode:
        raise CannotRun(f"{last_lines(log)}\n\n{sentence}\nAll it said: {log}")


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented."""
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "\n".join("    " + line for line in lines)


# --- .env ---------------------------------------------------------------------------


def write_env(path: Path) -> bool:
    """Write a .env with fresh secrets for a trial on this machine, once.

    An existing file stays as it is. Only its owner may read it. True if written.
    """
    try:
        handle = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(new_env())
    say("Wrote .env with fresh secrets.")
    return True


def new_env() -> str:
    friends = ",".join(f"{name}=U{secrets.token_hex(16)}" for name in FRIENDS)
    return ENV.format(
        secret_key=secrets.token_urlsafe(50),
        field_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        password="-".join(secrets.token_hex(2) for _ in range(3)),
        token=secrets.token_urlsafe(40),
        secret=secrets.token_hex(16),
        bot="U" + secrets.token_hex(16),
        hook_key=secrets.token_urlsafe(18),
        friends=friends,
        paddle_vendor=secrets.randbelow(90000) + 10000,
        paddle_code=secrets.token_hex(25),
        paddle_hook=secrets.token_urlsafe(18),
        vivoldi_key=secrets.token_hex(16),
        vivoldi_secret=secrets.token_hex(16),
        vivoldi_hook=secrets.token_urlsafe(18),
    )


FRIENDS = ["Aiko", "Chia-Hao", "Daniel", "Fatima", "Haruto", "Ji-woo", "Kanya", "Lucía"]
FRIENDS += ["Mei-Ling", "Olivia", "Somchai", "Yuna"]
ENV = """\
# Written by `make run` with fresh secrets; yours to change, never overwritten.
# For a trial on this machine: production has other values, see .env.example.
# Without FIELD_KEYS nobody can read the stored credentials again: keep it.
SECRET_KEY={secret_key}
FIELD_KEYS={field_key}

SHOP_NAME="Clover Street Coffee"
SWEEP_EVERY=5
SYNC_EVERY=60

# Another port? Change WEB_PORT or SANDBOX_PORT alone: `make run` lets the port of
# every 127.0.0.1 address below follow.
WEB_PORT=8000
SANDBOX_PORT=8020
SITE_URL=http://127.0.0.1:8000
LINE_API_URL=http://127.0.0.1:8020
PADDLE_API_URL=http://127.0.0.1:8020/paddle.com
VIVOLDI_API_URL=http://127.0.0.1:8020/vivoldi.com
# Lets us speak plain http to this machine, which is where the sandbox is.
ALLOW_LOCAL_PROVIDERS=1

# The password of every example person.
EXAMPLE_PASSWORD={password}

# The LINE account that the sandbox plays, and who is friends with it.
SANDBOX_LINE_TOKEN={token}
SANDBOX_LINE_SECRET={secret}
SANDBOX_BOT_USER_ID={bot}
SANDBOX_HOOK_KEY={hook_key}
SANDBOX_CHANNEL="Clover Street Coffee"
SANDBOX_FRIENDS="{friends}"
SANDBOX_WEBHOOK_URL=http://127.0.0.1:8000/hooks/line/{hook_key}/

# Its accounts at Paddle and Vivoldi. The key that signs what its Paddle tells us is
# made at the first start and lies in var/sandbox.env.
SANDBOX_PADDLE_VENDOR_ID={paddle_vendor}
SANDBOX_PADDLE_AUTH_CODE={paddle_code}
SANDBOX_PADDLE_HOOK_KEY={paddle_hook}
SANDBOX_PADDLE_WEBHOOK_URL=http://127.0.0.1:8000/hooks/paddle/{paddle_hook}/
SANDBOX_VIVOLDI_API_KEY={vivoldi_key}
SANDBOX_VIVOLDI_SECRET={vivoldi_secret}
SANDBOX_VIVOLDI_HOOK_KEY={vivoldi_hook}
SANDBOX_VIVOLDI_WEBHOOK_URL=http://127.0.0.1:8000/hooks/vivoldi/{vivoldi_hook}/
"""


if __name__ == "__main__":
    main()
