"""Before the start: database, static files, example data."""

import hashlib
import subprocess
import sys
from pathlib import Path

from run import ROOT, CannotRun, last_lines, say


def prepare(env: dict[str, str]) -> None:
    """Bring database, static files and example data up to date. Raises CannotRun."""
    say("Bringing the database up to date ...")
    manage(env, "migrate", "--noinput")
    collect_static(env)
    manage(env, "example_data")  # adds nothing to a database in use


def collect_static(env: dict[str, str]) -> None:
    """Collect and compress static files, unless none changed since the last time."""
    stamp = Path(env["VAR_DIR"]) / "static.stamp"
    now = static_fingerprint()
    if stamp.exists() and stamp.read_text() == now:
        return
    say("Collecting static files ...")
    manage(env, "collectstatic", "--noinput", "--clear")
    stamp.write_text(now)


def static_fingerprint() -> str:
    """Changes with our static files, their settings and the installed packages."""
    seen = hashlib.sha256()
    for name in ("requirements.txt", "couponadmin/settings.py"):
        seen.update((ROOT / name).read_bytes())
    folders = [ROOT / "static", *(p.parent / "static" for p in ROOT.glob("*/apps.py"))]
    folders += [p.parent / "static" for p in ROOT.glob("*/__init__.py")]
    for path in sorted({f for folder in folders for f in folder.rglob("*")}):
        at = path.stat()
        seen.update(f"{path} {at.st_mtime_ns} {at.st_size}\n".encode())
    return seen.hexdigest()


def manage(env: dict[str, str], *arguments: str) -> str:
    """Run one of manage.py's commands; what it printed. Raises CannotRun."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "manage.py", *arguments],
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        log = Path(env["VAR_DIR"]) / "logs" / f"{arguments[0]}.log"
        log.write_text(done.stdout + done.stderr)
        raise CannotRun(
            f"{last_lines(log)}\n\n`manage.py {arguments[0]}` failed; above is the end "
            f"of what it said, all of it: {log}"
        )
    return done.stdout
