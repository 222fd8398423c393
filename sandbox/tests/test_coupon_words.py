"""The manager's form names what is wrong with a coupon as its labels do."""

import re
from html import unescape

import pytest
import requests

from sandbox.coupon_words import LABELS, words_of

GOOD = {
    "condition": "normal",
    "title": "Spring",
    "starts": "2026-03-01T10:00",
    "ends": "2099-03-31T23:59",
    "timezone": "ASIA_TOKYO",
    "uses": "1",
    "visibility": "UNLISTED",
    "reward": "others",
    "as": "publish",
}
NAMES = re.compile(r"[a-z]+[A-Z]\w+|\w+\.\w+|null|integer|normal,lottery")


def told(line, **typed):
    """What stands above the form after pressing Publish."""
    answer = requests.post(f"{line.url}/coupons", data=GOOD | typed, timeout=5)
    found = re.search(r'class="error" role="alert">([^<]*)<', answer.text)
    assert answer.status_code == 400
    return unescape(found[1])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"title": ""}, "Name: must have 1 to 60 characters."),
        ({"title": "x" * 61}, "Name: must have 1 to 60 characters."),
        ({"description": "x" * 1_001}, "Guide: may have 1000 characters at most."),
        ({"code": "x" * 17}, "Coupon code: may have 16 characters at most."),
        ({"starts": ""}, "From: choose a day and a time."),
        ({"ends": "soon"}, "Until: choose a day and a time."),
        ({"ends": "2001-01-01T00:00"}, "Until: must lie in the future."),
        (
            {"starts": "2099-05-01T00:00"},
            "Until: must come after From.",
        ),
        ({"timezone": "MARS"}, "Time zone: choose one of those in the list."),
        ({"visibility": ""}, "In LINE’s lists: choose one of those in the list."),
        ({"condition": "x"}, "Condition: choose one of those in the list."),
        ({"reward": "x"}, "Kind: choose one of those in the list."),
        ({"reward": "discount fixed"}, "Amount: fill this in."),
        (
            {"reward": "discount percentage", "percentage": "100"},
            "Per cent: must be at most 99.",
        ),
        (
            {"reward": "cashBack fixed", "amount": "ten"},
            "Amount: type a whole number.",
        ),
        (
            {"condition": "lottery", "probability": "0"},
            "Chance to win: must be at least 1.",
        ),
        (
            {"condition": "referral", "tickets": "31"},
            "Most for one person: must be 1 to 30.",
        ),
        (
            {"reward": "discount explicit"},
            "Price before: fill this in. Price after: fill this in.",
        ),
    ],
)
def test_it_says_where_and_what_in_the_form_s_words(line, typed, words):
    said = told(line, **typed)

    assert said == words
    assert not NAMES.search(said)


def test_a_rule_that_is_new_is_said_as_it_is():
    row = {"property": "title", "message": "Must rhyme with spring"}

    assert words_of([row]) == "Name: Must rhyme with spring."


def test_each_label_stands_on_the_form(line):
    form = unescape(requests.get(f"{line.url}/coupons/new", timeout=5).text)

    for label in LABELS.values():
        assert f">{label}" in form, label
