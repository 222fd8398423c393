"""Twenty workers at once on PostgreSQL: nobody publishes, claims or counts a thing twice."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from sync.errors import SyncError
from sync.models import Publication, RemoteCoupon, Step
from sync.options import LineOptions, PaddleOptions
from sync.publishing.preparing import prepare
from sync.publishing.settling import Result, settle
from sync.publishing.walking import walk
from sync.services.publishing import close, publish
from sync.tests.publishing import an_offer, codes
from testing.factories import make_connection, make_serials, make_user
from testing.races import THREADS

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
LEASE = timedelta(seconds=45)
SETTLE = timedelta(seconds=20)


@pytest.fixture
def paddle():
    return make_connection(provider="paddle", account_id="1001", access_token="0a1b")


@pytest.fixture
def line():
    return make_connection()


def published(connection, count=60):
    """So many codes, prepared."""
    campaign = an_offer("paddle", 0)
    make_serials(campaign, codes(count, campaign.pk))
    found = publish(
        campaign.pk,
        connection.pk,
        options=PaddleOptions(),
        by=make_user(),
        nonce=uuid4(),
    )
    prepare(found.pk)
    return found


def failures(results):
    return [result for result in results if isinstance(result, Exception)]


@pytest.mark.parametrize("is_same_press", [True, False])
def test_publish_pressed_by_twenty_makes_one_publication(racers, line, is_same_press):
    campaign, by, nonce = an_offer(), make_user(), uuid4()

    def press(number):
        return publish(
            campaign.pk,
            line.pk,
            options=LineOptions(),
            by=by,
            nonce=nonce if is_same_press else uuid4(),
        ).pk

    results = racers.race(press)

    assert Publication.objects.count() == 1
    assert Step.objects.filter(kind="published").count() == 1
    refused = failures(results)
    assert all(isinstance(error, SyncError) for error in refused)
    assert {error.code for error in refused} == (
        set() if is_same_press else {"already"}
    )


def test_twenty_who_prepare_write_each_code_once(racers, paddle):
    campaign = an_offer("paddle", 0)
    make_serials(campaign, codes(60, campaign.pk))
    found = publish(
        campaign.pk,
        paddle.pk,
        options=PaddleOptions(),
        by=make_user(),
        nonce=uuid4(),
    )

    results = racers.race(lambda number: prepare(found.pk, piece=7))

    assert failures(results) == []
    while prepare(found.pk, piece=7):
        pass
    found.refresh_from_db()
    assert (found.total, found.state) == (60, "open")
    assert RemoteCoupon.objects.count() == 60


def claim(publication, limit=3, **rest):
    return RemoteCoupon.objects.claim(
        limit,
        connection_id=publication.connection_id,
        of=[publication.pk],
        now=timezone.now(),
        lease=LEASE,
        settle=SETTLE,
    )


def naive_claim(publication):
    """Read, then write: what the guards are there against."""
    due = RemoteCoupon.objects.filter(publication=publication, errand="create")
    free = due.filter(leased_until=None).order_by("next_try_at")
    ids = list(free.values_list("pk", flat=True)[:3])
    until = timezone.now() + LEASE
    RemoteCoupon.objects.filter(pk__in=ids).update(leased_until=until)
    return ids


def test_no_errand_is_claimed_twice(racers, paddle):
    publication = published(paddle)

    results = racers.race(lambda number: [row.pk for row in claim(publication)])

    assert failures(results) == []
    claimed = Counter(pk for ids in results for pk in ids)
    assert len(claimed) == 60
    assert set(claimed.values()) == {1}


def test_the_same_race_with_a_naive_claim_doubles(racers, paddle):
    publication = published(paddle)

    results = racers.race(lambda number: naive_claim(publication))

    claimed = Counter(pk for ids in results for pk in ids)
    assert max(claimed.values()) > 1


def test_a_result_counts_once_however_many_write_it(racers, paddle):
    publication = published(paddle, 5)
    rows = claim(publication, 5)
    results = [Result(row, "live", remote_id=row.remote_id) for row in rows]

    counted = racers.race(lambda number: settle(results, at=timezone.now()))

    assert failures(counted) == []
    assert sum(len(ids) for ids in counted) == 5
    publication.refresh_from_db()
    assert publication.live == 5


def test_a_late_worker_changes_nothing_of_what_another_has_taken_up(paddle):
    publication = published(paddle, 1)
    [late] = claim(publication)
    RemoteCoupon.objects.update(next_try_at=timezone.now() - LEASE)
    [taken] = claim(publication)

    settle([Result(late, "refused", detail="late")], at=timezone.now())

    row = RemoteCoupon.objects.get()
    assert (row.status, row.detail, row.tries) == ("waiting", "", 2)
    assert taken.is_doubtful
    publication.refresh_from_db()
    assert publication.refused == 0


def test_of_one_content_only_one_is_under_way_at_line(racers, line):
    period = {
        "name": "The same",
        "use_starts_at": timezone.now(),
        "use_ends_at": timezone.now() + timedelta(days=3),
    }
    for _number in range(10):
        campaign = an_offer(**period)
        found = publish(
            campaign.pk, line.pk, options=LineOptions(), by=make_user(), nonce=uuid4()
        )
        prepare(found.pk)
    ids = list(Publication.objects.values_list("pk", flat=True))

    def claim_one(number):
        return RemoteCoupon.objects.claim_apart(
            1,
            connection_id=line.pk,
            of=ids,
            now=timezone.now(),
            lease=LEASE,
            settle=SETTLE,
        )

    results = racers.race(claim_one)

    assert failures(results) == []
    assert sum(len(rows) for rows in results) == 1


def test_what_is_made_while_it_is_taken_back_is_told_to_go(racers, paddle):
    """Whoever comes second tells the coupon: never neither of the two."""
    for _round in range(10):
        publication = published(paddle, 1)
        [row] = claim(publication)

        def act(number, row=row, publication=publication):
            if number == 0:
                close(publication.pk, by=None)
            elif number == 1:
                made = Result(row, "live", remote_id=row.remote_id, terms_no=1)
                settle([made], at=timezone.now())

        assert failures(racers.race(act)) == []
        walk(publication.pk)

        row.refresh_from_db()
        assert (row.status, row.errand) == ("live", "delete")


def test_the_harness_has_so_many_workers(racers):
    assert racers.race(lambda number: number) == list(range(THREADS))
