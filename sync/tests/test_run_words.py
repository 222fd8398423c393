"""A run says what is wrong while it is, and no longer."""

import pytest

from connections.models import Connection
from sandbox.testing import start_sandbox
from sync.pulling.working import pull
from sync.tests.looks import Clock, Watch, watch_line
from sync.tests.test_pulling_codes import TERMS, publish_codes
from testing.factories import make_connection

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(settings):
    with start_sandbox(token="token") as sandbox:
        settings.LINE_API_URL = sandbox.url
        sandbox.make_coupon(title="Here")
        yield sandbox


def test_a_run_that_ended_well_has_no_words_of_an_earlier_stumble(line):
    watch = watch_line()
    run = watch.start()
    line.fault("coupon_list", "500")
    pull(run.pk, seconds=0.2, clock=watch.clock)
    run.refresh_from_db()
    assert (run.state, run.failures > 0, bool(run.problem)) == ("running", True, True)

    line.clear_faults()
    Connection.objects.update(resting_until=None)
    watch.clock.pass_(minutes=5)
    while pull(run.pk, seconds=5, clock=watch.clock):
        pass

    run.refresh_from_db()
    assert (run.state, run.problem) == ("done", "")


def test_what_was_odd_before_a_stumble_is_still_said_at_the_end(settings):
    settings.PADDLE_RATE = 60_000
    with start_sandbox() as sandbox:
        sandbox.add_paddle(vendor_id=123, auth_code="abc", products=[510509, 511520])
        sandbox.delete_paddle_product(510509)
        settings.PADDLE_API_URL = sandbox.paddle_url
        connection = make_connection(
            provider="paddle", account_id="123", access_token="abc"
        )
        watch = Watch(connection, Clock())
        products = {**TERMS, "product_ids": "511520"}
        publish_codes(sandbox, watch, 2, **products)
        sandbox.delete_paddle_product(511520)
        run = watch.start()
        sandbox.fault("paddle_list", "500")
        pull(run.pk, seconds=0.2, clock=watch.clock)
        sandbox.clear_faults()
        Connection.objects.update(resting_until=None)
        watch.clock.pass_(minutes=5)
        while pull(run.pk, seconds=5, clock=watch.clock):
            pass

    run.refresh_from_db()
    assert run.state == "done"
    assert "no list for the product 511520" in run.problem


def test_a_run_that_gives_up_says_why(line):
    watch = watch_line()
    run = watch.start()
    line.fault("coupon_list", "500")
    for _number in range(20):
        pull(run.pk, seconds=0.1, clock=watch.clock)
        Connection.objects.update(resting_until=None)
        watch.clock.pass_(minutes=5)

    run.refresh_from_db()
    assert run.state == "failed"
    assert run.problem
