import re
import string
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns import look
from serials import guessing
from serials.forms import GenerateForm
from serials.patterns import ALPHABETS, FEWEST_TRIES, LENGTH, Pattern, of_prefix

# Every sign that a pattern may have beside #.
SIGNS = "".join(sorted(set(string.printable) - set(string.whitespace) - {"#"}))
CODE39 = string.digits + string.ascii_uppercase + "-.$/+%"
alphabets = st.sampled_from(sorted(ALPHABETS))


def patterns(signs, most=64):
    """Patterns of at most so many characters, in groups as people write them."""
    marks = st.integers(1, 12).map(lambda count: "#" * count)
    parts = st.lists(st.one_of(marks, st.text(signs, max_size=8)), max_size=9)
    texts = parts.map(lambda found: "".join(found)[: most - 1])
    return st.builds(
        Pattern, texts.map(lambda t: t if "#" in t else f"{t}#"), alphabets
    )


def shape_of(pattern):
    letters = f"[{ALPHABETS[pattern.alphabet]}]"
    return re.compile(
        "".join(letters if c == "#" else re.escape(c) for c in pattern.text)
    )


@given(patterns(SIGNS), st.integers(0, 40))
@example(Pattern("100%-##%s%%d", "digits"), 5)
@example(Pattern("{0}\\#\\n'\"#&lt;"), 5)
def test_every_code_has_the_pattern_and_only_letters_of_its_alphabet(pattern, count):
    codes = pattern.codes(count)

    assert len(codes) == count
    assert all(shape_of(pattern).fullmatch(code) for code in codes)


@given(st.text(SIGNS, max_size=64))
def test_a_text_without_a_mark_stays_as_it_is(text):
    assert Pattern(text).codes(3) == [text] * 3


@pytest.mark.parametrize("alphabet", sorted(ALPHABETS))
def test_every_character_is_as_likely_as_any_other(alphabet):
    drawn = Counter("".join(Pattern("#" * 50, alphabet).codes(20_000)))

    expected = drawn.total() / len(ALPHABETS[alphabet])
    off = sum((drawn[char] - expected) ** 2 / expected for char in ALPHABETS[alphabet])
    # Chi-square with at most 31 degrees of freedom: beyond 130 in one of 10^13 runs.
    # Bytes taken modulo 10 come to about 370.
    assert off < 130


def test_codes_are_not_the_same_from_one_time_to_the_next():
    pattern = Pattern("#" * 32)

    codes = pattern.codes(100) + pattern.codes(100)

    assert len(set(codes)) == 200


def test_no_alphabet_has_two_characters_that_are_one_without_case():
    for letters in ALPHABETS.values():
        assert len(set(letters.lower())) == len(letters)
    assert not set("01OI") & set(ALPHABETS["clear"])


def widths(kind, codes):
    return [look.module_count(kind, code) for code in codes]


@given(patterns(CODE39, most=30))
def test_no_code_is_wider_in_code39_than_the_widest(pattern):
    widest = max(widths("code39", pattern.widest))

    assert max(widths("code39", pattern.codes(5))) <= widest


# Digits go in pairs there, and most of all at the end of a text.
@given(patterns(SIGNS + string.digits * 30, most=30))
@example(Pattern("9###########", "clear"))
@example(Pattern("99##########", "digits"))
@example(Pattern("A123#5678##9", "clear"))
@example(Pattern("5y#2249152304", "clear"))
@example(Pattern("10#08-#7140", "clear"))
def test_no_code_is_wider_in_code128_than_the_widest(pattern):
    widest = max(widths("code128", pattern.widest))

    assert max(widths("code128", pattern.codes(20))) <= widest


@given(patterns(SIGNS), st.sampled_from(["none", "qr", "code39", "code128"]))
@example(Pattern("A" * 15 + "########1234", "clear"), "code128")
def test_where_the_widest_can_be_drawn_every_code_can(pattern, kind):
    if all(look.can_draw(kind, code) for code in pattern.widest):
        assert all(look.can_draw(kind, code) for code in pattern.codes(3))


@given(patterns(SIGNS))
def test_the_widest_are_codes_themselves(pattern):
    assert all(shape_of(pattern).fullmatch(code) for code in pattern.widest)


@pytest.mark.parametrize(
    ("text", "quantity", "tries"),
    [
        ("#", 1, 5),  # 5.5, of which the whole ones count
        ("##", 9, 10),
        ("##", 99, 1),
        ("##", 100, 1),
        ("##", 101, 0),
        ("AB", 1, 1),
        ("#" * 64, 1, (10**64 + 1) // 2),
    ],
)
def test_how_many_tries_it_takes_on_average(text, quantity, tries):
    assert Pattern(text, "digits").tries(quantity) == tries


@pytest.mark.parametrize("alphabet", sorted(ALPHABETS))
@pytest.mark.parametrize("quantity", [1, 2, 9, 10, 31, 32, 999, 1_000, 999_999, 10**6])
def test_the_fewest_marks_are_enough_and_one_less_is_not(alphabet, quantity):
    marks = Pattern("#", alphabet).fewest_marks(quantity)

    assert Pattern("#" * marks, alphabet).tries(quantity) >= FEWEST_TRIES
    assert Pattern("#" * (marks - 1), alphabet).tries(quantity) < FEWEST_TRIES


def test_the_usual_length_is_enough_for_a_million():
    usual = of_prefix("SPRING-", LENGTH)

    assert usual == "SPRING-########"
    assert Pattern(usual).tries(1_000_000) == 1_099_510


def test_the_form_offers_every_alphabet():
    offered = GenerateForm()["alphabet"].subwidgets

    assert [option.data["value"] for option in offered] == list(ALPHABETS)


@pytest.mark.parametrize(
    ("tries", "words"),
    [
        (0, "less than 2 minutes"),
        (39, "less than 2 minutes"),
        (40, "about 2 minutes"),
        (20 * 119, "about 119 minutes"),
        (20 * 120, "about 2 hours"),
        (20 * 60 * 48, "about 2 days"),
        (1_099_510, "about 38 days"),
        (20 * 1_440 * 730, "about 2 years"),
        (20 * 1_440 * 365 * 999, "about 999 years"),
        (32**64, "more than 1,000 years"),
    ],
)
def test_a_time_is_told_in_a_unit_people_can_picture(tries, words):
    assert guessing.how_long(tries) == words


@pytest.mark.parametrize(
    ("text", "quantity", "rating", "words"),
    [
        ("##", 101, "Too few: refused", "fewer serials"),
        ("##", 100, "Too easy: refused", "about 1 try to"),
        ("#" * 6, 1, "Too easy: refused", "about 500,000 tries"),
        ("#" * 7, 1, "Good", "about 5,000,000 tries"),
        ("#" * 10, 1, "Very good", "at 20 tries a minute that is about 475 years"),
        ("#" * 64, 1, "Very good", "takes more than 1,000,000,000,000,000 tries"),
    ],
)
def test_how_hard_it_is_to_guess_is_rated_and_told(text, quantity, rating, words):
    verdict = guessing.judge(Pattern(text, "digits"), quantity)

    assert verdict.rating == rating
    assert words in verdict.words
