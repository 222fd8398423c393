"""What LINE's own coupon would be: nothing cut, nothing rounded, each change named."""

from datetime import timedelta
from decimal import Decimal

import pytest
from linebot.v3.messaging.models import CouponCreateRequest

from sync.preflight import line
from sync.preflight.lines import Mark, body_of
from sync.tests.flights import (
    line_of,
    make_facts,
    make_fixed,
    make_flight,
    make_stock,
)
from testing.factories import instant


def look(key, facts=None, **fields):
    return line_of(line.check(make_flight(**fields), facts or make_facts()), key)


def test_the_lines_make_a_request_that_lines_own_library_takes():
    lines = line.check(make_flight(minimum_spend=3000), make_facts(make_fixed()))

    body = body_of(lines)

    assert CouponCreateRequest.from_dict(body).title == "Spring latte"
    assert body == {
        "title": "Spring latte",
        "description": "Show this at the till.",
        "usageCondition": body["usageCondition"],
        "imageUrl": "https://shop.example/media/campaigns/a.png",
        "couponCode": "FNA@5841",
        "startTimestamp": 1777561200,
        "endTimestamp": 1780239599,
        "timezone": "ASIA_TOKYO",
        "maxUseCountPerTicket": 1,
        "acquisitionCondition": {"type": "normal"},
        "reward": {
            "type": "discount",
            "priceInfo": {"type": "percentage", "percentage": 20},
        },
        "visibility": "UNLISTED",
    }
    assert "3,000" in body["usageCondition"]


def test_what_is_impossible_makes_no_request():
    with pytest.raises(ValueError, match="title"):
        body_of(line.check(make_flight(name="🍓" * 31), make_facts()))


@pytest.mark.parametrize(
    ("name", "mark"),
    [("🍓" * 30, "fine"), ("🍓" * 31, "impossible"), ("あ" * 60, "fine")],
    ids=["30 emoji", "31 emoji", "60 letters"],
)
def test_a_name_is_counted_as_line_counts_and_never_cut(name, mark):
    found = look("title", name=name)

    assert found.mark == mark
    assert found.value == (name if mark == "fine" else None)


def test_line_breaks_of_a_form_count_as_one_character():
    text = "a\r\n" * 500

    assert look("description", instructions=text).value == ("a\n" * 500).strip()
    assert look("description", instructions="a" * 1001).mark == Mark.IMPOSSIBLE


def test_a_condition_that_grows_too_long_by_the_minimum_spend_is_impossible():
    assert look("usageCondition", usage_condition="x" * 100).mark == Mark.FINE
    found = look("usageCondition", usage_condition="x" * 100, minimum_spend=1)
    assert found.mark == Mark.IMPOSSIBLE


@pytest.mark.parametrize(
    ("ends", "mark", "value"),
    [
        ("2026-05-31 15:00", "changed", "2026-05-31 14:59:59"),
        ("2026-05-31 07:00", "fine", "2026-05-31 07:00"),
        ("2026-06-01 00:00", "fine", "2026-06-01 00:00"),
    ],
)
def test_an_end_at_midnight_in_the_campaigns_zone_is_the_second_before(
    ends, mark, value
):
    found = look("endTimestamp", use_ends_at=instant(ends))

    assert (found.mark, found.value) == (mark, int(instant(value).timestamp()))


def test_parts_of_a_second_never_make_the_coupon_longer():
    bit = timedelta(microseconds=1)
    starts, ends = instant("2026-05-01 00:00"), instant("2026-05-31 07:00")

    start = look("startTimestamp", use_starts_at=starts + bit)
    end = look("endTimestamp", use_ends_at=ends - bit)

    assert start.value == int(starts.timestamp()) + 1
    assert end.value == int(ends.timestamp()) - 1


def test_a_period_that_is_over_is_impossible():
    over = make_facts(at=instant("2026-05-31 15:00"))

    assert look("endTimestamp", facts=over).mark == Mark.IMPOSSIBLE


@pytest.mark.parametrize(
    ("ours", "theirs", "mark"),
    [
        ("Asia/Tokyo", "ASIA_TOKYO", "fine"),
        ("Asia/Seoul", "ASIA_TOKYO", "changed"),
        ("Asia/Hong_Kong", "ASIA_TAIPEI", "changed"),
        ("Europe/Berlin", "EUROPE_PARIS", "changed"),
        ("Europe/Dublin", "EUROPE_LONDON", "changed"),
        ("Europe/London", "EUROPE_LONDON", "fine"),
        ("America/Los_Angeles", "AMERICA_LOS_ANGELES", "fine"),
        # LINE still has the hours that these have left.
        ("America/Caracas", "AMERICA_SANTIAGO", "changed"),
        ("Europe/Istanbul", "EUROPE_MOSCOW", "changed"),
        ("Asia/Almaty", "ASIA_TASHKENT", "changed"),
        # The signs are turned: GMT-12 is twelve hours east.
        ("Etc/GMT-12", "ETC_GMT_PLUS_12", "changed"),
        ("Etc/GMT+12", "ETC_GMT_MINUS_12", "changed"),
        ("UTC", "EUROPE_LONDON", "changed"),
    ],
)
def test_the_zone_is_lines_own_name_or_the_nearest(ours, theirs, mark):
    found = look("timezone", time_zone=ours)

    assert (found.value, found.mark) == (theirs, mark)


def test_a_zone_that_line_lacks_says_how_far_off_it_is():
    assert "15 minutes off" in look("timezone", time_zone="Australia/Eucla").words


@pytest.mark.parametrize(
    ("fields", "reward"),
    [
        ({"benefit": "free"}, {"type": "free"}),
        ({"benefit": "gift"}, {"type": "gift"}),
        ({"benefit": "other"}, {"type": "others"}),
        (
            {"benefit": "amount", "benefit_value": Decimal("300.00")},
            {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 300}},
        ),
        (
            {"benefit": "cash_back", "benefit_value": 300, "currency": "THB"},
            {"type": "cashBack", "priceInfo": {"type": "fixed", "fixedAmount": 300}},
        ),
        (
            {"benefit": "price", "price_before": 500, "price_after": 400},
            {
                "type": "discount",
                "priceInfo": {
                    "type": "explicit",
                    "originalPrice": 500,
                    "priceAfterDiscount": 400,
                },
            },
        ),
    ],
)
def test_a_benefit_that_line_knows(fields, reward):
    found = look("reward", **fields)

    assert (found.mark, found.value) == (Mark.FINE, reward)
    assert CouponCreateRequest.from_dict(
        {**body_of(line.check(make_flight(**fields), make_facts())), "reward": reward}
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"benefit_value": Decimal("12.5")},
        {"benefit_value": Decimal("0.5")},
        {"benefit": "amount", "benefit_value": Decimal("9.99")},
        {"benefit": "amount", "benefit_value": 300, "currency": "USD"},
        {"benefit": "amount", "benefit_value": 300, "currency": ""},
        {"benefit": "price", "price_before": 500, "price_after": 0},
        {"benefit": "price", "price_before": None, "price_after": 400},
    ],
)
def test_a_benefit_is_never_rounded(fields):
    found = look("reward", **fields)

    assert (found.mark, found.value) == (Mark.IMPOSSIBLE, None)


def test_all_of_the_price_off_is_free():
    found = look("reward", benefit_value=100)

    assert (found.mark, found.value) == (Mark.CHANGED, {"type": "free"})


@pytest.mark.parametrize(
    ("limit", "value", "mark"), [(0, -1, "fine"), (1, 1, "fine"), (3, 1, "changed")]
)
def test_line_knows_one_use_or_any_number(limit, value, mark):
    found = look("maxUseCountPerTicket", limit_per_contact=limit)

    assert (found.value, found.mark) == (value, mark)


def test_serials_of_ones_own_are_left_out_and_a_fixed_one_is_shown():
    assert look("couponCode").value is None
    assert look("couponCode").mark == Mark.CHANGED
    assert look("couponCode", facts=make_facts(make_fixed())).mark == Mark.FINE
    long = make_facts(make_fixed("A" * 17))
    assert look("couponCode", facts=long).mark == Mark.IMPOSSIBLE
    both = make_facts(make_stock("A-1"), make_fixed())
    assert look("couponCode", facts=both).mark == Mark.CHANGED


def test_a_barcode_is_sent_only_where_its_picture_can_be_fetched():
    url = "https://shop.example/codes/1.png"
    facts = make_facts(make_fixed(), barcode_url=url)

    assert look("barcodeImageUrl", facts=facts).value == url
    assert look("barcodeImageUrl", facts=make_facts(make_fixed())).value is None


def test_over_http_only_the_sandbox_fetches_pictures():
    given = {
        "barcode_url": "http://127.0.0.1:8000/media/barcodes/1.png",
        "image_url": "http://127.0.0.1:8000/media/campaigns/a.png",
    }
    real = make_facts(make_fixed(), **given)
    local = make_facts(make_fixed(), **given, is_http_ok=True)

    assert look("barcodeImageUrl", facts=real).value is None
    assert "https" in look("barcodeImageUrl", facts=real).words
    assert look("imageUrl", facts=real).mark == Mark.IMPOSSIBLE
    assert look("barcodeImageUrl", facts=local).value == given["barcode_url"]
    assert look("imageUrl", facts=local).value == given["image_url"]


def test_a_picture_is_fetched_by_no_other_way_than_http():
    for url in ("ftp://shop.example/a.png", "data:image/png;base64,AA", "//a/b.png"):
        facts = make_facts(make_fixed(), barcode_url=url, is_http_ok=True)
        assert look("barcodeImageUrl", facts=facts).value is None


def test_a_limit_in_total_cannot_be_kept_and_is_named():
    found = look("acquisitionCondition", facts=make_facts(limit=1_000, limit_used=1))

    assert found.mark == Mark.CHANGED
    assert "100" in found.words  # serials end before the limit does
    assert found.value == {"type": "normal"}


def test_an_image_is_fetched_over_https_only_and_cut():
    plain = make_facts(image_url="http://127.0.0.1:8000/media/campaigns/a.png")

    assert look("imageUrl", facts=plain).mark == Mark.IMPOSSIBLE
    assert look("imageUrl").mark == Mark.CHANGED
    wide = make_facts(image_size=(1510, 1000))
    assert look("imageUrl", facts=wide).mark == Mark.FINE


def test_clocks_and_languages_that_line_has_not_are_named():
    expiry = look("Expiry", expiry="from_sending", expiry_amount=3)
    both = make_facts(texts={"en": frozenset({"name"}), "ja": frozenset({"name"})})

    assert expiry.mark == Mark.CHANGED
    assert look("Languages", facts=both).mark == Mark.CHANGED
