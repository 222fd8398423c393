"""Redeem: the customer gets the serial, once and for good."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.services import move
from coupons.errors import CouponError
from coupons.limiting import set_total_limit
from coupons.models import Attempt, ContactUse, Coupon, Event
from coupons.services import mark_sent, open_coupon, redeem, revoke
from serials.models import Batch, Serial, Stock
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
)

pytestmark = pytest.mark.django_db


def test_redeem_gives_the_first_serial_and_writes_one_event_each():
    campaign = make_campaign()
    make_serials(campaign, ["AAA", "BBB"])
    coupon = make_coupon(campaign)

    redeemed = redeem(coupon.token, source=TEST)

    assert redeemed.code == "AAA"
    assert redeemed.status == "redeemed"
    kinds = list(Event.objects.filter(coupon=coupon).values_list("kind", flat=True))
    assert kinds == ["issued", "opened", "redeemed"]
    serial = Serial.objects.get(code="AAA")
    assert serial.state == Serial.State.TAKEN
    assert serial.taken_at == redeemed.redeemed_at


def test_second_press_gives_the_same_serial_and_changes_nothing():
    campaign = make_campaign()
    make_serials(campaign, 5)
    coupon = make_coupon(campaign)
    first = redeem(coupon.token, source=TEST)
    before = list(Event.objects.values_list("pk", flat=True))

    second = redeem(coupon.token, source=TEST)

    assert (second.code, second.redeemed_at) == (first.code, first.redeemed_at)
    assert list(Event.objects.values_list("pk", flat=True)) == before
    assert Serial.objects.filter(state=Serial.State.TAKEN).count() == 1


def test_batches_give_out_in_the_marketers_order():
    campaign = make_campaign()
    make_serials(campaign, ["LATER"], position=2)
    make_serials(campaign, ["FIRST"], position=1)

    codes = [redeem(make_coupon(campaign).token, source=TEST).code for _ in range(2)]

    assert codes == ["FIRST", "LATER"]


def test_a_batch_that_is_not_whole_gives_out_nothing():
    campaign = make_campaign()
    make_serials(campaign, 5, state=Batch.State.IMPORTING)
    coupon = make_coupon(campaign)

    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)

    assert refusal.value.code == "out_of_stock"
    assert not Serial.objects.filter(state=Serial.State.TAKEN).exists()


def test_fixed_batch_gives_everyone_the_same_text_until_its_quantity_is_gone():
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, code="FNA@5841", quantity=2)
    coupons = [make_coupon(campaign) for _ in range(3)]

    codes = [redeem(coupon.token, source=TEST).code for coupon in coupons[:2]]
    with pytest.raises(CouponError) as refusal:
        redeem(coupons[2].token, source=TEST)

    assert codes == ["FNA@5841", "FNA@5841"]
    assert refusal.value.code == "out_of_stock"
    assert Stock.objects.get(batch=batch).taken == 2


def test_unlimited_fixed_batch_keeps_no_counter_row():
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, quantity=None)

    codes = {redeem(make_coupon(campaign).token, source=TEST).code for _ in range(5)}

    assert codes == {"FNA@5841"}
    assert not Stock.objects.filter(batch=batch).exists()


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2026-04-30 23:59:59", "not_started"),
        ("2026-05-01 00:00:00", None),
        ("2026-05-31 23:59:59", None),
        ("2026-06-01 00:00:00", "expired"),
    ],
)
def test_use_period_is_half_open(at, code):
    campaign = make_campaign(
        use_starts_at=instant("2026-05-01 00:00"),
        use_ends_at=instant("2026-06-01 00:00"),
    )
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, at=instant("2026-04-01 00:00"))

    if code is None:
        assert redeem(coupon.token, source=TEST, clock=lambda: instant(at)).code
        return
    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST, clock=lambda: instant(at))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("state", "code"), [("paused", "campaign_paused"), ("ended", "campaign_ended")]
)
def test_a_campaign_that_does_not_run_redeems_nothing(state, code):
    campaign = make_campaign()
    make_serials(campaign, 1)
    coupon = make_coupon(campaign)
    move(campaign.pk, {"paused": "pause", "ended": "end"}[state])

    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)

    assert refusal.value.code == code
    kept = Attempt.objects.get()
    assert (kept.coupon_id, kept.reason, kept.action) == (coupon.pk, code, "redeem")


def test_unknown_token_is_refused_and_nothing_is_kept():
    with pytest.raises(CouponError) as refusal:
        redeem("no-such-token", source=TEST)

    assert refusal.value.code == "invalid"
    assert not Attempt.objects.exists()


def test_limit_per_contact_holds_over_several_coupons():
    campaign = make_campaign(limit_per_contact=1)
    make_serials(campaign, 5)
    contact = make_contact(make_connection())
    first, second = make_coupon(campaign, contact), make_coupon(campaign, contact)
    redeem(first.token, source=TEST)

    with pytest.raises(CouponError) as refusal:
        redeem(second.token, source=TEST)

    assert refusal.value.code == "limit_reached"
    assert Serial.objects.filter(state=Serial.State.TAKEN).count() == 1


def test_limit_of_zero_means_none():
    campaign = make_campaign(limit_per_contact=0)
    make_serials(campaign, 5)
    contact = make_contact(make_connection())

    for _ in range(3):
        redeem(make_coupon(campaign, contact).token, source=TEST)

    assert ContactUse.objects.get().used == 3


def test_limit_in_total_holds_and_a_refusal_leaves_the_stock_alone():
    campaign = make_campaign(state=Campaign.State.DRAFT)
    set_total_limit(campaign, 1)
    move(campaign.pk, "activate")
    campaign.refresh_from_db()
    make_serials(campaign, 5)
    redeem(make_coupon(campaign).token, source=TEST)

    with pytest.raises(CouponError) as refusal:
        redeem(make_coupon(campaign).token, source=TEST)

    assert refusal.value.code == "limit_reached"
    assert Serial.objects.filter(state=Serial.State.TAKEN).count() == 1


def test_revoking_gives_the_limits_their_unit_back_and_burns_the_serial():
    campaign = make_campaign(limit_per_contact=1)
    make_serials(campaign, ["AAA", "BBB"])
    contact = make_contact(make_connection())
    first = make_coupon(campaign, contact, status="redeemed")
    revoke(first.pk, source=TEST, reason="wrong person")

    second = redeem(make_coupon(campaign, contact).token, source=TEST)

    assert second.code == "BBB"
    assert Coupon.objects.get(pk=first.pk).serial.code == "AAA"


def test_clock_from_redeeming_ends_the_coupon_earlier_never_later():
    now = timezone.now()
    campaign = make_campaign(
        expiry=Campaign.Expiry.FROM_REDEMPTION, expiry_amount=30, expiry_unit="minutes"
    )
    make_serials(campaign, 2)
    soon, late = make_coupon(campaign), make_coupon(campaign)
    nearly_over = campaign.use_ends_at - timedelta(minutes=5)

    ends_soon = redeem(soon.token, source=TEST, clock=lambda: now).ends_at
    ends_late = redeem(late.token, source=TEST, clock=lambda: nearly_over).ends_at

    assert ends_soon == now + timedelta(minutes=30)
    assert ends_late == campaign.use_ends_at


def test_sent_at_thirteen_with_three_hours_expires_at_sixteen():
    at = instant("2026-05-01 13:00")
    campaign = make_campaign(
        use_starts_at=instant("2026-05-01 00:00"),
        use_ends_at=instant("2026-06-01 00:00"),
        expiry=Campaign.Expiry.FROM_SENDING,
        expiry_amount=3,
        expiry_unit="hours",
    )
    make_serials(campaign, 1)
    coupon = make_coupon(campaign, at=at)
    mark_sent({coupon.pk: at}, source=TEST)

    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST, clock=lambda: instant("2026-05-01 16:00"))

    assert refusal.value.code == "expired"


def test_learning_late_that_it_was_sent_fills_the_time_and_moves_nothing_back():
    campaign = make_campaign()
    make_serials(campaign, 1)
    coupon = make_coupon(campaign)
    open_coupon(coupon.token, source=TEST)
    sent_at = coupon.issued_at

    mark_sent({coupon.pk: sent_at}, source=TEST)
    mark_sent({coupon.pk: sent_at + timedelta(hours=1)}, source=TEST)

    coupon.refresh_from_db()
    assert (coupon.status, coupon.sent_at) == ("opened", sent_at)
    assert Event.objects.filter(coupon=coupon, kind="sent").count() == 1


@pytest.mark.parametrize("kind", ["one_time", "fixed"])
def test_redeem_takes_at_most_ten_statements(kind):
    campaign = make_campaign(state=Campaign.State.DRAFT)
    set_total_limit(campaign, 100)
    move(campaign.pk, "activate")
    campaign.refresh_from_db()
    if kind == "fixed":
        make_fixed_batch(campaign, quantity=100)
    else:
        make_serials(campaign, 10)
    connection_row = make_connection()
    redeem(make_coupon(campaign, make_contact(connection_row)).token, source=TEST)
    coupon = make_coupon(campaign, make_contact(connection_row))
    open_coupon(coupon.token, source=TEST)

    with CaptureQueriesContext(connection) as queries:
        redeem(coupon.token, source=TEST)

    # In a test the transaction is a savepoint: two statements, as BEGIN and COMMIT.
    assert len(queries) <= 10, [query["sql"] for query in queries]
