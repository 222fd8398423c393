"""Batches made void, and new ones added, while twenty customers redeem."""

import os
import threading
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from coupons.errors import CouponError
from coupons.models import Coupon
from coupons.services import redeem
from reports.ledger import find_breaks
from reports.numbers import numbers_for, stock_of
from serials import importing, services
from serials.models import Batch, Serial, Stock
from serials.tests.files import checked
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_coupons,
    make_fixed_batch,
    make_serials,
)
from testing.races import THREADS, Elsewhere, Watcher

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = int(os.environ.get("RACE_ROUNDS", "2"))  # each is a hundred redemptions
EACH = 5  # coupons a customer redeems, one after the other
TOTAL = 200


def press(coupon):
    """The batch whose serial the customer got, or why there is none."""
    try:
        return redeem(coupon.token, source=TEST).batch_id
    except CouponError as error:
        return error.code


def work_off(batch):
    while importing.run(batch.pk, seconds=0):
        pass


class Void:
    """A batch made void once the first of many customers has redeemed."""

    def __init__(self, batch):
        self.batch = batch
        self.coupons = make_coupons(batch.campaign, [None] * THREADS * EACH)
        self.has_begun, self.is_asked = threading.Event(), threading.Event()

    def ask(self):
        """What the manager does, and then the worker."""
        self.has_begun.wait(10)
        services.void(Batch.objects.get(pk=self.batch.pk))
        self.is_asked.set()
        work_off(self.batch)

    def redeem(self, n):
        """What a customer got for each coupon, the last one surely after the press."""
        *coupons, last = self.coupons[n * EACH : (n + 1) * EACH]
        told = []
        for coupon in coupons:
            told.append(press(coupon))
            self.has_begun.set()
        self.is_asked.wait(10)
        return [*told, press(last)]

    def race(self, racers):
        asking = Elsewhere(self.ask)
        results = racers.race(self.redeem)
        assert asking.result() is None
        self.batch.refresh_from_db()
        late = {told[-1] for told in results}
        return [said for told in results for said in told], late


def assert_exact(batch, told):
    """Taken and void are all there is, as rows, as tallies and as customers were told."""
    taken = Coupon.objects.filter(batch=batch).count()
    stock = stock_of(Batch.objects.select_related("stock").get(pk=batch.pk))
    assert batch.state == Batch.State.VOID
    assert taken == told.count(batch.pk)
    assert (stock.taken, stock.free) == (taken, 0)
    assert stock.taken + stock.void == stock.total == TOTAL
    assert find_breaks(now=timezone.now()) == []


def taken_by_rows_and_by_tallies(batch):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM serials_serial"
            " WHERE batch_id = %(batch)s AND state = 1),"
            " (SELECT coalesce(sum(redeemed), 0) FROM coupons_tally"
            " WHERE batch_id = %(batch)s)",
            {"batch": batch.pk},
        )
        return cursor.fetchone()


@pytest.fixture
def naive_table():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE naive_serial (id int, state int)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE naive_serial")


def write(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


@pytest.mark.usefixtures("naive_table")
def test_the_harness_catches_naive_code_that_counts_what_it_makes_void(racers):
    write("INSERT INTO naive_serial SELECT n, 0 FROM generate_series(1, %s) n", TOTAL)
    has_begun, has_counted, has_gone_on = (threading.Event() for _ in range(3))
    take = (
        "UPDATE naive_serial SET state = 1 WHERE state = 0 AND id = (SELECT id FROM "
        "naive_serial WHERE state = 0 LIMIT 1 FOR UPDATE SKIP LOCKED)"
    )

    def void():
        has_begun.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM naive_serial WHERE state = 0")
            free = cursor.fetchone()[0]
        has_counted.set()
        has_gone_on.wait(10)
        write("UPDATE naive_serial SET state = 2 WHERE state = 0")
        return free

    def customer(n):
        taken = write(take)
        has_begun.set()
        has_counted.wait(10)
        for _ in range(EACH - 1):
            taken += write(take)
            has_gone_on.set()
        return taken

    voiding = Elsewhere(void)
    taken = sum(racers.race(customer))

    assert taken + voiding.result() > TOTAL


def test_beside_twenty_customers_each_serial_is_taken_or_void(racers, settings):
    settings.IMPORT_BLOCK = 15
    for _ in range(ROUNDS):
        campaign = make_campaign()
        batch = make_serials(campaign, TOTAL)

        with Watcher(partial(taken_by_rows_and_by_tallies, batch)) as watcher:
            told, late = Void(batch).race(racers)

        assert late == {"out_of_stock"}
        assert set(told) == {batch.pk, "out_of_stock"}
        assert_exact(batch, told)
        assert all(rows == tallies for rows, tallies in watcher.seen)
        assert Serial.objects.filter(batch=batch, state=2).count() == batch.voided
        assert press(make_coupon(campaign)) == "out_of_stock"


def test_beside_twenty_customers_each_unit_is_taken_or_void(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()
        batch = make_fixed_batch(campaign, quantity=TOTAL)

        told, late = Void(batch).race(racers)

        assert late == {"out_of_stock"}
        assert set(told) == {batch.pk, "out_of_stock"}
        assert_exact(batch, told)
        stock = Stock.objects.get(batch=batch)
        assert stock.taken == stock.quantity
        assert press(make_coupon(campaign)) == "out_of_stock"


def test_nobody_is_told_that_none_is_left_while_the_next_batch_has_some(
    racers, settings
):
    settings.IMPORT_BLOCK = 15
    for n in range(ROUNDS):
        campaign = make_campaign()
        if n % 2:
            batch = make_serials(campaign, TOTAL)
        else:
            batch = make_fixed_batch(campaign, quantity=TOTAL)
        second = make_serials(campaign, THREADS * EACH, position=1)

        told, late = Void(batch).race(racers)

        assert late == {second.pk}
        assert set(told) == {batch.pk, second.pk}
        assert_exact(batch, told)


def test_serials_added_while_customers_redeem_follow_when_the_first_are_used_up(
    racers, settings
):
    settings.IMPORT_BLOCK = 20
    for _ in range(ROUNDS):
        campaign = make_campaign(barcode="none")
        first = make_serials(campaign, 30)
        coupons = make_coupons(campaign, [None] * THREADS * EACH)
        text = "s\n" + "".join(f"LATER-{n:03}\n" for n in range(len(coupons) - 30))
        later = checked(text, campaign)
        services.confirm(later)
        has_begun = threading.Event()

        def customer(n, coupons=coupons, has_begun=has_begun):
            mine = coupons[n * EACH : (n + 1) * EACH]
            told = []
            for coupon in mine:
                told.append(press(coupon))
                has_begun.set()
            return told

        def import_later(has_begun=has_begun, later=later):
            has_begun.wait(10)
            work_off(later)

        importer = Elsewhere(import_later)
        too_early = racers.race(customer)
        assert importer.result() is None
        told = [said for each in racers.race(customer) for said in each]

        assert set(sum(too_early, [])) <= {first.pk, later.pk, "out_of_stock"}
        assert (told.count(first.pk), told.count(later.pk)) == (30, 70)
        serials = Coupon.objects.filter(campaign=campaign).values_list("serial")
        assert len(set(serials)) == len(coupons)
        assert (numbers_for(campaign).left, numbers_for(campaign).stock) == (0, 100)
        assert find_breaks(now=timezone.now()) == []


def test_two_people_who_make_it_void_and_three_workers_do_it_once(settings):
    settings.IMPORT_BLOCK = 20
    for _ in range(ROUNDS):
        batch = make_serials(make_campaign(), TOTAL)

        def press(pk=batch.pk):
            services.void(Batch.objects.get(pk=pk))
            for _ in range(10):
                importing.run(pk, seconds=0)

        jobs = [Elsewhere(press) for _ in range(3)]
        assert [job.result() for job in jobs] == [None] * 3
        work_off(batch)

        batch.refresh_from_db()
        assert (batch.state, batch.voided) == (Batch.State.VOID, TOTAL)
