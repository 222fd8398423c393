"""What a use at a provider does here, however often and in whatever order it is told."""

import itertools

import pytest
from django.utils import timezone

from coupons.errors import CouponError
from coupons.models import Coupon, Event, Verification
from coupons.services import redeem, revoke, undo, verify
from serials.models import Batch, Serial
from sync.models import InboundEvent, RemoteCoupon, Step, Use
from sync.processing import work_off
from sync.tests.uses_helpers import (
    NOON,
    alert,
    arrive,
    make_paddle,
    make_vivoldi,
    publish,
)
from sync.uses import Told, known_uses, note_count, note_use
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_publication,
    make_remote_coupon,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return make_paddle()


@pytest.fixture
def rows(account):
    return publish(account, ["SPRING-1", "SPRING-2"])


def tell(account, code, key="order:1"):
    return note_use(Told(account.pk, code, key, NOON))


def redeemed(rows, code="SPRING-1"):
    """The coupon of the customer who has got this serial."""
    coupon = make_coupon(rows[code].campaign, status="redeemed")
    assert coupon.code == code
    return coupon


# --- a serial ----------------------------------------------------------------------------


def test_a_use_verifies_the_coupon_that_has_the_serial(account, rows):
    coupon = redeemed(rows)

    use = tell(account, "SPRING-1")

    coupon.refresh_from_db()
    verification = Verification.objects.get()
    assert coupon.status == Coupon.Status.VERIFIED
    assert (verification.way, verification.store, verification.staff) == (
        "paddle",
        None,
        None,
    )
    assert (verification.coupon, verification.pos_time) == (coupon, NOON)
    assert (use.outcome, use.verification) == ("verified", verification)
    assert Event.objects.get(kind="verified").way == "paddle"
    assert Step.objects.get(kind="used").facts["outcome"] == "verified"


def test_the_same_use_twice_is_one(account, rows):
    redeemed(rows)

    first, second = (tell(account, "SPRING-1") for _ in range(2))

    assert first == second
    assert (Use.objects.count(), Verification.objects.count()) == (1, 1)
    assert Step.objects.filter(kind="used").count() == 1


def test_what_a_store_has_verified_stays_its(account, rows):
    coupon = redeemed(rows)
    store = make_store()
    mine = verify(coupon.pk, store=store, staff=make_user())

    use = tell(account, "SPRING-1")

    assert (use.outcome, use.verification) == ("known", mine)
    assert Verification.objects.get().store == store


def test_a_use_stands_though_the_coupon_has_expired_and_the_campaign_is_paused(
    account, rows
):
    coupon = redeemed(rows)
    Coupon.objects.update(ends_at=timezone.now())
    type(coupon.campaign).objects.update(state="paused")

    assert tell(account, "SPRING-1").outcome == "verified"


def test_a_use_of_a_revoked_coupon_is_kept_and_changes_nothing(account, rows):
    coupon = redeemed(rows)
    revoke(coupon.pk, source=TEST, reason="lost phone")

    assert tell(account, "SPRING-1").outcome == "revoked"
    coupon.refresh_from_db()
    assert coupon.status == Coupon.Status.REVOKED


def test_where_nothing_is_verified_a_use_is_counted():
    campaign = make_campaign(verifying="none")
    account = make_paddle()
    rows = publish(account, ["SPRING-1"], campaign=campaign)
    redeemed(rows)

    assert tell(account, "SPRING-1").outcome == "counted"
    assert not Verification.objects.exists()


def test_a_serial_used_before_anybody_got_it_is_never_handed_out(account, rows):
    use = tell(account, "SPRING-1")

    coupon = make_coupon(rows["SPRING-1"].campaign, status="redeemed")
    assert coupon.code == "SPRING-2"
    assert use.outcome == "void"
    assert Serial.objects.get(code="SPRING-1").state == Serial.State.VOID
    assert Batch.objects.get().voided == 1


def test_a_serial_is_void_once_however_many_uses_there_are(account, rows):
    for key in ("order:1", "order:2", "order:3"):
        tell(account, "SPRING-1", key)

    assert Batch.objects.get().voided == 1
    assert [use.outcome for use in Use.objects.all()] == ["void"] * 3


def test_a_verification_that_is_undone_is_not_made_again_by_the_same_use(account, rows):
    coupon = redeemed(rows)
    use = tell(account, "SPRING-1")
    manager = make_user()
    undo(use.verification.pk, by=manager, reason="refunded", is_manager=True)

    tell(account, "SPRING-1")

    coupon.refresh_from_db()
    assert coupon.status == Coupon.Status.REDEEMED


def test_vivoldis_uses_are_vivoldis():
    account = make_vivoldi()
    redeemed(publish(account, ["SPRING100"]), "SPRING100")

    tell(account, "SPRING100", "event:1")

    assert Verification.objects.get().way == "vivoldi"


# --- a fixed text, and what is not ours ----------------------------------------------


def test_a_fixed_text_is_counted_and_nobodys_coupon_is_guessed(account):
    campaign = make_campaign()
    batch = make_fixed_batch(campaign, code="SUMMER")
    coupon = make_coupon(campaign, status="redeemed")
    row = make_remote_coupon(
        make_publication(campaign, account, live=1), batch=batch, remote_id="SUMMER"
    )

    for number in range(3):
        tell(account, "SUMMER", f"order:{number}")

    coupon.refresh_from_db()
    row.refresh_from_db()
    assert (coupon.status, row.used) == (Coupon.Status.REDEEMED, 3)
    assert {use.outcome for use in row.uses.all()} == {"counted"}


def test_a_code_that_is_not_ours_is_kept_and_said(account):
    use = tell(account, "ELSEWHERE")

    assert (use.coupon, use.code, use.outcome) == (None, "ELSEWHERE", "unknown")
    assert tell(account, "ELSEWHERE") == use
    assert Step.objects.get().facts["outcome"] == "unknown"


def test_the_same_code_at_another_account_is_another(account, rows):
    coupon = redeemed(rows)

    assert tell(make_paddle(), "SPRING-1").outcome == "unknown"
    coupon.refresh_from_db()
    assert coupon.status == Coupon.Status.REDEEMED


def test_a_use_that_came_before_its_code_was_known_counts_once_it_is(account):
    early = tell(account, "SPRING-1")
    rows = publish(account, ["SPRING-1"])

    assert note_count(rows["SPRING-1"].pk, 1) == 0

    early.refresh_from_db()
    assert (early.coupon, early.outcome) == (rows["SPRING-1"], "void")
    assert Serial.objects.get().state == Serial.State.VOID


# --- webhooks and counts -------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b", "count"])))
def test_two_sales_and_their_count_are_two_uses_in_any_order(account, rows, order):
    row = rows["SPRING-1"]

    for what in order:
        if what == "count":
            note_count(row.pk, 2)
        else:
            tell(account, "SPRING-1", f"order:{what}")

    assert known_uses(row) == 2
    assert row.uses.filter(key__in=["order:a", "order:b"]).count() == 2
    row.refresh_from_db()
    assert row.used == 2


def test_a_count_says_how_many_are_new_and_an_old_one_nothing(account, rows):
    row = rows["SPRING-1"]

    assert [note_count(row.pk, used) for used in (3, 2, 3, 5)] == [3, 0, 0, 2]
    assert row.uses.get().count == 5
    assert known_uses(row) == 5


def test_a_count_verifies_as_a_webhook_does(account, rows):
    coupon = redeemed(rows)

    note_count(rows["SPRING-1"].pk, 1)

    coupon.refresh_from_db()
    assert coupon.status == Coupon.Status.VERIFIED
    assert tell(account, "SPRING-1").outcome == "verified"
    assert Verification.objects.count() == 1


def test_a_count_of_a_coupon_that_is_gone_changes_nothing():
    assert note_count(999_999, 5) == 0


# --- from the event ------------------------------------------------------------------


@pytest.mark.parametrize(
    "kinds", list(itertools.permutations(["payment_succeeded", "locker_processed"]))
)
def test_two_alerts_of_one_order_are_one_use(account, rows, kinds):
    for kind in kinds:
        arrive(account, alert("SPRING-1", order="9-1", kind=kind))

    work_off(clock=lambda: NOON)

    assert Use.objects.get().key == "order:9-1"
    assert not InboundEvent.objects.filter(processed_at=None).exists()


def test_a_later_payment_of_a_subscription_is_no_use(account, rows):
    kind = "subscription_payment_succeeded"
    arrive(account, alert("SPRING-1", kind=kind, initial_payment="1", order="1"))
    arrive(account, alert("SPRING-1", kind=kind, initial_payment="0", order="2"))

    work_off(clock=lambda: NOON)

    assert Use.objects.get().key == "order:1"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"checkout_id": "c-1"}, "checkout:c-1"),
        ({"alert_id": "77"}, "alert:77"),
    ],
)
def test_a_sale_without_an_order_is_told_apart_by_what_it_has(
    account, rows, fields, key
):
    arrive(account, alert("SPRING-1", order="") | fields)

    work_off(clock=lambda: NOON)

    assert Use.objects.get().key == key


@pytest.mark.parametrize(
    "fields",
    [
        {"coupon": ""},
        {"coupon": None},
        {"coupon": ["SPRING-1"]},
        {"alert_name": "subscription_created"},
        {"alert_name": "follow"},
    ],
    ids=str,
)
def test_what_is_no_use_is_done_with(account, rows, fields):
    event = arrive(account, alert("SPRING-1") | fields)

    work_off(clock=lambda: NOON)

    event.refresh_from_db()
    assert (event.processed_at, event.problem) == (NOON, "")
    assert not Use.objects.exists()


@pytest.mark.parametrize("is_late", [False, True], ids=["after", "before"])
def test_a_refund_is_recorded_with_its_use_whichever_comes_first(
    account, rows, is_late
):
    coupon = redeemed(rows)
    sale = alert("SPRING-1", order="5-5")
    refund = alert(order="5-5", kind="payment_refunded", refund_type="full")
    for fields in (refund, sale) if is_late else (sale, refund):
        arrive(account, fields)
        work_off(clock=lambda: NOON)

    coupon.refresh_from_db()
    step = Step.objects.get(kind="refunded")
    assert Use.objects.get().refunded_at == NOON
    assert (step.coupon, step.facts) == (
        rows["SPRING-1"],
        {"order": "5-5", "is_whole": True},
    )
    assert coupon.status == Coupon.Status.VERIFIED


def test_a_refund_of_an_order_without_a_code_of_ours_is_nothing(account):
    event = arrive(account, alert(order="5-6", kind="payment_refunded"))

    work_off(clock=lambda: NOON)

    event.refresh_from_db()
    assert event.processed_at == NOON
    assert not Step.objects.exists()


def test_what_fails_leaves_nothing_and_is_tried_again(account, rows):
    """Killed between the use and its effect is the same: one transaction has both."""
    redeemed(rows)
    event = arrive(account, alert("SPRING-1"))
    looks = itertools.count(1)

    def clock():
        if next(looks) == 3:  # as the coupon is being verified
            raise RuntimeError("cut")
        return NOON

    work_off(clock=clock)

    event.refresh_from_db()
    assert (event.processed_at, event.tries) == (None, 1)
    assert not Use.objects.exists()
    assert not Verification.objects.exists()

    work_off(clock=lambda: event.next_try_at)

    assert Use.objects.count() == Verification.objects.count() == 1


def test_a_coupon_without_a_serial_is_counted_alone(account):
    row = make_remote_coupon(connection=account, remote_id="LOOSE")

    assert tell(account, "LOOSE").outcome == "counted"
    assert RemoteCoupon.objects.get(pk=row.pk).used == 1


def test_a_redeem_after_the_use_of_the_last_serial_is_out_of_stock(account):
    rows = publish(account, ["ONLY-ONE"])
    tell(account, "ONLY-ONE")
    coupon = make_coupon(rows["ONLY-ONE"].campaign, status="sent")

    with pytest.raises(CouponError) as refusal:
        redeem(coupon.token, source=TEST)

    assert refusal.value.code == "out_of_stock"
