"""Looking at LINE's own coupons: lists by status, then details of what may have changed.

A list tells ids and titles alone, but it can be asked by status, so which list a coupon
is in says its state without a call. A coupon that runs can't be changed by anybody, so
details are asked for only of new ones, of drafts, and of those that left the list of the
running. Source: Messaging API reference, "Get coupon list" and "Get coupon details".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from coupons.retrying import retrying
from deliveries.killpoints import killpoint
from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unreadable,
)
from providers.line_coupons import CouponDetail, CouponPage, Listed
from sync.models import Publication, RemoteCoupon
from sync.ports.line import LinePort
from sync.pulling.asking import wait_for_turn
from sync.pulling.comparing import comparing
from sync.pulling.looking import Look, oddity_words, unreadable
from sync.pulling.runs import Held
from sync.pulling.storing import Told
from sync.pulling.turn import Turn

DRAFT, RUNNING, CLOSED = "DRAFT", "RUNNING", "CLOSED"
RESTARTS = 3  # of one list whose page token LINE doesn't take any more
MOST_PAGES = 10_000  # a list that goes on for ever is none


@dataclass
class LineTurn(Turn):
    """A worker's turn at a LINE account."""

    port: LinePort

    def work(self, ends: float) -> bool:
        if self.stage == "" and not self._list(ends):
            return False
        if self.stage == "details" and not self._details(ends):
            return False
        return True

    # --- lists ------------------------------------------------------------------------

    def _list(self, ends: float) -> bool:
        """Read the lists, page by page; True when all have been read."""
        pace = self.port.pace("list")
        while self.stage == "":
            if self.is_over(ends) or not wait_for_turn(
                self.held, pace, self.port.client.deadline
            ):
                return False
            self._page()
        return True

    def _page(self) -> None:
        cursor = self.held.run.cursor
        todo = cursor.get("lists", self._statuses())
        start = cursor.get("next", "")
        try:
            page = self.port.client.page(statuses=todo[:1], start=start)
        except (TooMany, Unauthorised):
            raise
        except Refused as error:
            self._restart(todo, start, error)
            return
        pages = cursor.get("pages", 0) + 1
        if (page.next and page.next == start) or pages > MOST_PAGES:
            raise Unreadable("LINE's list of coupons does not come to an end.")
        after: dict[str, Any] = {"lists": todo, "next": page.next, "pages": pages}
        if not page.next:
            after |= {"lists": todo[1:], "pages": 0}
        if not after["lists"]:
            after = {"stage": "details"}
        killpoint("listed_before_commit")
        keep_page(self.held, page, todo[0], cursor=after)

    def _statuses(self) -> list[str]:
        """Drafts first: one that is published meanwhile is then among the running."""
        return [DRAFT, RUNNING, *([CLOSED] if self.held.run.is_whole else [])]

    @transaction.atomic
    def _restart(self, todo: list[str], start: str, error: Refused) -> None:
        """A page token lives 24 hours; with an old one the list starts again."""
        restarts = self.held.run.cursor.get("restarts", 0) + 1
        if error.status != 400 or not start or restarts > RESTARTS:
            raise error
        self.held.keep(
            cursor={"lists": todo, "restarts": restarts},
            calls=F("calls") + 1,
            failures=0,
        )

    # --- details ----------------------------------------------------------------------

    def _details(self, ends: float) -> bool:
        look = Look(
            self.held,
            self.pool,
            self.port.pace("find"),
            self.port.client.deadline,
            lambda row: self.port.client.detail(row.remote_id),
            read,
            self._next_rows,
            comparing(self.port),
            after_block=keep_adopted,
        )
        return look.work(ends)

    def _next_rows(self, after: int, limit: int) -> Sequence[RemoteCoupon]:
        rows = to_ask(self.held).filter(pk__gt=after).order_by("pk")
        return list(rows.only("pk", "remote_id")[:limit])


def to_ask(held: Held) -> QuerySet[RemoteCoupon]:
    """Whose details this run has still to ask for."""
    run = held.run
    rows = RemoteCoupon.objects.filter(
        Q(asked_at=None) | Q(asked_at__lt=run.started_at),
        connection_id=run.connection_id,
    ).exclude(remote_id="")
    # One that was deleted is asked about again only once a list has it.
    is_present = Q(missing_since=None) | Q(listed_at__gte=F("missing_since"))
    if run.is_whole:
        return rows.filter(is_present)
    unlisted = Q(listed_at=None) | Q(listed_at__lt=run.started_at)
    return rows.filter(
        is_present,
        Q(asked_at=None)
        | Q(told=DRAFT)
        | Q(unlisted, told__in=[RUNNING, ""])
        | ~Q(problem=""),
    )


def read(row: RemoteCoupon, answer: CouponDetail | ProviderError) -> Told:
    """What to write down of an answer about one coupon."""
    if isinstance(answer, Refused) and answer.status == 404:
        return Told(row.pk, is_missing=True)
    if isinstance(answer, ProviderError):
        return unreadable(row, answer)
    if not answer.status:
        # Without its state nothing can be said of it; the row keeps what it had.
        words = oddity_words(answer.oddities)
        return Told(row.pk, problem=words, is_unreadable=True)
    values = {
        "title": answer.title,
        "told": answer.status,
        "raw": answer.raw,
        "starts_at": answer.starts_at,
        "ends_at": answer.ends_at,
        "made_at": answer.made_at,
    }
    return Told(row.pk, values, problem=oddity_words(answer.oddities))


@retrying
@transaction.atomic
def keep_page(
    held: Held, page: CouponPage, status: str, *, cursor: dict[str, Any]
) -> None:
    """Write down who is in a list, and where it goes on."""
    at = max(held.clock(), held.run.started_at)
    connection_id = held.run.connection_id
    items = {item.coupon_id: item for item in page.items}
    known = RemoteCoupon.objects.filter(
        connection_id=connection_id, remote_id__in=list(items)
    )
    # Its details have changed where its state has, or where it had been missed.
    is_news = ~Q(told__in=["", status]) | Q(missing_since__isnull=False)
    known.filter(is_news).update(asked_at=None)
    known.update(listed_at=at)
    seen = set(known.values_list("remote_id", flat=True))
    _add([item for key, item in items.items() if key not in seen], held, status, at)
    held.keep(
        cursor=cursor,
        listed=F("listed") + len(items),
        calls=F("calls") + 1,
        failures=0,
        **_noted(page),
    )


def _noted(page: CouponPage) -> dict[str, str]:
    words = oddity_words(page.oddities)
    return {"problem": words[:300]} if words else {}


def _add(new: Sequence[Listed], held: Held, status: str, at: datetime) -> None:
    """Rows for coupons that we don't know; one that is being made here may be among
    them, and whoever makes it takes the row's place."""
    RemoteCoupon.objects.bulk_create(
        (
            RemoteCoupon(
                connection_id=held.run.connection_id,
                remote_id=item.coupon_id,
                title=item.title,
                status=RemoteCoupon.Status.LIVE,
                told=status,
                listed_at=at,
            )
            for item in new
        ),
        ignore_conflicts=True,
    )


def keep_adopted(rows: Sequence[RemoteCoupon]) -> None:
    """An adopted coupon's terms are what LINE has: a draft may be edited there."""
    for row in rows:
        publication = row.publication
        if publication is None or not publication.is_adopted:
            continue
        terms = terms_of(row.raw)
        if terms and terms != publication.terms:
            Publication.objects.filter(pk=publication.pk).update(terms=terms)


# What a coupon's details have beside the fields of its creation.
NOT_SENT = frozenset(
    "couponId status createdTimestamp maxTicketPerUser maxAcquireCount".split()
)


def terms_of(raw: Any) -> dict[str, Any]:
    """Details as the request that would make the same coupon."""
    if not isinstance(raw, dict):
        return {}
    terms = {name: value for name, value in raw.items() if name not in NOT_SENT}
    reward = terms.get("reward")
    if isinstance(reward, dict) and isinstance(reward.get("priceInfo"), dict):
        price = {k: v for k, v in reward["priceInfo"].items() if k != "currency"}
        terms["reward"] = {**reward, "priceInfo": price}
    return terms
