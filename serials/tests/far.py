"""Steps that a test runs in processes of their own: `python -m serials.tests.far`.

Each prints one line of JSON; `work` and `work_naively` go on until they are killed.
"""

import json
import os
import sys
import time
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

import psycopg  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.files import File  # noqa: E402
from django.db import (  # noqa: E402
    InterfaceError,
    OperationalError,
    close_old_connections,
)
from django.utils import timezone  # noqa: E402

from reports.ledger import find_breaks  # noqa: E402
from serials import importing, services  # noqa: E402
from serials.models import Batch  # noqa: E402
from testing.factories import make_campaign, make_serials  # noqa: E402

REST = 0.02  # seconds between two looks for work
LEASE_OVER = timedelta(minutes=1)


def upload(file, known):
    """Upload a file into a campaign that has the serials of another file already."""
    campaign = make_campaign(barcode="none")
    with open(known) as lines:
        make_serials(campaign, lines.read().split())
    with open(file, "rb") as data:
        return services.start_import(
            campaign, file=File(data), name="under fire", by=None
        ).pk


def confirm(batch):
    services.confirm(Batch.objects.get(pk=batch))


def audit():
    return [f"{found.what} {found.rows}" for found in find_breaks(now=timezone.now())]


def work(block, hours):
    """Do what is due, as a worker does that the sweep wakes, and say what was cut off.

    After each loss its clock goes on by more than a lease; so it does for who comes
    `hours` later. That is what a real worker waits for.
    """
    settings.IMPORT_BLOCK = int(block)
    ahead = timedelta(hours=int(hours))
    while True:
        try:
            due = Batch.objects.due(timezone.now() + ahead).order_by("pk")
            for batch in due.values_list("pk", flat=True):
                is_cut_off = not work_on(batch, ahead)
                ahead += LEASE_OVER * is_cut_off
        except (OperationalError, InterfaceError):
            say("the database is away")
        close_old_connections()
        time.sleep(REST)


def work_on(batch, ahead):
    """Whether it came through."""
    try:
        importing.run(batch, seconds=3600, clock=lambda: timezone.now() + ahead)
    except (OperationalError, InterfaceError) as error:
        say(f"cut off: {error}")
        return False
    return True


def work_naively(url, file, block, _hours):
    """The control: rows and checkpoint are committed apart, and no key is unique."""
    with open(file) as lines:
        rows = lines.read().splitlines()
    while True:
        try:
            with psycopg.connect(url, autocommit=True) as database:
                import_naively(database, rows, int(block))
        except psycopg.OperationalError as error:
            say(f"cut off: {error}")
        time.sleep(REST)


def import_naively(database, rows, block):
    [done] = database.execute("SELECT done_to FROM naive_batch").fetchone()
    for first in range(done, len(rows), block):
        for row in rows[first : first + block]:
            database.execute("INSERT INTO naive_serial VALUES (%s)", [row])
        database.execute("UPDATE naive_batch SET done_to = %s", [first + block])
    database.execute("UPDATE naive_batch SET state = 'ready'")


def say(words):
    sys.stderr.write(words.replace("\n", " ") + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    step: dict[str, Any] = {
        "audit": audit,
        "confirm": confirm,
        "upload": upload,
        "work": work,
        "work_naively": work_naively,
    }
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
