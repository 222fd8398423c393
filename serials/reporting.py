"""What a file's check left out, as a CSV file for a spreadsheet."""

import csv
from collections.abc import Iterator

from django.utils.translation import gettext as _

from serials.codes import excel_safe
from serials.models import Batch, RefusedRow

PAGE = 5_000  # rows read at once


class Line:
    """A file of one line: the csv module writes to it, whoever asked gets it."""

    def write(self, text: str) -> str:
        return text


def refused_csv(batch: Batch) -> Iterator[str]:
    """The refused rows as CSV lines, read from the database as they go out."""
    writer = csv.writer(Line(), quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    yield "\ufeff"
    yield writer.writerow([_("Row"), _("Value"), _("Reason")])
    labels = {value: batch.why(value) for value in RefusedRow.Reason.values}
    last = 0
    while True:
        # In pages: a cursor held over a slow download would keep a transaction open.
        rows = list(
            batch.refused_rows.filter(line__gt=last)
            .order_by("line")
            .values_list("line", "value", "reason")[:PAGE]
        )
        if not rows:
            return
        last = rows[-1][0]
        yield "".join(
            writer.writerow([line, excel_safe(value), labels[reason]])
            for line, value, reason in rows
        )
