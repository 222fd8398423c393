"""Twenty at once on PostgreSQL: nothing is redeemed or verified twice.

Each race has its control: the same harness with naive code on a table without
backstops, which must do what ours must not, else the harness shows nothing.
"""

import threading
import time
from collections import Counter
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from campaigns.services import move
from coupons.errors import CouponError
from coupons.models import Attempt, ContactUse, Coupon, Event, Tally, Verification
from coupons.services import redeem, scan, verify
from serials.models import Serial, Stock
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)
from testing.races import ROUNDS, THREADS, Racers

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def racers():
    racers = Racers()
    yield racers
    racers.stop()


@pytest.fixture
def naive_tables():
    """Coupons and stock as beginners keep them: no lock, no guard, no constraint."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE naive_coupon (id int, status text)")
        cursor.execute("CREATE TABLE naive_serial (id int, is_free bool)")
        cursor.execute("CREATE TABLE naive_batch (id int, taken int, quantity int)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE naive_coupon, naive_serial, naive_batch")


def naive_redeem(cursor):
    """Check, then write."""
    cursor.execute("SELECT status FROM naive_coupon")
    if cursor.fetchone()[0] != "sent":
        return False
    cursor.execute("UPDATE naive_coupon SET status = 'redeemed'")
    return True


def naive_verify(cursor):
    """Lock, but judge by what was read before the lock."""
    cursor.execute("SELECT status FROM naive_coupon")
    status = cursor.fetchone()[0]
    cursor.execute("SELECT status FROM naive_coupon FOR UPDATE")
    if status != "redeemed":
        return False
    cursor.execute("UPDATE naive_coupon SET status = 'verified'")
    return True


def naive_serial(cursor):
    """Pick the first free one, then mark it by its id."""
    cursor.execute("SELECT id FROM naive_serial WHERE is_free LIMIT 1")
    row = cursor.fetchone()
    if row is None:
        return False
    cursor.execute("UPDATE naive_serial SET is_free = false WHERE id = %s", row)
    return True


def naive_unit(cursor):
    """Count up in the database, but only after a check of one's own."""
    cursor.execute("SELECT taken < quantity FROM naive_batch")
    if not cursor.fetchone()[0]:
        return False
    cursor.execute("UPDATE naive_batch SET taken = taken + 1")
    return True


def refill(status):
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE naive_coupon, naive_serial, naive_batch")
        cursor.execute("INSERT INTO naive_coupon VALUES (1, %s)", [status])
        cursor.execute("INSERT INTO naive_serial VALUES (1, true)")
        cursor.execute("INSERT INTO naive_batch VALUES (1, 0, 1)")


def in_transaction(naive):
    with transaction.atomic(), connection.cursor() as cursor:
        return naive(cursor)


def outcomes(results):
    """Counts results by what they are: `ok`, or the refusal's code."""
    counted: Counter[str] = Counter()
    for result in results:
        if isinstance(result, CouponError):
            counted[result.code] += 1
        elif isinstance(result, Exception):
            raise result
        else:
            counted["ok"] += 1
    return counted


@pytest.mark.usefixtures("naive_tables")
@pytest.mark.parametrize(
    ("naive", "status"),
    [
        (naive_redeem, "sent"),
        (naive_verify, "redeemed"),
        (naive_serial, "sent"),
        (naive_unit, "sent"),
    ],
)
def test_the_harness_catches_naive_code_giving_one_thing_away_twice(
    racers, naive, status
):
    worst = 0
    for _ in range(ROUNDS):
        refill(status)
        worst = max(worst, sum(racers.race(lambda n: in_transaction(naive))))

    assert worst > 1


def test_one_coupon_redeemed_by_twenty_takes_one_serial(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 50)
        coupon = make_coupon(campaign, make_contact())

        results = racers.race(lambda n, t=coupon.token: redeem(t, source=TEST).code)

        assert outcomes(results) == {"ok": THREADS}
        assert len(set(results)) == 1
        taken = Serial.objects.filter(campaign=campaign, state=Serial.State.TAKEN)
        assert taken.count() == 1
        events = Event.objects.filter(coupon=coupon, kind=Event.Kind.REDEEMED)
        assert events.count() == 1
        assert ContactUse.objects.get(campaign=campaign).used == 1


def test_last_serial_goes_to_one_of_twenty(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupons = [make_coupon(campaign) for _ in range(THREADS)]

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": 1, "out_of_stock": THREADS - 1}
        redeemed = Coupon.objects.filter(campaign=campaign, status="redeemed")
        assert redeemed.count() == 1
        refused = Attempt.objects.filter(coupon__campaign=campaign)
        assert refused.count() == THREADS - 1


def test_twenty_serials_reach_twenty_customers_and_none_is_told_there_are_none(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, THREADS)
        coupons = [make_coupon(campaign) for _ in range(THREADS)]

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": THREADS}
        serials = Coupon.objects.filter(campaign=campaign).values_list("serial")
        assert len(set(serials)) == THREADS


def test_last_unit_of_a_fixed_batch_goes_to_one_of_twenty(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        batch = make_fixed_batch(campaign, quantity=1)
        coupons = [make_coupon(campaign) for _ in range(THREADS)]

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": 1, "out_of_stock": THREADS - 1}
        assert Stock.objects.get(batch=batch).taken == 1
        assert Tally.objects.filter(batch=batch).aggregate(n=Sum("redeemed"))["n"] == 1


def test_when_the_first_fixed_batch_runs_out_the_rest_comes_from_the_second(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        first = make_fixed_batch(campaign, quantity=5, position=1)
        second = make_fixed_batch(campaign, quantity=10, position=2)
        coupons = [make_coupon(campaign) for _ in range(THREADS)]

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": 15, "out_of_stock": 5}
        assert Stock.objects.get(batch=first).taken == 5
        assert Stock.objects.get(batch=second).taken == 10


def test_one_contact_with_twenty_coupons_redeems_no_more_than_its_limit(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign(limit_per_contact=3)
        make_serials(campaign, THREADS)
        contact = make_contact(make_connection())
        coupons = [make_coupon(campaign, contact) for _ in range(THREADS)]

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": 3, "limit_reached": THREADS - 3}
        assert ContactUse.objects.get(contact=contact).used == 3
        taken = Serial.objects.filter(campaign=campaign, state=Serial.State.TAKEN)
        assert taken.count() == 3


def test_one_coupon_verified_by_twenty_tills_is_verified_once(racers):
    clerk = make_user()
    stores = [make_store(clerk) for _ in range(THREADS)]
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign, status="redeemed")

        results = racers.race(
            lambda n, pk=coupon.pk: verify(pk, store=stores[n], staff=clerk)
        )

        assert outcomes(results) == {"ok": 1, "already_verified": THREADS - 1}
        assert Verification.objects.filter(coupon=coupon).count() == 1
        events = Event.objects.filter(coupon=coupon, kind=Event.Kind.VERIFIED)
        assert events.count() == 1


def test_one_scan_arriving_twenty_times_gets_one_answer(racers):
    clerk = make_user()
    store = make_store(clerk)
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign, status="redeemed")
        nonce = uuid4()

        results = racers.race(
            lambda n, c=coupon, x=nonce: (
                scan(c.number, store=store, staff=clerk, nonce=x).reason
            )
        )

        assert results == ["ok"] * THREADS
        assert Verification.objects.filter(coupon=coupon).count() == 1
        assert Attempt.objects.filter(nonce=nonce).count() == 1


def test_pausing_while_a_redeem_waits_for_its_lock_is_seen_by_the_redeem(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign)
        holding = threading.Barrier(2, timeout=10)

        def job(n, coupon=coupon, campaign=campaign, holding=holding):
            if n == 0:
                with transaction.atomic():
                    Coupon.objects.select_for_update().get(pk=coupon.pk)
                    holding.wait()
                    wait_until_somebody_waits()
                    with_own_connection(lambda: move(campaign.pk, "pause"))
                return None
            if n == 1:
                holding.wait()
                return redeem(coupon.token, source=TEST)
            return None

        results = racers.race(job)

        assert isinstance(results[1], CouponError)
        assert results[1].code == "campaign_paused"


def wait_until_somebody_waits():
    """Until PostgreSQL says that a session waits for a lock in this database."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waited for the lock")


def with_own_connection(job):
    """Run and commit `job` apart from the transaction that this thread holds."""

    def run():
        try:
            job()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
