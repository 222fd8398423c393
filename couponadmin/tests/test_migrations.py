"""Every migration runs forward, back, and forward again, and leaves what it found."""

import contextlib
import json
import os
import subprocess
import sys

import psycopg
import pytest
from django.db.migrations.loader import MigrationLoader

from couponadmin.tests.walking import our_apps, schema
from run import ROOT
from testing.house import own_database

pytestmark = [pytest.mark.postgres, pytest.mark.processes, pytest.mark.django_db]


@contextlib.contextmanager
def quick_database():
    """An empty one that need not survive a power cut: hundreds of commits follow."""
    with own_database() as address:
        with psycopg.connect(address, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        yield address


def python(tmp_path, address, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ
        | {
            "DATABASE_URL": address,
            "VAR_DIR": str(tmp_path),
            "PROCESS_ROLE": "command",
            "DJANGO_SETTINGS_MODULE": "couponadmin.settings",
        },
        capture_output=True,
        text=True,
        timeout=600,  # seconds
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """What walking.py found in a database of its own."""
    with quick_database() as address:
        folder = tmp_path_factory.mktemp("walk")
        return json.loads(python(folder, address, "-m", "couponadmin.tests.walking"))


@pytest.fixture(scope="module")
def fresh(django_db_setup, django_db_blocker):
    """The schema of a database that was only ever migrated forward: the test's own."""
    with django_db_blocker.unblock():
        return schema()


def test_every_migration_of_ours_is_walked(walked):
    loader = MigrationLoader(None)
    ours = {
        f"{app}.{name}" for app, name in loader.disk_migrations if app in our_apps()
    }

    assert {step["name"] for step in walked["steps"]} == ours
    assert len(ours) > 15, "too few found"


def test_back_leaves_the_schema_as_it_was_before_forward(walked):
    assert {s["name"]: s["undone"] for s in walked["steps"] if s["undone"]} == {}


def test_forward_again_gives_what_forward_gave(walked):
    assert {s["name"]: s["again"] for s in walked["steps"] if s["again"]} == {}


def test_after_the_walk_there_is_nothing_to_do_and_the_schema_is_a_fresh_ones(
    walked, fresh
):
    assert "No migrations to apply" in walked["left_to_do"]
    assert walked["walked"] == fresh
    assert all(fresh.values()), "a kind of which nothing was read"


def test_back_to_zero_leaves_nothing_of_ours_and_forward_gives_all_of_it(walked, fresh):
    assert walked["after_zero"] == []
    assert walked["from_zero"] == fresh


def test_the_newest_migration_of_each_app_goes_back_and_forth_without_loss(
    walked, fresh
):
    lost = {
        app: found["lost"]
        for app, found in walked["with_data"].items()
        if found.get("lost")
    }

    assert lost == {}
    assert walked["with_data_schema"] == fresh
