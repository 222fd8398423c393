"""`manage.py rotate_field_keys`: after a new key, what the old ones encrypted."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from connections.rotating import (
    EMPTY,
    OLDER,
    UNREADABLE,
    UP_TO_DATE,
    Stored,
    look,
    rotate,
)


class Command(BaseCommand):
    help = (
        "Encrypts all stored credentials with the first key of FIELD_KEYS, so that the "
        "others may be dropped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; exit code 1 while an older key is still needed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        is_check = options["check"]
        counts = (look if is_check else rotate)(report=self.name_unreadable)
        done = "still need an older key" if is_check else "encrypted anew"
        self.stdout.write(
            f"{counts[OLDER]} {done}, {counts[UP_TO_DATE]} up to date already, "
            f"{counts[EMPTY]} empty, {counts[UNREADABLE]} unreadable."
        )
        if counts[UNREADABLE] or (is_check and counts[OLDER]):
            sys.exit(1)

    def name_unreadable(self, stored: Stored) -> None:
        self.stderr.write(f"{stored} fits none of FIELD_KEYS.")
