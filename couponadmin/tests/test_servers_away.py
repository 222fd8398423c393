"""Web processes whose database or queue stops, dies, or is held up by somebody else.

Real processes and servers of this test's own. What may never happen: an error page, a
coupon redeemed twice, a press that was answered and is lost.
"""

import re
import threading
import time
from contextlib import ExitStack, contextmanager
from html import unescape

import psycopg
import pytest
import requests

from sandbox.testing import start_sandbox
from testing.databases import give_shape
from testing.house import free_port
from testing.processes import Processes, kill
from testing.servers import private_postgres, private_redis

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.processes,
    pytest.mark.django_db,
]

COUPONS = 80
LOCK_TIMEOUT = 1_500  # ms
PRESSERS = 20  # threads
SERIAL = re.compile(r"S\d{5}-\d{6}")


class House:
    """Web, worker and beat on a PostgreSQL and a Redis that may go away."""

    def __init__(self, folder, postgres, redis, line):
        self.postgres, self.redis, self.line = postgres, redis, line
        self.database = postgres.create_database("house")
        port = free_port()
        self.web = f"http://127.0.0.1:{port}"
        self.processes = Processes(
            folder,
            DATABASE_URL=self.database,
            REDIS_URL=redis.url,
            LINE_API_URL=line.url,
            SITE_URL=self.web,
            WEB_PORT=str(port),
            WEB_WORKERS="2",
            DB_LOCK_TIMEOUT=str(LOCK_TIMEOUT),
        )
        give_shape(self.database)
        self.processes.must_run("manage.py", "collectstatic", "-v0", "--noinput")
        self.ask("ALTER DATABASE house SET deadlock_timeout = '200ms'")
        self.shop = self.processes.step("shop", str(COUPONS), of="couponadmin")
        self.tokens = list(self.shop["tokens"])

    @contextmanager
    def running(self):
        gunicorn = ("-m", "gunicorn", "--config", "gunicorn.conf.py")
        started = [
            self.processes.start("web", *gunicorn, "couponadmin.wsgi"),
            self.processes.worker("worker", concurrency=2),
            self.processes.start_beat(),
        ]
        try:
            wait_until(lambda: self.status("/healthz") == 200)
            yield
        finally:
            for process in started:
                kill(process)

    def coupon(self):
        """A coupon that no other test has touched."""
        return self.tokens.pop()

    def ask(self, query, *values):
        """Rows straight from the database."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            found = connection.execute(query, values)
            return found.fetchall() if found.description else []

    def status(self, path):
        try:
            return requests.get(self.web + path, timeout=10).status_code
        except requests.ConnectionError:  # it is still starting
            return 0

    def log(self):
        return (self.processes.folder / "web.log").read_text()


def wait_until(ready, seconds=60):
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends, "It never came to that."
        time.sleep(0.05)


@pytest.fixture(scope="module")
def house(tmp_path_factory, django_db_setup):
    with ExitStack() as stack:
        postgres = stack.enter_context(private_postgres())
        redis = stack.enter_context(private_redis())
        line = stack.enter_context(start_sandbox(token="token"))
        folder = tmp_path_factory.mktemp("away")
        house = House(folder, postgres, redis, line)
        stack.enter_context(house.running())
        yield house
        # What the web processes logged was the servers' absence, and no bug of ours.
        assert "WORKER TIMEOUT" not in house.log()
        assert "Internal Server Error" not in house.log()


class Phone:
    """A customer's browser: sees a coupon's page and presses its button."""

    def __init__(self, house, token):
        self.page = f"{house.web}/c/{token}"
        self.form = ""

    def see(self):
        return requests.get(self.page, timeout=20)

    def read(self):
        """See the page and keep its form, as an open page does."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.see().text)
        self.form = unescape(found[1])
        return self

    def press(self):
        return requests.post(
            f"{self.page}/redeem",
            data={"form_token": self.form},
            allow_redirects=False,
            timeout=20,
        )

    def serial(self):
        found = SERIAL.search(self.see().text)
        return found[0] if found else None


def staff(house, who):
    """A browser that has signed in."""
    browser = requests.Session()
    browser.cookies.set("session", house.shop[who])
    return browser


def fill(browser, url, data, **options):
    """See a form, then send it with its CSRF token."""
    page = browser.get(url, timeout=20)
    assert page.status_code == 200, page.text
    token = hidden(page.text, "csrfmiddlewaretoken")
    return browser.post(
        url,
        data={**data, "csrfmiddlewaretoken": token},
        headers={"Referer": url},
        timeout=20,
        **options,
    )


def hidden(page, name):
    """The value of a form's hidden field."""
    field = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
    return unescape(re.search(r'value="([^"]*)"', field[0])[1])


def assert_try_again(answer):
    """The plain page that says: nothing was lost, try again."""
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "Nothing was lost" in answer.text
    assert "Traceback" not in answer.text


def traces(house, token):
    """What the database holds of presses on a coupon."""
    [counted] = house.ask(
        """
        SELECT c.status,
            (SELECT count(*) FROM coupons_event e
                WHERE e.coupon_id = c.id AND e.kind = 'redeemed'),
            (SELECT count(*) FROM coupons_attempt a WHERE a.coupon_id = c.id)
        FROM coupons_coupon c WHERE c.token = %s
        """,
        token,
    )
    return counted


# --- the database is away -----------------------------------------------------------------


def test_a_stopped_database_is_a_plain_page_and_the_same_press_works_afterwards(house):
    token = house.coupon()
    phone = Phone(house, token).read()
    clerk, manager = staff(house, "clerk"), staff(house, "manager")

    house.postgres.stop()
    try:
        answers = [
            phone.see(),
            phone.press(),
            clerk.get(f"{house.web}/store/", timeout=20),
            manager.get(f"{house.web}/admin/", timeout=20),
        ]
        health = house.status("/healthz")
    finally:
        house.postgres.start()

    for answer in answers:
        assert_try_again(answer)
    assert health == 503
    # Each of the web processes gets new connections.
    for _ in range(4):
        assert phone.press().status_code == 303
    serial = phone.serial()
    assert serial
    assert phone.press().status_code == 303
    assert phone.serial() == serial
    assert clerk.get(f"{house.web}/store/", timeout=20).status_code == 200
    assert traces(house, token) == ("redeemed", 1, 0)


def test_a_database_restarted_in_a_rush_redeems_each_coupon_once(house):
    shared = [Phone(house, house.coupon()).read() for _ in range(4)]
    own = [Phone(house, house.coupon()).read() for _ in range(40)]
    started = threading.Barrier(PRESSERS + 1)
    statuses = set()

    def press(number):
        mine = own[number::PRESSERS] + shared
        started.wait()
        for _ in range(6):
            for phone in mine:
                statuses.add(phone.press().status_code)

    pressers = [threading.Thread(target=press, args=(n,)) for n in range(PRESSERS)]
    for presser in pressers:
        presser.start()
    started.wait()
    time.sleep(0.3)
    house.postgres.restart_immediate()
    for presser in pressers:
        presser.join()

    assert statuses == {303, 503}
    for phone in own + shared:
        assert phone.press().status_code == 303
    assert_each_once(house)


def assert_each_once(house):
    """Each redeemed coupon has one event and one serial of its own; none is astray."""
    [(coupons, serials)] = house.ask(
        "SELECT count(*), count(DISTINCT serial_id) FROM coupons_coupon"
        " WHERE status = 'redeemed'"
    )
    [(taken,)] = house.ask(
        "SELECT count(*) FROM serials_serial WHERE taken_at IS NOT NULL"
    )
    [(events,)] = house.ask(
        "SELECT count(*) FROM coupons_event WHERE kind = 'redeemed'"
    )
    [(counted,)] = house.ask("SELECT sum(redeemed) FROM coupons_tally")
    assert coupons == serials == taken == events == counted
    assert coupons >= 44
    house.processes.must_run("manage.py", "audit_ledger")


# --- the database is busy --------------------------------------------------------------


@contextmanager
def holding(house, query, *values):
    """Another session that keeps locks until the block ends."""
    with psycopg.connect(house.database) as other:
        other.execute(query, values)
        yield other
        other.rollback()


LOCK_COUPON = "SELECT id FROM coupons_coupon WHERE token = %s FOR UPDATE"


def test_a_lock_held_too_long_is_a_plain_page_and_leaves_nothing(house):
    token = house.coupon()
    phone = Phone(house, token).read()

    with holding(house, LOCK_COUPON, token):
        assert_try_again(phone.press())

    assert traces(house, token) == ("issued", 0, 0)
    assert phone.press().status_code == 303
    assert traces(house, token) == ("redeemed", 1, 0)


def test_a_connection_cut_while_it_waits_leaves_nothing(house):
    token = house.coupon()
    phone = Phone(house, token).read()
    answers = []
    presser = threading.Thread(target=lambda: answers.append(phone.press()))

    with holding(house, LOCK_COUPON, token):
        presser.start()
        wait_until(lambda: cut_waiting(house))
        presser.join()

    assert_try_again(answers[0])
    assert traces(house, token) == ("issued", 0, 0)
    for _ in range(4):
        assert phone.press().status_code == 303
    assert traces(house, token) == ("redeemed", 1, 0)


def cut_waiting(house):
    return house.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = 'house' AND wait_event_type = 'Lock'"
    )


def test_who_loses_a_deadlock_is_tried_again_and_redeemed(house):
    [first, second] = house.shop["tokens"][0], house.shop["second"]
    house.tokens.remove(first)
    assert Phone(house, first).read().press().status_code == 303  # makes the counter
    phone = Phone(house, second).read()
    answers = []
    presser = threading.Thread(target=lambda: answers.append(phone.press()))

    with psycopg.connect(house.database) as other:
        other.execute("SET deadlock_timeout = '60s'")  # so it is the page that loses
        other.execute(
            "SELECT u.id FROM coupons_contactuse u"
            " JOIN coupons_coupon c USING (campaign_id, contact_id)"
            " WHERE c.token = %s FOR UPDATE OF u",
            [second],
        )
        presser.start()
        wait_until(lambda: is_waiting(house))
        other.execute(LOCK_COUPON, [second])
        other.rollback()
    presser.join()

    assert answers[0].status_code == 303
    assert traces(house, second) == ("redeemed", 1, 0)
    assert "deadlock detected" in house.postgres.log.read_text()


def is_waiting(house):
    return house.ask(
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = 'house' AND wait_event_type = 'Lock'"
    )


# --- the queue is away -----------------------------------------------------------------


def test_without_redis_everything_works_and_the_rest_is_done_when_it_is_back(house):
    token = house.coupon()
    phone = Phone(house, token).read()
    clerk, editor = staff(house, "clerk"), staff(house, "manager")

    house.redis.kill()
    try:
        assert phone.press().status_code == 303
        assert scan(house, clerk, phone.serial()).status_code == 200
        listed = editor.get(f"{house.web}/admin/campaigns/campaign/", timeout=20)
        delivery = send(house, editor)
        batch = upload(house, editor)
        assert [r.status_code for r in (listed, delivery, batch)] == [200] * 3
    finally:
        house.redis.start()

    assert traces(house, token)[0] == "verified"
    # The worker and beat that ran all the time find it, without a message.
    wait_until(lambda: states(house, "deliveries_delivery") == ["done"])
    wait_until(lambda: states(house, "serials_batch", "name = 'later'") == ["checked"])
    assert house.line.counts() == dict.fromkeys(house.shop["contacts"], 1)


def scan(house, clerk, serial):
    """A clerk types a serial at the till; the page of the answer."""
    till = f"{house.web}/store/{house.shop['store']}/"
    page = clerk.get(till, timeout=20)
    names = ("csrfmiddlewaretoken", "nonce")
    data = {name: hidden(page.text, name) for name in names}
    return clerk.post(f"{till}check", data={**data, "text": serial}, timeout=20)


def send(house, editor):
    """The form, its check, and the press of Send; the progress page."""
    url = f"{house.web}/admin/deliveries/delivery/send/"
    data = {
        "step": "check",
        "campaign": house.shop["campaign"],
        "contact_list": house.shop["list"],
        "connection": house.shop["connection"],
        "kind": "card",
        "is_short_ok": "on",
    }
    check = fill(editor, url, data)
    nonce = hidden(check.text, "nonce")
    done = fill(editor, url, data | {"step": "send", "nonce": nonce})
    assert done.url.endswith("/progress/"), done.text
    return done


def upload(house, editor):
    """The answer to a CSV file: the page of the batch being checked."""
    url = f"{house.web}/admin/serials/batch/upload/"
    data = {"campaign": house.shop["campaign"], "name": "later"}
    file = {"file": ("later.csv", b"serial\nLATER-1\nLATER-2\n", "text/csv")}
    return fill(editor, url, data, files=file)


def states(house, table, where="true"):
    return [
        state
        for (state,) in house.ask(f"SELECT state FROM {table} WHERE {where}")  # noqa: S608
    ]
