"""New ends for coupons that are out, while all else goes on: none is left behind.

Each race has its control: the same with naive code, which does leave some behind.
"""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import Campaign
from coupons.ends import run
from coupons.errors import CouponError
from coupons.models import Coupon, EndsChange
from coupons.services import issue, mark_sent, redeem, revoke, undo, verify
from coupons.tests.ends_helpers import end_of, later, save_terms
from reports.ledger import find_breaks
from testing.databases import database_for
from testing.factories import (
    TEST,
    make_campaign,
    make_coupons,
    make_serials,
    make_store,
    make_user,
)
from testing.processes import Processes, kill
from testing.races import (
    ROUNDS,
    THREADS,
    Elsewhere,
    Racers,
    outcomes,
    wait_until_somebody_waits_for_us,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

OLD: dict[str, Any] = {
    "expiry": "from_redemption",
    "expiry_amount": 1,
    "expiry_unit": "days",
}
NEW: dict[str, Any] = {
    "expiry": "from_redemption",
    "expiry_amount": 5,
    "expiry_unit": "days",
}


@pytest.fixture
def racers():
    """Twenty customers, and a marketer."""
    racers = Racers(THREADS + 1)
    yield racers
    racers.stop()


ABOUT_ENDS = ("end_late", "ends_left_behind", "ends_count")


def breaks(only=ABOUT_ENDS):
    found = find_breaks(now=timezone.now(), only=only)
    return [(broken.check, broken.rows) for broken in found]


def make_sold(count, **terms):
    campaign = make_campaign(limit_per_contact=0, **terms)
    make_serials(campaign, count)
    return campaign, make_coupons(campaign, [None] * count)


def naive_run(campaign):
    """What looks right is not locked: a redeem under way goes by the old terms."""
    wanted = Coupon.objects.filter(campaign=campaign, status="redeemed")
    for coupon in wanted:
        ends_at = coupon.redeemed_at + timedelta(days=5)
        Coupon.objects.filter(pk=coupon.pk).update(ends_at=ends_at)


# --- against customers ----------------------------------------------------------------


def test_twenty_redeem_while_the_terms_change_and_all_end_by_the_new_ones(racers):
    for _ in range(ROUNDS):
        campaign, coupons = make_sold(THREADS, **OLD)

        def job(n, campaign=campaign, coupons=coupons):
            if n < THREADS:
                return redeem(coupons[n].token, source=TEST)
            return run(save_terms(campaign, **NEW).pk, chunk=3)

        results = racers.race(job)

        assert outcomes(results) == {"ok": THREADS + 1}
        for coupon in Coupon.objects.filter(campaign=campaign):
            assert coupon.ends_at == coupon.redeemed_at + timedelta(days=5)
        assert EndsChange.objects.get(campaign=campaign).done == THREADS
        assert breaks() == []


def test_sent_redeemed_verified_undone_and_revoked_meanwhile_still_add_up(racers):
    clerk = make_user("Store staff")
    store = make_store(clerk)
    for _ in range(ROUNDS):
        campaign, coupons = make_sold(THREADS, **OLD)
        at = timezone.now()

        def job(n, campaign=campaign, coupons=coupons, at=at):
            if n == THREADS:
                return run(
                    save_terms(campaign, use_ends_at=later(3), **NEW).pk, chunk=2
                )
            coupon = coupons[n]
            mark_sent({coupon.pk: at}, source=TEST)
            redeem(coupon.token, source=TEST)
            if n % 4 == 1:
                revoke(coupon.pk, source=TEST, reason="race")
            elif n % 4 > 1:
                found = verify(coupon.pk, store=store, staff=clerk)
                if n % 4 == 3:
                    undo(found.pk, by=clerk, reason="race", is_manager=True)
            return True

        assert outcomes(racers.race(job)) == {"ok": THREADS + 1}
        assert breaks() == []
    assert breaks(only=None) == []


def test_a_redeem_under_way_by_the_old_terms_is_waited_for():
    campaign, [coupon] = make_sold(1, **OLD)
    with transaction.atomic():
        redeem(coupon.token, source=TEST)
        change = Elsewhere(lambda: save_terms(campaign, **NEW)).result()
        working = Elsewhere(lambda: run(change.pk))
        wait_until_somebody_waits_for_us()
    assert working.result() is False

    coupon.refresh_from_db()
    assert coupon.ends_at == coupon.redeemed_at + timedelta(days=5)
    assert breaks() == []


def test_a_naive_worker_leaves_a_redeem_under_way_behind():
    campaign, [coupon] = make_sold(1, **OLD)
    with transaction.atomic():
        redeem(coupon.token, source=TEST)
        Elsewhere(lambda: save_terms(campaign, is_for_issued=False, **NEW)).result()
        Elsewhere(lambda: naive_run(campaign)).result()

    coupon.refresh_from_db()
    assert coupon.ends_at == coupon.redeemed_at + timedelta(days=1)


# --- against those who issue ----------------------------------------------------------


def test_a_coupon_issued_by_the_old_terms_and_committed_later_is_found():
    campaign = make_campaign()
    with transaction.atomic():
        [coupon] = issue(campaign, [None], source=TEST)
        saving = Elsewhere(lambda: save_terms(campaign, use_ends_at=later(60)))
        wait_until_somebody_waits_for_us()
    change = saving.result()
    run(change.pk)

    assert coupon.pk <= change.last_id
    assert end_of(coupon) == change.use_ends_at


def test_whoever_issues_while_the_terms_are_saved_waits_and_gets_the_new_ones():
    old = make_campaign()
    with transaction.atomic():
        change = save_terms(old, use_ends_at=later(60))
        # This campaign was read before; its terms are the old ones.
        issuing = Elsewhere(lambda: issue(old, [None], source=TEST))
        wait_until_somebody_waits_for_us()
    [coupon] = issuing.result()

    assert end_of(coupon) == change.use_ends_at


def test_without_the_gate_such_a_coupon_would_be_left_behind():
    campaign = make_campaign()
    at = timezone.now()
    new = Coupon(campaign=campaign, issued_at=at, ends_at=campaign.use_ends_at)
    with transaction.atomic():
        new.save()  # naive: by the campaign that it was given
        change = Elsewhere(lambda: save_terms(campaign, use_ends_at=later(60))).result()
        Elsewhere(lambda: run(change.pk)).result()

    assert end_of(new) == campaign.use_ends_at != change.use_ends_at


def test_twenty_issue_while_the_terms_change_and_none_has_the_old_end(racers):
    for _ in range(ROUNDS):
        campaign = make_campaign()

        def job(n, campaign=campaign):
            if n == THREADS:
                return run(save_terms(campaign, use_ends_at=later(60)).pk, chunk=2)
            return [issue(campaign, [None] * 2, source=TEST) for _ in range(3)]

        results = racers.race(job)

        assert outcomes(results) == {"ok": THREADS + 1}
        assert Coupon.objects.filter(campaign=campaign).count() == THREADS * 6
        ends = Coupon.objects.filter(campaign=campaign).values_list("ends_at")
        assert set(ends) == {(Campaign.objects.get(pk=campaign.pk).use_ends_at,)}
        assert breaks() == []


# --- against each other ---------------------------------------------------------------


def test_many_changes_at_once_leave_the_terms_and_the_ends_of_one_of_them(racers):
    for _ in range(ROUNDS):
        campaign, coupons = make_sold(30)
        first = [later(60 + n) for n in range(THREADS + 1)]

        def job(n, campaign=campaign, first=first):
            change = save_terms(campaign, use_ends_at=first[n])
            return run(change.pk, chunk=4)

        results = racers.race(job)
        for work in EndsChange.objects.filter(campaign=campaign, state="working"):
            run(work.pk)

        assert outcomes(results) == {"ok": THREADS + 1}
        campaign.refresh_from_db()
        assert {end_of(coupon) for coupon in coupons} == {campaign.use_ends_at}
        newest = EndsChange.objects.filter(campaign=campaign).latest("pk")
        assert (newest.state, newest.use_ends_at) == ("done", campaign.use_ends_at)
        assert breaks() == []


def test_many_workers_at_one_change_do_each_coupon_once(racers):
    for _ in range(ROUNDS):
        campaign, _coupons = make_sold(50)
        change = save_terms(campaign, use_ends_at=later(60))

        results = racers.race(lambda n, pk=change.pk: run(pk, chunk=5))

        assert outcomes(results) == {"ok": THREADS + 1}
        change.refresh_from_db()
        assert (change.state, change.done, change.changed) == ("done", 50, 50)


def test_a_customer_waits_for_one_chunk_at_most():
    campaign, coupons = make_sold(2)
    change = save_terms(campaign, use_ends_at=later(60))
    with transaction.atomic():
        Coupon.objects.select_for_update().get(pk=coupons[1].pk)
        working = Elsewhere(lambda: run(change.pk, chunk=1))
        wait_until_somebody_waits_for_us()
        # The first chunk is committed: its coupon is nobody's.
        redeemed = Elsewhere(lambda: redeem(coupons[0].token, source=TEST)).result()
        assert not isinstance(redeemed, Exception)
    assert working.result() is False
    assert breaks() == []


# --- killed ---------------------------------------------------------------------------

WORK = """
import django; django.setup()
from coupons.ends import run
run({pk}, seconds=60, chunk=1)
"""


@pytest.mark.processes
def test_a_worker_killed_in_the_middle_is_followed_by_another(tmp_path):
    campaign, coupons = make_sold(2_000)
    was = end_of(coupons[0])
    change = save_terms(campaign, use_ends_at=later(60))
    processes = Processes(
        tmp_path,
        DATABASE_URL=database_for(tmp_path),
        DJANGO_SETTINGS_MODULE="couponadmin.settings",
    )
    worker = processes.start("killed", "-c", WORK.format(pk=change.pk))
    try:
        reached = wait_for(lambda: done_of(change), 50)
    finally:
        kill(worker)

    assert 50 <= reached < 2_000, processes.logs()
    assert run(change.pk) is False  # it is still the dead one's
    assert {was} < ends_of(campaign)
    over = timezone.now() + timedelta(seconds=4)
    assert run(change.pk, clock=lambda: over) is False

    change.refresh_from_db()
    assert (change.state, change.done, change.changed) == ("done", 2_000, 2_000)
    assert ends_of(campaign) == {change.use_ends_at}
    assert breaks() == []


def test_a_chunk_whose_session_is_cut_off_is_done_again():
    campaign, coupons = make_sold(3)
    change = save_terms(campaign, use_ends_at=later(60))
    with transaction.atomic():
        Coupon.objects.select_for_update().get(pk=coupons[2].pk)
        working = Elsewhere(lambda: run(change.pk))
        pid = wait_until_somebody_waits_for_us()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert isinstance(working.result(), Exception)
    assert ends_of(campaign) == {campaign.use_ends_at}

    over = timezone.now() + timedelta(minutes=1)
    assert run(change.pk, clock=lambda: over) is False

    assert ends_of(campaign) == {change.use_ends_at}


def done_of(change):
    return EndsChange.objects.values_list("done", flat=True).get(pk=change.pk)


def ends_of(campaign):
    coupons = Coupon.objects.filter(campaign=campaign)
    return set(coupons.values_list("ends_at", flat=True))


def wait_for(look, least):
    ends = time.monotonic() + 30
    while (found := look()) < least and time.monotonic() < ends:
        time.sleep(0.01)
    return found


def test_an_expired_coupon_that_is_extended_meanwhile_is_redeemed_or_refused(racers):
    for _ in range(ROUNDS):
        campaign, coupons = make_sold(THREADS)
        run(save_terms(campaign, use_ends_at=timezone.now()).pk)

        def job(n, campaign=campaign, coupons=coupons):
            if n == THREADS:
                return run(save_terms(campaign, use_ends_at=later(9)).pk, chunk=2)
            return redeem(coupons[n].token, source=TEST)

        results = racers.race(job)

        refused = [r for r in results if isinstance(r, CouponError)]
        assert {error.code for error in refused} <= {"expired"}
        assert outcomes(results)["ok"] == THREADS + 1 - len(refused)
        assert ends_of(campaign) == {Campaign.objects.get(pk=campaign.pk).use_ends_at}
        assert breaks() == []
