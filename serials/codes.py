"""Codes: how they are compared, cleaned, shown, drawn and put into a spreadsheet.

Pure functions, no database.
"""

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


# --- In a spreadsheet ---------------------------------------------------------------

# What a spreadsheet runs as a formula. Full-width forms are folded first, as it does.
_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
_MINUS = {ord("\N{MINUS SIGN}"): "-"}
_KEPT_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")  # from 12 digits on it is rounded

_NUMBER = r"(?:[.,]?\d[\d.,]*|\d{1,3}(?:[ ']\d{3})+(?:[.,]\d*)?)(?:E[+-]?\d+)?"
_MONEY = r"(?:(?:NT|HK|US)?\$|[€£¥₩฿%])"
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_ERA = "(?:明治|大正|昭和|平成|令和|民國|[MTSHR])?"
_DAY = (
    r"\d{1,2} ?[-/.] ?\d{1,4}|\d{1,4} ?[-/.] ?\d{1,2}"  # 1-2, 3/2025, 2025.3
    rf"|{_ERA}\d{{1,4}} ?[-/.] ?\d{{1,2}} ?[-/.] ?\d{{1,4}}"  # 3/4/25, R7.4.3
    rf"|{_MONTH}[ .,/-]*\d{{1,4}}(?:[ .,/-]+\d{{1,4}})?"  # MAR-5, DEC25, May 5, 2025
    rf"|\d{{1,4}}[ .,/-]*{_MONTH}(?:[ .,/-]*\d{{1,4}})?"  # 5-Mar, 2SEP25
    rf"|{_ERA}(?:\d{{1,4}}|元)年(?:\d{{1,2}}月(?:\d{{1,2}}日)?)?|\d{{1,2}}月\d{{1,2}}日"
)
_TIME = (
    r"\d{1,4}:\d{1,2}(?::\d{1,2})?(?:[.,]\d+)?(?: ?[AP]M?)?|\d{1,2}(?: [AP]| ?[AP]M)"
    r"|\d{1,2}時(?:\d{1,2}分(?:\d{1,2}秒)?)?"
)
# What it keeps as something else than the text: a number, money, a date, a time.
_CHANGED = re.compile(
    rf"\(?{_MONEY}? ?{_NUMBER} ?(?:{_MONEY}|円|元)?[)-]?"
    rf"|\d+ \d+/\d+"
    rf"|(?:{_DAY})(?:[ T](?:{_TIME}))?|{_TIME}"
    r"|true|false|#(?:N/A|NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!)",
    re.IGNORECASE,
)


def excel_safe(text: str) -> str:
    """The text as a spreadsheet keeps it: with ' before it where it needs one.

    It needs one where a spreadsheet would run it as a formula, or make a number or a
    date of it when the file is opened and saved. `unguarded` takes exactly that off.
    """
    return f"'{text}" if _needs_guard(text) else text


def unguarded(text: str) -> str:
    """The text without the ' that `excel_safe` put before it."""
    return text[1:] if text[:1] == "'" and _needs_guard(text[1:]) else text


def _needs_guard(text: str) -> bool:
    # Of '007 it can't be seen whether the ' is its own, so that gets another one.
    bare = text.lstrip("'")
    if _KEPT_NUMBER.fullmatch(bare):
        return False
    if not bare.isascii():
        bare = unicodedata.normalize("NFKC", bare).translate(_MINUS)
    inner = bare.strip()
    if bare.startswith(_RUN) or inner.startswith(_RUN):
        return True
    return _CHANGED.fullmatch(inner) is not None
