"""All processes together: they start, are watched and stop as one."""

import http.client
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from run import PROCESSES, CannotRun, last_lines, say
from running.prepare import manage
from running.process import Process, post_mortem

START_WITHIN = 60.0  # seconds until web and sandbox must answer
STOP_WITHIN = 10.0  # seconds from SIGTERM to SIGKILL; an idle worker takes 7


class House:
    """All processes together: they start, are watched and stop as one."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.asked_to_stop = 0
        self.processes = [Process(name, env) for name in PROCESSES]

    def run(self) -> int:
        """Until somebody asks it to stop. Raises CannotRun if it cannot stay up."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.note_signal)
        say("Starting " + ", ".join(PROCESSES) + " ...")
        try:
            for process in self.processes:
                process.start()
            logins = manage(self.env, "example_data", "--logins")
            if self.wait_until_ready():
                say(welcome(self.env, logins))
                self.watch()
        finally:
            self.stop()
        say("Stopped.")
        return 0

    def note_signal(self, *_: object) -> None:
        # An exception here could come in the middle of a start; a number cannot.
        self.asked_to_stop += 1

    def wait_until_ready(self) -> bool:
        """Whether web and sandbox answer; False if asked to stop. Raises CannotRun."""
        waiting = ready_checks(self.env)
        until = time.monotonic() + START_WITHIN
        while waiting and not self.asked_to_stop:
            for process in self.processes:
                if process.has_ended():
                    raise CannotRun(post_mortem(process, "right at the start"))
            waiting = {n: check for n, check in waiting.items() if not answers(*check)}
            if waiting and time.monotonic() > until:
                late = next(p for p in self.processes if p.name in waiting)
                raise CannotRun(
                    f"{last_lines(late.log)}\n\nThe {late.name} process does not answer "
                    f"after {START_WITHIN:.0f} seconds; above is the end of {late.log}."
                )
            time.sleep(0.1)
        return not self.asked_to_stop

    def watch(self) -> None:
        """Until asked to stop: start again what ended, once. Raises CannotRun."""
        while not self.asked_to_stop:
            for process in self.processes:
                if not process.has_ended():
                    continue
                if not process.may_restart():
                    raise CannotRun(post_mortem(process, "twice in a short time"))
                say(f"{process.name:>8} | {process.how()}; starting it again.")
                process.restart()
            time.sleep(0.2)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after a while or at a second Ctrl-C."""
        say("\nStopping, some seconds (Ctrl-C again: at once) ...")
        so_far = self.asked_to_stop
        started = [p for p in self.processes if hasattr(p, "popen")]
        for process in started:
            process.ask_to_stop()
        until = time.monotonic() + STOP_WITHIN
        while time.monotonic() < until and self.asked_to_stop == so_far:
            if all(process.has_ended() for process in started):
                break
            time.sleep(0.05)
        for process in started:
            process.send(signal.SIGKILL)
            process.popen.wait()


def ready_checks(env: Mapping[str, str]) -> dict[str, tuple[str, int, str, str]]:
    """Process -> host, port, Host header and path that answer once it is ready."""
    site = urlsplit(env["SITE_URL"]).netloc
    web = reachable(env["WEB_HOST"])
    sandbox = reachable(env.get("SANDBOX_HOST", "127.0.0.1"))
    sandbox_port = int(env["SANDBOX_PORT"])
    return {
        "web": (web, int(env["WEB_PORT"]), site, "/healthz"),
        "sandbox": (sandbox, sandbox_port, f"{sandbox}:{sandbox_port}", "/"),
    }


def reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def answers(host: str, port: int, name: str, path: str) -> bool:
    """Whether a GET of this path, asked under this Host name, gives 200."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": name})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def welcome(env: Mapping[str, str], logins: str) -> str:
    """The box that says where everything is."""
    site, phone = env["SITE_URL"], f"http://127.0.0.1:{env['SANDBOX_PORT']}"
    rows = [
        f"Back office    {site}/admin/",
        f"Store screen   {site}/store/",
        f"Phone          {phone}/   plays LINE: no message leaves this machine",
        f"Paddle         {phone}/paddle   plays its dashboard and checkout",
        f"Vivoldi        {phone}/vivoldi   plays its dashboard and coupon pages",
        "",
        *logins.strip().splitlines(),
        "",
        f"Logs are in {Path(env['VAR_DIR']) / 'logs'}. Ctrl-C stops all of it.",
    ]
    line = "-" * max(map(len, rows))
    return "\n".join(["", line, *rows, line, ""])
