"""Reading an answer's fields leniently: what is not as the manual says is noted.

Providers add fields and values unannounced, and send numbers as text. A sync must not
stop for that, and must not act on it either: the value is left empty and said to be odd,
in words of ours that quote no more than a short piece of theirs.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from providers.answers import plain

MOST = 2**53  # a number beyond it has lost digits somewhere on its way
_EPOCH_END = 253_402_300_800  # s: the year 10000
_QUOTED = 60  # characters

T = TypeVar("T")


class Fields:
    """The fields of one JSON object; `oddities` collects what was wrong with them.

    A field that is missing or null is None or "" and nothing odd, unless `required`.
    `within` is how its name begins in the words, for objects inside of others.
    """

    def __init__(
        self,
        found: Mapping[str, Any],
        within: str = "",
        oddities: list[str] | None = None,
    ) -> None:
        self._found = found
        self._within = within
        self.oddities: list[str] = [] if oddities is None else oddities

    def text(self, name: str, limit: int, *, required: bool = False) -> str:
        """One line of text, cut at `limit` characters."""
        value = self._value(name, required)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.note(name, "is not text")
            return ""
        return plain(value, limit)

    def one_of(
        self, name: str, known: Collection[str], *, required: bool = False
    ) -> str:
        """A word of an enum; one that is new to us is given too, and noted."""
        word = self.text(name, 40, required=required)
        if word and word not in known:
            self.note(name, f"is new to us: {word}")
        return word

    def integer(self, name: str, *, required: bool = False) -> int | None:
        """A whole number, as text or not."""
        number = self.number(name, required=required)
        if number is None:
            return None
        if number != number.to_integral_value():
            self.note(name, "is not a whole number")
            return None
        return int(number)

    def count(self, name: str, *, required: bool = False) -> int | None:
        """A whole number that is not negative."""
        number = self.integer(name, required=required)
        if number is not None and number < 0:
            self.note(name, "is negative")
            return None
        return number

    def number(self, name: str, *, required: bool = False) -> Decimal | None:
        """A number, as text or not."""
        value = self._value(name, required)
        if value is None:
            return None
        number = decimal_of(value)
        if number is None:
            self.note(name, "is not a number")
        return number

    def seconds(self, name: str, *, required: bool = False) -> datetime | None:
        """An instant as Unix seconds."""
        number = self.count(name, required=required)
        if number is None:
            return None
        if number >= _EPOCH_END:
            self.note(name, "is no time in seconds")
            return None
        return datetime.fromtimestamp(number, UTC)

    def parsed(
        self, name: str, parse: Callable[[str], T], *, required: bool = False
    ) -> T | None:
        """What `parse` makes of a text; empty is None, a ValueError is noted."""
        text = self.text(name, 100, required=required)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError:
            self.note(name, f"cannot be read: {text[:_QUOTED]}")
            return None

    def flag(self, name: str) -> bool | None:
        """Yes or no in any of the spellings: true, 1, "1", "Y" ..."""
        value = self._value(name, False)
        if value is None:
            return None
        known = {"true": True, "1": True, "y": True}
        known |= {"false": False, "0": False, "n": False}
        answer = known.get(str(value).lower())
        if answer is None:
            self.note(name, "is neither yes nor no")
        return answer

    def inner(self, name: str, *, required: bool = False) -> "Fields":
        """The object in a field; an empty one where there is none."""
        value = self._value(name, required)
        if value is not None and not isinstance(value, dict):
            self.note(name, "is not an object")
        inner = value if isinstance(value, dict) else {}
        return Fields(inner, f"{self._within}{name}.", self.oddities)

    def note(self, name: str, words: str) -> None:
        """Say what is odd about a field."""
        self.oddities.append(f"{self._within}{name} {words}")

    def _value(self, name: str, required: bool) -> Any:
        value = self._found.get(name)
        if value is None and required:
            self.note(name, "is missing")
        return value


def decimal_of(value: object) -> Decimal | None:
    """A number exactly as it was written, or None for what is none or beyond reason.

    Floats come out of JSON by their shortest spelling, 0.1 as 0.1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):  # ValueError: an int of too many digits
        return None
    return number if number.is_finite() and abs(number) <= MOST else None
