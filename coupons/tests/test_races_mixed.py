"""Limits and stock under a rush of unlike requests: redeem, verify, undo, revoke, edit.

Each race has its control: naive code for the same task, on tables without backstops in
the same harness, has to go wrong.
"""

import random
import time
from collections import Counter
from functools import partial
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from campaigns.errors import CampaignError
from campaigns.models import TotalLimit
from coupons.errors import CouponError
from coupons.limiting import set_total_limit
from coupons.models import Attempt, ContactUse, Coupon, Event, Verification
from coupons.services import redeem, reissue, revoke, scan, undo, verify
from reports.ledger import find_breaks
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_contacts,
    make_coupon,
    make_coupons,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)
from testing.races import ROUNDS, THREADS, Watcher, all_of, outcomes

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def assert_all_agrees():
    """Every coupon's steps lead to its status, and every count is the sum of them."""
    assert find_breaks(now=timezone.now()) == []


def read(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()


def write(sql, *values):
    """How many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


def rest():
    """The work that lies between a look and the write that relies on it."""
    time.sleep(0.005)


# --- the controls --------------------------------------------------------------------
# Each returns whether naive code went wrong.


def naive_coupons(status, count=1):
    write("TRUNCATE naive_coupon")
    write(
        "INSERT INTO naive_coupon SELECT n, 1, %s FROM generate_series(0, %s) n",
        status,
        count - 1,
    )


def naive_counter(used, quota):
    write("TRUNCATE naive_counter")
    write("INSERT INTO naive_counter VALUES (%s, %s)", used, quota)


def change_status(was, to, number=0):
    """Look, then write."""
    if read("SELECT status FROM naive_coupon WHERE id = %s", number)[0] != was:
        return False
    rest()
    write("UPDATE naive_coupon SET status = %s WHERE id = %s", to, number)
    return True


def contact_limit_by_counting(racers):
    """The coupon is locked, but the contact's others are only counted."""
    naive_coupons("sent", THREADS)

    @transaction.atomic
    def job(n):
        read("SELECT id FROM naive_coupon WHERE id = %s FOR UPDATE", n)
        if read("SELECT count(*) FROM naive_coupon WHERE status = 'redeemed'")[0] >= 2:
            return False
        rest()
        return write("UPDATE naive_coupon SET status = 'redeemed' WHERE id = %s", n)

    return sum(racers.race(job)) > 2


def contact_limit_with_units_coming_back(racers):
    """One number goes up and down in Python."""
    naive_coupons("sent", THREADS)
    naive_counter(0, 2)

    def job(n):
        for to, step in (("redeemed", 1), ("revoked", -1)):
            used, quota = read("SELECT used, quota FROM naive_counter")
            if step > 0 and used >= quota:
                return
            rest()
            write("UPDATE naive_counter SET used = %s", used + step)
            write("UPDATE naive_coupon SET status = %s WHERE id = %s", to, n)
            rest()

    held = "SELECT count(*) FROM naive_coupon WHERE status = 'redeemed'"
    with Watcher(partial(read, held)) as watcher:
        racers.race(job)
    return max(watcher.seen)[0] > 2


def total_limit_by_looking(racers):
    """Count up in the database, but after a look of one's own."""
    naive_counter(0, 7)

    def job(n):
        used, quota = read("SELECT used, quota FROM naive_counter")
        rest()
        return used < quota and write("UPDATE naive_counter SET used = used + 1")

    return sum(racers.race(job)) > 7


def total_limit_lowered_by_looking(racers):
    """Redeeming is guarded; whoever lowers the limit looks first."""
    naive_counter(0, THREADS)

    def job(n):
        if n:
            guarded = "UPDATE naive_counter SET used = used + 1 WHERE used < quota"
            return write(guarded)
        [used] = read("SELECT used FROM naive_counter")
        rest()
        return write("UPDATE naive_counter SET quota = %s", used)

    racers.race(job)
    used, quota = read("SELECT used, quota FROM naive_counter")
    return bool(used > quota)


def first_limit_by_counting(racers):
    """What is redeemed so far is counted while more is being redeemed."""
    naive_coupons("sent", THREADS)
    write("TRUNCATE naive_counter")

    @transaction.atomic
    def job(n):
        if n == 0:
            redeemed = "SELECT count(*) FROM naive_coupon WHERE status = 'redeemed'"
            [used] = read(redeemed)
            return write("INSERT INTO naive_counter VALUES (%s, 100)", used)
        write("UPDATE naive_coupon SET status = 'redeemed' WHERE id = %s", n)
        write("UPDATE naive_counter SET used = used + 1")
        return rest()

    racers.race(job)
    return read("SELECT used FROM naive_counter")[0] != THREADS - 1


def limit_removed_reads_as_reached(racers):
    """No row changed: taken for a limit that is reached."""
    naive_counter(0, 100)

    def job(n):
        if n == 0:
            return bool(write("DELETE FROM naive_counter"))
        if read("SELECT count(*) FROM naive_counter")[0] == 0:
            return True
        rest()
        return write("UPDATE naive_counter SET used = used + 1 WHERE used < quota")

    return not all(racers.race(job))


def first_batch_empty_reads_as_sold_out(racers):
    """The last unit went meanwhile, and nobody looks into the other batch."""
    naive_counter(0, 5)
    write("TRUNCATE naive_serial")
    write("INSERT INTO naive_serial SELECT n, true FROM generate_series(1, 50) n")
    take = (
        "UPDATE naive_serial SET is_free = false WHERE id = (SELECT id FROM "
        "naive_serial WHERE is_free LIMIT 1 FOR UPDATE SKIP LOCKED)"
    )

    def job(n):
        used, quota = read("SELECT used, quota FROM naive_counter")
        if used >= quota:
            return write(take)
        rest()
        return write("UPDATE naive_counter SET used = used + 1 WHERE used < quota")

    return sum(racers.race(job)) < THREADS


def free_serial_stepped_over(racers):
    """Whoever finds all free serials locked says that there are none."""
    write("TRUNCATE naive_serial")
    write("INSERT INTO naive_serial SELECT n, true FROM generate_series(1, 10) n")
    free = "SELECT id FROM naive_serial WHERE is_free LIMIT 1 FOR UPDATE SKIP LOCKED"

    def job(n):
        with transaction.atomic():
            row = read(free)
            if row is None:
                return False
            rest()
            if n % 2:  # a refusal later in the transaction gives it back
                return transaction.set_rollback(True)
            return write("UPDATE naive_serial SET is_free = false WHERE id = %s", *row)

    wanted = racers.race(job)[::2]
    return sum(wanted) < 10


def mixed_steps_by_looking(racers):
    """Each step looks at the status before it writes."""
    naive_coupons("redeemed")
    write("TRUNCATE naive_event")
    moves = [
        ("redeemed", "verified"),
        ("verified", "redeemed"),
        ("redeemed", "revoked"),
    ]

    def job(n):
        was, to = moves[n % 3]
        if change_status(was, to):
            write("INSERT INTO naive_event VALUES (0, %s)", to)

    racers.race(job)
    verified = read("SELECT count(*) FROM naive_event WHERE kind = 'verified'")[0]
    undone = read("SELECT count(*) FROM naive_event WHERE kind = 'redeemed'")[0]
    return verified - undone not in (0, 1)


def undo_by_looking(racers):
    naive_coupons("verified")

    return sum(racers.race(lambda n: change_status("verified", "redeemed"))) > 1


def revoke_by_looking(racers):
    """The coupon ends revoked all the same; the unit comes back more than once."""
    naive_coupons("redeemed")
    naive_counter(1, 100)

    def job(n):
        if change_status("redeemed", "revoked"):
            write("UPDATE naive_counter SET used = used - 1")

    racers.race(job)
    return read("SELECT used FROM naive_counter")[0] < 0


def scan_by_looking(racers):
    """A scan is new when its nonce isn't there yet."""
    naive_coupons("redeemed")
    write("TRUNCATE naive_answer")

    def job(n):
        if read("SELECT count(*) FROM naive_answer WHERE nonce = 1")[0]:
            return "ok"
        is_ok = change_status("redeemed", "verified")
        write("INSERT INTO naive_answer VALUES (1)")
        return "ok" if is_ok else "already_verified"

    racers.race(job)
    return read("SELECT count(*) FROM naive_answer")[0] > 1


def two_tills_by_looking(racers):
    naive_coupons("redeemed")

    return sum(racers.race(lambda n: change_status("redeemed", "verified"))) > 1


@pytest.mark.usefixtures("naive_tables")
@pytest.mark.parametrize(
    "goes_wrong",
    [
        contact_limit_by_counting,
        contact_limit_with_units_coming_back,
        total_limit_by_looking,
        total_limit_lowered_by_looking,
        first_limit_by_counting,
        limit_removed_reads_as_reached,
        first_batch_empty_reads_as_sold_out,
        free_serial_stepped_over,
        mixed_steps_by_looking,
        undo_by_looking,
        revoke_by_looking,
        scan_by_looking,
        two_tills_by_looking,
    ],
)
def test_the_harness_catches_naive_code(racers, goes_wrong):
    assert any(goes_wrong(racers) for _ in range(ROUNDS))


# --- limit per contact ---------------------------------------------------------------


def test_a_contact_with_coupons_of_two_campaigns_reaches_the_limit_of_each(racers):
    account = make_connection()
    for _ in range(ROUNDS):
        campaigns = [make_campaign(limit_per_contact=2) for _ in range(2)]
        contact = make_contact(account)
        coupons = []
        for campaign in campaigns:
            make_serials(campaign, THREADS)
            coupons += make_coupons(campaign, [contact] * (THREADS // 2))

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": 4, "limit_reached": THREADS - 4}
        for campaign in campaigns:
            assert ContactUse.objects.get(campaign=campaign).used == 2
        assert_all_agrees()


def test_units_given_back_in_the_rush_never_let_a_contact_hold_more_than_its_limit(
    racers,
):
    account = make_connection()
    for _ in range(ROUNDS):
        campaign = make_campaign(limit_per_contact=2)
        make_fixed_batch(campaign, quantity=None)
        contact = make_contact(account)
        coupons = make_coupons(campaign, [contact] * THREADS * 3)
        look = partial(
            read,
            "SELECT (SELECT count(*) FROM coupons_coupon WHERE campaign_id = %s "
            "AND status = 'redeemed'), coalesce((SELECT used FROM coupons_contactuse "
            "WHERE campaign_id = %s), 0)",
            campaign.pk,
            campaign.pk,
        )

        def job(n, coupons=coupons):
            return [redeem_and_revoke(coupon) for coupon in coupons[n::THREADS]]

        with Watcher(look) as watcher:
            results = racers.race(job)

        counted = outcomes(all_of(results))
        assert counted["ok"] >= 2
        assert counted["ok"] + counted["limit_reached"] == len(coupons)
        assert max(held for held, _ in watcher.seen) <= 2
        assert all(held == used for held, used in watcher.seen)
        assert look() == (0, 0)
        assert_all_agrees()


def redeem_and_revoke(coupon):
    try:
        redeem(coupon.token, source=TEST)
    except CouponError as error:
        return error
    return revoke(coupon.pk, source=TEST, reason="wrong person")


# --- limit in total ------------------------------------------------------------------


def make_limited(quota):
    campaign = make_campaign()
    set_total_limit(campaign, quota)
    return campaign


def coupons_of_twenty(campaign, account, each=1):
    """`each` coupons for every thread, and a contact of its own for every coupon."""
    return make_coupons(campaign, make_contacts(account, THREADS * each))


def used_and_held(campaign):
    """The limit's count, its quota and the coupons redeemed, at one instant."""
    return read(
        "SELECT t.used, t.quota, (SELECT count(*) FROM coupons_coupon c WHERE "
        "c.campaign_id = t.campaign_id AND c.status IN ('redeemed', 'verified')) "
        "FROM campaigns_totallimit t WHERE t.campaign_id = %s",
        campaign.pk,
    )


@pytest.mark.parametrize("kind", ["one_time", "fixed"])
def test_a_limit_in_total_of_seven_lets_seven_of_twenty_through(racers, kind):
    account = make_connection()
    for _ in range(ROUNDS):
        campaign = make_limited(7)
        if kind == "fixed":
            make_fixed_batch(campaign, quantity=15)
        else:
            make_serials(campaign, 15)
        coupons = coupons_of_twenty(campaign, account)

        results = racers.race(lambda n, c=coupons: redeem(c[n].token, source=TEST))

        assert outcomes(results) == {"ok": 7, "limit_reached": THREADS - 7}
        assert used_and_held(campaign) == (7, 7, 7)
        assert_all_agrees()


def test_a_limit_raised_and_lowered_in_the_rush_is_never_exceeded(racers):
    account = make_connection()
    for number in range(ROUNDS):
        campaign = make_limited(4)
        make_serials(campaign, 4 * THREADS)
        coupons = coupons_of_twenty(campaign, account, each=3)
        seen = partial(used_and_held, campaign)

        def job(n, campaign=campaign, coupons=coupons, number=number):
            if n >= 4:
                return [redeemed_or_refusal(c) for c in coupons[n::THREADS]]
            chance = random.Random(1000 * number + n)  # noqa: S311
            quotas = [chance.randint(1, 40) for _ in range(5)]
            return [limit_or_refusal(campaign, quota) for quota in quotas]

        with Watcher(seen) as watcher:
            results = racers.race(job)

        changes, redemptions = all_of(results[:4]), all_of(results[4:])
        assert set(outcomes(changes)) <= {"ok", "limit_too_low"}
        counted = outcomes(redemptions)
        assert set(counted) <= {"ok", "limit_reached"}
        assert all(used <= quota for used, quota, _ in watcher.seen)
        assert all(used == held for used, _, held in watcher.seen)
        assert seen()[0] == counted["ok"]
        assert_all_agrees()


def redeemed_or_refusal(coupon):
    try:
        return redeem(coupon.token, source=TEST)
    except CouponError as error:
        return error


def limit_or_refusal(campaign, quota):
    try:
        return set_total_limit(campaign, quota)
    except CampaignError as error:
        return error


@pytest.mark.parametrize("quota", [1000, 12])
def test_a_first_limit_set_in_the_rush_starts_with_what_is_redeemed(racers, quota):
    account = make_connection()
    for number in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 3 * THREADS)
        coupons = coupons_of_twenty(campaign, account, each=2)
        for coupon in coupons[:3]:
            redeem(coupon.token, source=TEST)
        revoke(coupons[0].pk, source=TEST, reason="wrong person")

        def job(n, campaign=campaign, coupons=coupons, number=number):
            if n in (3, 4):  # two managers at once
                time.sleep((number % 5) * 0.01)
                return [limit_or_refusal(campaign, quota)]
            if n == 1:
                revoke(coupons[1].pk, source=TEST, reason="wrong person")
            mine = [c for c in coupons[n::THREADS] if c is not coupons[0]]
            return [redeemed_or_refusal(c) for c in mine if c is not coupons[1]]

        results = all_of(racers.race(job))

        counted = outcomes(results)
        assert set(counted) <= {"ok", "limit_reached", "limit_too_low"}
        if counted["limit_too_low"] < 2:
            used, allowed, held = used_and_held(campaign)
            assert used == held <= allowed == quota
        else:
            assert not counted["limit_reached"]
            assert not TotalLimit.objects.filter(campaign=campaign).exists()
        if quota == 1000:
            assert set(counted) == {"ok"}
        assert_all_agrees()


def test_a_limit_taken_away_in_the_rush_refuses_nobody_afterwards(racers):
    account = make_connection()
    for number in range(ROUNDS):
        campaign = make_limited(5)
        make_serials(campaign, 3 * THREADS)
        coupons = coupons_of_twenty(campaign, account, each=2)

        def job(n, campaign=campaign, coupons=coupons, number=number):
            if n == 0:
                time.sleep((number % 5) * 0.01)
                set_total_limit(campaign, None)
                return []
            return [redeemed_or_refusal(coupon) for coupon in coupons[n::THREADS]]

        counted = outcomes(all_of(racers.race(job)))
        afterwards = outcomes([redeemed_or_refusal(coupon) for coupon in coupons])

        assert set(counted) <= {"ok", "limit_reached"}
        assert counted["ok"] >= 5
        assert afterwards == {"ok": len(coupons)}
        set_total_limit(campaign, 1000)
        assert used_and_held(campaign) == (len(coupons), 1000, len(coupons))
        assert_all_agrees()


def test_a_high_limit_taken_away_in_the_rush_refuses_nobody(racers):
    account = make_connection()
    for _ in range(ROUNDS):
        campaign = make_limited(1000)
        make_serials(campaign, THREADS)
        coupons = coupons_of_twenty(campaign, account)

        def job(n, campaign=campaign, coupons=coupons):
            if n == 0:
                return set_total_limit(campaign, None)
            return redeem(coupons[n].token, source=TEST)

        assert outcomes(racers.race(job)) == {"ok": THREADS}
        assert_all_agrees()


# --- stock ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixed", "one_time", "quota"), [(13, 11, 100), (13, 11, 17), (30, 40, 100)]
)
def test_a_mixed_campaign_gives_out_all_it_has_and_no_more(
    racers, fixed, one_time, quota
):
    account = make_connection()
    for number in range(ROUNDS):
        campaign = make_limited(quota)
        make_fixed_batch(campaign, quantity=fixed, position=number % 2)
        make_serials(campaign, one_time, position=(number + 1) % 2)
        coupons = coupons_of_twenty(campaign, account, each=2)

        def job(n, coupons=coupons):
            return [redeemed_or_refusal(coupon) for coupon in coupons[n::THREADS]]

        counted = outcomes(all_of(racers.race(job)))

        supply = min(fixed + one_time, quota, len(coupons))
        why_not = "limit_reached" if supply == quota else "out_of_stock"
        assert counted == Counter({"ok": supply, why_not: len(coupons) - supply})
        assert_all_agrees()


def test_a_refusal_that_gives_its_serial_back_leaves_it_to_whoever_waits(racers):
    """Half of the coupons are of a contact at its limit, and take a serial for a while."""
    account = make_connection()
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, THREADS // 2)
        coupons = coupons_of_twenty(campaign, account)

        def job(n, coupons=coupons):
            with transaction.atomic():
                answer = redeemed_or_refusal(coupons[n])
                if n % 2:
                    time.sleep(0.005)
                    transaction.set_rollback(True)
            return answer

        kept = racers.race(job)[::2]

        assert outcomes(kept) == {"ok": THREADS // 2}
        assert_all_agrees()


# --- verify, undo, revoke ------------------------------------------------------------


def test_verify_undo_and_revoke_in_any_mix_leave_books_that_agree(racers):
    clerk = make_user()
    store = make_store(clerk)
    account = make_connection()
    may_be_told = {
        "ok",
        "already_verified",
        "revoked",
        "not_redeemed",
        "conflict",
        "nothing to undo",
    }
    for number in range(ROUNDS):
        campaign = make_limited(5)
        make_serials(campaign, 2)
        coupon = make_coupon(campaign, make_contact(account), status="redeemed")
        if number % 2:
            verify(coupon.pk, store=store, staff=clerk)

        def job(n, coupon=coupon, number=number):
            chance = random.Random(1000 * number + n)  # noqa: S311
            return [
                step(coupon, chance=chance, store=store, clerk=clerk) for _ in range(3)
            ]

        counted = Counter(all_of(racers.race(job)))

        assert set(counted) <= may_be_told
        assert counted["ok"]
        assert_all_agrees()


def step(coupon, *, chance, store, clerk):
    """One thing that somebody does to the coupon, or why they may not."""
    what = chance.choices(
        ["verify", "scan", "undo", "redeem", "revoke"], weights=[6, 3, 9, 2, 1]
    )[0]
    try:
        if what == "verify":
            verify(coupon.pk, store=store, staff=clerk)
        elif what == "scan":
            scan(coupon.number, store=store, staff=clerk, nonce=uuid4())
        elif what == "redeem":
            redeem(coupon.token, source=TEST)
        elif what == "revoke":
            revoke(coupon.pk, source=TEST, reason="stolen phone")
        else:
            live = Verification.objects.filter(coupon=coupon, undone_at=None).first()
            if live is None:
                return "nothing to undo"
            undo(live.pk, by=clerk, reason="slip", is_manager=chance.random() < 0.5)
    except CouponError as error:
        return error.code
    return "ok"


def test_one_verification_taken_back_by_twenty_is_taken_back_once(racers):
    clerk, manager = make_user(), make_user()
    store = make_store(clerk)
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign, status="redeemed")
        verification = verify(coupon.pk, store=store, staff=clerk)

        results = racers.race(
            lambda n, v=verification: undo(
                v.pk,
                by=manager if n % 2 else clerk,
                reason="slip",
                is_manager=bool(n % 2),
            )
        )

        assert outcomes(results) == {"ok": 1, "conflict": THREADS - 1}
        assert Event.objects.filter(coupon=coupon, kind="undone").count() == 1
        assert_all_agrees()


def test_each_of_two_verifications_is_taken_back_once(racers):
    clerk = make_user()
    store = make_store(clerk)
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign, status="redeemed")
        first = verify(coupon.pk, store=store, staff=clerk)
        undo(first.pk, by=clerk, reason="slip", is_manager=False)
        second = verify(coupon.pk, store=store, staff=clerk)

        results = racers.race(
            lambda n, both=(first, second): undo(
                both[n % 2].pk, by=clerk, reason="slip", is_manager=False
            )
        )

        assert outcomes(results[::2]) == {"conflict": THREADS // 2}
        assert outcomes(results[1::2]) == {"ok": 1, "conflict": THREADS // 2 - 1}
        assert Event.objects.filter(coupon=coupon, kind="undone").count() == 2
        assert_all_agrees()


def test_a_coupon_revoked_by_twenty_gives_its_unit_back_once(racers):
    account = make_connection()
    for _ in range(ROUNDS):
        campaign = make_limited(5)
        campaign.limit_per_contact = 3
        campaign.save(update_fields=["limit_per_contact"])
        make_serials(campaign, 5)
        contact = make_contact(account)
        coupons = make_coupons(campaign, [contact] * 3)
        for coupon in coupons:
            redeem(coupon.token, source=TEST)

        results = racers.race(
            lambda n, pk=coupons[0].pk: revoke(pk, source=TEST, reason="stolen phone")
        )

        assert outcomes(results) == {"ok": 1, "revoked": THREADS - 1}
        assert ContactUse.objects.get(campaign=campaign).used == 2
        assert TotalLimit.objects.get(campaign=campaign).used == 2
        assert_all_agrees()


def test_a_revoked_coupon_is_replaced_once_by_twenty(racers):
    account = make_connection()
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 2)
        coupon = make_coupon(campaign, make_contact(account), status="redeemed")
        revoke(coupon.pk, source=TEST, reason="stolen phone")

        results = racers.race(
            lambda n, pk=coupon.pk: reissue(pk, source=TEST, is_handed_over=bool(n % 2))
        )

        assert outcomes(results) == {"ok": 1, "conflict": THREADS - 1}
        assert Coupon.objects.filter(replaces=coupon).count() == 1
        assert_all_agrees()


# --- scans ---------------------------------------------------------------------------


def test_two_tills_scanning_at_once_get_one_ok_and_who_was_first(racers):
    clerks = [make_user(), make_user()]
    stores = [make_store(clerk) for clerk in clerks]
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign, status="redeemed")

        answers = racers.race(
            lambda n, c=coupon: scan(
                c.number, store=stores[n % 2], staff=clerks[n % 2], nonce=uuid4()
            )
        )

        reasons = Counter(answer.reason for answer in answers)
        assert reasons == {"ok": 1, "already_verified": THREADS - 1}
        first = Verification.objects.get(coupon=coupon)
        assert {answer.verification for answer in answers} == {first}
        told = {(a.verification.at, a.verification.store.name) for a in answers}
        assert told == {(first.at, first.store.name)}
        assert {a.verification.staff for a in answers} == {first.staff}
        assert Attempt.objects.filter(coupon=coupon).count() == THREADS
        assert_all_agrees()


def test_one_nonce_with_two_codes_is_two_scans_each_answered_once(racers):
    clerk = make_user()
    store = make_store(clerk)
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 2)
        coupons = [make_coupon(campaign, status="redeemed") for _ in range(2)]
        nonce = uuid4()

        answers = racers.race(
            lambda n, c=coupons, x=nonce: scan(
                c[n % 2].number, store=store, staff=clerk, nonce=x
            )
        )

        assert [answer.reason for answer in answers] == ["ok"] * THREADS
        assert [a.coupon for a in answers] == coupons * (THREADS // 2)
        assert Attempt.objects.filter(nonce=nonce).count() == 2
        assert Verification.objects.filter(coupon__in=coupons).count() == 2
        assert_all_agrees()


def test_a_scan_refused_and_repeated_while_its_coupon_is_redeemed_has_one_answer(
    racers,
):
    clerk = make_user()
    store = make_store(clerk)
    for _ in range(ROUNDS):
        campaign = make_campaign()
        make_serials(campaign, 1)
        coupon = make_coupon(campaign, status="sent")
        nonce = uuid4()

        def job(n, coupon=coupon, nonce=nonce):
            if n == 0:
                redeem(coupon.token, source=TEST)
                return None
            return scan(coupon.number, store=store, staff=clerk, nonce=nonce).reason

        results = racers.race(job)[1:]

        kept = Attempt.objects.get(nonce=nonce)
        assert set(results) == {kept.reason}
        verified = Verification.objects.filter(coupon=coupon).count()
        assert verified == (kept.reason == "ok")
        assert_all_agrees()
