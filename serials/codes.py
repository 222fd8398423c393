"""Codes: how they are compared, cleaned, shown and drawn. Pure functions, no database."""

import functools
import re
import unicodedata

from campaigns import look

ZERO_WIDTH = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))

# What needs no closer look: printable ASCII without what a spreadsheet or a CSV file
# gives a meaning of its own (blank " ' + , ; =).
_PLAIN = {
    "none": r"[!#-&(-*\--:<>-~]",
    "qr": r"[!#-&(-*\--:<>-~]",
    "code39": r"[0-9A-Z$%./-]",
    "code128": r"[!#-&(-*\--:<>-~]",
}
_LONGEST = 64


def code_key(text: str, *, is_case_sensitive: bool = False) -> str:
    """What two spellings of one serial have in common: width, invisible marks, case."""
    key = unicodedata.normalize("NFKC", text.translate(ZERO_WIDTH)).strip()
    return key if is_case_sensitive else key.casefold()


def is_unusable(text: str) -> bool:
    """Whether it holds control, direction, private or undecodable characters."""
    if text.isprintable():
        return "\ufffd" in text
    return any(
        char == "\ufffd"
        or not (char.isprintable() or unicodedata.category(char) == "Zs")
        for char in text
    )


def visible(text: str, most: int = 200) -> str:
    """The text on one line with what can't be seen written out, cut to `most`."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[:most]
    )
    return shown[:most]


@functools.cache
def plain(kind: str) -> re.Pattern[str]:
    """Matches texts that the barcode surely draws; others need `look.can_draw`.

    The letter A is as wide as a character can be, in CODE_128 too, whose digits go in
    pairs: so a text no longer than the longest run of A fits, whatever it says.
    """
    most = max(n for n in range(1, _LONGEST + 1) if look.can_draw(kind, "A" * n))
    return re.compile(f"{_PLAIN[kind]}{{1,{most}}}")


def fits(kind: str, code: str) -> bool:
    """Whether the barcode can draw this code on a phone; quick for the usual ones."""
    return plain(kind).fullmatch(code) is not None or look.can_draw(kind, code)
