"""Verify, undo, revoke: what a store and a manager can do with a coupon."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.services import move
from coupons.errors import CouponError
from coupons.models import Attempt, Coupon, Event, Verification
from coupons.services import open_coupon, redeem, revoke, scan, undo, verify
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk():
    return make_user("Store staff")


@pytest.fixture
def store(clerk):
    return make_store(clerk)


@pytest.fixture
def campaign():
    campaign = make_campaign()
    make_serials(campaign, ["ABC-1", "ABC-2", "ABC-3"])
    return campaign


def refusal_of(*args, **kwargs):
    with pytest.raises(CouponError) as refusal:
        verify(*args, **kwargs)
    return refusal.value


def test_second_verification_is_refused_and_leaves_one_record(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    first = verify(coupon.pk, store=store, staff=clerk)

    refusal = refusal_of(coupon.pk, store=store, staff=clerk)

    assert refusal.code == "already_verified"
    assert refusal.facts["verification"] == first
    assert Verification.objects.count() == 1


def test_verifying_before_redeem_is_refused(campaign, store, clerk):
    coupon = make_coupon(campaign, status="sent")

    assert refusal_of(coupon.pk, store=store, staff=clerk).code == "not_redeemed"


def test_a_store_that_is_not_named_is_refused(clerk, store):
    campaign = make_campaign(make_store())
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, status="redeemed")

    assert refusal_of(coupon.pk, store=store, staff=clerk).code == "wrong_store"


def test_an_expired_coupon_is_refused_at_its_end_to_the_second(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    end = coupon.ends_at

    refusal = refusal_of(coupon.pk, store=store, staff=clerk, clock=lambda: end)
    verify(
        coupon.pk,
        store=store,
        staff=clerk,
        clock=lambda: end - timedelta(seconds=1),
    )

    assert refusal.code == "expired"


def test_a_paused_campaign_still_verifies_what_is_redeemed(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    move(campaign.pk, "pause")

    verify(coupon.pk, store=store, staff=clerk)

    assert Coupon.objects.get(pk=coupon.pk).status == "verified"


def test_a_campaign_without_verification_records_nothing(store, clerk):
    campaign = make_campaign(verifying=Campaign.Verifying.NONE)
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, status="redeemed")

    assert refusal_of(coupon.pk, store=store, staff=clerk).code == "not_needed"
    assert not Verification.objects.exists()


def test_a_revoked_coupon_is_refused_and_nothing_brings_it_back(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    revoke(coupon.pk, source=TEST, reason="stolen phone")

    assert refusal_of(coupon.pk, store=store, staff=clerk).code == "revoked"
    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)
    assert refusal.value.code == "revoked"
    assert open_coupon(coupon.token, source=TEST).status == "revoked"


def test_a_verified_coupon_is_not_revoked(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    verify(coupon.pk, store=store, staff=clerk)

    with pytest.raises(CouponError) as refusal:
        revoke(coupon.pk, source=TEST, reason="too late")

    assert refusal.value.code == "already_verified"
    assert not Event.objects.filter(kind="revoked").exists()


def test_undo_brings_the_coupon_back_and_keeps_the_record(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    verification = verify(coupon.pk, store=store, staff=clerk)

    undo(verification.pk, by=clerk, reason="slip", is_manager=False)
    again = verify(coupon.pk, store=store, staff=clerk)

    verification.refresh_from_db()
    assert verification.undone_at is not None
    assert Verification.objects.count() == 2
    assert again.undone_at is None
    kinds = list(Event.objects.filter(coupon=coupon).values_list("kind", flat=True))
    assert kinds[-3:] == ["verified", "undone", "verified"]


def test_undoing_twice_is_refused(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    verification = verify(coupon.pk, store=store, staff=clerk)
    undo(verification.pk, by=clerk, reason="slip", is_manager=False)

    with pytest.raises(CouponError) as refusal:
        undo(verification.pk, by=clerk, reason="slip", is_manager=False)

    assert refusal.value.code == "conflict"


def test_staff_undo_their_own_for_ten_minutes_and_a_manager_longer(
    campaign, store, clerk
):
    coupon = make_coupon(campaign, status="redeemed")
    verification = verify(coupon.pk, store=store, staff=clerk)
    late = verification.at + timedelta(minutes=10)

    for person in (clerk, make_user("Store staff")):
        at = late if person == clerk else verification.at
        with pytest.raises(CouponError) as refusal:
            undo(
                verification.pk,
                by=person,
                reason="slip",
                is_manager=False,
                clock=partial(datetime.fromtimestamp, at.timestamp(), UTC),
            )
        assert refusal.value.code == "too_late"
    undo(
        verification.pk,
        by=make_user("Manager"),
        reason="asked",
        is_manager=True,
        clock=lambda: late,
    )
    assert Coupon.objects.get(pk=coupon.pk).status == "redeemed"


@pytest.mark.parametrize(
    "spelled",
    [
        "{code}",
        "{small}",
        "  {code}\r",
        "{number}",
        "{small_number}",
        "http://testserver/c/{token}",
        "http://testserver/c/{token}?lang=ja",
    ],
)
def test_serial_number_and_link_all_find_the_coupon(campaign, store, clerk, spelled):
    coupon = make_coupon(campaign, status="redeemed")
    text = spelled.format(
        code=coupon.code,
        small=coupon.code.lower(),
        number=coupon.number,
        small_number=coupon.shown_number.lower(),
        token=coupon.token,
    )

    answer = scan(text, store=store, staff=clerk, nonce=uuid4())

    assert (answer.reason, answer.coupon) == ("ok", coupon)


@pytest.mark.parametrize(
    "text", ["", " ", "NOPE", "\x00", "💥", "http://elsewhere/c/" + "x" * 24, "9" * 300]
)
def test_what_is_no_coupon_is_invalid_and_kept(store, clerk, text):
    answer = scan(text, store=store, staff=clerk, nonce=uuid4())

    assert answer.reason == "invalid"
    assert Attempt.objects.get().reason == "invalid"


def test_a_fixed_serial_that_two_coupons_carry_is_ambiguous(store, clerk):
    campaign = make_campaign()
    make_fixed_batch(campaign)
    one = make_coupon(campaign, status="redeemed")
    make_coupon(campaign, status="redeemed")

    by_serial = scan("FNA@5841", store=store, staff=clerk, nonce=uuid4())
    by_number = scan(one.number, store=store, staff=clerk, nonce=uuid4())

    assert by_serial.reason == "ambiguous"
    assert (by_number.reason, by_number.coupon) == ("ok", one)


def test_a_serial_of_another_stores_campaign_is_wrong_store(store, clerk):
    campaign = make_campaign(make_store())
    make_serials(campaign, ["OTHER-1"])
    make_coupon(campaign, status="redeemed")

    answer = scan("OTHER-1", store=store, staff=clerk, nonce=uuid4())

    assert answer.reason == "wrong_store"


def test_the_same_scan_again_gets_the_same_answer_and_changes_nothing(
    campaign, store, clerk
):
    coupon = make_coupon(campaign, status="redeemed")
    nonce = uuid4()
    first = scan(coupon.code, store=store, staff=clerk, nonce=nonce)
    events = Event.objects.count()

    second = scan(coupon.code, store=store, staff=clerk, nonce=nonce)

    assert (first.reason, second.reason) == ("ok", "ok")
    assert second.is_repeat
    assert second.verification == first.verification
    assert Event.objects.count() == events
    assert Attempt.objects.count() == 1


def test_the_same_nonce_with_another_code_is_a_new_scan(campaign, store, clerk):
    one = make_coupon(campaign, status="redeemed")
    two = make_coupon(campaign, status="redeemed")
    nonce = uuid4()
    scan(one.code, store=store, staff=clerk, nonce=nonce)

    answer = scan(two.code, store=store, staff=clerk, nonce=nonce)

    assert (answer.reason, answer.coupon) == ("ok", two)


def test_a_second_scan_tells_when_and_where_it_was_used(campaign, store, clerk):
    coupon = make_coupon(campaign, status="redeemed")
    scan(coupon.code, store=store, staff=clerk, nonce=uuid4())

    answer = scan(coupon.code, store=store, staff=clerk, nonce=uuid4())

    assert answer.reason == "already_verified"
    assert answer.verification.store == store
    assert answer.verification.staff == clerk
    assert timezone.now() - answer.verification.at < timedelta(minutes=1)


def test_a_scan_answered_meanwhile_keeps_its_first_answer_and_verifies_nothing(
    campaign, store, clerk
):
    coupon = make_coupon(campaign, status="sent")
    nonce = uuid4()
    clock_was_asked: list[bool] = []

    def clock():
        """In the middle of the second arrival the first one is answered."""
        if not clock_was_asked:
            clock_was_asked.append(True)
            scan(coupon.number, store=store, staff=clerk, nonce=nonce)
            redeem(coupon.token, source=TEST)
        return timezone.now()

    answer = scan(coupon.number, store=store, staff=clerk, nonce=nonce, clock=clock)

    assert answer.reason == "not_redeemed"
    assert list(Attempt.objects.values_list("reason", flat=True)) == ["not_redeemed"]
    assert not Verification.objects.exists()


def test_a_refused_scan_whose_repeat_was_taken_meanwhile_is_answered_as_taken(
    campaign, store, clerk
):
    coupon = make_coupon(campaign, status="sent")
    nonce = uuid4()
    asked: list[bool] = []

    def clock():
        """After the refusal, and before it is kept, the second arrival is taken."""
        asked.append(True)
        if len(asked) == 2:
            redeem(coupon.token, source=TEST)
            scan(coupon.number, store=store, staff=clerk, nonce=nonce)
        return timezone.now()

    answer = scan(coupon.number, store=store, staff=clerk, nonce=nonce, clock=clock)

    kept = Attempt.objects.get(nonce=nonce)
    assert len(asked) >= 2
    assert (answer.reason, answer.verification) == (kept.reason, kept.verification)
    assert Verification.objects.count() == (kept.reason == "ok")


def test_another_persons_scan_is_never_answered_for_the_same_nonce(
    campaign, store, clerk
):
    coupon = make_coupon(campaign, status="redeemed")
    nonce = uuid4()
    scan(coupon.number, store=store, staff=clerk, nonce=nonce)

    answer = scan(coupon.number, store=store, staff=make_user(), nonce=nonce)

    assert answer.reason == "already_verified"
