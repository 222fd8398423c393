"""Redemption records as CSV, streamed, safe to open in a spreadsheet."""

import csv
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from coupons.models import Coupon
from reports.story import VERIFIED_WAYS
from serials.codes import excel_safe
from stores.naming import name_of

PAGE = 2_000  # rows


class Echo:
    """A file that hands back what is written, so that csv can stream."""

    def write(self, value: str) -> str:
        return value


def records_csv(
    records: QuerySet[Coupon],
    *,
    zone: ZoneInfo,
    pulse: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Lines of CSV: UTF-8 BOM, CRLF, quoted; times in `zone`, which the head names.

    `pulse` is called now and then, to say that a long download goes on.
    """
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL, lineterminator="\r\n")

    def line(cells: Iterable[str]) -> str:
        written: str = writer.writerow(cells)
        return written

    def when(at: datetime | None) -> str:
        # Without the ' of other cells: a spreadsheet may well make a date of it.
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
            _("way"),
        ]
    )
    for record in _paged(records, pulse):
        live = next(iter(record.live), None)  # type: ignore[attr-defined]
        yield line(
            [
                record.shown_number,
                record.get_status_display(),
                excel_safe(str(record.contact or "")),
                when(record.sent_at),
                when(record.opened_at),
                when(record.redeemed_at),
                when(record.verified_at),
                excel_safe(record.code),
                excel_safe(str(live.store or "")) if live else "",
                excel_safe(name_of(live.staff)) if live else "",
                str(VERIFIED_WAYS[live.way]) if live else "",
            ]
        )


def _paged(records: QuerySet[Coupon], pulse: Callable[[], None]) -> Iterator[Coupon]:
    """The records by id, each page a query of its own.

    A cursor held over a slow download would keep a whole million rows waiting.
    """
    last = 0
    while page := list(records.filter(pk__gt=last).order_by("pk")[:PAGE]):
        pulse()
        yield from page
        last = page[-1].pk
