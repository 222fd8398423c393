"""A search at LINE as a row: who goes on with it, and how far it has come."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from sync.models import RemoteCoupon, Search

Clock = Callable[[], datetime]
Verdict = tuple[str, str]  # which doubt, and LINE's id, "" where it isn't there
Fit = tuple[float | None, list[int]]  # when it was made, and the rows it may be

LIST, READ = "list", "read"
MOST_ROWS = 500  # of one search


class Lost(Exception):
    """The search belongs to another worker by now."""


@dataclass
class Cursor:
    """Where a search stands, as JSON can say it.

    `rows` are those it looks for: primary key -> when the doubt about it began, so that
    a later doubt about the same row is another one. `fits` are LINE's ids of what may be
    ours. A verdict holds as long as its doubt: nothing is created meanwhile.
    """

    rows: dict[str, str] = field(default_factory=dict)
    stage: str = ""
    next: str = ""
    pages: int = 0
    restarts: int = 0
    odd: str = ""  # what could not be read: who isn't found may be there all the same
    ids: list[str] = field(default_factory=list)  # still to be read
    fits: dict[str, Fit] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def verdict(self, row: RemoteCoupon) -> str | None:
        """What was found of this doubt about the row; None for nothing yet."""
        doubt, coupon_id = self.verdicts.get(str(row.pk), ("", ""))
        return coupon_id if doubt == doubt_of(row) else None

    def forget(self, lost: Iterable[RemoteCoupon]) -> None:
        """Leave only what is still in the same doubt."""
        doubts = {str(row.pk): doubt_of(row) for row in lost}
        self.rows = {pk: was for pk, was in self.rows.items() if doubts.get(pk) == was}
        self.verdicts = {
            pk: verdict
            for pk, verdict in self.verdicts.items()
            if doubts.get(pk) == verdict[0]
        }


def begun(rows: Iterable[RemoteCoupon], was: Cursor) -> Cursor:
    """A search for these, from the first page on; what was found before stays known."""
    wanted = {str(row.pk): doubt_of(row) for row in rows}
    return Cursor(rows=wanted, stage=LIST, verdicts=was.verdicts)


def over(was: Cursor, verdicts: dict[str, Verdict]) -> Cursor:
    """A search that has come to its end with these."""
    return Cursor(verdicts={**was.verdicts, **verdicts})


def doubt_of(row: RemoteCoupon) -> str:
    """Which doubt about a row it is: that of the first try that got no answer."""
    return row.first_try_at.isoformat() if row.first_try_at else ""


@dataclass
class Held:
    """An account's search, which this worker alone may write to for a lease."""

    connection_id: int
    cursor: Cursor
    failures: int
    token: datetime
    clock: Clock

    def keep(self, cursor: Cursor) -> None:
        """Write down how far it has come. Raises Lost."""
        self._write(cursor, failures=0, until=self.clock() + settings.SYNC_LEASE)

    def let_go(self, *, has_failed: bool) -> None:
        """Leave it to whoever comes next; a failure with no step between counts."""
        failures = self.failures + 1 if has_failed else self.failures
        self._write(self.cursor, failures=failures, until=None)

    def _write(self, cursor: Cursor, *, failures: int, until: datetime | None) -> None:
        mine = Search.objects.filter(
            connection_id=self.connection_id, leased_until=self.token
        )
        if not mine.update(
            cursor=asdict(cursor), failures=failures, leased_until=until
        ):
            raise Lost
        self.cursor, self.failures = cursor, failures
        self.token = until or self.token


def take(connection_id: int, clock: Clock) -> Held | None:
    """The account's search for this worker; None while another one has it."""
    Search.objects.get_or_create(connection_id=connection_id)
    now = clock()
    token = now + settings.SYNC_LEASE
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    mine = Search.objects.filter(free, connection_id=connection_id)
    if not mine.update(leased_until=token):
        return None
    found = Search.objects.get(connection_id=connection_id)
    cursor = Cursor(**found.cursor)
    return Held(connection_id, cursor, found.failures, token, clock)


def lost_rows(
    connection_id: int, claimed: Sequence[RemoteCoupon], cursor: Cursor, now: datetime
) -> list[RemoteCoupon]:
    """What is in doubt at the account: what is claimed, what a search knows, what is due.

    Others may be under way, or the provider may still be busy with them.
    """
    ids = {row.pk for row in claimed}
    known = {int(pk) for pk in (*cursor.rows, *cursor.verdicts)}
    others = (
        RemoteCoupon.objects.filter(
            Q(next_try_at__lte=now) | Q(pk__in=known),
            connection_id=connection_id,
            errand=RemoteCoupon.Errand.CREATE,
            remote_id="",
            first_try_at__isnull=False,
        )
        .exclude(pk__in=ids)
        .defer("raw")
        .select_related("publication")
        .defer("publication__onsite_password")
        .order_by("next_try_at")
    )
    return [*claimed, *others[: MOST_ROWS + len(known)]]


def over_by(row: RemoteCoupon, now: datetime) -> bool:
    """Whether what was asked for it is over: only then a look sees what became of it."""
    return row.next_try_at is not None and row.next_try_at <= now
