"""LINE: what became of creations that got no answer. One look settles many of them.

LINE has neither a key that makes a second try safe nor a search. So all its coupons are
listed, those with one of our names are read, and what says the same as a coupon in doubt
is that coupon: `claim_apart` sees to it that nothing of the same content is created
meanwhile. Only what a whole look does not find is created again.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from providers.errors import ProviderError, Refused
from providers.line_coupons import CouponDetail, Listed
from sync.models import RemoteCoupon
from sync.ports.line import PICTURES, LinePort
from sync.ports.port import Kind, Outcome, outcome_of, shown
from sync.publishing.terms import Terms

# LINE's clock and ours may differ by so much.
SLACK = timedelta(minutes=10)
STATUSES = ("RUNNING", "CLOSED")
MOST_PAGES = 1_000

# Waits until one call to the endpoint may be made; False when it is too late for that.
Turn = Callable[[str], bool]


@dataclass
class Look:
    """Rows in doubt, and how they are looked for."""

    port: LinePort
    pool: ThreadPoolExecutor
    wait: Turn
    rows: Sequence[tuple[RemoteCoupon, Terms]]

    def outcomes(self) -> dict[int, Outcome]:
        """What became of each row: DONE with its id, ABSENT, or no answer yet.

        A look that stays incomplete settles what it found and leaves the rest in doubt.
        """
        try:
            listed, is_whole = self._list()
            details, has_all = self._read(self._unknown(listed))
        except ProviderError as error:
            failed = outcome_of(error)
            if failed.kind == Kind.REFUSED:
                failed = Outcome(Kind.UNCLEAR, detail=failed.detail, error=error)
            return {row.pk: failed for row, _terms in self.rows}
        rest = Kind.ABSENT if is_whole and has_all else Kind.UNCLEAR
        return self._match(details, rest)

    def _list(self) -> tuple[list[Listed], bool]:
        """Coupons with the names of ours, and whether all could be seen."""
        names = {shown(terms.get("title")) for _row, terms in self.rows}
        found: list[Listed] = []
        is_whole, start = True, ""
        for _number in range(MOST_PAGES):
            if not self.wait("list"):
                return found, False
            page = self.port.client.page(statuses=STATUSES, start=start)
            found += [one for one in page.items if shown(one.title) in names]
            is_whole = is_whole and not page.oddities
            if not page.next:
                return found, is_whole
            start = page.next
        return found, False

    def _unknown(self, listed: Sequence[Listed]) -> list[str]:
        """Of these, whose are not ours already; one that a sync has seen is nobody's."""
        ids = [one.coupon_id for one in listed]
        rows = RemoteCoupon.objects.named(self.rows[0][0].connection_id, ids)
        known = rows.exclude(publication=None)
        taken = set(known.values_list("remote_id", flat=True))
        return [one for one in dict.fromkeys(ids) if one not in taken]

    def _read(self, ids: Sequence[str]) -> tuple[list[CouponDetail], bool]:
        """The details of these, and whether all of them could be read."""
        calls: list[Future[CouponDetail | None]] = []
        for coupon_id in ids:
            if not self.wait("find"):
                break
            calls.append(self.pool.submit(self._detail, coupon_id))
        found = [call.result() for call in calls]
        details = [detail for detail in found if detail is not None]
        return details, len(calls) == len(ids)

    def _detail(self, coupon_id: str) -> CouponDetail | None:
        """Runs in the pool: no database here. None for one that is gone meanwhile."""
        try:
            return self.port.client.detail(coupon_id)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def _match(self, details: Sequence[CouponDetail], rest: Kind) -> dict[int, Outcome]:
        """Each coupon is one row's; the oldest that fits."""
        free = sorted(details, key=_age)
        outcomes = {}
        for row, terms in self.rows:
            hit = next((one for one in free if self._is_it(row, terms, one)), None)
            if hit is None:
                outcomes[row.pk] = Outcome(rest, calls=0)
                continue
            free.remove(hit)
            outcomes[row.pk] = Outcome(Kind.DONE, hit.coupon_id, calls=0)
        return outcomes

    def _is_it(self, row: RemoteCoupon, terms: Terms, detail: CouponDetail) -> bool:
        """The same in all that LINE tells, and not older than the first try."""
        tried_at = row.first_try_at
        if detail.made_at and tried_at and detail.made_at < tried_at - SLACK:
            return False
        found = self.port.differences(terms, detail.raw)
        return all(field in PICTURES for field, _ours, _theirs in found)


def _age(detail: CouponDetail) -> tuple[bool, float]:
    made_at: datetime | None = detail.made_at
    return made_at is None, made_at.timestamp() if made_at else 0.0
