"""Redemption records as CSV, streamed, safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from coupons.models import Coupon
from stores.naming import name_of

# What a spreadsheet takes for a formula, and the full-width forms it folds to them.
FORMULA = tuple("=+-@\t\r\n\x00＝＋－＠")


class Echo:
    """A file that hands back what is written, so that csv can stream."""

    def write(self, value: str) -> str:
        return value


def safe(cell: str) -> str:
    """The cell with a leading ' where a spreadsheet would run it as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def records_csv(records: QuerySet[Coupon], *, zone: ZoneInfo) -> Iterator[str]:
    """Lines of CSV: UTF-8 BOM, CRLF, quoted; times in `zone`, which the head names."""
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL, lineterminator="\r\n")

    def line(cells: Iterable[str]) -> str:
        written: str = writer.writerow([safe(cell) for cell in cells])
        return written

    def when(at: datetime | None) -> str:
        return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at else ""

    times = (_("sent"), _("opened"), _("redeemed"), _("verified"))
    yield "\ufeff" + line(
        [
            _("number"),
            _("status"),
            _("contact"),
            *(f"{name} ({zone.key})" for name in times),
            _("serial"),
            _("store"),
            _("staff"),
        ]
    )
    for record in records.iterator(chunk_size=2000):
        live = next(iter(record.live), None)  # type: ignore[attr-defined]
        yield line(
            [
                record.shown_number,
                record.get_status_display(),
                str(record.contact or ""),
                when(record.sent_at),
                when(record.opened_at),
                when(record.redeemed_at),
                when(record.verified_at),
                record.code,
                str(live.store or "") if live else "",
                name_of(live.staff) if live else "",
            ]
        )
