"""Looks at Paddle and at Vivoldi: codes of ours, their uses, and what differs there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sandbox.testing import start_sandbox
from serials.models import Serial
from sync.models import Difference, RemoteCoupon, Use
from sync.pulling import planning
from sync.services.pulling import round_time
from sync.tests.looks import (
    Clock,
    Watch,
    make_publication,
    make_remote,
    make_shown_campaign,
)
from testing.factories import make_connection, make_contact, make_coupon, make_serials

pytestmark = pytest.mark.django_db
PRODUCT = 510509


@pytest.fixture
def sandbox(settings):
    settings.PADDLE_RATE = settings.VIVOLDI_RATE = 60_000  # a minute: tests don't wait
    with start_sandbox() as sandbox:
        sandbox.add_paddle(vendor_id=123, auth_code="abc", products=[PRODUCT])
        sandbox.add_vivoldi(api_key="key")
        settings.PADDLE_API_URL = sandbox.paddle_url
        settings.VIVOLDI_API_URL = sandbox.vivoldi_url
        yield sandbox


def of_coupons(watch):
    """What differs about single coupons: (code, field, ours, theirs)."""
    rows = Difference.objects.filter(ended_at=None, coupon__isnull=False)
    found = rows.order_by("coupon__remote_id", "field")
    return list(found.values_list("coupon__remote_id", "field", "ours", "theirs"))


# --- Paddle ------------------------------------------------------------------------------


@pytest.fixture
def paddle(sandbox):
    connection = make_connection(
        provider="paddle", account_id="123", access_token="abc"
    )
    return Watch(connection, Clock())


TERMS = {
    "coupon_type": "product",
    "product_ids": str(PRODUCT),
    "discount_type": "percentage",
    "discount_amount": "20",
    "recurring": 0,
    "group": "campaign-1",
    "currency": "USD",
}


def publish_codes(sandbox, watch, count, **changes):
    """Codes at Paddle, and a publication here that sent just those."""
    terms = {key: value for key, value in (TERMS | changes).items() if value}
    campaign = make_shown_campaign(has_text=False)
    publication = make_publication(watch.connection, campaign, terms=terms)
    codes = [f"CODE-{publication.pk}-{n:04d}" for n in range(count)]
    batch = make_serials(campaign, codes)
    for serial in Serial.objects.filter(batch=batch).order_by("pos"):
        sandbox.make_paddle_coupon(**terms, coupon_code=serial.code, allowed_uses=1)
        make_remote(publication, serial.code, serial=serial, own={"allowed_uses": 1})
    return publication, codes


def test_pages_of_a_product_are_read_to_their_end(sandbox, paddle):
    _publication, codes = publish_codes(sandbox, paddle, 3)
    sandbox.make_paddle_coupon(
        coupon_type="product",
        product_ids=PRODUCT,
        num_coupons=600,
        discount_amount=5,
        coupon_prefix="OTHERS",
    )

    run = paddle.look()

    rows = paddle.coupons()
    assert (run.state, run.problem) == ("done", "")
    assert (run.listed, run.calls) == (603, 2)
    assert sorted(rows) == codes  # what is not from here gets no rows
    assert all(row.raw["coupon"] == code for code, row in rows.items())
    assert of_coupons(paddle) == []


def test_codes_for_the_whole_checkout_are_found_with_or_without_a_list(
    sandbox, paddle, settings
):
    publish_codes(sandbox, paddle, 3, coupon_type="checkout", product_ids="")
    assert paddle.look().problem == ""
    sandbox.add_paddle(vendor_id=123, auth_code="abc", list_needs_product=True)

    run = paddle.look()

    assert run.state == "done"
    assert "no list" in run.problem
    assert all(row.missing_since is None for row in paddle.coupons().values())


def test_uses_that_paddle_counts_are_taken_in_once(sandbox, paddle):
    publication, codes = publish_codes(sandbox, paddle, 2)
    coupon = make_coupon(publication.campaign, make_contact(), status="redeemed")
    sandbox.pay(codes[0])
    sandbox.pay(codes[1])

    paddle.look()
    paddle.look()

    rows = paddle.coupons()
    assert [rows[code].used for code in codes] == [1, 1]
    assert Use.objects.filter(source="count").count() == 2
    coupon.refresh_from_db()
    assert coupon.status == "verified"
    other = Serial.objects.exclude(pk=coupon.serial_id).get()
    assert other.state == Serial.State.VOID


def test_what_was_changed_at_paddle_differs_and_agrees_again(sandbox, paddle):
    publication, codes = publish_codes(sandbox, paddle, 2)
    sandbox.change_paddle_coupon(codes[0], discount_amount=30)
    soon = (timezone.now() + timedelta(days=9)).date().isoformat()
    sandbox.change_paddle_coupon(codes[1], expires=soon, allowed_uses=5)

    paddle.look()

    assert of_coupons(paddle) == [
        (codes[0], "discount_amount", "20", of_coupons(paddle)[0][3]),
        (codes[1], "allowed_uses", "1", "5"),
        (codes[1], "expires", "", soon),
    ]
    sandbox.change_paddle_coupon(codes[0], discount_amount=20)
    sandbox.change_paddle_coupon(codes[1], expires="", allowed_uses=1)
    paddle.look()
    assert of_coupons(paddle) == []
    assert set(
        Difference.objects.filter(coupon__isnull=False).values_list(
            "ended_how", flat=True
        )
    ) == {"agreed"}


def test_code_that_was_deleted_at_paddle_is_looked_up_and_then_missing(sandbox, paddle):
    _publication, codes = publish_codes(sandbox, paddle, 3)
    paddle.look()
    sandbox.delete_paddle_coupon(codes[1])

    run = paddle.look()

    assert of_coupons(paddle) == [(codes[1], "missing", "live", "missing")]
    assert run.calls == 2  # the page, and the one look
    paddle.look()
    assert paddle.steps().count("vanished") == 1
    assert [row.used for row in paddle.coupons().values()].count(0) == 3


def test_errands_under_way_are_no_differences(sandbox, paddle):
    publication, codes = publish_codes(sandbox, paddle, 1)
    sandbox.change_paddle_coupon(codes[0], allowed_uses=5)
    RemoteCoupon.objects.update(errand="update", next_try_at=timezone.now())

    paddle.look()

    assert of_coupons(paddle) == []


def test_what_others_have_taken_back_here_is_not_looked_for(sandbox, paddle):
    _publication, codes = publish_codes(sandbox, paddle, 1)
    sandbox.delete_paddle_coupon(codes[0])
    RemoteCoupon.objects.update(status="gone", gone_at=timezone.now())

    run = paddle.look()

    assert (run.calls, of_coupons(paddle)) == (1, [])


def test_wrong_auth_code_pauses_the_account(sandbox, paddle):
    publish_codes(sandbox, paddle, 1)
    sandbox.add_paddle(vendor_id=123, auth_code="def")

    run = paddle.look()

    paddle.connection.refresh_from_db()
    assert (run.state, paddle.connection.state) == ("failed", "paused")
    assert "auth code" in run.problem


# --- Vivoldi -----------------------------------------------------------------------------


@pytest.fixture
def vivoldi(sandbox):
    connection = make_connection(provider="vivoldi", account_id="", access_token="key")
    return Watch(connection, Clock())


def day(shift):
    return (timezone.now() + timedelta(days=shift)).date().isoformat()


def publish_numbers(sandbox, watch, count, **changes):
    """Numbers at Vivoldi, and a publication here that sent just those."""
    terms = {
        "nm": "Spring latte",
        "discTypeIdx": 457,
        "disc": 20,
        "strtYmd": day(-3),
        "endYmd": day(30),
        "useLimit": 1,
    } | changes
    campaign = make_shown_campaign(has_text=False)
    publication = make_publication(watch.connection, campaign, terms=terms)
    codes = [f"V{publication.pk:05d}{n:04d}" for n in range(count)]
    batch = make_serials(campaign, codes)
    for serial in Serial.objects.filter(batch=batch).order_by("pos"):
        sandbox.make_vivoldi_coupon(**terms, cpnNo=serial.code)
        make_remote(publication, serial.code, serial=serial)
    return publication, codes


def test_each_number_is_looked_at(sandbox, vivoldi):
    _publication, codes = publish_numbers(sandbox, vivoldi, 5)

    run = vivoldi.look()

    rows = vivoldi.coupons()
    assert (run.state, run.calls, run.asked) == ("done", 5, 5)
    assert [rows[code].used for code in codes] == [0] * 5
    assert rows[codes[0]].starts_at < rows[codes[0]].ends_at
    assert of_coupons(vivoldi) == []


def test_no_for_a_number_within_its_days_is_a_question_for_a_person(sandbox, vivoldi):
    """Used there and deleted there look the same."""
    _publication, codes = publish_numbers(sandbox, vivoldi, 3)
    vivoldi.look()
    sandbox.vivoldi_use(codes[0])
    sandbox.delete_vivoldi_coupon(codes[1])

    vivoldi.look()

    assert of_coupons(vivoldi) == [
        (codes[0], "doubtful", "usable", "refused"),
        (codes[1], "doubtful", "usable", "refused"),
    ]
    assert Use.objects.count() == 0


def test_no_for_a_number_whose_uses_are_known_is_no_difference(sandbox, vivoldi):
    _publication, codes = publish_numbers(sandbox, vivoldi, 1)
    sandbox.vivoldi_use(codes[0])
    RemoteCoupon.objects.update(used=1)

    vivoldi.look()

    assert of_coupons(vivoldi) == []
    assert vivoldi.look().calls == 0  # nothing can change about it any more


def test_no_before_the_first_and_after_the_last_day_is_expected(sandbox, vivoldi):
    publish_numbers(sandbox, vivoldi, 1, strtYmd=day(5))
    _publication, ended = publish_numbers(sandbox, vivoldi, 1)
    vivoldi.look()
    sandbox.advance(31 * 86_400)
    vivoldi.clock.pass_(days=31)

    vivoldi.look()

    assert of_coupons(vivoldi) == []
    assert all(row.missing_since is None for row in vivoldi.coupons().values())
    vivoldi.clock.pass_(days=5)
    sandbox.advance(5 * 86_400)
    vivoldi.look()
    assert vivoldi.look().asked == 0


def test_no_for_a_number_without_limit_means_that_it_is_gone(sandbox, vivoldi):
    _publication, codes = publish_numbers(sandbox, vivoldi, 1, useLimit=0)
    sandbox.delete_vivoldi_coupon(codes[0])

    vivoldi.look()

    assert of_coupons(vivoldi) == [(codes[0], "missing", "live", "missing")]


def test_uses_that_vivoldi_counts_are_taken_in_once(sandbox, vivoldi):
    _publication, codes = publish_numbers(sandbox, vivoldi, 1, useLimit=0)
    sandbox.vivoldi_use(codes[0])
    sandbox.vivoldi_use(codes[0])

    vivoldi.look()
    vivoldi.look()

    assert Use.objects.get().count == 2
    assert vivoldi.coupons()[codes[0]].used == 2


def test_what_was_changed_at_vivoldi_differs(sandbox, vivoldi):
    _publication, codes = publish_numbers(sandbox, vivoldi, 1)
    sandbox.change_vivoldi_coupon(codes[0], nm="Summer latte")

    vivoldi.look()

    assert of_coupons(vivoldi) == [(codes[0], "nm", "Spring latte", "Summer latte")]


def test_look_asks_about_as_many_as_its_share_allows_the_longest_unasked_first(
    sandbox, vivoldi, settings
):
    publication, codes = publish_numbers(sandbox, vivoldi, 6)
    settings.SYNC_EVERY = timedelta(seconds=4 / planning.SHARE / 1000)
    assert planning.budget(1000) == 4
    taken = Serial.objects.get(code=codes[5])
    Serial.objects.filter(pk=taken.pk).update(
        state=Serial.State.TAKEN, taken_at=timezone.now()
    )

    first = vivoldi.look()
    after_first = {c for c, row in vivoldi.coupons().items() if row.asked_at}
    vivoldi.look()

    assert first.calls == 4
    assert codes[5] in after_first  # whoever has it may have used it
    assert len(after_first) == 4
    assert all(row.asked_at for row in vivoldi.coupons().values())
    assert round_time(vivoldi.connection.pk) == settings.SYNC_EVERY * 2


def test_round_time_is_for_accounts_without_a_list(sandbox, paddle):
    assert round_time(paddle.connection.pk) is None
