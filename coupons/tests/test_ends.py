"""Coupons that are out get new ends once somebody has said so, and no others do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from coupons import ends, tasks
from coupons.ends import run
from coupons.models import Coupon, EndsChange, Event
from coupons.services import mark_sent, redeem, revoke, verify
from coupons.tests.ends_helpers import end_of, later, save_terms
from reports.ledger import find_breaks
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_coupons,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    campaign = make_campaign(limit_per_contact=0)
    make_serials(campaign, 30)
    return campaign


def audit():
    return [found.check for found in find_breaks(now=timezone.now())]


def test_new_coupons_only_leaves_those_that_are_out_as_they_are(campaign):
    coupon = make_coupon(campaign, status="sent")
    was = end_of(coupon)

    change = save_terms(campaign, is_for_issued=False, use_ends_at=later(60))

    assert run(change.pk) is False
    assert end_of(coupon) == was
    assert end_of(make_coupon(campaign)) == change.use_ends_at
    assert change.state == "done"
    assert audit() == []


def test_a_later_end_of_use_raises_the_ends_of_coupons_that_are_out(campaign):
    coupons = [make_coupon(campaign, status=s) for s in ("issued", "sent", "redeemed")]

    change = save_terms(campaign, use_ends_at=later(60))
    run(change.pk)

    assert {end_of(coupon) for coupon in coupons} == {change.use_ends_at}
    change.refresh_from_db()
    assert (change.state, change.done, change.changed, change.total) == (
        "done",
        3,
        3,
        3,
    )
    assert audit() == []


def test_what_is_verified_or_revoked_keeps_its_end(campaign):
    clerk = make_user("Store staff")
    verified = make_coupon(campaign, status="redeemed")
    verify(verified.pk, store=make_store(clerk), staff=clerk)
    revoked = make_coupon(campaign, status="sent")
    revoke(revoked.pk, source=TEST, reason="lost")
    was = end_of(verified), end_of(revoked)

    run(save_terms(campaign, use_ends_at=later(60)).pk)

    assert (end_of(verified), end_of(revoked)) == was
    assert audit() == []


@pytest.mark.parametrize(
    ("expiry", "status", "clock"),
    [
        ("from_sending", "sent", "sent_at"),
        ("from_sending", "redeemed", "sent_at"),
        ("from_redemption", "redeemed", "redeemed_at"),
    ],
)
def test_a_clock_that_runs_under_the_new_terms_runs_from_when_it_started(
    campaign, expiry, status, clock
):
    coupon = make_coupon(campaign, status=status)

    change = save_terms(campaign, expiry=expiry, expiry_amount=3, expiry_unit="days")
    run(change.pk)

    coupon.refresh_from_db()
    assert coupon.ends_at == getattr(coupon, clock) + timedelta(days=3)
    assert audit() == []


@pytest.mark.parametrize("expiry", ["from_sending", "from_redemption"])
def test_a_clock_that_has_not_started_ends_nothing_yet_and_starts_by_the_new_terms(
    campaign, expiry
):
    coupon = make_coupon(campaign)
    use_ends_at = later(20)
    run(
        save_terms(campaign, use_ends_at=use_ends_at, expiry=expiry, expiry_amount=2).pk
    )
    assert end_of(coupon) == use_ends_at

    at = timezone.now()
    mark_sent({coupon.pk: at}, source=TEST)
    redeem(coupon.token, source=TEST, clock=lambda: at)

    assert end_of(coupon) == at + timedelta(hours=2)
    assert audit() == []


def test_a_clock_that_no_longer_runs_is_taken_off(campaign):
    save_terms(campaign, is_for_issued=False, expiry="from_sending", expiry_amount=1)
    coupon = make_coupon(campaign, status="sent")
    assert end_of(coupon) < later(1)

    change = save_terms(campaign, expiry="use_end", expiry_amount=None)
    run(change.pk)

    assert end_of(coupon) == change.use_ends_at


def test_the_end_of_use_stays_the_latest_a_clock_may_reach(campaign):
    coupon = make_coupon(campaign, status="sent")

    change = save_terms(
        campaign,
        use_ends_at=later(2),
        expiry="from_sending",
        expiry_amount=5,
        expiry_unit="days",
    )
    run(change.pk)

    assert end_of(coupon) == change.use_ends_at


def test_what_had_expired_and_is_extended_can_be_redeemed_again(campaign):
    coupon = make_coupon(campaign, status="sent")
    run(save_terms(campaign, use_ends_at=timezone.now()).pk)
    coupon.refresh_from_db()
    assert coupon.is_expired(timezone.now())

    run(save_terms(campaign, use_ends_at=later(5)).pk)

    assert redeem(coupon.token, source=TEST).status == "redeemed"


def test_the_ends_of_other_campaigns_stay(campaign):
    other = make_coupon(make_campaign(), status="sent")
    was = end_of(other)
    make_coupon(campaign)

    run(save_terms(campaign, use_ends_at=later(60)).pk)

    assert end_of(other) == was


def test_the_later_of_two_changes_wins_and_the_earlier_stops(campaign):
    coupons = make_coupons(campaign, [None] * 7)
    first = save_terms(campaign, use_ends_at=later(60))
    assert run(first.pk, seconds=0, chunk=2) is True
    ends._next_lease(first.pk, ends._take_lease(first.pk, later(1)), 2, timezone.now)

    second = save_terms(campaign, use_ends_at=later(90))
    assert run(first.pk) is False
    run(second.pk, chunk=2)

    first.refresh_from_db()
    assert (first.state, first.done) == ("stopped", 2)
    assert {end_of(coupon) for coupon in coupons} == {second.use_ends_at}
    assert audit() == []


def test_a_later_change_for_new_coupons_only_lets_the_earlier_finish(campaign):
    coupon = make_coupon(campaign)
    first = save_terms(campaign, use_ends_at=later(60))

    save_terms(campaign, is_for_issued=False, use_ends_at=later(90))
    run(first.pk)

    assert end_of(coupon) == first.use_ends_at
    assert audit() == []


def test_each_chunk_is_kept_and_nothing_is_done_twice(campaign):
    make_coupons(campaign, [None] * 10)
    change = save_terms(campaign, use_ends_at=later(60))

    lease = ends._take_lease(change.pk, timezone.now())
    for done in (3, 6, 9):
        lease = ends._next_lease(change.pk, lease, 3, timezone.now)
        change.refresh_from_db()
        assert (change.done, change.changed, change.state) == (done, done, "working")
    assert ends._next_lease(change.pk, lease, 3, timezone.now) is None

    change.refresh_from_db()
    assert (change.done, change.changed, change.state) == (10, 10, "done")
    assert run(change.pk) is False


def test_a_change_that_a_worker_holds_is_left_to_it_until_its_lease_is_over(campaign):
    make_coupons(campaign, [None] * 3)
    change = save_terms(campaign, use_ends_at=later(60))
    assert ends._take_lease(change.pk, timezone.now())

    assert not ends.due(timezone.now()).exists()
    assert run(change.pk) is False
    change.refresh_from_db()
    assert change.done == 0

    over = timezone.now() + timedelta(minutes=1)
    assert list(ends.due(over)) == [change]
    run(change.pk, clock=lambda: over)
    change.refresh_from_db()
    assert change.state == "done"


def test_the_sweep_brings_a_change_to_its_end_though_the_message_was_lost(
    campaign, settings
):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    coupon = make_coupon(campaign)
    change = save_terms(campaign, use_ends_at=later(60))

    tasks.give_ends(change.pk)
    tasks.sweep()

    assert end_of(coupon) == change.use_ends_at


def test_coupons_that_lie_far_apart_are_all_found(campaign):
    other = make_campaign()
    mine = []
    for _ in range(4):
        mine += make_coupons(campaign, [None])
        make_coupons(other, [None] * 7)

    change = save_terms(campaign, use_ends_at=later(60))
    run(change.pk, window=3)

    change.refresh_from_db()
    assert (change.state, change.done, change.changed) == ("done", 4, 4)
    assert {end_of(coupon) for coupon in mine} == {change.use_ends_at}
    assert audit() == []


def test_a_campaign_without_coupons_has_nothing_to_be_done(campaign):
    change = save_terms(campaign, use_ends_at=later(60))

    assert change.state == "done"
    assert not ends.due(timezone.now()).exists()


def test_new_ends_are_no_step_of_a_coupon(campaign):
    make_coupon(campaign, status="sent")
    before = Event.objects.count()

    run(save_terms(campaign, use_ends_at=later(60)).pk)

    assert Event.objects.count() == before
    assert Coupon.objects.get().status == "sent"
    assert EndsChange.objects.count() == 1
