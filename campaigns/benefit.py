"""What a campaign gives, in the few words that a customer and a clerk both read."""

from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from campaigns.models import Campaign

# Digits after the point where they are not two. Source: ISO 4217, list one.
DIGITS = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
# Before the amount. With whose dollar it is: customers may be abroad.
SIGNS = {
    "JPY": "¥",
    "TWD": "NT$",
    "THB": "฿",
    "KRW": "₩",
    "USD": "US$",
    "EUR": "€",
    "GBP": "£",
    "CNY": "CN¥",
    "HKD": "HK$",
    "SGD": "S$",
    "AUD": "A$",
    "CAD": "CA$",
    "NZD": "NZ$",
    "INR": "₹",
    "VND": "₫",
    "PHP": "₱",
    "MYR": "RM",
    "IDR": "Rp",
}
# After the amount, where a language writes its own money so.
UNITS = {("ja", "JPY"): "円", ("ko", "KRW"): "원"}


def benefit_words(campaign: Campaign) -> str:
    """Such as "20% off" or "¥1,200 → ¥900"; empty when its name says it all."""
    value = campaign.benefit_value
    kind = campaign.benefit
    if kind == Campaign.Benefit.PERCENTAGE and value is not None:
        return percent_words(value)
    if kind == Campaign.Benefit.AMOUNT and value is not None:
        return _("%(money)s off") % {"money": money(campaign, value)}
    if kind == Campaign.Benefit.CASH_BACK and value is not None:
        return _("%(money)s cash back") % {"money": money(campaign, value)}
    if kind == Campaign.Benefit.PRICE and campaign.price_after is not None:
        return price_words(campaign, campaign.price_after)
    if kind == Campaign.Benefit.FREE:
        return _("Free")
    return _("Gift") if kind == Campaign.Benefit.GIFT else ""


def percent_words(value: Decimal) -> str:
    value = Decimal(value)
    if value == 100:
        return _("Free")
    if get_language() == "zh-hant":
        return tenths_words(100 - value)
    return _("%(value)s%% off") % {"value": shown_number(value)}


def tenths_words(paid: Decimal) -> str:
    """Chinese names what is still paid, in tenths: 8 折, but 85 折 for 8.5 of them."""
    is_read_in_hundredths = paid > 10 and paid % 10 and paid == paid.to_integral_value()
    return f"{shown_number(paid if is_read_in_hundredths else paid / 10)} 折"


def price_words(campaign: Campaign, after: Decimal) -> str:
    if campaign.price_before is None:
        return money(campaign, after)
    return f"{money(campaign, campaign.price_before)} → {money(campaign, after)}"


def condition_words(campaign: Campaign) -> str:
    """What has to be spent first, or nothing."""
    if not campaign.minimum_spend:
        return ""
    spend = money(campaign, campaign.minimum_spend)
    return _("Spend %(money)s or more") % {"money": spend}


def money(campaign: Campaign, amount: Decimal) -> str:
    """As its reader writes it: ¥1,200 or 1,200円; the code where there is no sign."""
    currency = campaign.currency
    number = shown_number(amount, DIGITS.get(currency, 2))
    unit = UNITS.get((get_language() or "", currency))
    if unit:
        return number + unit
    sign = SIGNS.get(currency, f"{currency}\u00a0" if currency else "")
    return sign + number


def shown_number(value: Decimal, digits: int | None = None) -> str:
    """Grouped for reading; with `digits` after the point unless it is whole.

    What is there is never rounded away, and without `digits` no more is shown.
    """
    there = decimals_of(value)
    places = max(there, digits or 0) if there else 0
    return number_format(value, decimal_pos=places, force_grouping=True)


def decimals_of(value: Decimal) -> int:
    exponent = Decimal(value).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
