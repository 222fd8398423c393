"""What coupons at Vivoldi would be: each change named, nothing rounded."""

from decimal import Decimal

import pytest

from sync.preflight import vivoldi
from sync.preflight.lines import Mark, body_of
from sync.tests.flights import line_of, make_facts, make_fixed, make_flight, make_stock
from testing.factories import instant


def look(key, facts=None, **fields):
    return line_of(vivoldi.check(make_flight(**fields), facts or make_facts()), key)


def test_the_lines_make_what_vivoldi_is_sent():
    body = body_of(
        vivoldi.check(
            make_flight(button_url="https://shop.example/", verifying="button"),
            make_facts(),
        )
    )

    assert body == {
        "nm": "Spring latte",
        "color": "#1F2933FF",
        "background": "#FFFFFFFF",
        "url": "https://shop.example/",
        "cpnNo": "LATTE0001",
        "disc": 20.0,
        "discTypeIdx": 457,
        "strtYmd": "2026-05-01",
        "endYmd": "2026-05-31",
        "useLimit": 1,
        "onsiteYn": "Y",
    }


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("ABCD1234", "ABCD1234"),
        ("abcd-1234", "ABCD1234"),
        ("ABC-1234", ""),
        ("A" * 16, "A" * 16),
        ("A" * 17, ""),
        ("FNA@5841", ""),
        ("ÄBCD1234", ""),
        ("１２３４５６７８", ""),
    ],
)
def test_a_number_has_8_to_16_capitals_and_digits(code, sent):
    number, why = vivoldi.code_of(code)

    assert number == sent
    assert bool(why) != bool(sent)


def test_dashes_and_small_letters_are_a_change_that_is_named():
    found = look("cpnNo")

    assert found.mark == Mark.CHANGED
    assert "“LATTE0001” in place of “LATTE-0001”" in found.words
    plain = make_facts(make_stock("LATTE0001"))
    assert look("cpnNo", facts=plain).mark == Mark.FINE


@pytest.mark.parametrize(
    ("limit", "value", "mark"),
    [
        (0, 0, "fine"),
        (1, 1, "changed"),
        (2, None, "impossible"),
        (6, None, "impossible"),
    ],
)
def test_a_number_for_everybody_knows_no_count_of_uses_by_person(limit, value, mark):
    found = look("useLimit", facts=make_facts(make_fixed()), limit_per_contact=limit)

    assert (found.value, found.mark) == (value, mark)


@pytest.mark.parametrize(
    ("fields", "kind", "value", "mark"),
    [
        ({"benefit_value": Decimal("12.50")}, 457, 12.5, "fine"),
        ({"benefit_value": Decimal("0.50")}, 457, None, "impossible"),
        ({"benefit": "free"}, 457, 100.0, "changed"),
        ({"benefit": "amount", "benefit_value": 300}, 458, 300.0, "fine"),
        (
            {"benefit": "price", "price_before": 500, "price_after": 400},
            458,
            100.0,
            "changed",
        ),
        ({"benefit": "gift"}, 457, None, "impossible"),
    ],
)
def test_what_is_taken_off(fields, kind, value, mark):
    found = look("disc", **fields)

    assert (found.value, found.mark) == (value, mark)
    if value is not None:
        assert look("discTypeIdx", **fields).value == kind


def test_a_currency_that_vivoldi_lacks_is_impossible():
    money = {"benefit": "amount", "benefit_value": 300}

    assert look("discCurrency", **money).value == "JPY"
    assert look("discCurrency", **money, currency="TWD").mark == Mark.IMPOSSIBLE


@pytest.mark.parametrize(
    ("ends", "last"),
    [
        ("2026-05-31 15:00", "2026-05-31"),
        ("2026-05-31 15:01", "2026-06-01"),
        ("2026-05-31 14:59", "2026-05-31"),
    ],
)
def test_the_last_day_is_that_of_the_campaigns_zone(ends, last):
    assert look("endYmd", use_ends_at=instant(ends)).value == last


def test_a_start_in_the_middle_of_a_day_is_a_change():
    found = look("strtYmd", use_starts_at=instant("2026-05-01 03:00"))

    assert (found.value, found.mark) == ("2026-05-01", Mark.CHANGED)


def test_a_store_password_is_never_sent():
    found = look("onsitePwd", verifying="password")

    assert (found.value, found.mark) == (None, Mark.CHANGED)


def test_what_vivoldi_cannot_keep_is_named():
    facts = make_facts(make_fixed(free=10), limit=5)
    lines = vivoldi.check(make_flight(minimum_spend=1, expiry="from_sending"), facts)

    for what in ("Minimum spend", "Expiry", "Limit in total", "Image", "Instructions"):
        assert line_of(lines, what).mark == Mark.CHANGED
