"""A line of the pre-flight: what happens to one part of a campaign, and the value sent."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _


class Mark(StrEnum):
    """What becomes of it."""

    FINE = "fine"
    CHANGED = "changed"  # the provider gets or shows something else than we have
    ADVICE = "advice"  # it works, but a person should look at it
    IMPOSSIBLE = "impossible"  # as it is now, it can't be published or activated


WORDS = {
    Mark.FINE: _("Fine"),
    Mark.CHANGED: _("Changed"),
    Mark.ADVICE: _("Look at this"),
    Mark.IMPOSSIBLE: _("Impossible"),
}
# Worst first.
GRAVITY = (Mark.IMPOSSIBLE, Mark.CHANGED, Mark.ADVICE, Mark.FINE)


@dataclass(frozen=True)
class Line:
    """One row of the table.

    `key` is the provider's name of the field and `value` what it would get; None is not
    sent. `field` names the campaign's form field that changes it, `place` another page.
    """

    mark: Mark
    what: str
    words: str
    key: str = ""
    value: Any = None
    field: str = ""
    place: str = ""  # "serials" or "stores"

    @property
    def is_fine(self) -> bool:
        return self.mark == Mark.FINE


def fine(what: str, words: str, **rest: Any) -> Line:
    return Line(Mark.FINE, what, words, **rest)


def changed(what: str, words: str, **rest: Any) -> Line:
    return Line(Mark.CHANGED, what, words, **rest)


def advice(what: str, words: str, **rest: Any) -> Line:
    return Line(Mark.ADVICE, what, words, **rest)


def impossible(what: str, words: str, **rest: Any) -> Line:
    return Line(Mark.IMPOSSIBLE, what, words, **rest)


def body_of(lines: Iterable[Line]) -> dict[str, Any]:
    """What the provider gets. Raises ValueError where a line says that it can't."""
    found = {}
    for line in lines:
        if line.mark == Mark.IMPOSSIBLE:
            raise ValueError(f"{line.key or line.what}: {line.words}")
        if line.key and line.value is not None:
            found[line.key] = line.value
    return found


def count_words(number: int) -> str:
    return number_format(number, force_grouping=True)


def utf16_length(text: str) -> int:
    """Length as LINE counts it: an emoji is two. Source: Character counting in a text."""
    return len(text.encode("utf-16-le")) // 2


def one_line_breaks(text: str) -> str:
    """The text with line breaks as providers know them; a form sends CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
