"""Files of serials: their encoding, their rows, what is wrong with a row.

Pure functions over pieces of bytes; memory stays that of a few pieces whatever the
file's size. A row is a record of the file, counted from 1 as a spreadsheet does.
"""

import codecs
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from serials.codes import (
    ZERO_WIDTH,
    code_key,
    fits,
    is_unusable,
    plain,
    unguarded,
    visible,
)
from serials.errors import ImportRefused
from serials.models import CODE_LENGTH, RefusedRow

PIECE = 1024 * 1024  # bytes, of a file as it is kept
MAX_BYTES = 10 * PIECE

# The one table that is read, by its first column: our own export of serials.
EXPORT_HEADER = ("serial", "state", "batch", "taken_at", "coupon", "verified_at")
_EXPORTS = {",".join(EXPORT_HEADER), '"' + '","'.join(EXPORT_HEADER) + '"'}

# What people choose from, and Python's name for it; "utf-8-sig" is UTF-8 whose byte
# order mark, if there is one, is left out.
ENCODINGS = {
    "utf-8": gettext_lazy("UTF-8"),
    "cp950": gettext_lazy("Big5 (Traditional Chinese)"),
    "cp932": gettext_lazy("Shift_JIS (Japanese)"),
    "utf-16": gettext_lazy("UTF-16"),
}
_CODECS = {"utf-8": "utf-8-sig", "utf-16": "utf-16"}
# Big5 before Shift_JIS: half-width kana makes nearly any Big5 text valid Shift_JIS.
_GUESSES = ("utf-8", "cp950", "cp932")

_OTHER_KINDS = {
    b"PK\x03\x04": gettext_lazy("an Excel workbook (.xlsx) or a zip file"),
    b"\xd0\xcf\x11\xe0": gettext_lazy("an old Excel workbook (.xls)"),
    b"%PDF": gettext_lazy("a PDF"),
    b"\x1f\x8b": gettext_lazy("a compressed file"),
    b"BZh": gettext_lazy("a compressed file"),
    b"7z\xbc\xaf": gettext_lazy("a compressed file"),
    b"Rar!": gettext_lazy("a compressed file"),
    b"PK\x05\x06": gettext_lazy("an empty zip file"),
    b"\x89PNG": gettext_lazy("a picture"),
    b"\xff\xd8\xff": gettext_lazy("a picture"),
    b"GIF8": gettext_lazy("a picture"),
    b"{\\rtf": gettext_lazy("a text document (.rtf)"),
    # What many programs name .xls.
    b"<html": gettext_lazy("a web page"),
    b"<!doctype": gettext_lazy("a web page"),
    b"<table": gettext_lazy("a web page"),
    b"<?xml": gettext_lazy("an XML file"),
}
_LONGEST_MAGIC = 16  # bytes, at least as many as any of them

_LONGEST_LINE = 1_000  # characters of a row; what is longer is cut and refused
_MOST_LINES = 10  # physical lines that one quoted cell may run over
_DELIMITER = re.compile("[,;\t]")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"[ ]*(.*)', re.DOTALL)
_QUOTED_CELL = re.compile(r'"(?:[^"]|"")*"(?=[ ]*(?:,|\Z))')
_SCIENTIFIC = re.compile(r"[-+]?\d(?:[.,]\d+)?[Ee]\+\d+")

Reason = RefusedRow.Reason
Pieces = Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Rules:
    """What a campaign asks of its serials."""

    barcode: str
    is_case_sensitive: bool


@dataclass(frozen=True)
class Block:
    """Some rows in sequence: `good` as (row, code, key), `bad` as (row, value, why)."""

    last: int
    good: list[tuple[int, str, str]]
    bad: list[tuple[int, str, str]]


class BadRow(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def refuse_other_kinds(head: bytes) -> None:
    """Raise ImportRefused for what is no text file, whatever it is named."""
    start = head[:_LONGEST_MAGIC].removeprefix(codecs.BOM_UTF8)
    for magic, kind in _OTHER_KINDS.items():
        if start.startswith(magic) or start.lower().startswith(magic):
            raise ImportRefused(
                _(
                    "This is %(kind)s, not a CSV file. Open it, choose “Save as”, "
                    "then “CSV UTF-8”, and upload that file."
                )
                % {"kind": kind},
                field="file",
            )


def detect(pieces: Pieces) -> str:
    """The encoding: by its mark, else the first that reads every byte.

    Raises ImportRefused when none does.
    """
    head = next(iter(pieces()), b"")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if head.count(0) * 4 > len(head):
        raise ImportRefused(
            _(
                "This looks like UTF-16 without its mark, or no text at all. Save the "
                "file as “CSV UTF-8” and upload it again."
            )
        )
    for encoding in _GUESSES:
        if _decodes(pieces(), encoding):
            return encoding
    raise ImportRefused(
        _(
            "The characters can't be read as UTF-8, Big5 or Shift_JIS; the file may "
            "mix several of them. Save it as “CSV UTF-8” and upload it again."
        )
    )


def _decodes(pieces: Iterable[bytes], encoding: str) -> bool:
    decoder = _decoder(encoding)
    try:
        for piece in pieces:
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(_CODECS.get(encoding, encoding))()


def count_lines(pieces: Iterable[bytes]) -> int:
    """About how many lines there are, for a progress bar."""
    newlines = returns = 0
    for piece in pieces:
        newlines += piece.count(b"\n")
        returns += piece.count(b"\r")
    return max(newlines, returns, 1)


def rows(pieces: Iterable[bytes], encoding: str) -> Iterator[list[str]]:
    """The file's rows, a list for each piece; cells keep their quotes.

    Lines end in LF, CR LF or CR. A quoted cell may hold line ends; where the closing
    quote is missing, the line stands alone, so that one slip doesn't swallow the rest.
    Raises ImportRefused where a byte can't be read.
    """
    held: list[str] = []
    for lines in _lines(pieces, encoding):
        if not held and not any('"' in line for line in lines):
            yield lines
            continue
        whole, held = _join_quoted(held + lines, is_end=False)
        yield whole
    yield _join_quoted(held, is_end=True)[0]


def _lines(pieces: Iterable[bytes], encoding: str) -> Iterator[list[str]]:
    decoder = _decoder(encoding)
    rest, done = "", 0
    for piece in itertools.chain(pieces, [None]):
        try:
            text = rest + decoder.decode(piece or b"", final=piece is None)
        except UnicodeError as error:
            raise _unreadable(error, done, encoding) from error
        # A CR at the end may be half of a CR LF.
        half = "\r" if text.endswith("\r") and piece is not None else ""
        text = text[: len(text) - len(half)]
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        rest = _shortened(rest) + half
        if piece is None and rest:
            lines.append(rest)
        done += len(lines)
        yield lines


def _shortened(line: str) -> str:
    """The line, or of a long one so much that it is refused and never read as shorter.

    A quote that was open stays open, and a closed one closed.
    """
    kept, cut = line[: _LONGEST_LINE + 1], line[_LONGEST_LINE + 1 :]
    return kept + '"' * (cut.count('"') % 2)


def _unreadable(error: UnicodeError, done: int, encoding: str) -> ImportRefused:
    line = done + 1
    if isinstance(error, UnicodeDecodeError):
        before = error.object[: error.start]
        line += before.count(b"\n") or before.count(b"\r")
    return ImportRefused(
        _(
            "Row %(row)d can't be read as %(encoding)s. Choose another encoding, or "
            "save the file as “CSV UTF-8” and upload it again."
        )
        % {"row": line, "encoding": ENCODINGS.get(encoding, encoding)}
    )


def _join_quoted(lines: list[str], *, is_end: bool) -> tuple[list[str], list[str]]:
    """Lines as rows, and the lines at the end that wait for their closing quote."""
    whole: list[str] = []
    at = 0
    while at < len(lines):
        taken = 1
        if _is_open(lines[at]):
            taken = _lines_to_close(lines, at)
            if not taken and len(lines) - at < _MOST_LINES and not is_end:
                break
        whole.append("\n".join(lines[at : at + (taken or 1)]))
        at += taken or 1
    return whole, lines[at:]


def _is_open(line: str) -> bool:
    return line.count('"') % 2 == 1 and line.lstrip(" \ufeff").startswith('"')


def _lines_to_close(lines: list[str], at: int) -> int:
    """How many lines make the cell that starts at `at` whole; 0 for none will do."""
    quotes = 0
    for count, line in enumerate(lines[at : at + _MOST_LINES], start=1):
        quotes += line.count('"')
        if quotes % 2 == 0:
            return count
    return 0


def cell(row: str) -> str:
    """The text of a row's only cell. Raises BadRow: more columns, a stray quote."""
    text = row.strip(" \ufeff")
    if text.startswith('"'):
        text = _unquoted(text)
    elif _DELIMITER.search(text):
        raise BadRow(Reason.COLUMNS)
    if len(row) > _LONGEST_LINE:
        raise BadRow(Reason.TOO_LONG)
    return text


def _unquoted(text: str) -> str:
    found = _QUOTED.fullmatch(text)
    if found is None:
        raise BadRow(Reason.QUOTES)
    if found[2]:
        is_column = _DELIMITER.match(found[2])
        raise BadRow(Reason.COLUMNS if is_column else Reason.QUOTES)
    return found[1].replace('""', '"')


def read_code(text: str, rules: Rules) -> tuple[str, str]:
    """A cell as the code to show and the key to compare. Raises BadRow."""
    given, text = text, unguarded(text)
    is_meant = text != given  # with ' before it, whatever it looks like
    if text.startswith(("=", "＝")) and not is_meant:
        raise BadRow(Reason.FORMULA)
    bare = text.translate(ZERO_WIDTH)
    if is_unusable(bare):
        raise BadRow(Reason.CHARACTERS)
    code = bare.strip()
    if not code:
        raise BadRow(Reason.EMPTY)
    if len(code) > CODE_LENGTH:
        raise BadRow(Reason.TOO_LONG)
    if _SCIENTIFIC.fullmatch(code) and not is_meant:
        raise BadRow(Reason.SCIENTIFIC)
    # One character can become several: ㍿ is 株式会社.
    key = code_key(code, is_case_sensitive=rules.is_case_sensitive)
    if len(key) > CODE_LENGTH:
        raise BadRow(Reason.TOO_LONG)
    if not fits(rules.barcode, code):
        raise BadRow(Reason.BARCODE)
    return code, key


def blocks(
    pieces: Iterable[bytes], encoding: str, rules: Rules, *, after: int
) -> Iterator[Block]:
    """The rows behind row `after`, sorted into good and bad.

    At most settings.IMPORT_BLOCK at a time.
    """
    done, is_table = 0, False
    for lines in _batched(rows(pieces, encoding)):
        is_table = is_table or (not done and is_export(lines[0]))
        first, done = done + 1, done + len(lines)
        if done > after:
            skip = max(0, after - first + 1)
            read = [first_cell(line) for line in lines] if is_table else lines
            yield sort_out(first + skip, read[skip:], rules)


def _batched(lists: Iterable[list[str]]) -> Iterator[list[str]]:
    waiting: list[str] = []
    for lines in lists:
        waiting += lines
        while len(waiting) >= settings.IMPORT_BLOCK:
            yield waiting[: settings.IMPORT_BLOCK]
            del waiting[: settings.IMPORT_BLOCK]
    if waiting:
        yield waiting


def sort_out(first: int, lines: list[str], rules: Rules) -> Block:
    """Judge rows, of which the first has the number `first`."""
    good: list[tuple[int, str, str]] = []
    bad: list[tuple[int, str, str]] = []
    is_plain = plain(rules.barcode).fullmatch
    same_case = rules.is_case_sensitive
    for number, line in enumerate(lines, start=first):
        if is_plain(line):
            good.append((number, line, line if same_case else line.lower()))
            continue
        inner = line[1:-1]
        if is_plain(inner) and line == f'"{inner}"':
            good.append((number, inner, inner if same_case else inner.lower()))
            continue
        try:
            good.append((number, *read_code(cell(line), rules)))
        except BadRow as problem:
            bad.append((number, visible(line), problem.reason.value))
    return Block(first + len(lines) - 1, good, bad)


def first_rows(pieces: Iterable[bytes], encoding: str, count: int) -> list[str]:
    """The first rows as they stand in the file, of an export their first cells.

    Raises ImportRefused.
    """
    every = itertools.chain.from_iterable(rows(pieces, encoding))
    lines = list(itertools.islice(every, count))
    is_table = bool(lines) and is_export(lines[0])
    return [first_cell(line) for line in lines] if is_table else lines


def is_export(first: str) -> bool:
    """Whether a file with this first row came out of our own export."""
    return first.strip(" \ufeff") in _EXPORTS


def first_cell(row: str) -> str:
    """A table's row as a row of its first column; the cell keeps its quotes."""
    if not row.startswith('"'):
        return row.partition(",")[0]
    found = _QUOTED_CELL.match(row)
    return found[0] if found else row


def refuse_columns(first: list[str]) -> None:
    """Raise ImportRefused when the file is a table instead of one column."""
    for number, row in enumerate(first, start=1):
        try:
            cell(row)
        except BadRow as problem:
            if problem.reason is Reason.COLUMNS:
                raise ImportRefused(
                    _(
                        "Row %(row)d has more than one column: %(value)s. Keep only "
                        "the column with the serials, save it as CSV and upload that."
                    )
                    % {"row": number, "value": visible(row, 80)}
                ) from problem


def looks_alike(heading: str, row: str) -> bool:
    """Whether two rows have the shape of one and the same pattern: AB-12 and XY-77."""
    has_digit = any(char.isdigit() for char in heading)
    return has_digit and _shape(heading) == _shape(row)


def _shape(text: str) -> str:
    return re.sub("[A-Za-z]", "A", re.sub("[0-9]", "0", text.strip(' "')))
