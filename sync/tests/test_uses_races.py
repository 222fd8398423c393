"""Twenty at once on PostgreSQL: a use counts once, a used serial is never handed out."""

import pytest
from django.db import connection, transaction

from coupons.errors import CouponError
from coupons.models import Coupon, Verification
from coupons.services import redeem
from serials.models import Batch, Serial
from serials.services import void_one
from sync.mirroring import mirror
from sync.models import RemoteCoupon, Step, Use
from sync.processing import work_off_one
from sync.tests.uses_helpers import (
    NOON,
    alert,
    arrive,
    make_paddle,
    make_vivoldi,
    publish,
)
from sync.uses import Told, known_uses, note_count, note_use
from testing.factories import TEST, make_coupon, make_user
from testing.races import outcomes, rounds

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
ROUNDS = rounds(5)


@pytest.fixture
def naive_table():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE naive_use (count integer)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE naive_use")


def naive_count(used):
    """Look how many are known, then keep what is missing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(count), 0) FROM naive_use")
        known = cursor.fetchone()[0]
        if known < used:
            cursor.execute("INSERT INTO naive_use VALUES (%s)", [used - known])


@pytest.mark.usefixtures("naive_table")
def test_the_harness_catches_naive_code_that_counts_one_use_twice(racers):
    worst = 0
    for _ in range(ROUNDS):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE naive_use")
        racers.race(lambda n: naive_count(1))
        with connection.cursor() as cursor:
            cursor.execute("SELECT sum(count) FROM naive_use")
            worst = max(worst, cursor.fetchone()[0])

    assert worst > 1


def raised(results):
    return [result for result in results if isinstance(result, Exception)]


def test_one_sale_told_by_twenty_alerts_is_one_use_and_one_verification(racers):
    for _ in range(ROUNDS):
        account = make_paddle()
        rows = publish(account, ["SPRING-1"])
        coupon = make_coupon(rows["SPRING-1"].campaign, status="redeemed")
        events = [arrive(account, alert("SPRING-1")) for _ in range(racers.count)]

        results = racers.race(lambda n, events=events: work_off_one(events[n].pk))

        assert not raised(results)
        assert Use.objects.filter(connection=account).count() == 1
        assert Step.objects.filter(connection=account, kind="used").count() == 1
        assert Verification.objects.filter(coupon=coupon).count() == 1
        for event in events:
            event.refresh_from_db()
            assert (event.processed_at is not None, event.tries) == (True, 0)


def test_counts_and_webhooks_of_the_same_uses_at_once_add_nothing_up(racers):
    """Four sales, each told often, and counts that have seen none to all of them."""
    for _ in range(ROUNDS):
        account = make_paddle()
        row = publish(account, ["SPRING-1"])["SPRING-1"]

        def job(n, row=row, account=account):
            if n % 2:
                return note_count(row.pk, n % 5)
            return note_use(Told(account.pk, "SPRING-1", f"order:{n % 4}", NOON))

        results = racers.race(job)
        note_count(row.pk, 4)

        assert not raised(results)
        assert known_uses(row) == 4
        assert row.uses.exclude(key="").count() == 2  # orders 0 and 2
        assert Batch.objects.get(campaign=row.campaign).voided == 1


def test_a_code_that_is_not_ours_told_by_twenty_is_kept_once(racers):
    for _ in range(ROUNDS):
        account = make_paddle()

        results = racers.race(
            lambda n, pk=account.pk: note_use(Told(pk, "WHOSE", "order:1"))
        )

        assert len({use.pk for use in results}) == 1
        assert Step.objects.filter(connection=account).count() == 1


def test_the_last_serial_is_used_there_or_handed_out_and_verified(racers):
    """Half redeem, half tell of its use. Whoever wins: no customer has a dead serial."""
    seen = set()
    for _ in range(ROUNDS * 2):
        account = make_paddle()
        row = publish(account, ["ONLY-ONE"])["ONLY-ONE"]
        coupons = [
            make_coupon(row.campaign, status="sent") for _ in range(racers.count - 2)
        ]

        def job(n, account=account, coupons=coupons):
            if n < 2:
                return note_use(Told(account.pk, "ONLY-ONE", f"order:{n}", NOON))
            return redeem(coupons[n - 2].token, source=TEST)

        results = racers.race(job)

        serial = Serial.objects.get(campaign=row.campaign)
        holders = Coupon.objects.filter(serial=serial)
        assert set(outcomes(results)) <= {"ok", "out_of_stock"}
        if serial.state == Serial.State.VOID:
            assert not holders.exists()
        else:
            assert holders.get().status == Coupon.Status.VERIFIED
        void = Serial.objects.filter(campaign=row.campaign, state=Serial.State.VOID)
        assert Batch.objects.get(campaign=row.campaign).voided == void.count()
        seen.add(Serial.State(serial.state).name)
    # Else the race shows nothing.
    assert seen <= {"VOID", "TAKEN"}
    assert seen


def test_who_redeems_while_its_serial_is_made_void_gets_another(racers):
    for _ in range(ROUNDS):
        rows = publish(make_paddle(), [f"S-{n:03}" for n in range(racers.count)])
        campaign = rows["S-000"].campaign
        serials = [rows[f"S-{n:03}"].serial_id for n in range(racers.count // 2)]
        coupons = [make_coupon(campaign, status="sent") for _ in serials]

        def job(n, serials=serials, coupons=coupons):
            if n % 2:
                return void_one(serials[n // 2])
            return redeem(coupons[n // 2].token, source=TEST)

        results = racers.race(job)

        assert all(isinstance(error, CouponError) for error in raised(results))
        void = Serial.objects.filter(campaign=campaign, state=Serial.State.VOID)
        assert void.count() == sum(result is True for result in results)
        assert not Coupon.objects.filter(serial__in=void).exists()
        assert Batch.objects.get(campaign=campaign).voided == void.count()
        held = Coupon.objects.filter(campaign=campaign, status="redeemed")
        assert held.count() == len(coupons)


def test_twenty_mirrors_tell_of_a_verification_once(racers):
    for _ in range(ROUNDS):
        account = make_vivoldi()
        rows = publish(account, ["AAAA1111", "BBBB2222"], is_mirrored=True)
        for _ in rows:
            coupon = make_coupon(rows["AAAA1111"].campaign, status="redeemed")
            staff = make_user()
            Verification.objects.create(
                coupon=coupon, staff=staff, way="scan", at=coupon.redeemed_at
            )
            Coupon.objects.filter(pk=coupon.pk).update(
                status="verified", verified_at=coupon.redeemed_at
            )

        results = racers.race(lambda n: mirror())

        assert not raised(results)
        assert sum(results) == 2
        assert Use.objects.filter(connection=account).count() == 2
        redeems = RemoteCoupon.objects.filter(connection=account, errand="redeem")
        assert redeems.count() == 2
        assert set(redeems.values_list("tries", flat=True)) == {0}


def test_a_refund_applied_at_the_same_moment_as_its_sale_is_not_lost(racers):
    """Each would look before the other is committed, and neither look again."""
    for _ in range(ROUNDS):
        account = make_paddle()
        pairs = racers.count // 2
        publish(account, [f"SPRING-{n}" for n in range(pairs)])
        refund = {"kind": "payment_refunded", "refund_type": "full"}
        events = [
            arrive(account, alert(code, order=f"{n}-1", **fields))
            for n in range(pairs)
            for code, fields in ((f"SPRING-{n}", {}), ("", refund))
        ]

        results = racers.race(lambda n, events=events: work_off_one(events[n].pk))

        assert not raised(results)
        uses = Use.objects.filter(connection=account)
        assert uses.filter(refunded_at__isnull=False).count() == pairs
        steps = Step.objects.filter(connection=account, kind="refunded")
        assert steps.count() == pairs
