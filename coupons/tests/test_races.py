"""Twenty at once on PostgreSQL: nothing is redeemed or verified twice.

Each race has its control: the same harness with naive code on a table without
backstops, which must do what ours must not, else the harness shows nothing.
"""

from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models import Sum

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
from testing.races import ROUNDS, THREADS, outcomes

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


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
    cursor.execute("SELECT used < quota FROM naive_counter")
    if not cursor.fetchone()[0]:
        return False
    cursor.execute("UPDATE naive_counter SET used = used + 1")
    return True


def naive_limit(cursor):
    """Lock a coupon of the contact's, then count the others."""
    cursor.execute(
        "SELECT id FROM naive_coupon WHERE status = 'sent' LIMIT 1 "
        "FOR UPDATE SKIP LOCKED"
    )
    own = cursor.fetchone()
    cursor.execute("SELECT count(*) FROM naive_coupon WHERE status = 'redeemed'")
    if cursor.fetchone()[0] >= 1:
        return False
    cursor.execute("UPDATE naive_coupon SET status = 'redeemed' WHERE id = %s", own)
    return True


def refill(status, coupons):
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE naive_coupon, naive_serial, naive_counter")
        cursor.execute(
            "INSERT INTO naive_coupon SELECT n, 1, %s FROM generate_series(1, %s) n",
            [status, coupons],
        )
        cursor.execute("INSERT INTO naive_serial VALUES (1, true)")
        cursor.execute("INSERT INTO naive_counter VALUES (0, 1)")


def in_transaction(naive):
    with transaction.atomic(), connection.cursor() as cursor:
        return naive(cursor)


@pytest.mark.usefixtures("naive_tables")
@pytest.mark.parametrize(
    ("naive", "status", "coupons"),
    [
        (naive_redeem, "sent", 1),
        (naive_verify, "redeemed", 1),
        (naive_serial, "sent", 1),
        (naive_unit, "sent", 1),
        (naive_limit, "sent", THREADS),
    ],
)
def test_the_harness_catches_naive_code_giving_one_thing_away_twice(
    racers, naive, status, coupons
):
    worst = 0
    for _ in range(ROUNDS):
        refill(status, coupons)
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
