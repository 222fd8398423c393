"""What coupons at Paddle Classic would be: each change named, nothing rounded."""

from decimal import Decimal

import pytest

from sync.preflight import paddle
from sync.preflight.lines import Mark, body_of
from sync.tests.flights import line_of, make_facts, make_fixed, make_flight, make_stock
from testing.factories import instant


def look(key, facts=None, **fields):
    return line_of(paddle.check(make_flight(**fields), facts or make_facts()), key)


def test_the_lines_make_what_paddle_is_sent():
    body = body_of(
        paddle.check(
            make_flight(product_ids="510509, 511520", minimum_spend=Decimal("10.50")),
            make_facts(),
        )
    )

    assert body == {
        "description": "Spring latte",
        "coupon_code": "LATTE-0001",
        "group": "campaign-7",
        "product_ids": "510509,511520",
        "coupon_type": "product",
        "discount_amount": "20",
        "discount_type": "percentage",
        "currency": "JPY",
        "minimum_threshold": "10.5",
        "recurring": 0,
        "expires": "2026-06-01",
        "allowed_uses": 1,
    }


@pytest.mark.parametrize(
    ("ends", "value", "mark"),
    [
        ("2026-05-31 15:00", "2026-06-01", "changed"),
        ("2026-06-01 00:00", "2026-06-01", "fine"),
        ("2026-05-31 23:59", "2026-06-01", "changed"),
        ("2026-05-31 00:01", "2026-06-01", "changed"),
    ],
)
def test_nobody_loses_an_hour_to_the_day_that_begins_in_utc(ends, value, mark):
    found = look("expires", use_ends_at=instant(ends))

    assert (found.value, found.mark) == (value, mark)


def test_the_changed_end_names_both_times_in_the_campaigns_zone():
    words = look("expires").words

    assert "2026-06-01 09:00 (Asia/Tokyo)" in words
    assert "2026-05-31 23:59 (Asia/Tokyo)" in words


def test_a_start_to_come_and_a_period_that_is_over():
    early = make_facts(at=instant("2026-04-01 00:00"))
    late = make_facts(at=instant("2026-05-31 15:00"))

    assert look("Starts", facts=early).mark == Mark.CHANGED
    assert look("Starts").mark == Mark.FINE
    assert look("expires", facts=late).mark == Mark.IMPOSSIBLE


@pytest.mark.parametrize(
    ("fields", "amount", "mark"),
    [
        ({"benefit_value": Decimal("12.50")}, "12.5", "fine"),
        ({"benefit_value": Decimal("99.99")}, "99.99", "fine"),
        ({"benefit_value": 100}, None, "impossible"),
        ({"benefit": "amount", "benefit_value": Decimal("300.00")}, "300", "fine"),
        ({"benefit": "amount", "benefit_value": Decimal("0.01")}, "0.01", "fine"),
        ({"benefit": "amount", "benefit_value": Decimal("0")}, None, "impossible"),
        (
            {"benefit": "price", "price_before": 500, "price_after": 400},
            "100",
            "changed",
        ),
        (
            {"benefit": "price", "price_before": 400, "price_after": 400},
            None,
            "impossible",
        ),
        ({"benefit": "free"}, None, "impossible"),
        ({"benefit": "gift"}, None, "impossible"),
        ({"benefit": "cash_back", "benefit_value": 5}, None, "impossible"),
    ],
)
def test_what_is_taken_off(fields, amount, mark):
    found = look("discount_amount", **fields)

    assert (found.value, found.mark) == (amount, mark)


def test_a_product_id_that_is_no_number_is_impossible():
    assert look("product_ids", product_ids="510509,latte").mark == Mark.IMPOSSIBLE
    assert look("coupon_type").value == "checkout"


def test_a_currency_is_wanted_even_for_per_cent():
    assert look("currency", currency="").mark == Mark.IMPOSSIBLE


def test_short_codes_are_counted_and_named():
    facts = make_facts(make_stock("GOOD1", "BAD", "NO"))

    found = look("coupon_code", facts=facts)

    assert found.mark == Mark.IMPOSSIBLE
    assert found.words.startswith("2 can't be published, such as “BAD”")


def test_it_says_so_when_only_some_of_the_serials_were_looked_at():
    some = make_facts(make_stock("GOOD1", free=1_000_000, is_all=False))

    assert "Looked at 1 of them" in look("coupon_code", facts=some).words
    assert "Looked at" not in look("coupon_code").words


@pytest.mark.parametrize(
    ("stock", "uses", "mark"),
    [
        (make_stock("LATTE-0001"), 1, "fine"),
        (make_fixed(free=250), 250, "fine"),
        (make_fixed(free=None), 999_999, "changed"),
    ],
    ids=["of one's own", "fixed", "without end"],
)
def test_uses_per_code(stock, uses, mark):
    found = look("allowed_uses", facts=make_facts(stock))

    assert (found.value, found.mark) == (uses, mark)


def test_without_serials_there_is_nothing_to_publish():
    none = make_facts(at=instant("2026-05-01 00:00"))
    none = type(none)(**{**none.__dict__, "stock": ()})

    assert look("coupon_code", facts=none).mark == Mark.IMPOSSIBLE
    assert look("allowed_uses", facts=none).mark == Mark.IMPOSSIBLE


def test_limits_and_a_minimum_that_paddle_keeps_otherwise_are_named():
    lines = paddle.check(make_flight(minimum_spend=3000), make_facts(limit=10))
    limits = [found for found in lines if found.what == "Limits"]

    assert [found.mark for found in limits] == [Mark.CHANGED, Mark.CHANGED]
    assert line_of(lines, "minimum_threshold").mark == Mark.CHANGED


def test_it_says_that_a_store_does_not_stop_a_code_at_the_checkout():
    words = "A code that a store has taken still works at the checkout."

    assert words in look("Verification").words
    assert words not in look("Verification", verifying="none").words
