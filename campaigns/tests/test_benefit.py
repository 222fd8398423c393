"""The few words for what a campaign gives."""

from decimal import Decimal

import pytest

from campaigns.benefit import benefit_words, condition_words
from campaigns.models import Campaign


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"benefit": "percentage", "benefit_value": Decimal("20.00")}, "20% off"),
        ({"benefit": "percentage", "benefit_value": Decimal("2.5")}, "2.5% off"),
        ({"benefit": "amount", "benefit_value": Decimal(1500)}, "¥1,500 off"),
        ({"benefit": "cash_back", "benefit_value": Decimal(300)}, "¥300 cash back"),
        (
            {
                "benefit": "price",
                "price_before": Decimal(1200),
                "price_after": Decimal(900),
            },
            "¥1,200 → ¥900",
        ),
        ({"benefit": "price", "price_after": Decimal(900)}, "¥900"),
        ({"benefit": "free"}, "Free"),
        ({"benefit": "gift"}, "Gift"),
        ({"benefit": "other"}, ""),
        ({"benefit": "amount"}, ""),
    ],
)
def test_benefit_is_told_in_a_few_words(fields, words):
    assert benefit_words(Campaign(currency="JPY", **fields)) == words


def test_minimum_spend_is_told_beside_it():
    campaign = Campaign(currency="JPY", minimum_spend=Decimal(3000))

    assert condition_words(campaign) == "Spend ¥3,000 or more"
    assert condition_words(Campaign()) == ""
