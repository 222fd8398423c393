"""`manage.py import_serials`: a CSV of any size into a campaign, from the terminal."""

import os
import shutil
import signal
import stat
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.models import Campaign
from serials import following, importing, reading, services
from serials.codes import visible
from serials.errors import ImportRefused
from serials.following import ShownFile
from serials.models import Batch
from serials.reporting import refused_csv

State = Batch.State

STDIN = "-"
STOPPED = 130  # what a shell expects after Ctrl-C
SHOWN_REFUSED = 5
NAME_LENGTH = 100  # characters
# What other programs call them.
OTHER_NAMES = {"big5": "cp950", "shift_jis": "cp932"}


class Command(BaseCommand):
    help = (
        "Imports a CSV of serials, of any size, into a campaign: checks it, tells what "
        "is new, asks, and imports. Ends with 0 when it is imported or nothing in it is "
        "new, 1 when not, 2 for a wrong option, 130 after Ctrl-C, which takes back what "
        "came so far. If the command is killed while it imports, the workers go on with "
        "it by themselves; if it is killed before, nothing is imported."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("campaign", metavar="CAMPAIGN", help="its id, or its exact name")
        add("file", metavar="FILE", help="the CSV file; - for standard input")
        add(
            "--encoding",
            choices=[*reading.ENCODINGS, *OTHER_NAMES],
            default="",
            help="how to read the file (default: found out)",
        )
        add(
            "--row-1-is-serial",
            action="store_true",
            help="the file has no heading: row 1 is a serial like the others",
        )
        add("--name", default="", help="what staff call the batch (default: the file)")
        add(
            "--refused",
            metavar="OUT.csv",
            type=Path,
            help="write all rows that are left out, and why, into this file",
        )
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--yes", action="store_true", help="import without asking")
        way.add_argument("--check", action="store_true", help="check, import nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            campaign = find_campaign(options["campaign"])
            refuse_report(options["refused"], options["file"])
            self.bring_or_take_back(keep(campaign, options), options)
        except ImportRefused as problem:
            raise CommandError(str(problem.message)) from problem
        except KeyboardInterrupt:
            self.stderr.write(_("Stopped. The stock is as it was."))
            raise SystemExit(STOPPED) from None
        except Batch.DoesNotExist as error:
            raise CommandError(
                _("The batch is gone: somebody has deleted it meanwhile.")
            ) from error
        except (InterfaceError, OperationalError) as error:
            raise CommandError(
                _(
                    "The database does not answer: %(why)s. An import under way goes "
                    "on by itself once it does; a check has to be started again."
                )
                % {"why": str(error).strip()}
            ) from error

    def bring_or_take_back(self, batch: Batch, options: dict[str, Any]) -> None:
        try:
            self.bring(batch, options)
        except KeyboardInterrupt:
            self.take_back(batch)
            raise

    def bring(self, batch: Batch, options: dict[str, Any]) -> None:
        """Check, ask, import. Raises CommandError or ImportRefused where it ends."""
        with following.followed(batch, _("Checking")):
            following.work_off(batch)
        if batch.state == State.CHECKED:
            self.tell_check(batch)
            if not self.is_wanted(batch, options):
                return
            services.confirm(batch)
            with following.followed(batch, _("Importing")):
                following.work_off(batch)
        self.tell_end(batch)
        write_report(batch, options["refused"])

    def is_wanted(self, batch: Batch, options: dict[str, Any]) -> bool:
        """Whether to go on; if not, the kept file is dropped."""
        try:
            write_report(batch, options["refused"])
            is_wanted = self.ask(batch, options)
        except CommandError:
            services.cancel(batch)
            raise
        if not is_wanted:
            services.cancel(batch)
        return is_wanted

    def ask(self, batch: Batch, options: dict[str, Any]) -> bool:
        """Whether to import; False where that is no failure, else CommandError."""
        if not batch.new and not batch.duplicate:
            raise CommandError(_("No row of this file can be imported."))
        if not batch.new:
            self.stdout.write(_("Already imported: 0 new."))
            return False
        if options["check"]:
            self.stdout.write(_("Checked; nothing was imported."))
            return False
        if not options["yes"] and not says_yes(batch):
            raise CommandError(_("Nothing was imported. The stock is as it was."))
        return True

    def take_back(self, batch: Batch) -> None:
        """Cancel and remove what came; a second Ctrl-C leaves that to the workers."""
        with undisturbed():
            renew_connection()
            batch.refresh_from_db()
            try:
                services.cancel(batch)
            except ImportRefused:
                self.tell_end(batch)
                self.stderr.write(_("That was too late to stop it."))
                raise SystemExit(STOPPED) from None
        try:
            if following.is_open(batch):
                self.stderr.write(_("Taking back what came so far ..."))
                following.work_off(batch)
        except KeyboardInterrupt:
            self.stderr.write(_("Stopped. The workers take back what came so far."))
            raise SystemExit(STOPPED) from None

    # --- What people read -----------------------------------------------------------

    def tell_check(self, batch: Batch) -> None:
        self.stdout.write(f"{visible(batch.campaign.name)} (id {batch.campaign_id})")
        self.stdout.write(
            _("Read as %(encoding)s. %(first_row)s")
            % {
                "encoding": reading.ENCODINGS[batch.encoding],
                "first_row": told_first_row(batch),
            }
        )
        self.stdout.write(
            _("%(new)s new, %(duplicate)s duplicate, %(refused)s refused")
            % {
                "new": f"{batch.new:,}",
                "duplicate": f"{batch.duplicate:,}",
                "refused": f"{batch.refused:,}",
            }
        )
        self.tell_refused(batch)

    def tell_refused(self, batch: Batch) -> None:
        rows = batch.refused_rows.order_by("line")[:SHOWN_REFUSED]
        for row in rows:
            told = _("row %(row)s: %(value)s (%(why)s)") % {
                "row": f"{row.line:,}",
                "value": row.value[:80] or "–",
                "why": batch.why(row.reason),
            }
            self.stdout.write(f"  {told}")
        more = batch.duplicate + batch.refused - SHOWN_REFUSED
        if more > 0:
            self.stdout.write("  " + _("and %(count)s more") % {"count": f"{more:,}"})

    def tell_end(self, batch: Batch) -> None:
        """Say that it is ready. Raises CommandError where it isn't."""
        if batch.state == State.REFUSED:
            how = _("See --encoding and --row-1-is-serial for how it is read.")
            raise CommandError(f"{batch.problem} {how}")
        if batch.state != State.READY:
            raise CommandError(
                _("Somebody has cancelled the import. The stock is as it was.")
            )
        ready = ngettext(
            "%(count)s serial is ready.", "%(count)s serials are ready.", batch.total
        )
        self.stdout.write(ready % {"count": f"{batch.total:,}"})


# --- The campaign -------------------------------------------------------------------


def find_campaign(text: str) -> Campaign:
    """The campaign with this id, or else this name. Raises CommandError."""
    text = clean(text)
    is_id = text.isascii() and text.isdigit()
    found = Campaign.objects.filter(pk=int(text)).first() if is_id else None
    if found is not None:
        return found
    named = list(Campaign.objects.filter(name=text).order_by("pk")[:20])
    if not named:
        raise CommandError(
            _("There is no campaign with the id or the name “%(text)s”.")
            % {"text": visible(text)}
        )
    if len(named) > 1:
        ids = ", ".join(str(campaign.pk) for campaign in named)
        raise CommandError(
            _("Several campaigns have this name. Choose one by its id: %(ids)s.")
            % {"ids": ids}
        )
    return named[0]


# --- The file -----------------------------------------------------------------------


def keep(campaign: Campaign, options: dict[str, Any]) -> Batch:
    """Keep the file where the workers reach it too. Raises CommandError."""
    encoding = options["encoding"]
    with opened(options["file"]) as file:
        return services.start_import(
            campaign,
            file=file,
            name=(clean(options["name"]) or str(file.name))[:NAME_LENGTH],
            by=None,
            encoding=OTHER_NAMES.get(encoding, encoding),
            has_header=not options["row_1_is_serial"],
            is_any_size=True,
        )


@contextmanager
def opened(path: str) -> Iterator[ShownFile]:
    """The file, whatever it is. Raises CommandError."""
    name = _("standard input") if path == STDIN else clean(Path(path).name)
    told = {"path": visible(clean(path))}
    try:
        with (
            open(0 if path == STDIN else path, "rb", closefd=path != STDIN) as source,
            spooled(source) as file,
            following.bar(_("Reading"), unit="B") as bar,
        ):
            yield ShownFile(file, name, bar)
    except FileNotFoundError as error:
        raise CommandError(_("There is no file %(path)s.") % told) from error
    except IsADirectoryError as error:
        raise CommandError(
            _("%(path)s is a folder. Name a file in it.") % told
        ) from error
    except OSError as error:
        told["why"] = error.strerror or str(error)
        raise CommandError(_("%(path)s can't be read: %(why)s.") % told) from error


@contextmanager
def spooled(source: IO[bytes]) -> Iterator[IO[bytes]]:
    """A file as it is; a stream, which may pause for hours, once it is on disk."""
    if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        yield source
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(source, copy, reading.PIECE)
        copy.flush()
        yield copy


def clean(text: str) -> str:
    """A word of the command line, which may be no text at all, as the database takes it."""
    return os.fsencode(text).decode(errors="replace")


def refuse_report(path: Path | None, source: str) -> None:
    """Raise CommandError when the report can't be written there."""
    if path is None:
        return
    is_source = source != STDIN and path.exists() and Path(source).exists()
    if is_source and path.samefile(source):
        raise CommandError(
            _("--refused names the file that is to be imported. Choose another.")
        )
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(
            _("%(path)s can't be written. Choose another place for --refused.")
            % {"path": visible(clean(str(path)))}
        )


def write_report(batch: Batch, path: Path | None) -> None:
    if path is None:
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(refused_csv(batch))
    except OSError as error:
        raise CommandError(
            _("%(path)s can't be written: %(why)s.")
            % {"path": visible(clean(str(path))), "why": error.strerror or error}
        ) from error


# --- The terminal -------------------------------------------------------------------


def told_first_row(batch: Batch) -> str:
    """What row 1 was taken for, and whether that looks wrong."""
    if not batch.has_header:
        return _("Row 1 is taken as a serial.")
    texts = [text for _row, text, _why in importing.preview(batch, 2)]
    told = _("Row 1 is taken as the heading: “%(heading)s”.") % {"heading": texts[0]}
    if len(texts) > 1 and reading.looks_alike(*texts):
        told += " " + _("It looks like a serial: if it is, add --row-1-is-serial.")
    return told


def says_yes(batch: Batch) -> bool:
    """What whoever sits there answers. Raises CommandError when nobody does."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            _(
                "Nothing was imported, since there is nobody to ask. Add --yes to "
                "import without being asked."
            )
        )
    question = ngettext(
        "Import %(count)s serial? [y/N]", "Import %(count)s serials? [y/N]", batch.new
    )
    try:
        answer = input(question % {"count": f"{batch.new:,}"} + " ")
    except EOFError:
        return False
    return answer.strip().casefold() in ("y", "yes")


@contextmanager
def undisturbed() -> Iterator[None]:
    """No Ctrl-C in here."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def renew_connection() -> None:
    """Leave whatever Ctrl-C cut in two; the database takes it back."""
    connection.close()
    if connection.in_atomic_block:  # cut between two lines of Django's own
        del connections[DEFAULT_DB_ALIAS]
