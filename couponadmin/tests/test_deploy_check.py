"""`check --deploy`: silent for the settings that we tell a production to have."""

import base64
import os
import re
import secrets
import subprocess
import sys

import pytest

from couponadmin import checks
from couponadmin.tests.test_compose import COMPOSE
from run import ROOT, new_env
from running.environment import complete

FIELD_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
# What .env.example says to fill in, made as it says.
FILLED_IN = {
    "SITE_URL": "https://coupons.example.com",
    "SECRET_KEY": base64.b64encode(secrets.token_bytes(48)).decode(),
    "FIELD_KEYS": FIELD_KEY,
    "POSTGRES_PASSWORD": secrets.token_hex(24),
    "SHOP_NAME": "Clover Street Coffee",
}


def in_compose():
    """The environment of a service as docker-compose.yml makes it from `FILLED_IN`."""
    values = COMPOSE["x-app"]["environment"]
    return FILLED_IN | {
        name: re.sub(r"\$\{(\w+)[^}]*\}", lambda m: FILLED_IN[m[1]], value)
        for name, value in values.items()
    }


def manage(command, tmp_path, environment):
    passed_on = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull}
    return subprocess.run(
        [sys.executable, "manage.py", *command.split()],
        cwd=ROOT,
        env=passed_on | {"VAR_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_is_to_be_filled_in_is_what_env_example_says():
    text = (ROOT / ".env.example").read_text()
    first = text.split("# --- The shop")[0]

    assert set(re.findall(r"^([A-Z_]+)=$", first, re.M)) == set(FILLED_IN)
    assert not re.search(r"^[A-Z_]+=", text.removeprefix(first), re.M)


def test_the_documented_settings_leave_nothing_to_say(tmp_path):
    done = manage("check --deploy --fail-level WARNING", tmp_path, in_compose())

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "System check identified no issues (0 silenced)."


@pytest.mark.parametrize(
    ("wrong", "problem", "words"),
    [
        ({"FIELD_KEYS": f"{FIELD_KEY},abc"}, "E001", "Key 2 of FIELD_KEYS"),
        ({"SECRET_KEY": "for-checks-only"}, "E002", "SECRET_KEY holds a key"),
        ({"SECRET_KEY_FALLBACKS": "build-only"}, "E002", "SECRET_KEY_FALLBACKS"),
        (
            {"FIELD_KEYS": f"{FIELD_KEY},{os.environ['FIELD_KEYS']}"},
            "E002",
            "FIELD_KEYS holds a key",
        ),
        ({"SITE_URL": "http://coupons.example.com"}, "E003", "SITE_URL is not https"),
        ({"LINE_API_URL": "http://api.line.me"}, "E004", "LINE_API_URL is not https"),
        ({"ALLOW_LOCAL_PROVIDERS": "1"}, "E005", "ALLOW_LOCAL_PROVIDERS is on"),
        ({"DATABASE_URL": "sqlite:////tmp/x.sqlite3"}, "E006", "not PostgreSQL"),
        ({"REDIS_URL": ""}, "E007", "REDIS_URL is empty"),
        ({"PROXY_COUNT": "0"}, "W001", "PROXY_COUNT is 0"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is_shown(tmp_path, wrong, problem, words):
    environment = in_compose() | wrong

    done = manage("check --deploy --fail-level WARNING", tmp_path, environment)

    assert done.returncode == 1
    assert f"(couponadmin.{problem})" in done.stderr
    assert words in done.stderr
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        assert environment[name] not in done.stderr
    assert FIELD_KEY not in done.stderr


def test_debug_is_named_by_django(tmp_path):
    done = manage("check --deploy", tmp_path, in_compose() | {"DEBUG": "1"})

    assert "security.W018" in done.stderr


def test_what_make_run_writes_is_no_production(tmp_path):
    lines = re.findall(r"^(\w+)=(.*)$", new_env(), re.M)
    trial = complete({name: value.strip('"') for name, value in lines})

    done = manage("check --deploy", tmp_path, trial)

    assert done.returncode == 1
    for problem in ("E003", "E004", "E005", "E006", "E007"):
        assert f"couponadmin.{problem}" in done.stderr


def test_every_key_that_stands_in_this_project_is_known():
    """Otherwise somebody could copy one from here into a production."""
    sources = {
        path: (ROOT / path).read_text()
        for path in ("Makefile", "Dockerfile", ".ci/run", "testing/environment.py")
    }
    written = {
        value
        for text in sources.values()
        for value in re.findall(r'\b(?:SECRET_KEY|FIELD_KEYS)=["\']?([^\s"\'$]+)', text)
    }
    shared = "testing/environment.py"
    pairs = [
        pair
        for path in (shared, "benchmarks/_house.py", "benchmarks/ledger.py")
        for pair in re.findall(r'"(\w+)": "(.*)"', (ROOT / path).read_text())
    ]
    written |= {key for name, key in pairs if name in ("SECRET_KEY", "FIELD_KEYS")}

    assert written == checks.KNOWN_KEYS


# --- Before anything else: the settings themselves ---------------------------------------


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_KEYS"])
@pytest.mark.parametrize("command", ["migrate", "rotate_field_keys"])
def test_a_missing_secret_is_one_sentence_and_no_traceback(tmp_path, name, command):
    environment = in_compose()
    del environment[name]

    done = manage(command, tmp_path, environment)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"Set the {name} environment variable")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_KEYS"])
def test_an_empty_secret_is_one_sentence_too(tmp_path, name):
    done = manage("migrate", tmp_path, in_compose() | {name: ""})

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("SECRET_KEY and FIELD_KEYS must not be empty.")


@pytest.mark.parametrize(
    "keys",
    ["abc", f"{FIELD_KEY},abc", "日本"],
    ids=["no key", "one that is none", "no ASCII"],
)
def test_a_bad_field_key_stops_the_migration_that_comes_before_all_else(tmp_path, keys):
    environment = {"SECRET_KEY": "x" * 50, "FIELD_KEYS": keys}  # on SQLite

    done = manage("migrate", tmp_path, environment)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "couponadmin.E001" in done.stderr
    assert "Applying" not in done.stdout
