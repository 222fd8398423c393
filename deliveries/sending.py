"""Sending: claimed dispatches go to LINE, and each answer decides what is next.

A request is repeated with the same key and the same bytes until LINE's answer is clear,
so a worker may die anywhere: LINE answers 409 to what it has accepted before.
"""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, Min, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.clients import line_client
from connections.errors import SecretUnreadable
from connections.gate import Gate
from connections.models import Connection
from connections.pacing import book, hold
from connections.services import keep_quota, note_error
from coupons.models import Coupon
from deliveries.killpoints import killpoint
from deliveries.messages import body_again
from deliveries.models import Delivery, Dispatch, Recipient, Result
from deliveries.refusing import ENDS, end_words, refusal
from deliveries.settling import doubt, settle
from providers.errors import ProviderError, Unauthorised
from providers.line import Kind, LineClient, Outcome, Quota

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]
Status = Dispatch.Status
State = Delivery.State

BLOCK = 200  # dispatches of one claim
BOOKED = 100  # calls booked at once in the bucket, and at most 0.1 s of them
PUSH = "push"  # the bucket's name
# LINE forgets a retry key after 24 hours; a try after that could be a second message.
TRY_FOR = timedelta(hours=23)
LONGEST_WAIT = timedelta(minutes=10)
# A retry due this soon is worth waiting for, instead of for the next sweep.
SOON = timedelta(seconds=5)
FAILED = (Kind.UNCLEAR, Kind.UNREACHABLE)
CLOSING = (Kind.RATE, Kind.QUOTA, Kind.UNAUTHORISED)


# --- which deliveries -------------------------------------------------------------


def sendable(now: datetime) -> dict[int, list[int]]:
    """Deliveries that may send at `now`, by connection; the nearest to its end first.

    So one message to one contact does not wait behind a hundred thousand.
    """
    rested = Q(connection__resting_until=None) | Q(connection__resting_until__lte=now)
    begun = Q(native_starts_at=None) | Q(native_starts_at__lte=now)
    ready = Delivery.objects.filter(
        rested,
        begun,
        state=State.READY,
        send_at__lte=now,
        connection__state=Connection.State.ACTIVE,
    ).select_related("campaign")
    settled = F("accepted") + F("refused") + F("unknown") + F("cancelled")
    found: dict[int, list[int]] = {}
    for delivery in ready.order_by(F("total") - settled, "pk"):
        if not refusal(delivery, now):
            found.setdefault(delivery.connection_id, []).append(delivery.pk)
    return found


def stop_late(now: datetime) -> list[int]:
    """Cancel ready deliveries that will not send any more; their ids."""
    stopped = []
    ready = Delivery.objects.filter(state=State.READY, send_at__lte=now)
    for delivery in ready.select_related("campaign"):
        code = refusal(delivery, now)
        if code in ENDS and delivery.move(
            (State.READY,), State.CANCELLED, pause_reason=end_words(code)
        ):
            stopped.append(delivery.pk)
    return stopped


# --- the loop -----------------------------------------------------------------------


def send_due(*, seconds: float, clock: Clock = timezone.now) -> bool:
    """Send what is due, block by block, for about `seconds`; True if more is due.

    A block takes at most settings.SEND_LEASE longer. While one block's answers are
    stored the next one is already on its way.
    """
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(settings.SEND_THREADS, "push") as pool:
        running: list[Block] = []
        while time.monotonic() < ends:
            started = list(_start_blocks(pool, clock))
            for block in running:
                block.finish()
            running = started
            if not started and not _wait_for_next(ends, clock):
                return False
        for block in running:
            block.finish()
    return True


def _start_blocks(pool: ThreadPoolExecutor, clock: Clock) -> Iterator["Block"]:
    Dispatch.objects.release_expired(now=clock())
    for connection_id, delivery_ids in sendable(clock()).items():
        client = _client(connection_id, clock)
        block = client and _claim(client, connection_id, delivery_ids, clock)
        if block:
            block.start(pool)
            yield block


def _client(connection_id: int, clock: Clock) -> LineClient | None:
    try:
        connection = Connection.objects.get(pk=connection_id)
        return line_client(connection, deadline=settings.SEND_DEADLINE)
    except SecretUnreadable:
        Connection(pk=connection_id).pause(
            _("The stored access token cannot be read. Paste it again.")
        )
    except ProviderError as error:  # a token of ours could not be issued
        note_error(connection_id, error, at=clock())
    return None


def _claim(
    client: LineClient, connection_id: int, delivery_ids: list[int], clock: Clock
) -> "Block | None":
    # Read first: the lease seems to end a little early, never late.
    lease = settings.SEND_LEASE.total_seconds()
    lease_ends = time.monotonic() + lease
    # No more than can be started within the lease.
    limit = int(settings.SEND_RATE * (lease - settings.SEND_DEADLINE))
    rows = Dispatch.objects.claim(
        max(1, min(BLOCK, limit)),
        of=delivery_ids,
        now=clock(),
        lease=settings.SEND_LEASE,
    )
    return Block(client, connection_id, rows, lease_ends, clock) if rows else None


def _wait_for_next(ends: float, clock: Clock) -> bool:
    """Sleep until a row is due, when that is soon; False when nothing is."""
    now = clock()
    ids = [pk for found in sendable(now).values() for pk in found]
    queued = Dispatch.objects.filter(delivery_id__in=ids, status=Status.QUEUED)
    next_at = queued.aggregate(at=Min("next_try_at"))["at"] if ids else None
    if next_at is None or next_at > now + SOON:
        return False
    # Not less than a moment: a row that another worker has locked is due already.
    pause = max((next_at - now).total_seconds(), 0.05)
    if time.monotonic() + pause >= ends:
        return False
    time.sleep(pause)
    return True


# --- one block ------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One request, ready to go."""

    row: Dispatch
    body: bytes = field(repr=False)
    retry_key: UUID


@dataclass
class Block:
    """Claimed dispatches of one connection, from the first call to the commit."""

    client: LineClient
    connection_id: int
    rows: list[Dispatch]
    lease_ends: float  # monotonic
    clock: Clock
    gate: Gate = field(default_factory=Gate)
    results: list[Result] = field(default_factory=list)
    calls: list[tuple[Dispatch, Future[Outcome | None]]] = field(default_factory=list)

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Put the calls into the pool, each hundred of them at its booked time."""
        size = max(1, min(BOOKED, settings.SEND_RATE // 10))
        for first in range(0, len(self.rows), size):
            piece = self.rows[first : first + size]
            if self._wait_for_turn(len(piece)):
                # After the wait: it is long enough for somebody to press Cancel.
                ready = self._check_rows(piece)
                self.calls += [(c.row, pool.submit(self._push, c)) for c in ready]
            else:
                self.results += [_later(row, self.clock()) for row in piece]

    def _check_rows(self, rows: Sequence[Dispatch]) -> list[Call]:
        """The calls to make; rows that must not be sent get their result here."""
        now = self.clock()
        ids = [row.pk for row in rows]
        recipients = Recipient.objects.filter(dispatch_id__in=ids)
        found = {
            recipient.dispatch_id: recipient
            for recipient in recipients.select_related("contact", "coupon")
        }
        deliveries = Delivery.objects.in_bulk({row.delivery_id for row in rows})
        calls = []
        for row in rows:
            checked = check(row, deliveries[row.delivery_id], found[row.pk], now)
            if isinstance(checked, Result):
                self.results.append(checked)
            else:
                calls.append(Call(row, checked, row.retry_key))
        return calls

    def _may_start(self) -> bool:
        """A call that could outlive the lease is left to whoever claims it next."""
        left = self.lease_ends - time.monotonic()
        return not self.gate.is_closed and left >= self.client.deadline

    def _wait_for_turn(self, count: int) -> bool:
        if not self._may_start():
            return False
        now = self.clock()
        left = self.lease_ends - time.monotonic() - self.client.deadline
        starts_at = book(
            self.connection_id,
            PUSH,
            count,
            rate=settings.SEND_RATE,
            now=now,
            latest=now + timedelta(seconds=left),
        )
        if starts_at is None:
            return False
        time.sleep(max((starts_at - now).total_seconds(), 0))
        return True

    def _push(self, call: Call) -> Outcome | None:
        """Runs in the pool: no database here. None when it was not started."""
        if not self._may_start():
            return None
        killpoint("before_http")
        outcome = self.client.push(call.body, retry_key=call.retry_key)
        killpoint("after_http_before_commit")
        self._note(outcome.kind)
        return outcome

    def _note(self, kind: Kind) -> None:
        self.gate.note(is_failure=kind in FAILED, is_closing=kind in CLOSING)

    def finish(self) -> None:
        """Wait for the answers and store them, all in one transaction."""
        answers = [(row, call.result()) for row, call in self.calls]
        now = self.clock()
        outcomes = [outcome for _row, outcome in answers if outcome is not None]
        self._react(answers, now)
        self._note_health(outcomes, now)
        judged = [
            judge(row, outcome, now) if outcome else _later(row, now)
            for row, outcome in answers
        ]
        settle([*self.results, *judged], at=now)
        killpoint("after_commit")

    def _react(
        self, answers: Sequence[tuple[Dispatch, Outcome | None]], now: datetime
    ) -> None:
        """What LINE's noes mean for more than one message."""
        stopped = {
            kind: {row.delivery_id for row, out in answers if out and out.kind == kind}
            for kind in CLOSING
        }
        if stopped[Kind.UNAUTHORISED]:
            refused = Unauthorised("", 401)
            token = self.client.access_token
            if note_error(self.connection_id, refused, at=now, token=token):
                logger.error(
                    "send.unauthorised", extra={"connection": self.connection_id}
                )
        slowed, used_up = stopped[Kind.RATE], stopped[Kind.QUOTA]
        if not slowed and not used_up:
            return
        # The two 429s differ by their text alone, which LINE may change: look it up.
        quota = _ask_quota(self.client, self.connection_id)
        if quota and quota.limit is not None and quota.used >= quota.limit:
            used_up = used_up | slowed
        for delivery in Delivery.objects.filter(pk__in=used_up):
            delivery.move((State.READY,), State.PAUSED, pause_reason=_used_up(quota))
            logger.error("send.quota_used_up", extra={"delivery": delivery.pk})
        if slowed:
            hold(self.connection_id, PUSH, until=now + timedelta(seconds=1))
            logger.warning("send.slowed", extra={"connection": self.connection_id})

    def _note_health(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        connection = Connection(pk=self.connection_id)
        answered = [o for o in outcomes if o.kind in (Kind.ACCEPTED, Kind.REFUSED)]
        if answered:
            connection.note_success(at=now)
        if self.gate.failures:
            failed = [o for o in outcomes if o.kind in FAILED]
            detail = failed[-1].detail if failed else ""
            connection.note_failures(self.gate.failures, detail, at=now)
            logger.warning(
                "send.failed",
                extra={"connection": self.connection_id, "count": len(failed)},
            )


def check(
    row: Dispatch, delivery: Delivery, recipient: Recipient, now: datetime
) -> bytes | Result:
    """The bytes to send, or why this dispatch ends here unsent."""
    contact, coupon = recipient.contact, recipient.coupon
    if delivery.state != State.READY:  # paused or cancelled since the claim
        return _later(row, now)
    if row.is_doubtful and row.first_try_at and now >= row.first_try_at + TRY_FOR:
        if coupon and coupon.opened_at:  # the link was in that message alone
            return Result(row, Status.ACCEPTED, now)
        return _unknown(row, now, doubt(_("Tried for 23 hours.")))
    if not row.is_doubtful and not (contact.is_reachable and contact.line_user_id):
        words = _("The contact blocked the account or was erased before its turn.")
        return Result(row, Status.CANCELLED, now, detail=words)
    if not row.is_doubtful and coupon and coupon.status == Coupon.Status.REVOKED:
        words = _("The coupon was withdrawn before its turn.")
        return Result(row, Status.CANCELLED, now, detail=words)
    if not row.is_doubtful and coupon and coupon.is_expired(now):
        words = _("The coupon had expired before its turn.")
        return Result(row, Status.CANCELLED, now, detail=words)
    if not row.is_doubtful and delivery.is_native_over(now):
        return Result(row, Status.CANCELLED, now, detail=end_words("native_ended"))
    body = None
    with contextlib.suppress(ValueError):
        token = coupon.token if coupon else ""
        body = body_again(delivery, contact, token=token, body_hash=row.body_hash)
    if body is None:
        words = _("The contact's LINE id or the message has changed since preparing.")
        return _unknown(row, now, doubt(words) if row.is_doubtful else words)
    return body


def judge(row: Dispatch, outcome: Outcome, now: datetime) -> Result:
    """What an answer of LINE makes of its dispatch."""
    if outcome.kind == Kind.ACCEPTED:
        return Result(row, Status.ACCEPTED, now, request_id=outcome.request_id)
    if outcome.kind == Kind.REFUSED:
        return Result(
            row,
            Status.REFUSED,
            now,
            request_id=outcome.request_id,
            detail=outcome.detail,
        )
    is_failure = outcome.kind in FAILED
    wait = timedelta(0)
    if is_failure:
        wait = wait_after(row.failures)
    elif outcome.kind == Kind.RATE:
        # No failure, but whoever is told so again and again waits up to a minute.
        wait = wait_after(min(row.tries - 1, 6))
    return Result(
        row,
        Status.QUEUED,
        now + wait,
        is_doubtful=row.is_doubtful or outcome.kind == Kind.UNCLEAR,
        is_failure=is_failure,
        detail=outcome.detail,
    )


def wait_after(failures: int) -> timedelta:
    """1 s x 2^n and up to a quarter more, so that rows do not come back at once."""
    seconds = min(2.0 ** min(failures, 20), LONGEST_WAIT.total_seconds())
    return timedelta(seconds=seconds * random.uniform(1, 1.25))  # noqa: S311


def _later(row: Dispatch, now: datetime) -> Result:
    """Not started: as if it had not been claimed."""
    return Result(row, Status.QUEUED, now, is_doubtful=row.is_doubtful)


def _unknown(row: Dispatch, now: datetime, words: str) -> Result:
    return Result(row, Status.UNKNOWN, now, detail=words)


def _ask_quota(client: LineClient, connection_id: int) -> Quota | None:
    try:
        quota = client.quota()
    except ProviderError:
        return None
    keep_quota(connection_id, quota)
    return quota


def _used_up(quota: Quota | None) -> str:
    if quota is None or quota.limit is None:
        return _("LINE says that the month's messages are used up.")
    return _(
        "LINE says that the month's messages are used up: %(used)s of %(limit)s. "
        "Buy more or wait for the next month, then resume."
    ) % {"used": f"{quota.used:,}", "limit": f"{quota.limit:,}"}
