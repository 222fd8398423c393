"""Campaigns and facts for tests of the pre-flight: nothing here is stored."""

from decimal import Decimal
from typing import Any

from campaigns.models import Campaign
from sync.preflight.facts import Facts, Stock
from testing.factories import instant

AT = instant("2026-05-01 00:00")


def make_flight(**given: Any):
    """A campaign that has nothing to remark: all of May in Tokyo, 20 per cent off."""
    fields: dict[str, Any] = {
        "pk": 7,
        "name": "Spring latte",
        "instructions": "Show this at the till.",
        "benefit": "percentage",
        "benefit_value": 20,
        "currency": "JPY",
        "time_zone": "Asia/Tokyo",
        "use_starts_at": instant("2026-04-30 15:00"),
        "use_ends_at": instant("2026-05-31 15:00"),
        "button_label": "",
    } | given
    for name in ("benefit_value", "price_before", "price_after", "minimum_spend"):
        if fields.get(name) is not None:
            fields[name] = Decimal(fields[name])
    return Campaign(**fields)


def make_facts(*stock: Stock, **given: Any):
    facts: dict[str, Any] = {
        "at": AT,
        "stock": stock or (make_stock("LATTE-0001", "LATTE-0002"),),
        "open_stores": 2,
        "stores_on_page": 2,
        "texts": {"en": frozenset({"name", "instructions"})},
        "image_url": "https://shop.example/media/campaigns/a.png",
        "image_size": (640, 640),
    } | given
    return Facts(**facts)


def make_stock(*codes, free=100, **fields):
    fields.setdefault("name", "Batch")
    fields.setdefault("is_fixed", False)
    return Stock(codes=codes, free=free, **fields)


def make_fixed(code="FNA@5841", free=100, **fields):
    return make_stock(code, free=free, is_fixed=True, **fields)


def line_of(lines, key):
    """The line of a provider's field, or the one so named."""
    return next(line for line in lines if key in (line.key, line.what))
