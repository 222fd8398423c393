"""A day in a house that runs, mishaps included: no secret of it is in any log.

What is looked for is not planted but read from the run itself: its database, its .env,
its pages, and what was typed.
"""

import base64
import contextlib
import itertools
import json
import re
import sqlite3
import time
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import redis
import requests
from playwright.sync_api import expect

from couponadmin.tests.test_whole_way import (
    activate,
    make_campaign,
    open_on_phone,
    redeem,
    scan,
    send,
    take_at_the_till,
    upload_serials,
)
from testing.browsing import chromium, open_page, sign_in
from testing.house import own_database, own_redis, running_house

pytestmark = [pytest.mark.browser, pytest.mark.processes]

OURS = ("web", "worker", "beat")  # the sandbox is a test tool, and shows what it got
TYPED = {
    "wrong password of staff": "canary-typed-9fJ2",
    "wrong name of staff": "canary-nobody-7Kd1",
    "text scanned in vain": "CANARY-SCANNED-3Xq8",
    "text searched for": "canary-searched-5Zt6",
}
IN_TABLES = {
    "coupon token": "SELECT token FROM coupons_coupon",
    "coupon number": "SELECT number FROM coupons_coupon",
    "one-time serial": "SELECT code FROM serials_serial",
    "fixed serial": "SELECT code FROM serials_batch WHERE code <> ''",
    "LINE user id": "SELECT line_user_id FROM contacts_contact WHERE line_user_id <> ''",
    "contact's name": "SELECT name FROM contacts_contact",
    "session": "SELECT session_key FROM django_session",
    "password hash": "SELECT password FROM auth_user",
    "webhook key": "SELECT hook_key FROM connections_connection",
    "encrypted credential": "SELECT access_token FROM connections_connection",
}
IN_ENV = {
    "staff password": "EXAMPLE_PASSWORD",
    "access token": "SANDBOX_LINE_TOKEN",
    "channel secret": "SANDBOX_LINE_SECRET",
    "auth code": "SANDBOX_PADDLE_AUTH_CODE",
    "API key": "SANDBOX_VIVOLDI_API_KEY",
    "webhook secret": "SANDBOX_VIVOLDI_SECRET",
    "secret key": "SECRET_KEY",
    "field key": "FIELD_KEYS",
}


@pytest.fixture(
    scope="module",
    params=[
        "newcomer",
        pytest.param("shop", marks=[pytest.mark.postgres, pytest.mark.redis]),
    ],
)
def day(request, tmp_path_factory):
    """The files of a whole day, its secrets by kind, and what lay in the queue."""
    with contextlib.ExitStack() as stack:
        settings = {}
        if request.param == "shop":
            settings["DATABASE_URL"] = stack.enter_context(own_database())
            settings["REDIS_URL"] = stack.enter_context(own_redis())
        house = stack.enter_context(running_house(**settings))
        browser = stack.enter_context(chromium())
        database = Database(house, settings.get("DATABASE_URL"))
        on_pages = live(house, browser, database)
        secrets = secrets_of(house, database, on_pages)
        yield secrets, written(house), queued(house, settings.get("REDIS_URL"))


class Database:
    """The run's own database, by its driver alone."""

    def __init__(self, house, address):
        self.path, self.address = house.var / "couponadmin.sqlite3", address

    def run(self, statement):
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> Any:
        if self.address:
            return psycopg.connect(self.address, autocommit=True)
        return sqlite3.connect(self.path, timeout=20, isolation_level=None)


# --- the day -----------------------------------------------------------------------------


def live(house, browser, database):
    """The main job, and everything that goes wrong; the tokens that pages carried."""
    office = open_page(browser)
    sign_in(office, f"{house.web}/admin/", TYPED["wrong name of staff"], "x")
    sign_in(office, f"{house.web}/admin/", "editor", TYPED["wrong password of staff"])
    sign_in(office, f"{house.web}/admin/", "editor", house.password)
    campaign = make_campaign(office, house)
    upload_serials(office)
    activate(office, campaign)
    send(office, campaign)
    coupon = open_on_phone(browser, house)
    found = {"form token": [value_of(coupon, "form_token")]}
    redeem(coupon)
    take_at_the_till(browser, house, coupon)
    found["csrf token"] = [scan_in_vain(house, browser)]
    search_in_vain(house, office)
    mistype_links(house, database)
    forge_webhooks(house, database)
    break_a_row(house, database)
    break_a_table(house, database)
    return found


def value_of(page, name):
    return page.locator(f"input[name={name}]").first.get_attribute("value")


def scan_in_vain(house, browser):
    """A wrong password at the till, then a code that is none; the page's token."""
    till = open_page(browser)
    sign_in(till, f"{house.web}/store/", "clerk", TYPED["wrong password of staff"])
    sign_in(till, f"{house.web}/store/", "clerk2", house.password)
    token = value_of(till, "csrfmiddlewaretoken")
    scan(till, TYPED["text scanned in vain"])
    expect(till.locator("[data-tone=stop]")).to_be_visible()
    return token


def search_in_vain(house, office):
    """Lists with a search and with a filter that nobody offers."""
    text = TYPED["text searched for"]
    for query in (f"q={text}", f"token__startswith={text}", f"id__exact={text}"):
        for name in ("contacts/contact", "coupons/coupon", "serials/serial"):
            office.goto(f"{house.web}/admin/{name}/?{query}")


def mistype_links(house, database):
    """A link that is cut, lengthened, misplaced, posted to; and a page that is not."""
    tokens = [token for [token] in database.run(IN_TABLES["coupon token"])]
    for token in tokens[:3]:
        for path in (f"c/{token}x", f"c/{token}/x", f"coupon/{token}", token, "c//no"):
            assert requests.get(f"{house.web}/{path}", timeout=10).status_code == 404
        for path in (f"c/{token}/redeem", f"c/{token}/opened"):
            foreign = {"Sec-Fetch-Site": "cross-site"}
            requests.post(f"{house.web}/{path}", {}, headers=foreign, timeout=10)
            requests.post(f"{house.web}/{path}", {"form_token": token}, timeout=10)
        requests.post(f"{house.web}/store/sign-in", {"username": token}, timeout=10)


def forge_webhooks(house, database):
    """Of each account, at the address of each provider, with its key and with another."""
    keys = [key for [key] in database.run(IN_TABLES["webhook key"])]
    [user_id] = database.run(IN_TABLES["LINE user id"])[0]
    event = {"type": "follow", "source": {"type": "user", "userId": user_id}}
    for provider, key in itertools.product(("line", "paddle", "vivoldi"), keys):
        for path in (key, f"{key}x"):
            answer = requests.post(
                f"{house.web}/hooks/{provider}/{path}/",
                json={"events": [event]},
                timeout=10,
            )
            assert answer.status_code in (403, 404)


def break_a_row(house, database):
    """A row that no code of ours wrote: the coupon's page fails, with the link in it."""
    [[token]] = database.run(f"{IN_TABLES['coupon token']} LIMIT 1")
    zones = database.run("SELECT DISTINCT time_zone FROM campaigns_campaign")
    [[zone]] = zones
    database.run("UPDATE campaigns_campaign SET time_zone = 'canary/nowhere'")
    answer = requests.get(f"{house.web}/c/{token}", timeout=10)
    database.run(f"UPDATE campaigns_campaign SET time_zone = '{zone}'")  # noqa: S608
    assert answer.status_code == 500


def break_a_table(house, database):
    """A table is away: webhooks with people in them fail, and so does the worker."""
    friends = house.control("GET", "friends")["friends"]
    database.run("ALTER TABLE sync_inboundevent RENAME TO sync_away")
    for friend in friends[:2]:
        house.control("POST", f"friends/{friend['user_id']}/unfollow")
    until = time.monotonic() + 30
    while "sync.tasks.sweep" not in log_of(house, "worker"):
        assert time.monotonic() < until, "the worker never failed"
        time.sleep(0.3)
    database.run("ALTER TABLE sync_away RENAME TO sync_inboundevent")


def log_of(house, name):
    return (house.var / "logs" / f"{name}.log").read_text()


# --- what there is to find, and where ---------------------------------------------------


def secrets_of(house, database, on_pages):
    """Kind -> every value of it in this run."""
    env = dict(
        re.findall(r"^(\w+)=(.*)$", (house.var.parent / ".env").read_text(), re.M)
    )
    found = {kind: [typed] for kind, typed in TYPED.items()} | on_pages
    found |= {kind: [env[name]] for kind, name in IN_ENV.items()}
    for kind, statement in IN_TABLES.items():
        found[kind] = [value for [value] in database.run(statement)]
    return found


def written(house):
    """File -> text: all logs but the sandbox's, and what the terminal showed."""
    files = {
        path.name: path.read_text(errors="replace")
        for path in (house.var / "logs").iterdir()
        if not path.name.startswith("sandbox")
    }
    # The box at the start gives the example's logins on purpose.
    terminal = house.output.read_text()
    files["terminal"] = "\n".join(
        line for line in terminal.splitlines() if re.match(r" *\w+ \| ", line)
    )
    return files


def queued(house, broker):
    """What lies in the queue, unpacked: file or key -> text."""
    found = {}
    for path in (house.var / "broker").rglob("*"):
        if path.is_file():
            found[f"broker/{path.name}"] = unpacked(path.read_text(errors="replace"))
    if broker:
        client: Any = redis.Redis.from_url(broker, decode_responses=True)
        readers = {
            "list": lambda key: client.lrange(key, 0, -1),
            "hash": client.hvals,
            "set": client.smembers,
            "string": lambda key: [client.get(key)],
            "zset": lambda key: client.zrange(key, 0, -1),
        }
        for key in client.scan_iter():
            found[key] = unpacked("\n".join(readers[client.type(key)](key)))
        client.close()
    return found


def unpacked(message):
    """A message and its body, which lies in it as base64."""
    bodies = re.findall(r'"body": "([A-Za-z0-9+/=]+)"', message)
    return "\n".join([message, *(base64.b64decode(b).decode() for b in bodies)])


def leaks(secrets, files):
    """`kind in file` for each that is there; never the value."""
    return sorted(
        {
            f"{kind} in {name}"
            for kind, values in secrets.items()
            for name, text in files.items()
            if any(form in text for value in values for form in forms_of(value))
        }
    )


def forms_of(value):
    """As it is, as JSON writes it, and as an address does."""
    return {value, json.dumps(value)[1:-1], quote(value, safe="")}


# --- the tests --------------------------------------------------------------------------


def test_no_secret_of_the_day_is_in_a_log_or_in_the_queue(day):
    secrets, files, queue = day

    assert leaks(secrets, files) == []
    assert leaks(secrets, queue) == []


def test_the_day_left_secrets_to_find_and_lines_to_find_them_in(day):
    """Else the test above could not fail."""
    secrets, files, _ = day

    assert [kind for kind, values in secrets.items() if not all(values)] == []
    assert all(len(value) > 3 for values in secrets.values() for value in values)
    assert {f"{name}.log" for name in OURS} <= set(files)
    assert "Internal Server Error" in files["web.log"]
    assert "page.unknown" in files["web.log"]
    assert "webhook.refused" in files["web.log"]
    assert "raised unexpected" in files["worker.log"]
    assert '"trace"' in files["worker.log"]


def test_what_the_processes_log_is_json(day):
    _, files, _ = day

    for name in OURS:
        lines = files[f"{name}.log"].splitlines()
        raw = [x for x in lines if re.match(r"Traceback|[\w.]+(Error|Exception)\b", x)]
        assert raw == []
        for line in lines:
            assert not line.startswith("{") or json.loads(line)["event"]


def test_a_planted_canary_of_each_kind_is_found_in_a_copy_of_the_log(day):
    secrets, files, _ = day

    for kind, values in secrets.items():
        for form in forms_of(values[-1]):
            line = json.dumps({"event": "canary"})[:-2] + f' {form}"}}'
            copy = {"web.log": files["web.log"] + line}
            assert f"{kind} in web.log" in leaks(secrets, copy)


def test_a_planted_canary_is_found_in_a_queued_message():
    body = base64.b64encode(b'[["Aiko"], {}]').decode()
    message = unpacked(json.dumps({"body": body, "headers": {}}))

    assert leaks({"name": ["Aiko"]}, {"queue": message}) == ["name in queue"]
