"""PostgreSQL and Redis of a test's own: killed and restarted, while others' go on.

    with private_postgres() as postgres, private_redis() as redis:
        ...DATABASE_URL=postgres.url, REDIS_URL=redis.url...
        postgres.restart_immediate()
        redis.kill()
        redis.start()

Each has a folder and a port of its own, and all of it is gone at the end. A program that
is not installed is a failure, never a skip.
"""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import redis

START_WITHIN = 30  # seconds
# Below those that Linux gives to outgoing connections: a server that is away for a
# second must not find its port taken by one of its own clients.
PORTS = range(20_000, 32_000)
TRIES = 5  # of a first start: another test may have chosen the same port


class ServerMissing(Exception):
    """A program that these tests need is not installed."""


def quiet_port() -> int:
    """A port that nobody listens on and no client gets by chance."""
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A child process that listens; `start` comes back when it answers."""

    def __init__(self, folder: Path, **popen: Any) -> None:
        self.folder = folder
        self.popen = popen
        self.port = quiet_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start_first(self) -> None:
        """The first start, which may still choose its port."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(ChildProcessError):
                self.start()
                return
            self.port = quiet_port()
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.popen,
            )
        ends = time.monotonic() + START_WITHIN
        while not self.answers():
            if self.process.poll() is not None:
                raise ChildProcessError(f"It ended at once:\n{self.end_of_log()}")
            if time.monotonic() > ends:
                self.end(signal.SIGKILL)
                raise TimeoutError(f"It does not answer:\n{self.end_of_log()}")
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait until it is gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


class PrivatePostgres(Server):
    """A cluster of its own, with fsync on, as in production."""

    def __init__(self, folder: Path, binaries: Path, **popen: Any) -> None:
        super().__init__(folder, **popen)
        self.binaries = binaries
        self.cluster = folder / "cluster"

    @property
    def url(self) -> str:
        """The address of the database `postgres`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the cluster's files."""
        done = subprocess.run(
            [
                str(self.binaries / "initdb"),
                "--pgdata",
                str(self.cluster),
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",  # the files it makes, not the server's commits
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self.popen,
        )
        if done.returncode:
            raise ChildProcessError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def create_database(self, name: str) -> str:
        """An empty database; its address."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "fsync": "on",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self.binaries / "postgres"), "-D", str(self.cluster), *options]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def stop(self) -> None:
        """As `pg_ctl -m fast stop`: open transactions are rolled back."""
        self.end(signal.SIGINT)

    def restart_immediate(self) -> None:
        """As `pg_ctl -m immediate restart`: no checkpoint, then crash recovery."""
        self.end(signal.SIGQUIT)
        self.start()


class PrivateRedis(Server):
    """A Redis of its own; with `appendonly`, it keeps what it holds when it is killed."""

    def __init__(self, folder: Path, binary: str, *, appendonly: bool) -> None:
        super().__init__(folder)
        self.binary = binary
        self.appendonly = appendonly

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            "maxmemory-policy": "noeviction",
        }
        pairs = [(f"--{name}", str(value)) for name, value in settings.items()]
        return [self.binary, *(word for pair in pairs for word in pair)]

    def answers(self) -> bool:
        client = redis.Redis(port=self.port, socket_timeout=2, retry=None)
        try:
            return bool(client.ping())
        except redis.RedisError:  # refused, or it is still reading its file
            return False
        finally:
            client.close()

    def kill(self) -> None:
        """At once, as when the machine loses its power."""
        self.end(signal.SIGKILL)


@contextlib.contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL server that a test may stop, kill and restart."""
    binaries = postgres_binaries()
    with own_folder("postgres-") as folder:
        server = PrivatePostgres(folder, binaries, **other_user(folder))
        try:
            server.create()
            server.start_first()
            yield server
        finally:
            server.end(signal.SIGQUIT)


@contextlib.contextmanager
def private_redis(*, appendonly: bool = True) -> Iterator[PrivateRedis]:
    """A Redis server that a test may kill and start again."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServerMissing("redis-server is not installed: apt install redis-server.")
    with own_folder("redis-") as folder:
        server = PrivateRedis(folder, binary, appendonly=appendonly)
        try:
            server.start_first()
            yield server
        finally:
            server.kill()


def postgres_binaries() -> Path:
    """The folder with initdb and postgres: Debian's newest, else by PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(debian, key=lambda path: float(path.parent.parent.name))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise ServerMissing("PostgreSQL is not installed: apt install postgresql.")
    return (found[-1] if found else Path(str(on_path)).resolve()).parent


def other_user(folder: Path) -> dict[str, Any]:
    """What makes Popen run PostgreSQL, which refuses to be root, as somebody else."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise ServerMissing("There is no user postgres to run a server as.") from None
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """A folder that is gone afterwards, whoever wrote into it."""
    # Not pytest's, which no other user may enter.
    folder = tempfile.mkdtemp(prefix=prefix)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
