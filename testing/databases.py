"""Databases for programs that a test starts, migrated already: that takes seconds.

For tests of what is done in a database, not of how it came to its shape.
"""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from django.db import connection
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from testing.servers import postgres_binaries


def make_ready() -> None:
    """Prepare the tests' own database, which was just migrated.

    There is none where no test asks for it: then the one of the settings stays as it is.
    """
    name = str(connection.settings_dict["NAME"])
    if "memorydb" in name:
        _keep_copy()
    elif name.startswith(TEST_DATABASE_PREFIX):
        _wait_for_no_disk()


def _keep_copy() -> None:
    connection.ensure_connection()
    _copy().unlink(missing_ok=True)
    copy = sqlite3.connect(_copy())
    connection.connection.backup(copy)
    copy.close()


def _wait_for_no_disk() -> None:
    """It need not survive a power cut; what does so is tested on servers of its own."""
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        cursor.execute("SET synchronous_commit = off")


def _copy() -> Path:
    return Path(os.environ["TEST_VAR_DIR"]) / f"migrated-{os.getpid()}.sqlite3"


def database_for(folder: Path) -> str:
    """The address of the test's own database, as other processes reach it.

    SQLite's lies in this process's memory: they get a fresh one, in the folder.
    """
    if connection.vendor == "sqlite":
        file = folder / "test.sqlite3"
        shutil.copyfile(_copy(), file)
        return f"sqlite:///{file}"
    name = connection.settings_dict["NAME"]
    return os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"


def give_shape(address: str) -> None:
    """Give an empty PostgreSQL database the tables of the test's own."""
    binaries = postgres_binaries()
    dump = subprocess.run(
        [binaries / "pg_dump", "--no-owner", database_for(Path())],
        capture_output=True,
        check=True,
    )
    subprocess.run(
        [binaries / "psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", address],
        input=dump.stdout,
        capture_output=True,
        check=True,
    )
