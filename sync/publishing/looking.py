"""LINE: what became of creations that got no answer. One look settles many of them.

LINE has neither a key that makes a second try safe nor a search. So all its coupons are
listed, those with one of our names are read, and what says the same as a coupon in doubt
is that coupon: `claim_apart` sees to it that nothing of the same content is created
meanwhile. Only what a whole look does not find is created again.

Of an account with many coupons a look takes minutes, in which calls fail and workers
die. So it goes on some seconds at a time and keeps each page (see searching.py), and a
call that fails costs that call, not the look.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from deliveries.killpoints import killpoint
from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
    Unreadable,
)
from providers.line_coupons import CouponDetail, CouponPage
from sync.models import RemoteCoupon
from sync.ports.line import PICTURES, LinePort
from sync.ports.port import Kind, Outcome, shown
from sync.publishing.searching import (
    LIST,
    READ,
    Clock,
    Cursor,
    Fit,
    Held,
    Lost,
    begun,
    doubt_of,
    lost_rows,
    over,
    over_by,
    take,
)
from sync.publishing.terms import Terms

# LINE's clock and ours may differ by so much.
SLACK = timedelta(minutes=10)
STATUSES = ("RUNNING", "CLOSED")
MOST_PAGES = 10_000  # a list that goes on for ever is none
RESTARTS = 3  # of a list whose page token LINE doesn't take any more
TRIES = 3  # of one call in one turn
PASSING = (Unclear, Unreachable, Unreadable)  # may be another answer the next time
PATIENCE = 8  # turns without a step, some minutes, for details that get no answer
AT_ONCE = 20  # details of one step
SECONDS = 10  # of one turn

# Waits until one call to the endpoint may be made; False when it is too late for that.
Turn = Callable[[str], bool]
T = TypeVar("T")


class TooLate(Exception):
    """This turn is over; the next one goes on."""


@dataclass
class Look:
    """One turn at the search of an account. `rows` are claimed by the caller."""

    port: LinePort
    pool: ThreadPoolExecutor
    wait: Turn
    rows: Sequence[tuple[RemoteCoupon, Terms]]
    clock: Clock
    error: ProviderError | None = None  # why it has not come further
    failures: int = 0  # in a row, without any step between
    steps: int = 0
    tries: int = 0
    failed: ProviderError | None = None  # the last call that did
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + SECONDS

    def outcomes(self) -> dict[int, Outcome]:
        """What became of the rows: DONE with LINE's id, ABSENT, or UNCLEAR where a whole
        look could not tell. Rows that are missing have to wait for its end."""
        held = take(self.rows[0][0].connection_id, self.clock)
        if held is None:
            return {}
        try:
            unclear = self._go_on(held)
            held.let_go(has_failed=self.error is not None)
        except Lost:
            return {}
        self.failures = held.failures
        found = {row.pk: self._outcome(held, row, unclear) for row, _terms in self.rows}
        return {pk: outcome for pk, outcome in found.items() if outcome is not None}

    def _outcome(
        self, held: Held, row: RemoteCoupon, unclear: dict[str, str]
    ) -> Outcome | None:
        coupon_id = held.cursor.verdict(row)
        if coupon_id:
            return Outcome(Kind.DONE, coupon_id, calls=0)
        if coupon_id == "":
            return Outcome(Kind.ABSENT, calls=0)
        if str(row.pk) in unclear:
            return Outcome(Kind.UNCLEAR, detail=unclear[str(row.pk)], calls=0)
        return None

    def _go_on(self, held: Held) -> dict[str, str]:
        """As far as this turn's time goes; the rows that a whole look could not tell of,
        and why."""
        claimed, now = [row for row, _terms in self.rows], self.clock()
        lost = lost_rows(held.connection_id, claimed, held.cursor, now)
        held.cursor.forget(lost)
        if not held.cursor.rows:
            unknown = [
                row
                for row in lost
                if held.cursor.verdict(row) is None
                and (row in claimed or over_by(row, now))
            ]
            if not unknown:
                return {}
            held.keep(begun(unknown, held.cursor))
        wanted = self._wanted(held.cursor, lost)
        try:
            while held.cursor.stage == LIST:
                self._page(held, wanted)
            while held.cursor.stage == READ and held.cursor.ids:
                self._read(held, wanted)
        except TooLate:
            # Time was up before the last try; without a step it was a turn in trouble.
            self.error = None if self.steps else self.failed
            return {}
        except ProviderError as error:
            self.error = error
            return {}
        return self._end(held, wanted)

    def _wanted(
        self, cursor: Cursor, lost: Sequence[RemoteCoupon]
    ) -> list[tuple[RemoteCoupon, Terms]]:
        """The rows of this search, with what they were sent with."""
        return [
            (row, row.sent(row.publication.terms if row.publication else {}))
            for row in lost
            if str(row.pk) in cursor.rows
        ]

    # --- the list -----------------------------------------------------------------------

    def _page(self, held: Held, wanted: Sequence[tuple[RemoteCoupon, Terms]]) -> None:
        cursor = held.cursor
        try:
            page = self._ask(
                "list",
                lambda: self.port.client.page(statuses=STATUSES, start=cursor.next),
            )
        except Refused as error:
            self._restart(held, error)
            return
        pages, odd = cursor.pages + 1, _odd(page, cursor)
        is_last = not page.next
        if (page.next and page.next == cursor.next) or pages > MOST_PAGES:
            odd, is_last = "LINE's list of coupons does not come to an end.", True
        names = {shown(terms.get("title")) for _row, terms in wanted}
        ids = [one.coupon_id for one in page.items if shown(one.title) in names]
        ids = list(dict.fromkeys([*cursor.ids, *ids]))
        after = replace(cursor, next=page.next, pages=pages, ids=ids, odd=odd)
        if is_last:
            after = replace(after, stage=READ, ids=self._unknown(held, ids))
        killpoint("searched_before_commit")
        self._keep(held, after)

    def _restart(self, held: Held, error: Refused) -> None:
        """A page token lives 24 hours; with an old one the list starts again."""
        cursor = held.cursor
        if error.status != 400 or not cursor.next:
            raise error
        is_enough = cursor.restarts >= RESTARTS
        restarts = 0 if is_enough else cursor.restarts + 1
        self._keep(held, replace(cursor, next="", pages=0, ids=[], restarts=restarts))
        if is_enough:  # another turn, after a wait, begins it once more
            raise error

    def _unknown(self, held: Held, ids: Sequence[str]) -> list[str]:
        """Of these, whose are not ours already; one that a sync has seen is nobody's."""
        rows = RemoteCoupon.objects.named(held.connection_id, ids)
        known = rows.exclude(publication=None)
        taken = set(known.values_list("remote_id", flat=True))
        taken |= {coupon_id for _doubt, coupon_id in held.cursor.verdicts.values()}
        return [one for one in ids if one not in taken]

    # --- details ------------------------------------------------------------------------

    def _read(self, held: Held, wanted: Sequence[tuple[RemoteCoupon, Terms]]) -> None:
        """Some details at once. What got no answer is asked for again."""
        cursor, calls = held.cursor, self._start_details(held.cursor.ids[:AT_ONCE])
        fits = dict(cursor.fits)
        failed: dict[str, ProviderError] = {}
        for coupon_id, call in calls.items():
            try:
                detail = call.result()
                fit = self._fit(detail, wanted)
                if fit[1]:  # others of this name needn't be remembered
                    fits[coupon_id] = fit
            except Refused as error:
                if error.status != 404:  # one that is gone meanwhile
                    failed[coupon_id] = error
            except ProviderError as error:
                failed[coupon_id] = error
        done = calls.keys() - failed.keys()
        # Last, so that one that never gets an answer keeps no other from its turn.
        left = [one for one in cursor.ids if one not in calls.keys()]
        left += [one for one in cursor.ids if one in failed]
        if done:
            self._keep(held, replace(cursor, ids=left, fits=fits))
        if failed:
            self._note_failed(held, failed)

    def _note_failed(self, held: Held, failed: dict[str, ProviderError]) -> None:
        """Once for all of one step. What can't be read time and again stays unread: it
        may be one of ours."""
        refused = {one for one, e in failed.items() if _is_about_one(e)}
        if refused:
            self._leave_unread(held, refused, failed)
            return
        worst = next((e for e in failed.values() if not isinstance(e, PASSING)), None)
        if worst is None and held.failures >= PATIENCE and self._is_answered():
            self._leave_unread(held, set(failed), failed)
            return
        try:
            self._note_failure(worst or next(iter(failed.values())))
        except PASSING:
            odd = {one for one, e in failed.items() if isinstance(e, Unreadable)}
            if not odd:
                raise
            self._leave_unread(held, odd, failed)

    def _leave_unread(
        self, held: Held, ids: set[str], why: dict[str, ProviderError]
    ) -> None:
        left = [one for one in held.cursor.ids if one not in ids]
        words = str(why[min(ids)])[:300] or "A coupon can't be read."
        self._keep(held, replace(held.cursor, ids=left, odd=words))

    def _is_answered(self) -> bool:
        """Whether LINE answers otherwise: then it is these that it can't tell of."""
        if not self.wait("list"):
            return False
        try:
            self.port.client.page(limit=1)
        except ProviderError:
            return False
        return True

    def _start_details(self, ids: Sequence[str]) -> dict[str, Future[CouponDetail]]:
        calls: dict[str, Future[CouponDetail]] = {}
        for coupon_id in ids:
            if not self._may_ask("find"):
                break
            calls[coupon_id] = self.pool.submit(self.port.client.detail, coupon_id)
        if not calls:
            raise TooLate
        return calls

    def _fit(
        self, detail: CouponDetail, wanted: Sequence[tuple[RemoteCoupon, Terms]]
    ) -> Fit:
        """When it was made, and the rows that it may be."""
        rows = [row.pk for row, terms in wanted if self._is_it(row, terms, detail)]
        return detail.made_at.timestamp() if detail.made_at else None, rows

    def _is_it(self, row: RemoteCoupon, terms: Terms, detail: CouponDetail) -> bool:
        """The same in all that LINE tells, and not older than the first try."""
        tried_at = row.first_try_at
        if detail.made_at and tried_at and detail.made_at < tried_at - SLACK:
            return False
        found = self.port.differences(terms, detail.raw)
        return all(field in PICTURES for field, _ours, _theirs in found)

    # --- one call -----------------------------------------------------------------------

    def _ask(self, errand: str, question: Callable[[], T]) -> T:
        """The answer; where none comes it is asked for again, a few times."""
        while True:
            if not self._may_ask(errand):
                raise TooLate
            try:
                return question()
            except PASSING as error:
                self._note_failure(error)

    def _may_ask(self, errand: str) -> bool:
        """There is time for a first step in each turn, or none would ever come on."""
        is_first = not (self.steps or self.tries)
        return (is_first or time.monotonic() < self.ends) and self.wait(errand)

    def _note_failure(self, error: ProviderError) -> None:
        """Raises what is no passing trouble, or has come too often."""
        self.tries, self.failed = self.tries + 1, error
        if not isinstance(error, PASSING) or self.tries >= TRIES:
            raise error

    def _keep(self, held: Held, cursor: Cursor) -> None:
        held.keep(cursor)
        self.steps += 1
        self.tries = 0

    # --- the end ------------------------------------------------------------------------

    def _end(
        self, held: Held, wanted: Sequence[tuple[RemoteCoupon, Terms]]
    ) -> dict[str, str]:
        """Each coupon is one row's; the oldest that fits. What a look that could not
        read everything has not found is left in doubt, and not known for the next one."""
        cursor = held.cursor
        # Whose answer came since they were listed are somebody's by now.
        fits = self._unknown(held, list(cursor.fits))
        free = sorted(fits, key=lambda one: _age(cursor.fits[one]))
        verdicts, unclear = {}, {}
        for row, _terms in wanted:
            hit = next((one for one in free if row.pk in cursor.fits[one][1]), None)
            if hit is not None:
                free.remove(hit)
            if hit is None and cursor.odd:
                unclear[str(row.pk)] = cursor.odd
            else:
                verdicts[str(row.pk)] = (doubt_of(row), hit or "")
        self._keep(held, over(cursor, verdicts))
        return unclear


def _is_about_one(error: ProviderError) -> bool:
    """A clear no to one coupon's details, not to us."""
    is_about_us = isinstance(error, Unauthorised | TooMany)
    if not isinstance(error, Refused) or is_about_us:
        return False
    return error.status not in (403, 404)


def _odd(page: CouponPage, cursor: Cursor) -> str:
    return cursor.odd or "; ".join(page.oddities)[:300]


def _age(fit: Fit) -> tuple[bool, float]:
    made_at = fit[0]
    return made_at is None, made_at or 0.0
