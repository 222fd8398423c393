"""Twenty at once on PostgreSQL: one run, one worker, one publication."""

from collections import Counter

import pytest

from connections.clients import line_coupons
from sandbox.testing import start_sandbox
from sync.errors import SyncError
from sync.models import Publication, RemoteCoupon, Run, Step
from sync.pulling import runs
from sync.pulling.line import to_ask
from sync.pulling.runs import Held
from sync.pulling.working import pull
from sync.services.pulling import adopt, mend, start_run
from sync.tests.looks import (
    make_publication,
    make_remote,
    make_shown_campaign,
    watch_line,
)
from testing.factories import make_user

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
COUNT = 30


@pytest.fixture
def line(settings):
    with start_sandbox(token="token") as line:
        settings.LINE_API_URL = line.url
        for number in range(COUNT):
            line.make_coupon(title=f"Coupon {number}")
        yield line


def failures(results):
    return [result for result in results if isinstance(result, Exception)]


def test_look_now_pressed_by_twenty_is_one_run(racers, line):
    watch = watch_line()

    results = racers.race(lambda number: start_run(watch.connection.pk).pk)

    assert failures(results) == []
    assert len(set(results)) == 1
    assert Run.objects.count() == 1


def test_twenty_workers_ask_about_each_coupon_once(racers, line):
    watch = watch_line()
    run = watch.start()

    results = racers.race(lambda number: pull(run.pk, seconds=10))

    run.refresh_from_db()
    assert failures(results) == []
    assert (run.state, run.asked) == ("done", COUNT)
    assert len(line.requests("coupon_detail")) == COUNT
    assert Step.objects.filter(kind="appeared").count() == 1  # of all thirty
    assert RemoteCoupon.objects.count() == COUNT


def test_the_same_without_a_lease_asks_twice(racers, line):
    """The control: each reads who is to be asked about, and asks."""
    watch = watch_line()
    pull(watch.start().pk, seconds=10)
    run = runs.begin(watch.connection, at=watch.clock(), is_whole=True)
    before = len(line.requests("coupon_detail"))

    def naive(number):
        rows = list(to_ask(Held(run, watch.clock, 0)).order_by("pk")[:3])
        client = line_coupons(watch.connection)
        for row in rows:
            client.detail(row.remote_id)
            RemoteCoupon.objects.filter(pk=row.pk).update(asked_at=watch.clock())

    racers.race(naive)

    assert len(line.requests("coupon_detail")) - before > 3


def test_coupon_that_twenty_adopt_for_one_campaign_is_one_publication(racers, line):
    watch = watch_line()
    pull(watch.start().pk, seconds=10)
    coupon, campaign = RemoteCoupon.objects.first(), make_shown_campaign()
    manager = make_user("Manager")

    results = racers.race(lambda number: adopt(coupon.pk, campaign.pk, by=manager).pk)

    assert failures(results) == []
    assert len(set(results)) == 1
    assert Publication.objects.count() == 1
    assert Step.objects.filter(kind="adopted").count() == 1


def test_coupon_that_twenty_adopt_for_twenty_campaigns_goes_to_one(racers, line):
    watch = watch_line()
    pull(watch.start().pk, seconds=10)
    coupon, manager = RemoteCoupon.objects.first(), make_user("Manager")
    campaigns = [make_shown_campaign().pk for _ in range(racers.count)]

    results = racers.race(
        lambda number: adopt(coupon.pk, campaigns[number], by=manager).pk
    )

    counted = Counter(
        result.code if isinstance(result, SyncError) else type(result).__name__
        for result in results
    )
    assert counted == {"int": 1, "taken": racers.count - 1}
    assert Publication.objects.count() == 1


def test_campaign_that_twenty_coupons_are_adopted_for_gets_one(racers, line):
    watch = watch_line()
    pull(watch.start().pk, seconds=10)
    campaign, manager = make_shown_campaign(), make_user("Manager")
    ids = list(RemoteCoupon.objects.values_list("pk", flat=True)[: racers.count])

    results = racers.race(lambda number: adopt(ids[number], campaign.pk, by=manager).pk)

    counted = Counter(
        result.code if isinstance(result, SyncError) else type(result).__name__
        for result in results
    )
    assert counted == {"int": 1, "published": racers.count - 1}
    assert RemoteCoupon.objects.filter(publication__isnull=False).count() == 1


def test_difference_that_twenty_mend_is_mended_once(racers, line):
    watch = watch_line()
    publication = make_publication(watch.connection)
    make_remote(publication, "NEVER-MADE")
    pull(watch.start().pk, seconds=10)
    [found] = publication.differences.filter(field="missing", ended_at=None)
    manager = make_user("Manager")

    results = racers.race(lambda number: mend(found.pk, "close", by=manager))

    counted = Counter(
        result.code if isinstance(result, SyncError) else type(result).__name__
        for result in results
    )
    assert counted == {"NoneType": 1, "ended": racers.count - 1}
    assert Step.objects.filter(kind="mended").count() == 1
