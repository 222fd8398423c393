"""`make run`: what it says, what it writes, and that it leaves nothing behind."""

import ast
import base64
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

import run
from running.accounts import MAKERS, with_accounts
from running.environment import check_ports, complete, is_free, only_one, with_port
from running.process import notable

GIVEN = {
    "SECRET_KEY": "x",
    "FIELD_KEYS": "x",
    "SANDBOX_LINE_TOKEN": "t",
    "SANDBOX_LINE_SECRET": "s",
    "SANDBOX_BOT_USER_ID": "U1",
    "SANDBOX_HOOK_KEY": "key",
}


# --- On a bare machine ----------------------------------------------------------------


def test_the_first_half_can_be_read_by_an_old_python():
    ast.parse((run.ROOT / "run.py").read_text(), feature_version=(3, 6))


def test_an_old_python_is_told_what_to_do():
    said = run.too_old((3, 8), None)

    assert said.startswith("Python 3.11 or newer is needed, this is 3.8: install one")
    assert "make run PYTHON=python3.12" in said


def test_an_old_python_is_told_of_a_newer_one_on_the_machine():
    assert "run `make run PYTHON=python3.13`" in run.too_old((3, 8), "python3.13")


def test_a_missing_venv_module_is_named_with_its_package():
    assert "apt install python3-venv (or python3.11-venv)" in run.no_venv((3, 11))
    assert not run.is_there("surely_no_such_module")


def test_a_python_that_does_not_start_is_no_newer_one(tmp_path):
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)

    assert not run.starts(str(shim))
    assert not run.starts(str(tmp_path / "nothing"))
    assert run.starts(sys.executable)


@pytest.mark.processes
def test_set_up_makes_an_environment_once_and_again_when_pins_change(tmp_path):
    shutil.copy(run.ROOT / "run.py", tmp_path)
    pins = tmp_path / "requirements.txt"
    pins.write_text("# nothing\n")

    first, second = set_up(tmp_path), set_up(tmp_path)
    pins.write_text("# nothing, said otherwise\n")
    third = set_up(tmp_path)
    pins.write_text("no-such-file.whl\n")
    broken = set_up(tmp_path)

    assert "Making a virtual environment" in first.stdout
    assert second.stdout == ""
    assert "Installing requirements.txt" in third.stdout
    assert "Making" not in third.stdout
    assert broken.returncode == 1
    assert "pip could not install requirements.txt" in broken.stderr
    assert "Traceback" not in broken.stderr


def set_up(folder):
    return subprocess.run(
        [sys.executable, "run.py", "--setup", "requirements.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_pins_that_a_file_includes_count_as_its_own(tmp_path):
    (tmp_path / "requirements.txt").write_text("django==1\n")
    dev = tmp_path / "requirements-dev.txt"
    dev.write_text("-r requirements.txt\n")
    before = run.fingerprint(dev)

    (tmp_path / "requirements.txt").write_text("django==2\n")

    assert run.fingerprint(dev) != before


# --- .env -----------------------------------------------------------------------------


def test_env_is_written_for_its_owner_alone(tmp_path):
    path = tmp_path / ".env"

    assert run.write_env(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_env_is_kept(tmp_path):
    path = tmp_path / ".env"
    path.write_text("SECRET_KEY=mine\n")

    assert not run.write_env(path)

    assert path.read_text() == "SECRET_KEY=mine\n"


def test_each_env_has_fresh_secrets_of_the_right_form():
    one, other = values(run.new_env()), values(run.new_env())

    for name in GIVEN:
        assert one[name] != other[name]
    assert len(base64.urlsafe_b64decode(one["FIELD_KEYS"])) == 32
    assert len(one["SANDBOX_BOT_USER_ID"]) == 33
    assert one["SANDBOX_HOOK_KEY"] in one["SANDBOX_WEBHOOK_URL"]


def values(text):
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_a_missing_value_is_named():
    with pytest.raises(run.CannotRun, match=r"^FIELD_KEYS should be in .env"):
        complete(GIVEN | {"FIELD_KEYS": ""})


# --- Accounts at Paddle and Vivoldi ---------------------------------------------------


def test_an_older_env_gets_accounts_that_stay(tmp_path):
    path = tmp_path / "sandbox.env"

    first, second = with_accounts(GIVEN, path), with_accounts(GIVEN, path)

    assert first == second
    assert GIVEN.items() <= first.items()
    assert set(first) == set(GIVEN) | set(MAKERS)
    assert all(first.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_an_env_names_is_not_made_up(tmp_path):
    path = tmp_path / "sandbox.env"
    given = values(run.new_env())

    env = with_accounts(given, path)

    assert given.items() <= env.items()
    made = {name for name in env if name not in given}
    assert made == {"SANDBOX_PADDLE_KEY"}
    assert "SANDBOX_PADDLE_KEY=" in path.read_text()
    assert "VIVOLDI" not in path.read_text()


def test_a_value_that_goes_missing_later_is_added_to_the_others(tmp_path):
    path = tmp_path / "sandbox.env"
    given = values(run.new_env())
    key = with_accounts(given, path)["SANDBOX_PADDLE_KEY"]

    env = with_accounts(given | {"SANDBOX_VIVOLDI_SECRET": ""}, path)

    assert env["SANDBOX_PADDLE_KEY"] == key
    assert len(env["SANDBOX_VIVOLDI_SECRET"]) == 32


# --- Ports and addresses --------------------------------------------------------------


def test_local_addresses_follow_a_changed_port():
    env = complete(values(run.new_env()) | {"WEB_PORT": "8100", "SANDBOX_PORT": "8120"})

    assert env["SITE_URL"] == "http://127.0.0.1:8100"
    assert env["SANDBOX_WEBHOOK_URL"].startswith("http://127.0.0.1:8100/hooks/line/")
    assert env["LINE_API_URL"] == "http://127.0.0.1:8120"
    assert env["PADDLE_API_URL"] == "http://127.0.0.1:8120/paddle.com"
    assert env["VIVOLDI_API_URL"] == "http://127.0.0.1:8120/vivoldi.com"
    for name in ("paddle", "vivoldi"):
        hook = env[f"SANDBOX_{name.upper()}_WEBHOOK_URL"]
        assert hook.startswith(f"http://127.0.0.1:8100/hooks/{name}/")


def test_an_env_without_paddle_and_vivoldi_gets_their_addresses():
    env = complete(GIVEN | {"SANDBOX_PORT": "8120", "SANDBOX_PADDLE_HOOK_KEY": "key"})

    assert env["PADDLE_API_URL"] == "http://127.0.0.1:8120/paddle.com"
    assert env["VIVOLDI_API_URL"] == "http://127.0.0.1:8120/vivoldi.com"
    assert (
        env["SANDBOX_PADDLE_WEBHOOK_URL"] == "http://127.0.0.1:8000/hooks/paddle/key/"
    )
    assert "SANDBOX_VIVOLDI_WEBHOOK_URL" not in env


def test_providers_elsewhere_stay_where_they_are():
    real = {
        "PADDLE_API_URL": "https://vendors.paddle.com",
        "VIVOLDI_API_URL": "https://vivoldi.com",
    }

    assert real.items() <= complete(GIVEN | real).items()


@pytest.mark.parametrize("url", ["https://shop.example", "https://api.line.me"])
def test_addresses_elsewhere_stay_as_they_are(url):
    assert with_port(url, 8100) == url


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(run.CannotRun, match=r"a number from 1 to 65535"):
        complete(GIVEN | {"WEB_PORT": port})


def test_both_ports_must_differ():
    with pytest.raises(run.CannotRun, match=r"are both 8100"):
        complete(GIVEN | {"WEB_PORT": "8100", "SANDBOX_PORT": "8100"})


def test_a_taken_port_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        env = complete(
            GIVEN | {"SANDBOX_PORT": str(port), "WEB_PORT": str(free_port())}
        )

        with pytest.raises(run.CannotRun) as refusal:
            check_ports(env)

    assert f"Port {port} is taken" in str(refusal.value)
    assert "set SANDBOX_PORT in .env" in str(refusal.value)
    assert is_free("127.0.0.1", port)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_a_second_run_in_the_same_place_is_refused(tmp_path):
    lock = tmp_path / "run.lock"

    with only_one(lock):
        with pytest.raises(
            run.CannotRun, match=rf"running here \(process {os.getpid()}"
        ):
            with only_one(lock):
                pass  # not reached

    with only_one(lock):
        assert lock.exists()


# --- The terminal ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"level": "info", "event": "x"}', None),
        ('{"level": "warning", "event": "database.away"}', "warning: database.away"),
        (
            '{"level": "error", "event": "a\\nb", "trace": "Traceback\\nKeyError: 1"}',
            "error: a / KeyError: 1",
        ),
        ("    . logfile -> [stderr]@%WARNING", None),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("ValueError: no", "ValueError: no"),
        ("12", None),
        ("", None),
    ],
)
def test_the_terminal_shows_warnings_and_errors_in_one_line(line, shown):
    assert notable(line) == shown


# --- All of it ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The environment of a `make run` with its own ports, data and secrets.

    Kept between tests: a second start is quicker than a first one.
    """
    folder = tmp_path_factory.mktemp("trial")
    run.write_env(folder / ".env")
    passed_on = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
    return passed_on | {
        "ENV_FILE": str(folder / ".env"),
        "VAR_DIR": str(folder / "var"),
        "WEB_PORT": str(free_port()),
        "SANDBOX_PORT": str(free_port()),
        "WEB_WORKERS": "1",
    }


@contextmanager
def started(env):
    """`make run`'s second half, killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "running"],
        cwd=run.ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as house:
        try:
            yield house
        finally:
            house.kill()


def read_until_ready(house):
    said = []
    for line in house.stdout:
        said.append(line)
        if "Ctrl-C stops all of it" in line:
            return "".join(said)
    raise AssertionError("".join(said))


def children_of(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return [int(number) for number in listed.stdout.split() if alive(int(number))]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ports_of(env):
    return [int(env["WEB_PORT"]), int(env["SANDBOX_PORT"])]


def wait_until_gone(pids, env, *, within):
    until = time.monotonic() + within
    while time.monotonic() < until:
        if not any(map(alive, pids)) and all(
            is_free("127.0.0.1", port) for port in ports_of(env)
        ):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.processes
def test_it_starts_answers_and_stops_without_a_trace(trial):
    site = f"http://127.0.0.1:{trial['WEB_PORT']}"
    with started(trial) as house:
        said = read_until_ready(house)
        children = children_of(house.pid)
        with urllib.request.urlopen(f"{site}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with started(trial) as second:
            refused = second.communicate(timeout=60)[0]
        house.send_signal(signal.SIGINT)
        rest = house.communicate(timeout=30)[0]

    assert f"{site}/admin/" in said
    assert f"http://127.0.0.1:{trial['SANDBOX_PORT']}/paddle " in said
    assert f"http://127.0.0.1:{trial['SANDBOX_PORT']}/vivoldi " in said
    assert values_of_env(trial)["EXAMPLE_PASSWORD"] in said
    assert "is already running here" in refused
    assert len(children) == len(run.PROCESSES)
    assert rest.strip().endswith("Stopped.")
    assert house.returncode == 0
    assert wait_until_gone(children, trial, within=1)


def values_of_env(trial):
    with open(trial["ENV_FILE"]) as file:
        return values(file.read())


@pytest.mark.processes
def test_a_process_that_dies_is_started_again_once(trial):
    with started(trial) as house:
        read_until_ready(house)
        kill_child(house.pid, run.PROCESSES["web"])
        again = next(line for line in house.stdout if "starting it again" in line)
        kill_child(house.pid, run.PROCESSES["web"])
        rest = house.communicate(timeout=40)[0]

    assert again.split("|")[0].strip() == "web"
    assert "The web process was killed (SIGKILL), twice in a short time" in rest
    assert house.returncode == 1
    assert wait_until_gone([], trial, within=1)


def kill_child(pid, command):
    """Kill the child that runs this command; it may be a moment from its start."""
    for _ in range(100):
        found = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)],
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for line in found:
            number, args = line.split(None, 1)
            if args.endswith(command.removeprefix("python ")):
                os.kill(int(number), signal.SIGKILL)
                return
        time.sleep(0.1)
    raise AssertionError(f"{command} does not run")


@pytest.mark.processes
def test_nothing_is_left_when_it_is_killed_itself(trial):
    with started(trial) as house:
        read_until_ready(house)
        children = children_of(house.pid)

        house.kill()

    assert len(children) == len(run.PROCESSES)
    assert wait_until_gone(children, trial, within=30)
