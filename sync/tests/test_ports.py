"""What all ports say alike."""

from decimal import Decimal

import pytest

from sync.ports.port import shown


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal("33.300"), "33.3"),
        (Decimal("10.00"), "10"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.000001"), "0.000001"),
        (12.5, "12.5"),
        (True, "1"),
        (None, ""),
        ("two\nlines", "two lines"),
    ],
)
def test_a_value_is_shown_without_needless_zeros(value, words):
    assert shown(value) == words
