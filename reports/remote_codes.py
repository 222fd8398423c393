"""Each code of a publication with what became of it, in pages that count nothing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from serials.codes import code_key
from serials.models import Batch, Serial
from sync.models import Publication, RemoteCoupon

Status = RemoteCoupon.Status
A_PAGE = 50
LONGEST_SEARCH = 300
MOST_HITS = 100
# What needs somebody first; the page without a filter goes through them in this order.
ORDER = (Status.UNKNOWN, Status.REFUSED, Status.WAITING, Status.LIVE, Status.GONE)
COLOURS = {
    Status.WAITING: "info",
    Status.LIVE: "success",
    Status.GONE: "default",
    Status.REFUSED: "danger",
    Status.UNKNOWN: "warning",
}
NAMES: dict[str, str | Promise] = {
    Status.WAITING: _("Waiting"),
    Status.LIVE: _("There"),
    Status.GONE: pgettext_lazy("publication", "Taken back"),
    Status.REFUSED: pgettext_lazy("publication", "Refused"),
    Status.UNKNOWN: _("Unclear"),
}
# Besides: there, and what was asked about it last was refused.
CHANGE_REFUSED = "change-refused"
FILTERS = (*Status.values, CHANGE_REFUSED)
# What is under way about a coupon that is there or not yet.
ERRANDS: dict[str, str | Promise] = {
    RemoteCoupon.Errand.CREATE: _("to be made"),
    RemoteCoupon.Errand.UPDATE: _("to be changed"),
    RemoteCoupon.Errand.DELETE: _("to be taken back"),
    RemoteCoupon.Errand.REDEEM: _("a use to be told"),
}


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: behind this row of this status."""

    status: str
    pk: int

    def __str__(self) -> str:
        return f"{self.status}.{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Cursor | None":
        """A cursor as an address carries it; None for anything else."""
        status, _dot, number = text.partition(".")
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        if status not in Status.values or not is_number:
            return None
        return cls(status, int(number))


@dataclass(frozen=True)
class CodePage:
    """Some rows, and where to go on; `next` is empty at the end."""

    rows: Sequence[RemoteCoupon]
    next: str = ""
    is_cut: bool = False  # a search found more than are shown


def page_of(
    publication: Publication, *, status: str = "", after: Cursor | None = None
) -> CodePage:
    """The rows behind `after`, of one status or of all, troubles first.

    One short query by (publication, status) for each status that the page touches.
    """
    wanted: list[str] = [status] if status else list(ORDER)
    if status == CHANGE_REFUSED:
        return changes_refused(publication, after)
    if after is not None:
        wanted = wanted[wanted.index(after.status) :] if after.status in wanted else []
    found = list(first(rows_from(publication, wanted, after), A_PAGE + 1))
    shown = found[:A_PAGE]
    last = shown[-1] if len(found) > A_PAGE else None
    return CodePage(shown, next=str(Cursor(last.status, last.pk)) if last else "")


def changes_refused(publication: Publication, after: Cursor | None) -> CodePage:
    """Those that are there, and whose last change, or taking back, was refused.

    The same that `retry` tries again. No index knows them: where there are none, all that
    is there is read, 0.3 s for a million.
    """
    rows = rows_of(publication).filter(status=Status.LIVE, errand="").exclude(detail="")
    found = list(rows.filter(pk__gt=after.pk if after else 0)[: A_PAGE + 1])
    shown = found[:A_PAGE]
    is_more = len(found) > A_PAGE
    return CodePage(
        shown, next=str(Cursor(Status.LIVE, shown[-1].pk)) if is_more else ""
    )


def is_change_refused(row: RemoteCoupon) -> bool:
    """Whether it is one of those."""
    return row.status == Status.LIVE and bool(row.detail) and not row.errand


def rows_from(
    publication: Publication, wanted: Iterable[str], after: Cursor | None
) -> Iterator[RemoteCoupon]:
    for status in wanted:
        rows = rows_of(publication).filter(status=status)
        if after is not None and after.status == status:
            rows = rows.filter(pk__gt=after.pk)
        yield from rows[: A_PAGE + 1]


def rows_of(publication: Publication) -> QuerySet[RemoteCoupon]:
    rows = RemoteCoupon.objects.filter(publication=publication)
    return rows.select_related("serial", "batch").defer("raw").order_by("pk")


def first(rows: Iterator[RemoteCoupon], count: int) -> Iterator[RemoteCoupon]:
    for n, row in enumerate(rows, start=1):
        yield row
        if n == count:
            return


# --- searching ------------------------------------------------------------------------


def search(publication: Publication, text: str) -> CodePage:
    """Rows whose code begins so, or whose name at the provider is exactly this."""
    found: dict[int, RemoteCoupon] = {}
    for look in (by_name_there, by_batch, by_serial):
        # Unordered: else the table is read in the order of its ids until enough match.
        for row in look(publication, text).order_by()[: MOST_HITS + 1]:
            found.setdefault(row.pk, row)
    rows = sorted(found.values(), key=code_of)
    return CodePage(rows[:MOST_HITS], is_cut=len(rows) > MOST_HITS)


Look = Callable[[Publication, str], QuerySet[RemoteCoupon]]


def by_name_there(publication: Publication, text: str) -> QuerySet[RemoteCoupon]:
    """Vivoldi's numbers have no dashes, whatever people type."""
    names = {text, text.replace("-", "").upper()}
    return rows_of(publication).filter(
        connection=publication.connection_id, remote_id__in=names
    )


def by_batch(publication: Publication, text: str) -> QuerySet[RemoteCoupon]:
    batches = Batch.objects.filter(
        campaign=publication.campaign_id, code_key=key_of(publication, text)
    )
    # Asked for first: joined, all rows would be read before none is found.
    ids = list(batches.exclude(code_key="").values_list("pk", flat=True))
    return rows_of(publication).filter(batch__in=ids)


def by_serial(publication: Publication, text: str) -> QuerySet[RemoteCoupon]:
    key = key_of(publication, text)
    serials = Serial.objects.filter(
        campaign=publication.campaign_id, code_key__startswith=key
    )
    ids = list(
        serials.order_by("code_key").values_list("pk", flat=True)[: MOST_HITS + 1]
    )
    return rows_of(publication).filter(serial__in=ids)


def key_of(publication: Publication, text: str) -> str:
    return code_key(text, is_case_sensitive=publication.campaign.is_case_sensitive)


def code_of(row: RemoteCoupon) -> str:
    """The code that a row stands for; LINE's coupon stands for none, and has an id."""
    if row.serial is not None:
        return row.serial.code
    return row.batch.code if row.batch is not None else row.remote_id
