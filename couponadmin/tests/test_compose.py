"""docker-compose.yml and `make run` start the same. Docker itself runs in no test."""

import re

import pytest
import yaml

from couponadmin.tests.test_env_listed import (
    READERS,
    variables_in_example,
    variables_read,
)
from run import PROCESSES, ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {
    name: service
    for name, service in COMPOSE["services"].items()
    if service["image"].startswith("couponadmin")
}
# Who makes a value's other end: the database container and compose itself.
NOT_READ_BY_US = {"POSTGRES_PASSWORD", "IMAGE_TAG"}


@pytest.mark.parametrize("name", PROCESSES)
def test_compose_starts_what_make_run_starts(name):
    assert OURS[name]["command"] == PROCESSES[name]


def test_no_service_of_ours_is_unknown_to_make_run():
    assert set(OURS) - set(PROCESSES) == {"migrate"}
    assert OURS["migrate"]["command"] == "python manage.py migrate --noinput"


def test_the_image_starts_the_web_process_by_default():
    [command] = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.M)

    assert " ".join(yaml.safe_load(command)) == PROCESSES["web"]


def test_variables_that_compose_asks_for_are_in_env_example():
    asked = re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())

    assert set(asked) - variables_in_example() == set()


@pytest.mark.parametrize("name", OURS)
def test_variables_that_compose_sets_are_read(name):
    read = set.union(*(variables_read((ROOT / r).read_text()) for r in READERS))

    assert set(OURS[name].get("environment", {})) - read == set()


def test_variables_that_compose_asks_for_are_read():
    read = set.union(*(variables_read((ROOT / r).read_text()) for r in READERS))
    asked = re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())

    assert set(asked) - read == NOT_READ_BY_US


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_KEYS", "POSTGRES_PASSWORD"])
def test_compose_refuses_to_start_without_a_secret(name):
    text = (ROOT / "docker-compose.yml").read_text()

    assert f"${{{name}:?" in text
    assert not re.search(rf"\$\{{{name}(?!:\?)", text)


def test_the_queue_throws_nothing_away_and_survives_a_restart():
    command = COMPOSE["services"]["redis"]["command"]

    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command
    assert "--appendfsync everysec" in command


@pytest.mark.parametrize("name", ["db", "redis", "web", "worker", "beat", "proxy"])
def test_each_lasting_service_comes_back_after_a_crash(name):
    assert COMPOSE["services"][name]["restart"] == "unless-stopped"


def test_web_and_worker_share_what_is_uploaded():
    assert OURS["web"]["volumes"] == OURS["worker"]["volumes"] == ["media:/data/media"]


def test_only_the_proxy_and_the_sandbox_can_be_reached_from_outside():
    open_ones = {n for n, s in COMPOSE["services"].items() if s.get("ports")}

    assert open_ones == {"proxy", "sandbox"}
    assert all(p.startswith("127.0.0.1:") for p in OURS["sandbox"]["ports"])
