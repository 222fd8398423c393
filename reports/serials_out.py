"""Serials with their state as CSV, read in short queries while the file goes out.

The order is that of the campaign's unique key, by which a page begins where the last one
ended whatever happens in between. Batch and state are picked out of each page: asked for
in the query, they let PostgreSQL sort the whole campaign for a page of a small batch.
"""

import csv
import io
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, QuerySet

from coupons.models import Coupon
from reports.models import SerialExport
from serials.codes import excel_safe
from serials.models import Batch, Serial
from serials.reading import EXPORT_HEADER

PAGE = 5_000  # serials a query
BOM = "\ufeff"

States = SerialExport.States
State = Serial.State
# Where a cell would be taken for two, or not be read as it is.
_TO_QUOTE = re.compile(r'[",;\t\r\n]|\A\s|\s\Z')
# What a coupon has come to that says more of its serial than that it is taken.
TELLING = (Coupon.Status.VERIFIED.value, Coupon.Status.REVOKED.value)

Guard = Callable[[str], str]
# A line of the file, as EXPORT_HEADER names its cells. The state is one of free, taken,
# verified, revoked, void, fixed: never translated.
Line = tuple[str, str, str, str, str, str]
# What is read of a serial, and of the coupon that has it.
Row = tuple[str, int, str, int, int, datetime | None]
SERIAL = ("code_key", "pk", "code", "state", "batch_id", "taken_at")
Holder = tuple[str, str, datetime | None]
COUPON = ("serial_id", "number", "status", "verified_at")


# --- the file -----------------------------------------------------------------------


def csv_of(export: SerialExport, *, page: int = PAGE) -> Iterator[str]:
    """The file, a page of lines at a time; memory stays that of one page.

    For a spreadsheet it begins with UTF-8's mark, and what it would run or change has '
    before it. Plain it has neither: a till takes both for a part of the serial.
    """
    is_plain = export.format == SerialExport.Format.PLAIN
    is_whole = export.columns == SerialExport.Columns.ALL
    write, guard = (plain, str) if is_plain else (all_quoted, excel_safe)
    width = len(EXPORT_HEADER) if is_whole else 1
    yield ("" if is_plain else BOM) + write([EXPORT_HEADER[:width]])
    for lines in lines_of(export, guard, with_coupons=is_whole, page=page):
        if lines:
            yield write(lines if is_whole else [line[:1] for line in lines])


def all_quoted(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows(rows)
    return text.getvalue()


def plain(rows: Iterable[Sequence[str]]) -> str:
    """CSV of cells as they are, quoted only where it could not be read otherwise."""
    return "".join([",".join(map(bare, row)) + "\r\n" for row in rows])


def bare(cell: str) -> str:
    if _TO_QUOTE.search(cell) is None:
        return cell
    return '"' + cell.replace('"', '""') + '"'


def squeezed(pieces: Iterable[str]) -> Iterator[bytes]:
    """The text in UTF-8, gzipped: a fifth of it or less to send."""
    # Its quickest level: a slow line, not the processor, is what a download waits for.
    squeeze = zlib.compressobj(level=1, wbits=31)
    for piece in pieces:
        if some := squeeze.compress(piece.encode()):
            yield some
    yield squeeze.flush()


# --- what stands in it --------------------------------------------------------------


def batches_of(export: SerialExport) -> QuerySet[Batch]:
    """The batches it is about: whole ones, in the marketer's order."""
    batches = exportable(export.campaign_id).select_related("stock")
    return batches.filter(pk=export.batch_id) if export.batch_id else batches


def exportable(campaign_id: int | OuterRef) -> QuerySet[Batch]:
    """What of a campaign can be exported: an import under way keeps its serials to itself."""
    whole = Batch.objects.filter(campaign=campaign_id, state__in=Batch.State.whole())
    return whole.order_by("position", "pk")


def wanted_of(export: SerialExport) -> set[States]:
    return set(States) if export.states == States.ALL else {States(export.states)}


def lines_of(
    export: SerialExport, guard: Guard, *, with_coupons: bool, page: int
) -> Iterator[list[Line]]:
    """The lines, a list for each page read; fixed texts come first, one line each."""
    batches = {batch.pk: batch for batch in batches_of(export)}
    wanted = wanted_of(export)
    yield fixed_lines(batches.values(), wanted, guard)
    if all(batch.is_fixed for batch in batches.values()):
        return
    names = {pk: guard(name_of(batch)) for pk, batch in batches.items()}
    kinds = kinds_of(batches.values())
    zone = export.campaign.zone
    for rows in pages(export.campaign_id, page):
        chosen = [row for row in rows if kinds.get((row[4], row[3])) in wanted]
        taken = [row[1] for row in chosen if row[3] == State.TAKEN]
        holders = holders_of(taken) if with_coupons else {}
        yield [
            line_of(row, kinds[row[4], row[3]], names[row[4]], holders, guard, zone)
            for row in chosen
        ]


def name_of(batch: Batch) -> str:
    """The batch's name on one line, as a line of the file needs it."""
    return " ".join(batch.name.split())


def fixed_lines(
    batches: Iterable[Batch], wanted: Collection[States], guard: Guard
) -> list[Line]:
    """Fixed texts: one that can be given out is neither free nor taken."""
    lines: list[Line] = []
    for batch in batches:
        kind = States.VOID if batch.state == Batch.State.VOID else States.ALL
        if batch.is_fixed and kind in wanted:
            state = "void" if kind == States.VOID else "fixed"
            lines.append((guard(batch.code), state, guard(name_of(batch)), "", "", ""))
    return lines


def kinds_of(batches: Iterable[Batch]) -> dict[tuple[int, int], States]:
    """What a serial counts as, by its batch and its own state."""
    kinds = {}
    for batch in batches:
        # The rows of a batch that is being made void follow one after the other.
        is_ready = batch.state == Batch.State.READY
        kinds[batch.pk, int(State.FREE)] = States.FREE if is_ready else States.VOID
        kinds[batch.pk, int(State.TAKEN)] = States.TAKEN
        kinds[batch.pk, int(State.VOID)] = States.VOID
    return kinds


def pages(campaign_id: int, size: int) -> Iterator[list[Row]]:
    """A campaign's serials in the order of their keys, so many by each query."""
    serials = Serial.objects.filter(campaign_id=campaign_id).order_by("code_key")
    # No cursor: over a slow download it would keep a transaction open.
    rows = list(serials.values_list(*SERIAL)[:size])
    while rows:
        yield rows
        if len(rows) < size:
            return
        after = serials.filter(code_key__gt=rows[-1][0])
        rows = list(after.values_list(*SERIAL)[:size])


def holders_of(serial_ids: Collection[int]) -> dict[int, Holder]:
    """The coupons that have these serials, by one query.

    Not joined to the serials' own: PostgreSQL then reads all coupons for each page.
    """
    if not serial_ids:
        return {}
    found = Coupon.objects.filter(serial__in=serial_ids).values_list(*COUPON)
    return {pk: (number, status, at) for pk, number, status, at in found}


def line_of(
    row: Row,
    kind: States,
    batch: str,
    holders: dict[int, Holder],
    guard: Guard,
    zone: ZoneInfo,
) -> Line:
    _key, pk, code, _state, _batch_id, taken_at = row
    if pk not in holders:
        return guard(code), kind.value, batch, local(taken_at, zone), "", ""
    number, status, verified_at = holders[pk]
    return (
        guard(code),
        status if status in TELLING else kind.value,
        batch,
        local(taken_at, zone),
        f"{number[:4]}-{number[4:8]}-{number[8:]}",  # as it is printed
        local(verified_at, zone),
    )


def local(at: datetime | None, zone: ZoneInfo) -> str:
    """An instant on the campaign's clocks, with what they are ahead of UTC."""
    return at.astimezone(zone).isoformat(" ", "seconds") if at else ""
