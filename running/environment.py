"""What the processes are told, and whether they may start at all."""

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from run import ROOT, CannotRun

NEEDED = (
    "SECRET_KEY",
    "FIELD_KEYS",
    "SANDBOX_LINE_TOKEN",
    "SANDBOX_LINE_SECRET",
    "SANDBOX_BOT_USER_ID",
    "SANDBOX_HOOK_KEY",
)
LOCAL = ("127.0.0.1", "localhost", "::1")


def complete(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of all processes: defaults filled in, local addresses agreeing.

    Raises CannotRun if a value is missing or a port is not one.
    """
    if missing := [name for name in NEEDED if not given.get(name)]:
        raise CannotRun(
            f"{', '.join(missing)} should be in .env. Add what is missing, or move "
            ".env away: `make run` then writes a new one."
        )
    env = {"WEB_HOST": "127.0.0.1", "WEB_WORKERS": "3", "PYTHONUNBUFFERED": "1"}
    env |= given
    web = port_in(env, "WEB_PORT", 8000)
    sandbox = port_in(env, "SANDBOX_PORT", 8020)
    if web == sandbox:
        raise CannotRun(
            f"WEB_PORT and SANDBOX_PORT are both {web}: change one in .env."
        )
    env |= {"WEB_PORT": str(web), "SANDBOX_PORT": str(sandbox)}
    hook = f"http://127.0.0.1:{web}/hooks/line/{env['SANDBOX_HOOK_KEY']}/"
    env.setdefault("SANDBOX_WEBHOOK_URL", hook)
    env.setdefault("SITE_URL", f"http://127.0.0.1:{web}")
    env.setdefault("LINE_API_URL", f"http://127.0.0.1:{sandbox}")
    for name in ("SITE_URL", "SANDBOX_WEBHOOK_URL"):
        env[name] = with_port(env[name], web)
    env["LINE_API_URL"] = with_port(env["LINE_API_URL"], sandbox)
    for provider in ("paddle", "vivoldi"):
        follow(env, provider, web, sandbox)
    env["VAR_DIR"] = str(var_dir(env))
    env.setdefault("SANDBOX_DATA", str(Path(env["VAR_DIR"]) / "sandbox.sqlite3"))
    return env


def follow(env: dict[str, str], provider: str, web: int, sandbox: int) -> None:
    """Let the addresses between us and the sandbox's Paddle or Vivoldi agree."""
    name = provider.upper()
    api = env.get(f"{name}_API_URL") or f"http://127.0.0.1/{provider}.com"
    env[f"{name}_API_URL"] = with_port(api, sandbox)
    key = env.get(f"SANDBOX_{name}_HOOK_KEY")
    hook = env.get(f"SANDBOX_{name}_WEBHOOK_URL")
    if key and not hook:
        hook = f"http://127.0.0.1/hooks/{provider}/{key}/"
    if hook:
        env[f"SANDBOX_{name}_WEBHOOK_URL"] = with_port(hook, web)


def var_dir(given: Mapping[str, str]) -> Path:
    """Where everything that is written lies."""
    return Path(given.get("VAR_DIR") or ROOT / "var").resolve()


def port_in(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise CannotRun(f"{name}={text}: a port is a number from 1 to 65535.")
    return int(text)


def with_port(url: str, port: int) -> str:
    """The same address with this port, if it is one of this machine."""
    parts = urlsplit(url)
    if parts.hostname not in LOCAL or parts.scheme != "http":
        return url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts._replace(netloc=f"{host}:{port}").geturl()


def check_ports(env: Mapping[str, str]) -> None:
    """Raise CannotRun if somebody else has one of our ports."""
    wanted = (
        ("WEB_PORT", env["WEB_HOST"]),
        ("SANDBOX_PORT", env.get("SANDBOX_HOST", "127.0.0.1")),
    )
    for name, host in wanted:
        if not is_free(host, int(env[name])):
            raise CannotRun(
                f"Port {env[name]} is taken. Stop what uses it (`lsof -i :{env[name]}` "
                f"names it) or set {name} in .env to another number; the addresses "
                "that contain it follow."
            )


def is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold this lock meanwhile; the system drops it when the process ends anyhow."""
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRun(already_running(path)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def already_running(lock: Path) -> str:
    return (
        f"`make run` is already running here (process {lock.read_text().strip()}). "
        "Its addresses stand in its terminal; Ctrl-C there stops it."
    )
