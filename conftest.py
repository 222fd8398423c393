"""Which tests run where, and how many did.

A test marked for a server that was not given is left out, not skipped: `make test`
needs nothing but Python. CI gives all of them, and there a skip is a failure.
"""

import os
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings

from testing import refusals

# That the machine is busy is no failure.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

LEFT_OUT = pytest.StashKey[Counter[str]]()
GIVEN = {
    "postgres": os.environ.get("DATABASE_URL", "").startswith("postgres"),
    "redis": bool(os.environ.get("REDIS_URL")),
    "browser": os.environ.get("BROWSER_TESTS") == "1",
    "openapi": bool(os.environ.get("LINE_OPENAPI")),
}

QUICK_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"
NEEDS = {
    "postgres": "PostgreSQL (DATABASE_URL)",
    "redis": "Redis (REDIS_URL)",
    "browser": "a browser (BROWSER_TESTS=1)",
    "openapi": "LINE's OpenAPI files (LINE_OPENAPI)",
}


def pytest_configure(config):
    config.stash[LEFT_OUT] = Counter()
    # Names without hashes: nothing is collected before a test.
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    # Argon2 takes its time on purpose; the fixture `argon2` brings it back.
    settings.PASSWORD_HASHERS.insert(0, QUICK_HASHER)


def pytest_collection_modifyitems(config, items):
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        lacks = [m for m in GIVEN if item.get_closest_marker(m) and not GIVEN[m]]
        config.stash[LEFT_OUT].update(lacks[:1])
        (left_out if lacks else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Every xdist worker collects the same; the last one's count stands."""
    counts = getattr(node, "workeroutput", {}).get("left_out")
    if counts is not None:
        node.config.stash[LEFT_OUT] = Counter(counts)


def pytest_sessionfinish(session):
    config = session.config
    if hasattr(config, "workeroutput"):  # we are an xdist worker
        config.workeroutput["left_out"] = dict(config.stash[LEFT_OUT])
    elif os.environ.get("CI") and skipped(config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def skipped(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    return len(stats.get("skipped", [])) + len(stats.get("xfailed", []))


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter, exitstatus, config):
    yield
    passed = len(terminalreporter.stats.get("passed", []))
    terminalreporter.write_line(summary(passed, config.stash[LEFT_OUT]))
    if os.environ.get("CI") and (count := skipped(config)):
        terminalreporter.write_line(f"{count} skipped: in CI that is a failure.")
    if path := os.environ.get("TEST_COUNT_FILE"):
        Path(path).write_text(f"{passed}\n")


def summary(passed, left_out):
    database = "PostgreSQL" if GIVEN["postgres"] else "SQLite"
    redis = "with" if GIVEN["redis"] else "without"
    line = f"{passed} passed on {database} {redis} Redis."
    for mark, count in left_out.items():
        line += f" Left out: {count} that need {NEEDS[mark]}."
    return line


@pytest.fixture(autouse=True)
def nothing_is_refused_by_a_policy(request):
    """A browser test fails when a page asks for what its content policy refuses."""
    yield
    if request.node.get_closest_marker("browser"):
        refused = refusals.take()
        if refused:
            pytest.fail("\n".join(refused))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    from testing.databases import make_ready

    with django_db_blocker.unblock():
        make_ready()


@pytest.fixture
def argon2(settings):
    """Passwords are hashed as in production."""
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[1:]


@pytest.fixture
def racers():
    """Twenty kept threads that are let go at the same moment."""
    from testing.races import Racers

    racers = Racers()
    yield racers
    racers.stop()


@pytest.fixture(scope="module")
def browser():
    """Chromium. Rows may be read beside it, although its driver keeps an event loop."""
    from testing.browsing import chromium

    with pytest.MonkeyPatch.context() as patch, chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser
