"""How long each kind of process waits for the database."""

import os
import subprocess
import sys

import pytest

from couponadmin.tests.test_compose import COMPOSE, OURS
from run import PROCESSES, ROLES, ROOT
from running.process import Process

WEB, WORKER = ["3s", "10s", "15s"], ["5s", "55s", "1min"]
COMMAND = ["10s", "0", "10min"]  # 0: no limit
SHOW = """
from django.db import connection
names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
with connection.cursor() as cursor:
    for name in names:
        cursor.execute(f"SHOW {name}")
        print("shown", cursor.fetchone()[0])
"""
BY_HAND = f"import django; django.setup(){SHOW}"


def shown(*command, **environment):
    """What a process that is started by `command` gets from PostgreSQL."""
    base = {k: v for k, v in os.environ.items() if k != "PROCESS_ROLE"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=base | {"DJANGO_SETTINGS_MODULE": "couponadmin.settings"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    found = [line.split()[1] for line in lines if line.startswith("shown ")]
    return found or done.stderr


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("role", "timeouts"), [("web", WEB), ("worker", WORKER), ("command", COMMAND)]
)
def test_each_role_has_its_own_bounds(role, timeouts):
    assert shown("-c", BY_HAND, PROCESS_ROLE=role) == timeouts


@pytest.mark.postgres
def test_without_a_role_the_strict_bounds_of_web_hold():
    assert shown("-c", BY_HAND) == WEB


@pytest.mark.postgres
@pytest.mark.parametrize("inherited", [{}, {"PROCESS_ROLE": "web"}])
def test_manage_py_is_a_command_wherever_it_is_started(inherited):
    assert shown("manage.py", "shell", "-v", "0", "-c", SHOW, **inherited) == COMMAND


@pytest.mark.postgres
def test_the_web_entry_is_web_whatever_it_inherits():
    loaded = "import couponadmin.wsgi" + SHOW

    assert shown("-c", loaded, PROCESS_ROLE="command") == WEB


@pytest.mark.postgres
def test_a_worker_takes_its_role_from_its_environment():
    task = "from couponadmin.celery import app; app.loader.import_default_modules()"

    assert shown("-c", task + SHOW, PROCESS_ROLE="worker") == WORKER


@pytest.mark.postgres
@pytest.mark.parametrize("role", ROLES.values())
def test_one_value_for_all_overrides_the_roles(role):
    own = {"DB_LOCK_TIMEOUT": "1500", "DB_STATEMENT_TIMEOUT": "2500"}

    assert shown("-c", BY_HAND, PROCESS_ROLE=role, **own)[:2] == ["1500ms", "2500ms"]


@pytest.mark.parametrize("role", ["", "webb"])
def test_a_role_that_is_none_is_refused_with_those_there_are(role):
    said = shown("-c", BY_HAND, PROCESS_ROLE=role)

    assert f"PROCESS_ROLE={role}: it is one of web, worker, command." in said


def test_a_statement_of_a_worker_ends_before_its_task_is_stopped(settings):
    _, statement, _ = settings.PROCESS_ROLES["worker"]

    assert 0 < statement < settings.CELERY_TASK_SOFT_TIME_LIMIT * 1000


@pytest.mark.parametrize("name", ROLES)
def test_make_run_and_compose_give_the_same_role(name, tmp_path, settings):
    process = Process(name, {"VAR_DIR": str(tmp_path)})

    assert process.env["PROCESS_ROLE"] == ROLES[name]
    assert OURS[name]["environment"]["PROCESS_ROLE"] == ROLES[name]
    assert ROLES[name] in settings.PROCESS_ROLES


def test_whatever_is_started_and_is_no_sandbox_has_a_role():
    assert set(ROLES) == set(PROCESSES) - {"sandbox"}
    assert OURS["migrate"]["environment"]["PROCESS_ROLE"] == "command"


def test_a_role_takes_nothing_of_the_common_environment_away():
    common = COMPOSE["x-app"]["environment"]

    for name in [*ROLES, "migrate"]:
        assert common.items() <= OURS[name]["environment"].items()
