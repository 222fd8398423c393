"""`make messages`: finds every text of the project and keeps the translations of them.

A developers' tool. What it writes is committed, the .mo files too, so a shop needs none
of it. docs/translating.md says how translators work with it.
"""

import argparse
import gettext
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import django
import unfold
from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from run import ROOT

LOCALE = ROOT / "locale"
# Which languages each catalogue promises. What customers read stands in the first one,
# also where staff read it too.
LANGUAGES = {
    "customers": ("ja", "zh_Hant", "th", "ko"),
    "staff": ("ja", "zh_Hant"),
}
CUSTOMERS = (
    "campaigns/benefit.py",
    "coupons/errors.py",
    "coupons/forms.py",
    "coupons/moments.py",
    "coupons/views/*.py",
    "deliveries/messages.py",
    "templates/coupons/*",
    "templates/_plain.html",
    "templates/[45]??.html",
)
STAFF = ("coupons/views/counter.py",)  # though a pattern above fits
NOT_OURS = {"sandbox", "testing", "benchmarks", "locale", "static", "docs", "var"}
NOT_SHOWN = {"tests", "migrations"}
# unfold brings no translations. Its parts that staff meet, within its folder.
UNFOLD = (
    "*.py",
    "templatetags/*.py",
    "templates/admin/**/*.html",
    "templates/registration/*.html",
    "templates/unfold/**/*.html",
    "contrib/filters/*.py",
    "contrib/filters/templates/**/*.html",
)
# Every name that this code calls a gettext function by.
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "gettext_now")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
# Django's own apps that are installed.
DJANGOS = ("admin", "auth", "contenttypes", "sessions", "messages")
HEADER = "# Translations. `make messages` keeps this file: docs/translating.md."
PLACE = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}|</?\w[^>]*>")


@dataclass(frozen=True)
class Text:
    """What the code asks gettext for."""

    singular: str
    plural: str = ""
    context: str = ""

    @property
    def id(self) -> str | tuple[str, str]:
        """As Babel names it."""
        return (self.singular, self.plural) if self.plural else self.singular

    @property
    def key(self) -> tuple[str, str]:
        """As gettext looks it up: by the singular and the context."""
        return self.singular, self.context


@dataclass
class Found:
    """A text and the files it stands in."""

    text: Text
    files: list[str] = field(default_factory=list)

    def add(self, text: Text, file: str) -> None:
        if text.plural and not self.text.plural:
            self.text = text
        if file not in self.files:
            self.files.append(file)


Texts = dict[tuple[str, str], Found]


# --- finding them --------------------------------------------------------------------


def texts_of(path: Path) -> Iterator[Text]:
    """The texts of a Python file or a template, exactly as they are looked up."""
    source = path.read_bytes()
    if path.suffix != ".py":
        # Whatever is no text is letters in columns: to Python, bad indentation.
        lines = templatize(source.decode()).splitlines()
        source = "\n".join(line.strip() for line in lines).encode()
    for _line, message, _comments, context in extract(
        "python", io.BytesIO(source), keywords=KEYWORDS, options={"encoding": "utf-8"}
    ):
        singular, plural = message if isinstance(message, tuple) else (message, "")
        if singular:
            yield Text(singular, plural, context or "")


def collected(paths: Iterator[Path], base: Path) -> Texts:
    found: Texts = {}
    for path in paths:
        for text in texts_of(path):
            file = path.relative_to(base).as_posix()
            found.setdefault(text.key, Found(text)).add(text, file)
    return found


def our_files() -> Iterator[Path]:
    for path in sorted((*ROOT.rglob("*.py"), *(ROOT / "templates").rglob("*.*"))):
        parts = path.relative_to(ROOT).parts
        is_hidden = any(part.startswith(".") for part in parts)
        if not is_hidden and parts[0] not in NOT_OURS and not NOT_SHOWN & set(parts):
            yield path


def is_customers(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return name not in STAFF and any(fnmatch(name, glob) for glob in CUSTOMERS)


def unfold_texts() -> Texts:
    """Those of unfold that Django's own catalogues do not have."""
    folder = Path(unfold.__file__).parent
    paths = sorted(path for glob in UNFOLD for path in folder.glob(glob))
    found = collected(iter(paths), folder.parent)
    known = [djangos_texts(language) for language in LANGUAGES["staff"]]
    return {
        key: entry
        for key, entry in found.items()
        if not all(key in texts for texts in known)
    }


def djangos_texts(language: str) -> set[tuple[str, str]]:
    found = set()
    apps = ("conf", *(f"contrib/{name}" for name in DJANGOS))
    paths = [
        Path(django.__file__).parent
        / app
        / "locale"
        / language
        / "LC_MESSAGES/django.mo"
        for app in apps
    ]
    for path in (path for path in paths if path.exists()):
        with path.open("rb") as file:
            catalog: Any = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        for key in catalog:
            name = key[0] if isinstance(key, tuple) else key
            context, _, singular = name.rpartition("\x04")
            found.add((singular, context))
    return found


def all_texts() -> dict[str, Texts]:
    """By catalogue."""
    ours = list(our_files())
    customers = collected((path for path in ours if is_customers(path)), ROOT)
    staff = collected((path for path in ours if not is_customers(path)), ROOT)
    staff = unfold_texts() | staff
    return {
        "customers": customers,
        "staff": {key: entry for key, entry in staff.items() if key not in customers},
    }


# --- keeping them ---------------------------------------------------------------------


class OurCatalog(Catalog):
    """A catalogue whose head says nothing that changes by itself."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", self.locale_identifier or ""),
            ("Plural-Forms", self.plural_forms),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ]


def po_path(catalogue: str, language: str, folder: Path = LOCALE) -> Path:
    return folder / catalogue / language / "LC_MESSAGES" / "django.po"


def read(catalogue: str, language: str, folder: Path = LOCALE) -> Catalog:
    path = po_path(catalogue, language, folder)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def renewed(texts: Texts, old: Catalog, language: str) -> Catalog:
    """The texts as they stand now, with the translations there were of the same ones."""
    new = OurCatalog(locale=language, header_comment=HEADER, fuzzy=False)
    for _, entry in sorted(texts.items()):
        text = entry.text
        was = old.get(text.id, text.context or None)
        new.add(
            text.id,
            was.string if was and fits(was.string, text) else "",
            locations=[(file, 0) for file in entry.files],
            context=text.context or None,
            flags=(was.flags & {"fuzzy"}) if was else (),
        )
    return new


def fits(string: Any, text: Text) -> bool:
    return isinstance(string, str) != bool(text.plural)


def write(
    catalogue: str, language: str, catalog: Catalog, folder: Path = LOCALE
) -> None:
    path = po_path(catalogue, language, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(po_bytes(catalog))
    path.with_suffix(".mo").write_bytes(mo_bytes(catalog))


def po_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalog, width=88, include_lineno=False)
    return out.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def update() -> None:
    """Bring every catalogue in line with the code, and its .mo with the .po."""
    for catalogue, texts in all_texts().items():
        for language in LANGUAGES[catalogue]:
            catalog = renewed(texts, read(catalogue, language), language)
            write(catalogue, language, catalog)
            left = sum(1 for _ in untranslated(catalog))
            say(f"{catalogue} {language}: {len(catalog)} texts, {left} to translate")


# --- handing them to translators -------------------------------------------------------


def messages_of(catalog: Catalog) -> Iterator[Any]:
    return (message for message in catalog if message.id)


def untranslated(catalog: Catalog) -> Iterator[Any]:
    for message in messages_of(catalog):
        if message.fuzzy or not all(strings_of(message)):
            yield message


def strings_of(message: Any) -> Sequence[str]:
    string = message.string
    return list(string) if isinstance(string, (list, tuple)) else [string]


def todo(
    catalogue: str, language: str, out: Path, most: int, folder: Path = LOCALE
) -> None:
    """Write what is untranslated as JSON, in files of at most `most` texts."""
    catalog = read(catalogue, language, folder)
    rows = [as_row(message) for message in untranslated(catalog)]
    pieces = [rows[start : start + most] for start in range(0, len(rows), most)]
    for number, piece in enumerate(pieces, start=1):
        name = f"{out.stem}-{number}{out.suffix}" if len(pieces) > 1 else out.name
        text = json.dumps(piece, ensure_ascii=False, indent=1)
        out.with_name(name).write_text(text + "\n", encoding="utf-8")
        say(f"{out.with_name(name)}: {len(piece)} texts")
    if not rows:
        say("Nothing is left to translate.")


def as_row(message: Any) -> dict[str, Any]:
    singular, plural = message.id if message.pluralizable else (message.id, "")
    row = {"text": singular, "plural": plural, "context": message.context or ""}
    row = {name: value for name, value in row.items() if value}
    return row | {"files": [file for file, _ in message.locations], "translation": ""}


def take(catalogue: str, language: str, file: Path, folder: Path = LOCALE) -> int:
    """Take translations from such a file back; how many of them were refused.

    A text with a plural has one translation for each form of the language, as a list,
    or a single one where there is but one form.
    """
    catalog = read(catalogue, language, folder)
    refused = taken = 0
    for row in json.loads(file.read_text(encoding="utf-8")):
        text = Text(row["text"], row.get("plural", ""), row.get("context", ""))
        given = row["translation"]
        if not given:
            continue
        message = catalog.get(text.id, text.context or None)
        why = "there is no such text" if message is None else ""
        if message is not None:
            message.string = as_string(given, message)
            why = "; ".join(faults(message, catalog.num_plurals))
        if why:
            refused += 1
            say(f"Refused: {text.singular!r}: {why}")
            if message is not None:
                message.string = ""
            continue
        message.flags.discard("fuzzy")
        taken += 1
    kept = renewed(as_texts(catalog), catalog, language)
    write(catalogue, language, kept, folder)
    say(f"{catalogue} {language}: {taken} taken, {refused} refused")
    return refused


def as_string(given: Any, message: Any) -> Any:
    if message.pluralizable:
        return (given,) if isinstance(given, str) else tuple(given)
    return given


def as_texts(catalog: Catalog) -> Texts:
    texts: Texts = {}
    for message in messages_of(catalog):
        singular, plural = message.id if message.pluralizable else (message.id, "")
        text = Text(singular, plural, message.context or "")
        texts[text.key] = Found(text, [file for file, _ in message.locations])
    return texts


def faults(message: Any, forms: int) -> list[str]:
    """What is wrong with a translation, as it stands in the catalogue."""
    strings = strings_of(message)
    if message.fuzzy:
        return ["it is fuzzy"]
    if not all(strings):
        return ["it is not translated"]
    wanted = message.id[-1] if message.pluralizable else message.id
    found = []
    if message.pluralizable and len(strings) != forms:
        found.append(f"it has {len(strings)} plural forms, not {forms}")
    for string in strings:
        if places(string) != places(wanted):
            found.append(f"the places differ: {string!r}")
        if edges(string) != edges(wanted):
            found.append(f"the blanks around it differ: {string!r}")
    return found


def places(words: str) -> Counter[str]:
    return Counter(PLACE.findall(words))


def edges(words: str) -> tuple[str, str]:
    return words[: len(words) - len(words.lstrip())], words[len(words.rstrip()) :]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m testing.messages")
    commands = parser.add_subparsers(dest="command")
    for name in ("todo", "take"):
        command = commands.add_parser(name)
        command.add_argument("catalogue", choices=list(LANGUAGES))
        command.add_argument("language")
        if name == "take":
            command.add_argument("file", type=Path)
        else:
            command.add_argument("--out", type=Path, default=Path("todo.json"))
            command.add_argument("--most", type=int, default=200, metavar="TEXTS")
    options = parser.parse_args()
    if not options.command:
        return update()
    language = options.language.replace("zh-hant", "zh_Hant")
    if language not in LANGUAGES[options.catalogue]:
        parser.error(f"{options.catalogue} is not promised in {language}.")
    if options.command == "todo":
        return todo(options.catalogue, language, options.out, options.most)
    sys.exit(1 if take(options.catalogue, language, options.file) else 0)


if __name__ == "__main__":
    main()
