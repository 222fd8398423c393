"""How often a store password may be tried, whoever tries and however many at once."""

from datetime import timedelta
from threading import Lock

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import IntegrityError, connection, transaction

from coupons.errors import CouponError
from coupons.models import Attempt, Coupon, PasswordPace, PasswordTries, Verification
from coupons.passwords import judge, keeper_of
from coupons.tests.press_helpers import by_password
from testing.factories import instant, make_campaign, make_coupon, make_serials
from testing.factories import make_store as make_plain_store
from testing.races import ROUNDS, Racers, outcomes, rounds

RIGHT, WRONG = "umbrella-7", "umbrella-8"
NOON = instant("2026-05-01 03:00")  # in Tokyo, where the stores are
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Judging(MD5PasswordHasher):
    """Counts the looks at a password, and whether a transaction was open meanwhile.

    Quick: Argon2 takes its time, and that is not what is tested here.
    """

    looks = 0
    in_transaction = False
    meanwhile = staticmethod(lambda: None)
    lock = Lock()

    def verify(self, password, encoded):
        with self.lock:
            Judging.looks += 1
            Judging.in_transaction |= connection.in_atomic_block
        meanwhile, Judging.meanwhile = Judging.meanwhile, staticmethod(lambda: None)
        meanwhile()
        return super().verify(password, encoded)

    def must_update(self, decoded):
        return False


@pytest.fixture(autouse=True)
def looks(settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.Judging"]
    Judging.looks, Judging.in_transaction = 0, False
    yield Judging
    Judging.meanwhile = staticmethod(lambda: None)


def make_store(**fields):
    store = make_plain_store(**fields)
    store.set_password(RIGHT)
    return store


@pytest.fixture
def store():
    return make_store()


@pytest.fixture
def campaign():
    campaign = make_campaign(verifying="password", limit_per_contact=0)
    make_serials(campaign, 100)
    return campaign


def redeemed(campaign, count=1):
    return [make_coupon(campaign, status="redeemed") for _ in range(count)]


def guess(coupon, keeper, raw=WRONG, *, at=NOON):
    """What judge says: ok or the reason, with its fact."""
    try:
        judge(coupon, keeper, raw, clock=lambda: at)
    except CouponError as error:
        return error.code, *error.facts.values()
    return ("ok",)


def spend(campaign, keeper, count, *, at=NOON):
    """Wrong guesses on as many coupons as it takes."""
    coupon = None
    for n in range(count):
        if n % 5 == 0:
            [coupon] = redeemed(campaign)
        assert guess(coupon, keeper, at=at)[0] == "wrong_password"


# --- one coupon's page -----------------------------------------------------------------


@pytest.mark.django_db
def test_five_tries_are_told_down_and_the_sixth_is_not_looked_at(
    campaign, store, looks
):
    [coupon] = redeemed(campaign)

    told = [guess(coupon, store, at=NOON + n * MINUTE) for n in range(5)]
    sixth = guess(coupon, store, RIGHT, at=NOON + 5 * MINUTE)

    assert told == [("wrong_password", left) for left in (4, 3, 2, 1, 0)]
    assert sixth == ("too_many_tries", NOON + 19 * MINUTE)
    assert looks.looks == 5


@pytest.mark.django_db
def test_after_a_rest_there_are_five_more_and_after_ten_none_ever(campaign, store):
    [coupon] = redeemed(campaign)
    for _ in range(5):
        guess(coupon, store)

    early = guess(coupon, store, at=NOON + 15 * MINUTE - timedelta(microseconds=1))
    told = [guess(coupon, store, at=NOON + 15 * MINUTE) for _ in range(5)]
    late = guess(coupon, store, RIGHT, at=NOON + 400 * DAY)

    assert early[0] == "too_many_tries"
    assert told == [("wrong_password", left) for left in (4, 3, 2, 1, 0)]
    assert late == ("too_many_tries", None)


@pytest.mark.django_db
@pytest.mark.parametrize("minutes_between", [0, 1, 2, 3, 4, 7, 14, 15])
def test_no_quarter_of_an_hour_holds_more_than_five(campaign, store, minutes_between):
    [coupon] = redeemed(campaign)
    times = [NOON + n * minutes_between * MINUTE for n in range(20)]

    judged = [at for at in times if guess(coupon, store, at=at)[0] == "wrong_password"]

    assert 5 <= len(judged) <= 10
    for at in judged:
        assert sum(at <= other < at + 15 * MINUTE for other in judged) <= 5


@pytest.mark.django_db
def test_a_right_one_costs_no_try(campaign, store):
    [coupon] = redeemed(campaign)
    for _ in range(4):
        guess(coupon, store)

    assert [guess(coupon, store, RIGHT) for _ in range(20)] == [("ok",)] * 20

    assert guess(coupon, store) == ("wrong_password", 0)
    assert PasswordPace.objects.get().wrong == 5


@pytest.mark.django_db
def test_another_coupon_has_tries_of_its_own(campaign, store):
    first, second = redeemed(campaign, 2)
    for _ in range(6):
        guess(first, store)

    assert guess(second, store) == ("wrong_password", 4)


@pytest.mark.django_db
def test_whoever_died_while_judging_leaves_the_try_counted(campaign, store, looks):
    [coupon] = redeemed(campaign)

    def die():
        raise KeyboardInterrupt

    looks.meanwhile = staticmethod(die)
    with pytest.raises(KeyboardInterrupt):
        guess(coupon, store)

    assert PasswordTries.objects.get().ever == 1
    assert PasswordPace.objects.get().wrong == 1


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_slow_part_runs(campaign, store, looks):
    [coupon] = redeemed(campaign)

    with pytest.raises(CouponError):
        by_password(coupon, store, WRONG)
    by_password(coupon, store, RIGHT)

    assert looks.looks == 2
    assert not looks.in_transaction


# --- one password, on all pages --------------------------------------------------------


def at_limit(keeper, **counts):
    """The keeper's row as so many wrong ones leave it."""
    owner = {"store" if keeper._meta.model_name == "store" else "campaign": keeper}
    midnight = instant("2026-05-01 15:00")
    fields = {"wrong": 0, "day_ends_at": midnight} | counts
    return PasswordPace.objects.create(**owner, **fields)


@pytest.mark.django_db
def test_two_hundred_wrong_ones_pause_the_password_until_the_stores_midnight(
    campaign, store, looks, caplog
):
    at_limit(store, wrong=198)
    first, second = redeemed(campaign, 2)

    told = [guess(first, store), guess(first, store), guess(first, store, RIGHT)]
    other = guess(second, store, RIGHT, at=instant("2026-05-01 14:59"))
    next_day = guess(second, store, RIGHT, at=instant("2026-05-01 15:00"))

    midnight = instant("2026-05-01 15:00")
    assert told == [
        ("wrong_password", 4),
        ("wrong_password", 3),
        ("too_many_tries", midnight),
    ]
    assert other == ("too_many_tries", midnight)
    assert next_day == ("ok",)
    assert looks.looks == 3
    assert [r.store_id for r in caplog.records if r.msg == "password.paused"] == [
        store.pk
    ]
    assert PasswordPace.objects.get().alerted_at == NOON


@pytest.mark.django_db
def test_a_try_that_the_pause_refuses_costs_the_coupon_none(campaign, store):
    pace = at_limit(store, wrong=200)
    [coupon] = redeemed(campaign)
    for _ in range(7):
        guess(coupon, store)
    pace.delete()

    assert guess(coupon, store) == ("wrong_password", 4)


@pytest.mark.django_db
def test_the_pause_of_one_store_is_no_other_stores(campaign, store):
    at_limit(store, wrong=200)
    [coupon] = redeemed(campaign)

    assert guess(coupon, make_store(), RIGHT) == ("ok",)


@pytest.mark.django_db
def test_a_right_one_at_midnight_takes_nothing_off_the_next_day(campaign, store, looks):
    first, second = redeemed(campaign, 2)
    midnight = instant("2026-05-01 15:00")
    looks.meanwhile = staticmethod(lambda: guess(second, store, at=midnight))

    assert guess(first, store, RIGHT, at=midnight - MINUTE) == ("ok",)

    assert PasswordPace.objects.get().wrong == 1


@pytest.mark.django_db
def test_twenty_wrong_ones_within_an_hour_leave_word_once(campaign, store, caplog):
    spend(campaign, store, 10, at=NOON + 50 * MINUTE)
    spend(campaign, store, 9, at=NOON + 65 * MINUTE)
    assert PasswordPace.objects.get().alerted_at is None

    spend(campaign, store, 5, at=NOON + 70 * MINUTE)

    assert [r.store_id for r in caplog.records if r.msg == "password.guessing"] == [
        store.pk
    ]
    assert PasswordPace.objects.get().alerted_at == NOON + 70 * MINUTE


@pytest.mark.django_db
def test_guessing_that_goes_on_leaves_word_again_after_an_hour(campaign, store):
    spend(campaign, store, 20)
    spend(campaign, store, 1, at=NOON + 59 * MINUTE)
    assert PasswordPace.objects.get().alerted_at == NOON

    spend(campaign, store, 20, at=NOON + 60 * MINUTE)

    assert PasswordPace.objects.get().alerted_at == NOON + 60 * MINUTE


@pytest.mark.django_db
def test_slips_of_a_busy_day_leave_no_word(campaign, store):
    for hour in range(8):
        spend(campaign, store, 9, at=NOON + hour * HOUR)

    assert PasswordPace.objects.get().alerted_at is None


@pytest.mark.django_db
def test_the_campaigns_own_password_counts_at_every_store_and_by_itself(
    campaign, store
):
    campaign.password = store.password
    campaign.save()
    store.set_password("something-else")
    bare = make_plain_store()
    [coupon] = redeemed(campaign)

    assert keeper_of(campaign, store) == keeper_of(campaign, bare) == campaign
    assert guess(coupon, campaign, RIGHT) == ("ok",)
    assert guess(coupon, campaign, "something-else") == ("wrong_password", 4)
    assert PasswordPace.objects.get().campaign == campaign


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "change"),
    [
        (PasswordTries, {"ever": 11}),
        (PasswordTries, {"lately": 6}),
        (PasswordPace, {"wrong": 201}),
        (PasswordPace, {"store": None}),
    ],
)
def test_the_schema_refuses_more_than_there_are(campaign, store, rows, change):
    [coupon] = redeemed(campaign)
    guess(coupon, store)

    with pytest.raises(IntegrityError), transaction.atomic():
        rows.objects.update(**change)


# --- guesses that arrive together ------------------------------------------------------


@pytest.fixture
def forty():
    racers = Racers(40)
    yield racers
    racers.stop()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_forty_guesses_at_once_exactly_five_are_judged(
    campaign, store, looks, forty
):
    for _ in range(ROUNDS):
        looks.looks = 0
        [coupon] = redeemed(campaign)

        results = forty.race(lambda n, c=coupon: by_password(c, store, f"wrong-{n}"))

        assert outcomes(results) == {"wrong_password": 5, "too_many_tries": 35}
        assert looks.looks == 5
        left = [r.facts["left"] for r in results if r.code == "wrong_password"]
        assert sorted(left) == [0, 1, 2, 3, 4]
        assert coupon.attempts.count() == 40
        PasswordPace.objects.all().delete()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_guesses_at_once_no_more_are_judged_than_the_day_has(
    campaign, store, looks, racers
):
    for _ in range(rounds(5)):
        looks.looks = 0
        PasswordPace.objects.all().delete()
        at_limit(store, wrong=193)
        coupons = redeemed(campaign, 5)

        results = racers.race(lambda n, c=coupons: guess(c[n % 5], store)[0])

        assert results.count("wrong_password") == looks.looks == 7
        assert results.count("too_many_tries") == 13
        assert PasswordPace.objects.get().wrong == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_twenty_wrong_ones_at_once_leave_word_once(campaign, store, racers, caplog):
    for _ in range(rounds(5)):
        caplog.clear()
        PasswordPace.objects.all().delete()
        coupons = redeemed(campaign, 4)

        racers.race(lambda n, c=coupons: guess(c[n % 4], store))

        pace = PasswordPace.objects.get()
        assert (pace.wrong, pace.wrong_in_hour) == (20, 20)
        assert pace.alerted_at == NOON
        told = [r for r in caplog.records if r.msg == "password.guessing"]
        assert len(told) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("naive_tables")
def test_the_harness_catches_a_limit_that_counts_after_judging(forty):
    def judge_first(n):
        with connection.cursor() as cursor:
            cursor.execute("SELECT used < quota FROM naive_counter")
            if not cursor.fetchone()[0]:
                return False
            cursor.execute("SELECT pg_sleep(0.01)")  # the look at the password
            cursor.execute("UPDATE naive_counter SET used = used + 1")
        return True

    worst = 0
    for _ in range(ROUNDS):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE naive_counter")
            cursor.execute("INSERT INTO naive_counter VALUES (0, 5)")
        worst = max(worst, sum(forty.race(judge_first)))

    assert worst > 5


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_right_one_typed_on_many_pages_at_once_verifies_once(
    campaign, store, racers
):
    for _ in range(rounds(5)):
        [coupon] = redeemed(campaign)

        results = racers.race(lambda n, c=coupon: by_password(c, store, RIGHT))

        counted = outcomes(results)
        assert counted["ok"] == 1
        assert set(counted) <= {"ok", "already_verified", "too_many_tries"}
        assert Verification.objects.filter(coupon=coupon).count() == 1
        assert Coupon.objects.get(pk=coupon.pk).status == "verified"
        assert Attempt.objects.filter(coupon=coupon, reason="ok").count() == 1
        tries = PasswordTries.objects.get(coupon=coupon)
        assert (tries.ever, tries.lately) == (0, 0)
    assert PasswordPace.objects.get().wrong == 0
