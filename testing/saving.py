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
