"""Exports of serials for tests: made as the form makes them, and read."""

import csv
import io

from reports.serial_exports import make_export
from reports.serials_out import csv_of


def make(owner, campaign, **choices):
    """An export of everything, for a spreadsheet, unless the test chooses."""
    given = {"batch": None, "states": "all", "columns": "all", "format": "excel"}
    return make_export(owner, campaign=campaign, **(given | choices))


def lines(export, **how):
    """The lines below the heading, by their serial."""
    text = "".join(csv_of(export, **how)).removeprefix("\ufeff")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {row["serial"]: row for row in rows}
