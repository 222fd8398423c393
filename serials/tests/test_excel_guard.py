"""The ' before what a spreadsheet would run or change, and taking exactly that off."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serials.codes import excel_safe, is_unusable, unguarded
from serials.reading import BadRow, Rules, cell, read_code

RUN = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\0x", " =1", "＝1", "＠a"]
CHANGED = [
    *("007", "0000", "00", "１２３", "๑๒๓", " 12"),
    *("123456789012", "1234567890123456"),
    *("123E45", "1E5", "1.5e-3", "2e+5"),
    *("1.50", ".5", "5.", "12,5", "1,234", "1.2.3.4", "1 234", "1'234"),
    *("50%", "$5", "¥100", "￥100", "NT$100", "100円", "(123)", "12-"),
    *("1-2", "3/4/25", "12.5", "2025-05", "2025-5-1", "5-2025", "1 / 2", "1 1/2"),
    *("MAR-5", "mar5", "DEC25", "SEPT2", "MARCH1", "5-Mar-24", "1MAR", "May 5, 2024"),
    *("R6.5.1", "H30/4/1", "2024年5月", "5月1日", "令和6年5月1日"),
    *("12:30", "5PM", "5 p", "10時30分", "2025-05-01 13:00:00", "2025-05-01T10:00"),
    *("TRUE", "false", "#N/A", "#div/0!"),
]
KEPT = [
    *("", "'", "''", "'abc", "ABC", "hello world", "FNA@5841", "SPRING-0001"),
    *("0", "5", "12345678901", "1234-5678", "1234-5678-9012", "1234 5678 9012"),
    *("MAR", "MARVEL-1", "JUNIOR-5", "DECADE-10", "ABC-123", "A-1-2", "1-2-3-4"),
    *("X1E5", "1E", "E5", "TRUE1", "NO.5", "#1", "2345-6789-ABCD", "春の割引"),
]
# What the guard looks at, so that random texts come near it.
NEAR = st.text(st.sampled_from("'=+-@\t\r\n\0＝ 0123456789.,/:%$E年月日" + "MARTUEFLS"))
TEXTS = st.one_of(st.text(), NEAR, st.sampled_from(RUN + CHANGED + KEPT))
QUOTES = st.sampled_from(["", "'", "''", "'''"])
RULES = Rules(barcode="none", is_case_sensitive=False)


@pytest.mark.parametrize("text", RUN + CHANGED)
def test_what_a_spreadsheet_would_run_or_change_is_guarded(text):
    assert excel_safe(text) == "'" + text


@pytest.mark.parametrize("text", KEPT)
def test_what_a_spreadsheet_keeps_stays_as_it_is(text):
    assert excel_safe(text) == text
    assert unguarded(text) == text


@pytest.mark.parametrize("text", ["'007", "'=1", "''1-2"])
def test_an_apostrophe_of_its_own_is_told_from_the_guards(text):
    assert excel_safe(text) == "'" + text
    assert unguarded(excel_safe(text)) == text


@given(QUOTES, TEXTS)
@settings(max_examples=1000, deadline=None)
@example("", "")
@example("'", "=1")
def test_the_guard_is_taken_off_exactly(quotes, text):
    whole = quotes + text

    assert unguarded(excel_safe(whole)) == whole


@given(QUOTES, TEXTS)
@settings(max_examples=1000, deadline=None)
def test_what_needs_no_guard_loses_nothing(quotes, text):
    whole = quotes + text

    if excel_safe(whole) == whole:
        assert unguarded(whole) == whole


@given(st.text(st.sampled_from(string.printable[:95] + "＝年月é"), min_size=1))
@settings(max_examples=1000, deadline=None)
def test_a_serial_that_was_read_is_read_again_from_a_guarded_cell(text):
    try:
        code, key = read_code(text, RULES)
    except BadRow:
        return

    written = '"' + excel_safe(code).replace('"', '""') + '"'

    assert read_code(cell(written), RULES) == (code, key)


@pytest.mark.parametrize("text", ["=A1", "1.2E+11", "＝A1"])
def test_a_guarded_serial_may_look_like_a_formula_or_a_rounded_number(text):
    with pytest.raises(BadRow):
        read_code(text, RULES)

    assert read_code("'" + text, RULES)[0] == text


def test_a_guard_lets_no_unusable_character_in():
    assert is_unusable("\tx")

    with pytest.raises(BadRow):
        read_code("'\tx", RULES)
