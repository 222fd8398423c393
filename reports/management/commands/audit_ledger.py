"""Look whether the ledger adds up: `python manage.py audit_ledger`."""

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from reports.auditing import note
from reports.ledger import NAMES, Break, find_break, patience

BAD_USE = 2
MOST_ROWS = 10_000


class Command(BaseCommand):
    help = (
        "Checks everything that is always true of coupons, serials, limits and "
        "deliveries. Ends with 0 when all is well, 1 when something is broken, 2 when "
        "it could not look. Changes nothing; the house may go on working."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only",
            action="append",
            metavar="NAME",
            help="make this check alone; may be given several times",
        )
        parser.add_argument(
            "--rows",
            type=int,
            default=20,
            metavar="N",
            help="how many broken rows of each kind to name (default: 20)",
        )
        parser.add_argument(
            "--list", action="store_true", help="name the checks and make none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = self.chosen(options["only"])
        if not 0 <= options["rows"] <= MOST_ROWS:
            raise CommandError(
                _("--rows takes 0 to %(most)s.") % {"most": MOST_ROWS},
                returncode=BAD_USE,
            )
        if options["list"]:
            for name in names:
                self.stdout.write(name)
            return
        try:
            found = self.look(names, options["rows"], is_timed=options["verbosity"] > 1)
        except DatabaseError as error:
            raise CommandError(
                _("The database could not be asked: %(why)s") % {"why": error},
                returncode=BAD_USE,
            ) from error
        if found:
            self.stdout.write(_("What to do: docs/ledger.md, “On a break”."))
            raise SystemExit(1)
        self.stdout.write(_("%(count)s checks, no break") % {"count": len(names)})

    def chosen(self, only: Sequence[str] | None) -> Sequence[str]:
        unknown = sorted(set(only or ()) - set(NAMES))
        if unknown:
            raise CommandError(
                _("There is no check %(unknown)s. There are: %(names)s.")
                % {"unknown": ", ".join(unknown), "names": ", ".join(NAMES)},
                returncode=BAD_USE,
            )
        return [name for name in NAMES if only is None or name in only]

    def look(
        self, names: Sequence[str], most_rows: int, *, is_timed: bool
    ) -> list[Break]:
        found = []
        with patience():
            for name in names:
                started = time.monotonic()
                broken = find_break(name, now=timezone.now(), most_rows=most_rows)
                if is_timed:
                    self.stdout.write(f"{time.monotonic() - started:7.3f} s  {name}")
                if broken is not None:
                    found.append(broken)
                    note(broken)
                    self.show(broken)
        return found

    def show(self, broken: Break) -> None:
        self.stdout.write(f"{broken.check}: {broken.count}")
        self.stdout.write(f"  {broken.what}")
        for row in broken.rows:
            self.stdout.write(f"  - {row}")
        if broken.count > len(broken.rows):
            more = broken.count - len(broken.rows)
            self.stdout.write("  " + _("and %(count)s more") % {"count": more})
