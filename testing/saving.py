"""Saving the campaign form as a person does, who may be asked something first."""

from typing import Any

from django.test import Client


def save(
    client: Client, url: str, values: dict[str, Any], answer: str = "new", **rest: Any
) -> Any:
    """The last page; a question on the way gets this answer."""
    page = client.post(url, values, **rest)
    if page.context is None or "unsaved" not in page.context:
        return page
    return answered(client, url, page, answer, **rest)


def answered(client: Client, url: str, page: Any, answer: str, **rest: Any) -> Any:
    """What follows when the question on this page gets that answer."""
    given = {"_unsaved": page.context["unsaved"].pk, "_answer": answer}
    return client.post(url, given, **rest)


def filled(**changes: Any) -> dict[str, Any]:
    """The campaign form as a marketer sends it, with these changes."""
    values = {
        "name": "Spring",
        "language": "en",
        "benefit": "free",
        "time_zone": "Asia/Tokyo",
        "use_starts_at_0": "2026-05-01",
        "use_starts_at_1": "",
        "use_ends_at_0": "2026-12-31",
        "use_ends_at_1": "",
        "expiry": "use_end",
        "expiry_unit": "hours",
        "barcode": "qr",
        "limit_per_contact": "1",
        "background_colour": "#FFFFFF",
        "text_colour": "#000000",
        "button_colour": "#067647",
        "button_text_colour": "#FFFFFF",
        "verifying": "scan",
        "texts-TOTAL_FORMS": "0",
        "texts-INITIAL_FORMS": "0",
    }
    return values | changes
