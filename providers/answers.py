"""What a provider answered, as plain values, and careful reading of its JSON."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# C0, C1, DEL, the line separators and halves of a surrogate pair: nothing a log, a
# page or PostgreSQL wants.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def plain(text: object, limit: int) -> str:
    """One line of at most `limit` characters; "" for what is not text."""
    if not isinstance(text, str):
        return ""
    return _UNWANTED.sub(" ", text).strip()[:limit].rstrip()


def json_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in `raw`, or None when it holds anything else.

    NaN and the infinities are not JSON, whatever Python thinks.
    """
    try:
        found = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def storable(value: Any) -> Any:
    """The same JSON without NUL and half surrogates, which PostgreSQL does not take.

    Numbers too big for a float come out of JSON as infinities, which are no JSON: None.
    Raises RecursionError for what is nested too deeply.
    """
    if isinstance(value, str):
        if "\x00" not in value and value.isascii():
            return value
        text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
