"""Contacts from a CSV of LINE user ids: read and check it, then write it in pieces.

Writing the same rows again adds nobody, so whatever broke off is simply repeated.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from contacts.errors import ContactError
from contacts.models import Contact, Membership

MAX_BYTES = 10_000_000
MAX_ROWS = 300_000
MAX_NAME = 100
PIECE = 500  # rows of one transaction
COUNTED = 5_000  # ids of one question

LINE_USER_ID = re.compile(r"U[0-9a-f]{32}")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,6})?")
COLUMNS = ("line_user_id", "name", "language")
# Our own CSV files carry a ' before what a spreadsheet would take for a formula.
GUARDED = re.compile("^'(?=[=+\\-@\t\r\n\x00＝＋－＠])")
INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")


@dataclass(frozen=True)
class Row:
    """One person of the file; `line` is where it stands, the header being line 1."""

    line: int
    user_id: str
    name: str = ""
    language: str = ""


@dataclass(frozen=True)
class Problem:
    """A row that cannot be imported, and why."""

    line: int
    value: str
    reason: str


@dataclass
class Checked:
    """What a file holds. `unused` are its columns that we do not read."""

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """What became of rows: contacts that are new, and known ones that changed."""

    new: int = 0
    changed: int = 0


def is_line_user_id(text: str) -> bool:
    """Whether this looks like a LINE user id: U and 32 of 0-9 and a-f."""
    return LINE_USER_ID.fullmatch(text) is not None


def read(raw: bytes) -> Checked:
    """Check a file row by row; nothing is written.

    Raises ContactError when it cannot be read at all: `too_big`, `encoding`, `empty`,
    `header`, `broken`, `too_many_rows`.
    """
    if len(raw) > MAX_BYTES:
        raise ContactError("too_big", _("The file is larger than 10 MB. Split it."))
    lines = _lines(_decode(raw))
    header = next(lines, (1, []))[1]
    places = _places(header)
    checked = Checked(unused=[n for n in map(_tidy, header) if n and n not in COLUMNS])
    seen: dict[str, int] = {}
    for count, (line, cells) in enumerate(lines, start=1):
        if count > MAX_ROWS:
            raise ContactError(
                "too_many_rows",
                _("The file has more than %(limit)s rows. Split it into smaller ones.")
                % {"limit": f"{MAX_ROWS:,}"},
            )
        _check(line, cells, places, seen, checked)
    if not checked.rows and not checked.problems:
        raise ContactError(
            "empty", _("The file has a heading but no rows: there is nobody in it.")
        )
    return checked


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ContactError(
            "encoding",
            _(
                "The file's text is not UTF-8. In Excel, save it as “CSV UTF-8 (comma "
                "delimited)”; in other programs choose the encoding UTF-8."
            ),
        ) from None
    if not text.strip():
        raise ContactError("empty", _("The file is empty."))
    return text


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""))
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error:
        raise ContactError(
            "broken",
            _(
                "Line %(line)s cannot be read: a quotation mark that never closes, or "
                "a line that is far too long. Mend it and upload the file again."
            )
            % {"line": begins},
        ) from None


def _places(header: list[str]) -> dict[str, int]:
    """Where each column stands, by name."""
    names = [_tidy(name) for name in header]
    if names.count("line_user_id") != 1:
        raise ContactError(
            "header",
            _(
                "The first row must name the columns, one of them line_user_id, "
                "separated by commas: line_user_id,name,language. It reads: %(found)s"
            )
            % {"found": ",".join(names)[:100]},
        )
    return {name: names.index(name) for name in COLUMNS if name in names}


def _tidy(name: str) -> str:
    return _clean(name).lower().replace(" ", "_")


def _clean(cell: str) -> str:
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", cell)).strip()


def _check(
    line: int,
    cells: list[str],
    places: dict[str, int],
    seen: dict[str, int],
    checked: Checked,
) -> None:
    values = {
        name: cells[place] if place < len(cells) else ""
        for name, place in places.items()
    }
    user_id = _clean(values["line_user_id"])
    name = _clean(GUARDED.sub("", values.get("name", "").strip()))
    language = _clean(values.get("language", ""))
    reason = _reason(user_id, name, language, seen)
    if reason:
        shown = "".join(c if c.isprintable() else "�" for c in user_id[:60])
        checked.problems.append(Problem(line, shown, reason))
    else:
        seen[user_id] = line
        checked.rows.append(Row(line, user_id, name, language))


def _reason(user_id: str, name: str, language: str, seen: dict[str, int]) -> str:
    """Why this row cannot be imported; "" when it can."""
    if not user_id:
        return _("The LINE user id is missing.")
    if not is_line_user_id(user_id):
        return _("A LINE user id is U and 32 of the characters 0-9 and a-f.")
    if user_id in seen:
        return _("The same id is on line %(line)s.") % {"line": seen[user_id]}
    if len(name) > MAX_NAME:
        return _("The name is longer than %(limit)s characters.") % {"limit": MAX_NAME}
    if not all(c.isprintable() for c in name):
        return _("The name has characters that cannot be shown.")
    if language and not LANGUAGE.fullmatch(language):
        return _("The language is no code such as ja, th or zh-Hant.")
    return ""


def count_known(rows: Sequence[Row], *, connection_id: int) -> int:
    """How many of the rows are contacts already."""
    return sum(
        Contact.objects.filter(
            connection_id=connection_id, line_user_id__in=[row.user_id for row in piece]
        ).count()
        for piece in pieces(rows, COUNTED)
    )


def pieces(rows: Sequence[Row], size: int = PIECE) -> Iterator[Sequence[Row]]:
    """The rows, `size` at a time."""
    return (rows[i : i + size] for i in range(0, len(rows), size))


def write(
    rows: Sequence[Row], *, connection_id: int, list_id: int | None = None
) -> Written:
    """Make or update a contact for each row and put it on the list.

    Must run inside the caller's transaction. An empty cell changes nothing.
    """
    ids = [row.user_id for row in rows]
    here = Contact.objects.filter(connection_id=connection_id, line_user_id__in=ids)
    known = {contact.line_user_id: contact for contact in here}
    new = [
        Contact(
            connection_id=connection_id,
            line_user_id=row.user_id,
            name=row.name,
            language=row.language,
        )
        for row in rows
        if row.user_id not in known
    ]
    # A follow may make the same contact at this moment: then theirs stays.
    Contact.objects.bulk_create(new, ignore_conflicts=True)
    changed = [
        contact
        for row in rows
        if (contact := known.get(row.user_id)) and _update(contact, row)
    ]
    # Not bulk_update: its CASE grows with the rows, and it took five times as long.
    Contact.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["name", "language", "name_due_at"],
    )
    if list_id is not None:
        Membership.objects.bulk_create(
            (
                Membership(contact_list_id=list_id, contact_id=pk)
                for pk in here.values_list("pk", flat=True)
            ),
            ignore_conflicts=True,
        )
    return Written(len(new), len(changed))


def _update(contact: Contact, row: Row) -> bool:
    """Take over what the row says; whether anything is different."""
    name, language = row.name or contact.name, row.language or contact.language
    if (name, language) == (contact.name, contact.language):
        return False
    contact.name, contact.language = name, language
    if name:
        contact.name_due_at = None
    return True
