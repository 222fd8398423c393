"""What keeps a campaign from working on our own page, and what a person should look at."""

import dataclasses

import pytest

from sync.preflight import ours
from sync.preflight.lines import Mark
from sync.tests.flights import line_of, make_facts, make_flight, make_stock
from testing.factories import instant


def look(what, facts=None, **fields):
    return line_of(ours.check(make_flight(**fields), facts or make_facts()), what)


def marks(facts=None, **fields):
    lines = ours.check(make_flight(**fields), facts or make_facts())
    return {line.what for line in lines if line.mark == Mark.IMPOSSIBLE}


def facts_without_stock(**facts):
    return dataclasses.replace(make_facts(), stock=(), **facts)


def test_a_campaign_with_everything_is_stopped_by_nothing():
    assert marks() == set()


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"use_ends_at": instant("2026-05-01 00:00")}, "Use period"),
        ({"send_ends_at": instant("2026-05-01 00:00")}, "Sending period"),
        ({"send_starts_at": instant("2026-05-31 15:00")}, "Sending period"),
    ],
)
def test_a_period_that_is_over_stops_it(fields, what):
    assert marks(**fields) == {what}


def test_ends_are_the_last_minute_as_in_the_form():
    use, sending = look("Use period").words, look("Sending period").words
    over = look("Use period", make_facts(at=instant("2026-06-01 00:00"))).words

    assert use == (
        "From 2026-05-01 00:00 (Asia/Tokyo) until 2026-05-31 23:59 (Asia/Tokyo)"
    )
    assert sending == "From now until 2026-05-31 23:59 (Asia/Tokyo)"
    assert "over on 2026-05-31 23:59 (Asia/Tokyo)" in over


def test_an_end_within_a_day_is_told_as_it_is():
    words = look("Use period", use_ends_at=instant("2026-05-31 09:00")).words

    assert words.endswith("until 2026-05-31 18:00 (Asia/Tokyo)")


def test_a_period_that_ends_a_moment_later_does_not():
    assert marks(use_ends_at=instant("2026-05-01 00:01")) == set()
    assert marks(send_ends_at=instant("2026-05-01 00:01")) == set()


def test_sending_after_the_use_period_is_remarked():
    found = look("Sending period", send_ends_at=instant("2026-06-02 00:00"))

    assert found.mark == Mark.ADVICE


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (facts_without_stock(), "There are none"),
        (facts_without_stock(is_stock_coming=True), "An import is under way"),
        (make_facts(make_stock(free=0)), "All are taken"),
    ],
    ids=["none", "coming", "taken"],
)
def test_without_a_free_serial_nobody_could_redeem(facts, words):
    assert marks(facts) == {"Serials"}
    assert words in look("Serials", facts).words


def test_serials_without_end_are_enough():
    endless = make_facts(make_stock("A", free=None))

    assert look("Serials", endless).mark == Mark.FINE


def test_fewer_serials_than_the_limit_in_total_are_remarked():
    assert look("Limits", make_facts(limit=101)).mark == Mark.ADVICE
    assert look("Limits", make_facts(limit=100)).mark == Mark.FINE
    assert marks(make_facts(limit=5, limit_used=5)) == {"Limits"}


def test_a_barcode_that_cannot_draw_some_serials_stops_it():
    unfit = make_facts(make_stock("a", fits_barcode=False))

    assert marks(unfit, barcode="code39") == {"Barcode"}


@pytest.mark.parametrize(
    ("verifying", "open_stores", "on_page", "mark"),
    [
        ("none", 0, 0, "fine"),
        ("scan", 0, 0, "advice"),
        ("scan", 1, 0, "fine"),
        ("button", 0, 0, "impossible"),
        ("button", 1, 1, "fine"),
        ("password", 1, 0, "impossible"),
        ("password", 1, 1, "fine"),
        ("password_scan", 0, 0, "impossible"),
        ("password_scan", 1, 0, "advice"),
    ],
)
def test_somebody_has_to_be_able_to_verify(verifying, open_stores, on_page, mark):
    facts = make_facts(open_stores=open_stores, stores_on_page=on_page)

    assert look("Verification", facts, verifying=verifying).mark == mark


def test_an_interval_longer_than_the_use_period_is_remarked():
    clock = {"expiry": "from_redemption", "expiry_unit": "days"}

    assert look("Expiry", expiry_amount=31, **clock).mark == Mark.ADVICE
    assert look("Expiry", expiry_amount=30, **clock).mark == Mark.FINE


def test_coupons_that_expire_before_they_can_be_used():
    """Sent on 1 May, good for an hour, usable from 10 May on."""
    clock = {"expiry": "from_sending", "expiry_unit": "hours", "expiry_amount": 1}
    period = {"use_starts_at": instant("2026-05-10 00:00")}

    some = look("Expiry", **clock, **period)
    last = instant("2026-05-05 00:00")

    assert some.mark == Mark.ADVICE
    assert marks(**clock, **period, send_ends_at=last) == {"Expiry"}
    begins = {"send_starts_at": instant("2026-05-10 00:00")}
    assert look("Expiry", **clock, **period, **begins).mark == Mark.FINE


def test_colours_that_can_hardly_be_read_are_remarked():
    grey = look("Text on its background", text_colour="#777777")

    assert grey.mark == Mark.ADVICE
    assert "4.4 to 1" in grey.words  # 4.48, never shown as 4.5
    assert look("Text on its background", text_colour="#767676").mark == Mark.FINE
    assert look("Text on the button", button_text_colour="#067647").mark == Mark.ADVICE


def test_missing_image_instructions_and_languages_are_remarked():
    assert look("Image", image="").mark == Mark.ADVICE
    assert look("Instructions", instructions="").mark == Mark.ADVICE
    words = look("Texts").words
    assert "Japanese" in words
    assert "Thai" in words


def test_a_language_that_lacks_a_text_is_remarked():
    texts = {"en": frozenset({"name", "instructions"}), "ja": frozenset({"name"})}
    lines = ours.check(make_flight(), make_facts(texts=texts))

    said = [line.words for line in lines if line.what == "Texts"]
    assert any("Japanese lacks some of the texts" in words for words in said)


def test_a_price_that_does_not_fall_is_remarked():
    price = {"benefit": "price", "price_before": 400, "price_after": 500}

    assert look("Benefit", **price).mark == Mark.ADVICE
