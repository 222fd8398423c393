"""What changes while a request waits for its lock, and what is left of one cut off."""

import threading
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from campaigns.models import TotalLimit
from campaigns.services import move
from coupons.errors import CouponError
from coupons.limiting import set_total_limit
from coupons.models import Attempt, ContactUse, Coupon, Event, Verification
from coupons.retrying import retrying
from coupons.services import (
    open_coupon,
    redeem,
    reissue,
    revoke,
    scan,
    undo,
    verify,
)
from reports.ledger import find_breaks
from serials.models import Serial
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)
from testing.races import (
    ROUNDS,
    Elsewhere,
    JumpingClock,
    after_waiting,
    outcomes,
    terminate,
    wait_until_somebody_waits_for_us,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def clerk():
    return make_user()


@pytest.fixture
def store(clerk):
    return make_store(clerk)


def make_one(status, **fields):
    """A coupon of a contact, in a campaign of its own with a limit in total."""
    campaign = make_campaign(**fields)
    set_total_limit(campaign, 10)
    make_serials(campaign, 2)
    return make_coupon(campaign, make_contact(make_connection()), status=status)


def traces(coupon):
    """All that a step of the coupon would leave behind."""
    coupon = Coupon.objects.get(pk=coupon.pk)
    return {
        "status": coupon.status,
        "events": list(coupon.events.values_list("kind", flat=True)),
        "verifications": list(coupon.verifications.values_list("undone_at", flat=True)),
        "serials": Serial.objects.filter(
            campaign=coupon.campaign_id, state=Serial.State.TAKEN
        ).count(),
        "of contact": list(
            ContactUse.objects.filter(campaign=coupon.campaign_id).values_list(
                "used", flat=True
            )
        ),
        "of limit": TotalLimit.objects.get(campaign=coupon.campaign_id).used,
    }


def sqlstate_of(error):
    return getattr(error.__cause__, "sqlstate", "")


def assert_all_agrees():
    assert find_breaks(now=timezone.now()) == []


# --- the controls --------------------------------------------------------------------
# Naive requests that wait for the coupon's lock as ours do. Each answers True though
# what it has to look at has changed while it waited.


def read(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()


def lock_naive():
    return read("SELECT status FROM naive_coupon FOR UPDATE")


def clock_read_before_the_lock(clock):
    at = clock()
    lock_naive()
    return at < read("SELECT ends_at FROM naive_coupon")[0]


def end_tested_in_the_locking_statement(clock):
    return bool(
        read("SELECT 1 FROM naive_coupon WHERE ends_at > %s FOR UPDATE", clock())
    )


def clock_of_the_transaction(clock):
    """PostgreSQL's now() is the start of the transaction, before the wait."""
    started_at = read("SELECT now()")[0]
    lock_naive()
    is_same = read("SELECT now()")[0] == started_at
    return is_same and read("SELECT now() < ends_at FROM naive_coupon")[0]


def campaign_joined_to_the_lock(clock):
    row = read(
        "SELECT g.state FROM naive_coupon c, naive_campaign g WHERE c.id = 1 "
        "FOR UPDATE OF c"
    )
    return row[0] == "active"


def store_read_before_the_lock(clock):
    [store] = read("SELECT store FROM naive_campaign")
    lock_naive()
    return store == 1


@pytest.mark.usefixtures("naive_tables")
@pytest.mark.parametrize(
    "naive",
    [
        clock_read_before_the_lock,
        end_tested_in_the_locking_statement,
        clock_of_the_transaction,
        campaign_joined_to_the_lock,
        store_read_before_the_lock,
    ],
)
def test_naive_code_goes_by_what_held_before_it_waited(naive):
    now = timezone.now()
    ends_at = now + timedelta(minutes=1)
    clock = JumpingClock(now)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO naive_coupon VALUES (1, 1, 'sent', %s)", [ends_at])
        cursor.execute("INSERT INTO naive_campaign VALUES ('active', 1)")

    def everything_changes():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE naive_campaign SET state = 'paused', store = 2")
        clock.jump(ends_at)

    with transaction.atomic():
        lock_naive()
        waiting = Elsewhere(lambda: transaction.atomic(naive)(clock))
        wait_until_somebody_waits_for_us()
        everything = Elsewhere(everything_changes)
        assert everything.result() is None

    assert waiting.result() is True


# --- changes while it waits ----------------------------------------------------------


def ways_to_use(store, clerk):
    """Each step that an end stops, with the status it needs."""
    return {
        "redeem": ("sent", lambda c, clock: redeem(c.token, source=TEST, clock=clock)),
        "verify": (
            "redeemed",
            lambda c, clock: verify(c.pk, store=store, staff=clerk, clock=clock),
        ),
        "undo": (
            "redeemed",
            lambda c, clock: undo(
                c.verifications.get().pk,
                by=clerk,
                reason="slip",
                is_manager=True,
                clock=clock,
            ),
        ),
        "scan": (
            "redeemed",
            lambda c, clock: answer_of(
                scan(c.number, store=store, staff=clerk, nonce=uuid4(), clock=clock)
            ),
        ),
    }


def answer_of(answer):
    return answer if answer.is_ok else CouponError(answer.reason)


@pytest.mark.parametrize("way", ["redeem", "verify", "undo", "scan"])
def test_a_coupon_that_ends_while_its_lock_is_waited_for_is_refused_as_expired(
    way, store, clerk
):
    status, use = ways_to_use(store, clerk)[way]
    for _ in range(ROUNDS):
        coupon = make_one(status)
        if way == "undo":
            verify(coupon.pk, store=store, staff=clerk)
        before = traces(coupon)
        clock = JumpingClock(coupon.ends_at - timedelta(seconds=1))

        answer = after_waiting(
            coupon,
            partial(use, coupon, clock),
            meanwhile=partial(clock.jump, coupon.ends_at),
        )

        assert outcomes([answer]) == {"expired": 1}
        assert traces(coupon) == before
    assert_all_agrees()


@pytest.mark.parametrize("way", ["redeem", "verify", "undo", "scan"])
def test_a_second_before_its_end_a_wait_changes_nothing(way, store, clerk):
    status, use = ways_to_use(store, clerk)[way]
    coupon = make_one(status)
    if way == "undo":
        verify(coupon.pk, store=store, staff=clerk)
    clock = JumpingClock(coupon.ends_at - timedelta(seconds=2))

    answer = after_waiting(
        coupon,
        partial(use, coupon, clock),
        meanwhile=partial(clock.jump, coupon.ends_at - timedelta(seconds=1)),
    )

    assert outcomes([answer]) == {"ok": 1}


@pytest.mark.parametrize(
    ("action", "code"), [("pause", "campaign_paused"), ("end", "campaign_ended")]
)
def test_a_campaign_stopped_while_a_redeem_waits_is_seen_by_the_redeem(action, code):
    for _ in range(ROUNDS):
        coupon = make_one("sent")
        before = traces(coupon)

        answer = after_waiting(
            coupon,
            partial(redeem, coupon.token, source=TEST),
            meanwhile=partial(move, coupon.campaign_id, action),
        )

        assert outcomes([answer]) == {code: 1}
        assert traces(coupon) == before


@pytest.mark.parametrize("action", ["pause", "end"])
def test_a_campaign_stopped_while_a_till_waits_still_takes_what_is_redeemed(
    action, store, clerk
):
    for _ in range(ROUNDS):
        coupon = make_one("redeemed")

        answer = after_waiting(
            coupon,
            partial(verify, coupon.pk, store=store, staff=clerk),
            meanwhile=partial(move, coupon.campaign_id, action),
        )

        assert outcomes([answer]) == {"ok": 1}
        assert traces(coupon)["status"] == "verified"


def test_a_store_taken_out_of_the_campaign_while_its_till_waits_is_refused(
    store, clerk
):
    for _ in range(ROUNDS):
        coupon = make_one("redeemed")
        coupon.campaign.stores.set([store, make_store()])

        answer = after_waiting(
            coupon,
            partial(verify, coupon.pk, store=store, staff=clerk),
            meanwhile=partial(coupon.campaign.stores.remove, store),
        )

        assert outcomes([answer]) == {"wrong_store": 1}
        assert not Verification.objects.filter(coupon=coupon).exists()


def test_a_limit_of_the_contact_reached_while_a_redeem_waits_is_seen(store):
    for _ in range(ROUNDS):
        coupon = make_one("sent")
        other = make_coupon(coupon.campaign, coupon.contact, status="sent")

        answer = after_waiting(
            coupon,
            partial(redeem, coupon.token, source=TEST),
            meanwhile=partial(redeem, other.token, source=TEST),
        )

        assert outcomes([answer]) == {"limit_reached": 1}
        assert traces(coupon)["of contact"] == [1]


def test_a_limit_refused_as_too_low_holds_up_no_redeem_behind_it():
    """It waited for the limit's row, and must not keep it while it looks further."""
    first = make_one("sent", limit_per_contact=0)
    second = make_coupon(first.campaign, first.contact, status="sent")

    with transaction.atomic():
        redeem(first.token, source=TEST)
        lowering = Elsewhere(partial(set_total_limit, first.campaign, 0))
        wait_until_somebody_waits_for_us()
        redeeming = Elsewhere(partial(redeem, second.token, source=TEST))
        wait_until_somebody_waits_for_us(count=2)

    assert outcomes([lowering.result()]) == {"limit_too_low": 1}
    assert outcomes([redeeming.result()]) == {"ok": 1}
    assert traces(first)["of limit"] == 2
    assert_all_agrees()


def test_what_waits_for_a_revoke_finds_the_coupon_withdrawn(store, clerk):
    for use in (
        lambda c: redeem(c.token, source=TEST),
        lambda c: verify(c.pk, store=store, staff=clerk),
        lambda c: revoke(c.pk, source=TEST, reason="again"),
    ):
        coupon = make_one("redeemed")
        with transaction.atomic():
            revoke(coupon.pk, source=TEST, reason="stolen phone")
            waiting = Elsewhere(partial(use, coupon))
            wait_until_somebody_waits_for_us()

        assert outcomes([waiting.result()]) == {"revoked": 1}
    assert_all_agrees()


# --- cut off -------------------------------------------------------------------------


@pytest.mark.usefixtures("naive_tables")
def test_naive_code_cut_off_in_the_middle_leaves_half_of_it():
    """Every statement commits by itself: the control of the next test."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO naive_serial VALUES (1, true)")
        cursor.execute("INSERT INTO naive_coupon VALUES (1, 1, 'sent')")

    def naive_redeem():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE naive_serial SET is_free = false")
            cursor.execute("UPDATE naive_coupon SET status = 'redeemed'")

    with transaction.atomic():
        lock_naive()
        waiting = Elsewhere(naive_redeem)
        terminate(wait_until_somebody_waits_for_us())
        assert isinstance(waiting.result(), OperationalError)

    assert read("SELECT is_free FROM naive_serial") == (False,)
    assert read("SELECT status FROM naive_coupon") == ("sent",)


def test_a_redeem_cut_off_before_its_commit_leaves_nothing_and_can_be_repeated():
    for _ in range(ROUNDS):
        coupon = make_one("sent")
        before = traces(coupon)

        with transaction.atomic():
            # The limit's row is the last that a redeem wants: all else is written.
            TotalLimit.objects.select_for_update().get(campaign=coupon.campaign_id)
            waiting = Elsewhere(partial(redeem, coupon.token, source=TEST))
            terminate(wait_until_somebody_waits_for_us())
            cut_off = waiting.result()

        assert isinstance(cut_off, OperationalError)
        assert traces(coupon) == before
        assert not Attempt.objects.filter(coupon=coupon).exists()
        assert redeem(coupon.token, source=TEST).status == "redeemed"
    assert_all_agrees()


def test_a_verification_cut_off_before_its_commit_leaves_nothing_and_can_be_repeated(
    store, clerk
):
    for _ in range(ROUNDS):
        coupon = make_one("redeemed")
        nonce = uuid4()
        before = traces(coupon)

        def cut_off(coupon=coupon, nonce=nonce):
            with transaction.atomic():
                scan(coupon.number, store=store, staff=clerk, nonce=nonce)
                [pid] = read("SELECT pg_backend_pid()")
                Elsewhere(partial(terminate, pid)).result()

        assert isinstance(Elsewhere(cut_off).result(), OperationalError)
        assert traces(coupon) == before
        assert not Attempt.objects.filter(nonce=nonce).exists()
        answer = scan(coupon.number, store=store, staff=clerk, nonce=nonce)
        assert (answer.reason, answer.is_repeat) == ("ok", False)
    assert_all_agrees()


def test_an_answer_lost_after_the_commit_is_given_again(store, clerk):
    for _ in range(ROUNDS):
        coupon = make_one("sent")
        nonce = uuid4()

        def then_cut_off(job):
            """The commit went through; nobody hears of it."""
            job()
            [pid] = read("SELECT pg_backend_pid()")
            Elsewhere(partial(terminate, pid)).result()
            read("SELECT 1")

        redeemed = partial(redeem, coupon.token, source=TEST)
        scanned = partial(scan, coupon.number, store=store, staff=clerk, nonce=nonce)
        for job in (redeemed, scanned):
            lost = Elsewhere(partial(then_cut_off, job)).result()
            assert isinstance(lost, OperationalError)
        before = traces(coupon)

        again, answer = redeemed(), scanned()

        assert again.code == Serial.objects.get(coupon=coupon).code
        assert (answer.reason, answer.is_repeat) == ("ok", True)
        assert traces(coupon) == before
    assert_all_agrees()


# --- locks that are not had ----------------------------------------------------------


def impatient(job):
    """`job` on a session that waits a moment only for any lock."""
    read("SELECT set_config('lock_timeout', '50ms', false)")
    return job()


def test_a_lock_that_is_not_had_travels_up_and_nothing_is_stored(store, clerk):
    redeemed, sent, revoked = make_one("redeemed"), make_one("sent"), make_one("sent")
    verified = make_one("redeemed")
    verification = verify(verified.pk, store=store, staff=clerk)
    revoke(revoked.pk, source=TEST, reason="wrong person")
    jobs = [
        (sent, lambda: open_coupon(sent.token, source=TEST)),
        (sent, lambda: redeem(sent.token, source=TEST)),
        (redeemed, lambda: verify(redeemed.pk, store=store, staff=clerk)),
        (
            redeemed,
            lambda: scan(redeemed.number, store=store, staff=clerk, nonce=uuid4()),
        ),
        (
            verified,
            lambda: undo(verification.pk, by=clerk, reason="slip", is_manager=False),
        ),
        (redeemed, lambda: revoke(redeemed.pk, source=TEST, reason="stolen phone")),
        (revoked, lambda: reissue(revoked.pk, source=TEST)),
    ]
    for coupon, job in jobs:
        before, events = traces(coupon), Event.objects.count()

        with transaction.atomic():
            Coupon.objects.select_for_update().get(pk=coupon.pk)
            answer = Elsewhere(partial(impatient, job)).result()

        assert isinstance(answer, OperationalError)
        assert sqlstate_of(answer) == "55P03"
        assert traces(coupon) == before
        assert (Event.objects.count(), Attempt.objects.count()) == (events, 0)
    assert_all_agrees()


def test_the_last_lock_of_a_redeem_that_is_not_had_gives_all_the_others_back():
    coupon = make_one("sent")
    before = traces(coupon)

    with transaction.atomic():
        TotalLimit.objects.select_for_update().get(campaign=coupon.campaign_id)
        job = partial(impatient, partial(redeem, coupon.token, source=TEST))
        answer = Elsewhere(job).result()

    assert isinstance(answer, OperationalError)
    assert traces(coupon) == before
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("is_retried", [False, True])
def test_of_two_that_deadlock_the_one_given_up_is_tried_again(is_retried):
    """Without `retrying` one of the two fails: the control."""
    coupons = [make_one("sent"), make_one("sent")]
    both_have_one = threading.Barrier(2, timeout=20)
    first_tries = {0, 1}

    @transaction.atomic
    def crosswise(n):
        open_coupon(coupons[n].token, source=TEST)
        if n in first_tries:
            first_tries.remove(n)
            both_have_one.wait()
        redeem(coupons[1 - n].token, source=TEST)

    job = retrying(crosswise) if is_retried else crosswise
    two = [Elsewhere(partial(job, n)) for n in (0, 1)]
    results = [one.result() for one in two]

    failed = [error for error in results if isinstance(error, OperationalError)]
    assert [sqlstate_of(error) for error in failed] == ([] if is_retried else ["40P01"])
    redeemed = Coupon.objects.filter(status="redeemed")
    assert redeemed.count() == (2 if is_retried else 1)
    assert_all_agrees()


def test_a_redeem_given_up_in_a_deadlock_is_tried_again_by_itself():
    """Somebody takes the limit's row before the coupon's, against the order of locks."""
    coupon = make_one("sent")

    with transaction.atomic():
        TotalLimit.objects.select_for_update().get(campaign=coupon.campaign_id)
        waiting = Elsewhere(partial(redeem, coupon.token, source=TEST))
        wait_until_somebody_waits_for_us()
        Coupon.objects.select_for_update().get(
            pk=coupon.pk
        )  # it waits for us: given up

    assert outcomes([waiting.result()]) == {"ok": 1}
    assert traces(coupon)["of limit"] == 1
    assert_all_agrees()
