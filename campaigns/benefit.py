"""What a campaign gives, in the few words that a customer and a clerk both read."""

from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from campaigns.models import Campaign


def benefit_words(campaign: Campaign) -> str:
    """Such as "20% off" or "JPY 1,200 → JPY 900"; empty when its name says it all."""
    value = campaign.benefit_value
    kind = campaign.benefit
    if kind == Campaign.Benefit.PERCENTAGE and value is not None:
        return _("%(value)s%% off") % {"value": shown_number(value)}
    if kind == Campaign.Benefit.AMOUNT and value is not None:
        return _("%(money)s off") % {"money": money(campaign, value)}
    if kind == Campaign.Benefit.CASH_BACK and value is not None:
        return _("%(money)s cash back") % {"money": money(campaign, value)}
    if kind == Campaign.Benefit.PRICE and campaign.price_after is not None:
        return price_words(campaign, campaign.price_after)
    if kind == Campaign.Benefit.FREE:
        return _("Free")
    return _("Gift") if kind == Campaign.Benefit.GIFT else ""


def price_words(campaign: Campaign, after: Decimal) -> str:
    if campaign.price_before is None:
        return money(campaign, after)
    return f"{money(campaign, campaign.price_before)} → {money(campaign, after)}"


def condition_words(campaign: Campaign) -> str:
    """What has to be spent first, or nothing."""
    if not campaign.minimum_spend:
        return ""
    spend = money(campaign, campaign.minimum_spend)
    return _("from %(money)s spent") % {"money": spend}


def money(campaign: Campaign, amount: Decimal) -> str:
    return f"{campaign.currency} {shown_number(amount)}".strip()


def shown_number(value: Decimal) -> str:
    """Grouped for reading, without the decimals of a whole number."""
    places = 0 if value == value.to_integral_value() else 2
    return number_format(value, decimal_pos=places, force_grouping=True)
