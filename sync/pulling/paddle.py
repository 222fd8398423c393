"""Looking at Paddle's codes: list pages by product, then single looks for the unlisted.

Paddle has no call for one coupon, and its manual doesn't say whether codes for the whole
checkout are listed without a product: what no list has shown is looked up by the list's
filter for one code, and only then said to be missing. Source: Paddle Classic API, "List
coupons".
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from providers.errors import ProviderError, Refused, TooMany, Unauthorised, Unreadable
from providers.paddle import MOST_LISTED, NO_PRODUCT, PaddleCoupon, PaddlePage
from sync.models import Publication, RemoteCoupon
from sync.ports.paddle import PaddlePort
from sync.ports.products import Asking, look_for, products_of
from sync.pulling.asking import wait_for_turn
from sync.pulling.comparing import comparing, sent_of
from sync.pulling.counting import count_uses
from sync.pulling.looking import Look, oddity_words, unreadable
from sync.pulling.planning import budget, longest_unasked, next_planned
from sync.pulling.runs import Held
from sync.pulling.storing import MOST_USES, Told, store
from sync.pulling.turn import Turn

MOST_PAGES = 10_000


@dataclass
class PaddleTurn(Turn):
    """A worker's turn at a Paddle account."""

    port: PaddlePort
    _more: int = 0
    _lock: Lock = field(default_factory=Lock)

    def work(self, ends: float) -> bool:
        if self.stage == "" and not self._list(ends):
            return False
        if self.stage == "plan":
            self._plan()
        if self.stage == "single" and not self._look_up(ends):
            return False
        return True

    # --- lists ------------------------------------------------------------------------

    def _list(self, ends: float) -> bool:
        """Read the lists, page by page; True when all have been read."""
        if "products" not in self.held.run.cursor:
            self._begin()
        while self.stage == "":
            deadline = self.port.client.deadline
            if self.is_over(ends) or not wait_for_turn(
                self.held, self.port.pace("list"), deadline
            ):
                return False
            self._page()
        return True

    @transaction.atomic
    def _begin(self) -> None:
        self.held.keep(cursor=self._lists(done=[], gone=[]))

    def _lists(
        self, done: Sequence[int | None], gone: Sequence[int | None]
    ) -> dict[str, Any]:
        """The cursor of the lists that are left; without any it goes on to plan."""
        wanted = lists_of(self.held.run.connection_id, gone)
        left = [product_id for product_id in wanted if product_id not in done]
        if not left:
            return {"stage": "plan"}
        return {"products": left, "done": list(done), "gone": list(gone)}

    def _page(self) -> None:
        cursor = self.held.run.cursor
        product_id, offset = cursor["products"][0], cursor.get("offset", 0)
        asked_at = self.held.clock()
        try:
            page = self.port.client.page(product_id=product_id, offset=offset)
        except (TooMany, Unauthorised):
            raise
        except Refused as error:
            self._skip(product_id, error)
            return
        first = page.coupons[0].code if page.coupons else ""
        pages = cursor.get("pages", 0) + 1
        if (offset and first == cursor.get("first")) or pages > MOST_PAGES:
            raise Unreadable("Paddle's list of coupons does not come to an end.")
        self._keep(page, asked_at, self._after(page, offset, pages, first))

    def _after(
        self, page: PaddlePage, offset: int, pages: int, first: str
    ) -> dict[str, Any]:
        cursor: dict[str, Any] = self.held.run.cursor
        if page.count >= MOST_LISTED:
            return cursor | {
                "offset": offset + page.count,
                "pages": pages,
                "first": first,
            }
        return self._next_list()

    def _next_list(self, *, is_gone: bool = False) -> dict[str, Any]:
        """After the first list; with `is_gone` its product isn't there any more, and
        another one of its publications shows their codes."""
        cursor = self.held.run.cursor
        product_id = cursor["products"][0]
        gone = [*cursor.get("gone", []), *([product_id] if is_gone else [])]
        return self._lists([*cursor.get("done", []), product_id], gone)

    def _keep(
        self, page: PaddlePage, asked_at: datetime, cursor: dict[str, Any]
    ) -> None:
        """Codes that are not from here are counted, and that is all."""
        told = {coupon.code: coupon for coupon in page.coupons}
        known = RemoteCoupon.objects.named(self.held.run.connection_id, told)
        found = known.only("pk", "remote_id")
        noted = oddity_words(page.oddities)
        problem = {"problem": noted[:300]} if noted else {}
        rows = store(
            self.held,
            [told_of(row, told[row.remote_id]) for row in found],
            asked_at=asked_at,
            compare=comparing(self.port),
            is_list=True,
            listed=F("listed") + page.count,
            calls=F("calls") + 1,
            cursor=cursor,
            **problem,
        )
        count_uses(rows, self.held.clock)

    @transaction.atomic
    def _skip(self, product_id: int | None, error: Refused) -> None:
        """A list that Paddle doesn't give: its codes are looked up one by one, if no
        other product of theirs shows them."""
        words = {
            "product": product_id or "–",
            "detail": error,
        }
        said = _("Paddle gives no list for the product %(product)s: %(detail)s") % words
        self.held.keep(
            cursor=self._next_list(is_gone=error.code == NO_PRODUCT),
            calls=F("calls") + 1,
            failures=0,
            problem=said[:300],
        )

    # --- one by one -------------------------------------------------------------------

    @transaction.atomic
    def _plan(self) -> None:
        limit = budget(self.port.pace("find").rate)
        plan = longest_unasked(unlisted(self.held), limit)
        self.held.keep(cursor={"stage": "single", "plan": plan})

    def _look_up(self, ends: float) -> bool:
        plan = self.held.run.cursor.get("plan", [])
        look = Look(
            self.held,
            self.pool,
            self.port.pace("find"),
            self.port.client.deadline,
            self._find,
            read,
            lambda after, limit: next_planned(self.held.run, plan, after, limit),
            comparing(self.port),
            after_block=lambda rows: count_uses(rows, self.held.clock),
            more_calls=self._take_more,
        )
        return look.work(ends)

    def _find(self, row: RemoteCoupon) -> PaddlePage:
        """Runs in the pool: no database here. By all of its products, if need be."""
        asking = Asking(products_of(sent_of(row)), self.port.gone, self._may_go_on)
        try:
            page = look_for(self.port.client, row.remote_id, asking)
        finally:
            with self._lock:
                self._more += asking.calls - 1
        if page is None:
            raise asking.refusal or Unreadable("Paddle has no list for this code.")
        return page

    def _may_go_on(self) -> bool:
        return self.held.left() >= self.port.client.deadline

    def _take_more(self) -> int:
        """How many calls there were beyond one for each code, since the last time."""
        with self._lock:
            more, self._more = self._more, 0
        return more


def lists_of(connection_id: int, gone: Collection[int | None] = ()) -> list[int | None]:
    """A product of each publication's there; None stands for whole checkouts, and for
    codes of products that are all among those `gone`."""
    current = Publication.objects.filter(
        connection_id=connection_id, state__in=Publication.CURRENT
    )
    found = {
        next((one for one in products_of(terms) if one not in gone), None)
        for terms in current.values_list("terms", flat=True)
    }
    return sorted(found, key=lambda product_id: (product_id is None, product_id or 0))


def unlisted(held: Held) -> QuerySet[RemoteCoupon]:
    """Ours that should be there and that no list of this run has shown."""
    started_at = held.run.started_at
    return RemoteCoupon.objects.filter(
        Q(listed_at=None) | Q(listed_at__lt=started_at),
        Q(asked_at=None) | Q(asked_at__lt=started_at),
        connection_id=held.run.connection_id,
        status=RemoteCoupon.Status.LIVE,
        publication__state__in=Publication.CURRENT,
    )


def read(row: RemoteCoupon, answer: PaddlePage | ProviderError) -> Told:
    """What to write down of a look for one code."""
    if isinstance(answer, ProviderError):
        return unreadable(row, answer)
    for coupon in answer.coupons:
        if coupon.code == row.remote_id:
            return told_of(row, coupon)
    if answer.oddities:  # what could not be read may be the one
        words = oddity_words(answer.oddities)
        return Told(row.pk, problem=words, is_unreadable=True)
    return Told(row.pk, is_missing=True)


def told_of(row: RemoteCoupon, coupon: PaddleCoupon) -> Told:
    """A code as Paddle lists it; a count that makes no sense leaves ours alone."""
    values: dict[str, Any] = {
        "title": coupon.description,
        "told": "",
        "raw": coupon.raw,
        "ends_at": coupon.expires_at,
    }
    return Told(
        row.pk,
        values | used_of(coupon.times_used),
        problem=oddity_words(coupon.oddities),
    )


def used_of(count: int | None) -> dict[str, Any]:
    """The new value of `used`, where the provider tells one."""
    return {} if count is None else {"used": min(count, MOST_USES)}
