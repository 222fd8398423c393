"""Doing errands: claimed rows go to the provider, and each answer decides what is next.

No provider has a key that makes a second try safe, so whatever got no clear answer is
looked up first; see the ports for how each of them tells.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Min, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.errors import SecretUnreadable
from connections.gate import Gate
from connections.health import note_error
from connections.models import Connection
from connections.pacing import book, hold
from contacts.models import Contact
from coupons.models import Coupon
from deliveries.killpoints import killpoint
from deliveries.sending import wait_after
from providers.errors import ProviderError, Unauthorised
from serials.models import Serial
from sync.models import Publication, RemoteCoupon
from sync.ports.choosing import port_of
from sync.ports.line import LinePort
from sync.ports.port import FAILED, Kind, Order, Outcome, Port, outcome_of
from sync.ports.vivoldi import VivoldiPort
from sync.publishing.judging import judge, later
from sync.publishing.looking import Look
from sync.publishing.settling import Result, settle
from sync.publishing.spending import ended_serials, good_again

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]
State = Publication.State
Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand

BLOCK = 200  # errands of one claim
BLOCK_SECONDS = 10  # that starting them may take
MOST_PUBLICATIONS = 500  # that one claim looks at
# An errand due this soon is worth waiting for, instead of for the next sweep.
SOON = timedelta(seconds=5)
SLOWED = timedelta(seconds=2)
# Of a look for lost creations: no turn was to be had, and in trouble.
HELD_UP = timedelta(seconds=1)
LONGEST_HELD_UP = timedelta(minutes=2)
CLOSING = (Kind.SLOW, Kind.UNAUTHORISED, Kind.FORBIDDEN)
# Of a closed one there may be something to take back that should be gone.
WORKED = (State.OPEN, State.CLOSING, State.CLOSED)


# --- which errands ----------------------------------------------------------------------


def accounts(now: datetime, *, of: int | None = None) -> list[int]:
    """Ids of connections with errands that are due, and that may be asked.

    `of` is a publication whose account alone is meant.
    """
    rested = Q(resting_until=None) | Q(resting_until__lte=now)
    found = Connection.objects.filter(rested, state=Connection.State.ACTIVE)
    if of is not None:
        found = found.filter(publications=of)
    ids = found.order_by("pk").values_list("pk", flat=True)
    return [pk for pk in ids if workable(pk, now)]


def workable(connection_id: int, now: datetime) -> list[int | None]:
    """Its publications with errands that are due; the nearest to its end first.

    None stands for coupons that belong to no publication.
    """
    due = _errands(connection_id).filter(next_try_at__lte=now)
    # One look into the index for each; EXISTS would read all that is due into a hash.
    first = due.filter(publication_id=OuterRef("pk")).order_by("next_try_at")
    next_try_at = Subquery(first.values("next_try_at")[:1])
    open_ones = (
        _worked(connection_id)
        .annotate(next_try_at=next_try_at)
        .filter(next_try_at__isnull=False)
    )
    done = F("live") + F("gone") + F("refused") + F("unknown")
    ids = open_ones.order_by(F("total") - done, "pk").values_list("pk", flat=True)
    found: list[int | None] = list(ids[:MOST_PUBLICATIONS])
    if due.filter(publication=None).exists():
        found.append(None)
    return found


def _errands(connection_id: int) -> Any:
    return RemoteCoupon.objects.filter(~Q(errand=""), connection_id=connection_id)


def _worked(connection_id: int) -> Any:
    return Publication.objects.filter(
        connection_id=connection_id, state__in=WORKED, pause_reason=""
    )


# --- the loop ---------------------------------------------------------------------------


def work(connection_id: int, *, seconds: float, clock: Clock = timezone.now) -> bool:
    """Do what is due at an account, block by block, for about `seconds`; True if more is.

    While one block's answers are stored the next one is already on its way.
    """
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(settings.SYNC_THREADS, "publish") as pool:
        running = _start_block(connection_id, pool, clock)
        while time.monotonic() < ends:
            if running is None and not _wait_for_next(connection_id, ends, clock):
                return False
            started = _start_block(connection_id, pool, clock)
            if running is not None:
                running.finish()
            running = started
        if running is None:
            return False
        running.finish()
    return True


def _start_block(
    connection_id: int, pool: ThreadPoolExecutor, clock: Clock
) -> "Block | None":
    now = clock()
    of = workable(connection_id, now)
    port = _port(connection_id, clock) if of else None
    if port is None:
        return None
    # Read first: the lease seems to end a little early, never late.
    lease_ends = time.monotonic() + settings.SYNC_LEASE.total_seconds()
    rows = RemoteCoupon.objects.all()
    claim = rows.claim_apart if isinstance(port, LinePort) else rows.claim
    taken = claim(
        _limit(port.pace("create").rate),
        connection_id=connection_id,
        of=of,
        now=now,
        lease=settings.SYNC_LEASE,
        settle=settings.SYNC_SETTLE,
    )
    if not taken:
        return None
    block = Block(port, connection_id, taken, lease_ends, pool, clock)
    block.start()
    return block


def _limit(rate: float) -> int:
    """No more than can be started in a short while, and well within the lease."""
    lease: float = settings.SYNC_LEASE.total_seconds()
    seconds = min(BLOCK_SECONDS, (lease - settings.SYNC_DEADLINE) / 2)
    return max(1, min(BLOCK, int(rate * seconds)))


def _port(connection_id: int, clock: Clock) -> Port | None:
    """The provider, where it may be asked now."""
    now = clock()
    try:
        connection = Connection.objects.get(pk=connection_id)
        if not may_ask(connection, now):
            return None
        return port_of(connection)
    except Connection.DoesNotExist:
        return None
    except SecretUnreadable:
        pause_unreadable(connection_id)
    except ProviderError as error:
        note_error(connection_id, error, at=now)
    return None


def pause_unreadable(connection_id: int) -> None:
    Connection(pk=connection_id).pause(
        _("The stored credentials cannot be read. Enter them again.")
    )


def may_ask(connection: Connection, now: datetime) -> bool:
    """Whether the account is neither paused nor resting."""
    rested = connection.resting_until is None or connection.resting_until <= now
    return rested and connection.state == Connection.State.ACTIVE


def _wait_for_next(connection_id: int, ends: float, clock: Clock) -> bool:
    """Sleep until an errand is due, when that is soon; False when none is."""
    now = clock()
    connection = Connection.objects.filter(pk=connection_id)
    found = connection.only("state", "resting_until").first()
    if found is None or not may_ask(found, now):
        return False
    ids = _worked(connection_id).values("pk")
    due = _errands(connection_id).filter(Q(publication__in=ids) | Q(publication=None))
    next_at = due.filter(next_try_at__lte=now + SOON).aggregate(at=Min("next_try_at"))
    if next_at["at"] is None:
        return False
    # Not less than a moment: a row that another worker has locked is due already.
    pause = max((next_at["at"] - now).total_seconds(), 0.05)
    if time.monotonic() + pause >= ends:
        return False
    time.sleep(pause)
    return True


# --- one block --------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One errand, ready to be done; `terms_no` says which terms the order has."""

    row: RemoteCoupon
    order: Order
    terms_no: int
    is_withdrawn: bool = False  # created in doubt, and no longer wanted


@dataclass
class Block:
    """Claimed errands of one connection, from the first call to the commit."""

    port: Port
    connection_id: int
    rows: list[RemoteCoupon]
    lease_ends: float  # monotonic
    pool: ThreadPoolExecutor
    clock: Clock
    gate: Gate = field(default_factory=Gate)
    results: list[Result] = field(default_factory=list)
    calls: list[tuple[Call, Future[Outcome | None]]] = field(default_factory=list)
    looked: list[tuple[Call, Outcome]] = field(default_factory=list)
    has_looked: bool = False
    troubles: list[tuple[Call, Outcome]] = field(default_factory=list)  # of a look
    booked: int = 0

    def start(self) -> None:
        """Put the calls into the pool, each piece of them at its booked time."""
        try:
            in_doubt, plain = self._split()
            for piece in self._pieces(plain):
                self._start_piece(piece)
            if in_doubt:
                self._look(in_doubt)
        except SecretUnreadable:
            pause_unreadable(self.connection_id)
            done = {call.row.pk for call, _future in self.calls}
            done |= {result.coupon.pk for result in self.results}
            self._put_off([row for row in self.rows if row.pk not in done])

    def _split(self) -> tuple[list[RemoteCoupon], list[RemoteCoupon]]:
        """What only a look at LINE's list can settle, and the rest."""
        if not isinstance(self.port, LinePort):
            return [], self.rows
        in_doubt = [row for row in self.rows if is_lost(row)]
        return in_doubt, [row for row in self.rows if not is_lost(row)]

    def _pieces(self, rows: Sequence[RemoteCoupon]) -> list[Sequence[RemoteCoupon]]:
        """Rows of the same errand together, for each has its own pace."""
        pieces: list[Sequence[RemoteCoupon]] = []
        for errand in Errand.values:
            alike = [row for row in rows if row.errand == errand]
            size = max(1, min(100, int(self.port.pace(errand).rate / 10)))
            pieces += [alike[n : n + size] for n in range(0, len(alike), size)]
        return pieces

    def _start_piece(self, piece: Sequence[RemoteCoupon]) -> None:
        errand = piece[0].errand
        needed = sum(
            self.port.calls(errand, is_doubtful=row.is_doubtful) for row in piece
        )
        if not self._wait_for_turn(errand, needed):
            self._put_off(piece)
            return
        self.booked += needed
        # After the wait: it is long enough for somebody to press Pause.
        for call in self._check(piece):
            self.calls.append((call, self.pool.submit(self._do, call)))

    def _put_off(self, rows: Sequence[RemoteCoupon]) -> None:
        self.results += [later(row, self.clock()) for row in rows]

    def _check(self, rows: Sequence[RemoteCoupon]) -> list[Call]:
        """The calls to make; rows with none to make get their result here."""
        ids = {row.publication_id for row in rows if row.publication_id}
        publications = Publication.objects.in_bulk(ids)
        people = _people(rows, publications)
        spent, good = _spent(rows), good_again(rows)
        known = self._known(rows)
        calls = []
        for row in rows:
            publication = publications.get(row.publication_id or 0)
            result = checked(row, publication, self.clock())
            if result is None and row.is_new and row.serial_id in spent:
                words = spent[row.serial_id]
                result = Result(row, Status.REFUSED, detail=words)
            if result is None and row.pk in good and _is_open(publication):
                result = Result(row, row.status, is_good=True)
            if result is not None:
                self.results.append(result)
            else:
                person = people.get(row.serial_id or 0)
                call = _call(row, publication, person)
                order = replace(
                    call.order,
                    ends=self._last_start(),
                    known=known.get(row.publication_id or 0, ""),
                )
                calls.append(replace(call, order=order))
        return calls

    def _known(self, rows: Sequence[RemoteCoupon]) -> dict[int, str]:
        """By publication of a number in doubt at Vivoldi: one that is surely there."""
        if not isinstance(self.port, VivoldiPort):
            return {}
        doubtful = {
            row.publication_id
            for row in rows
            if row.errand == Errand.CREATE and row.is_doubtful
        }
        there = RemoteCoupon.objects.filter(status=Status.LIVE, missing_since=None)
        names = there.order_by("-pk").values_list("remote_id", flat=True)
        return {
            pk: names.filter(publication=pk).first() or ""
            for pk in doubtful
            if pk is not None
        }

    def _may_start(self) -> bool:
        """A call that could outlive the lease is left to whoever claims it next."""
        left = self.lease_ends - time.monotonic()
        # Two calls belong to most errands; what takes more asks Order.may_go_on.
        return not self.gate.is_closed and left >= 2 * settings.SYNC_DEADLINE

    def _last_start(self) -> float:
        """After this instant (monotonic) no call begins: it could outlive the lease."""
        return self.lease_ends - float(settings.SYNC_DEADLINE)

    def _wait_for_turn(self, errand: str, count: int = 1) -> bool:
        if not self._may_start():
            return False
        now, pace = self.clock(), self.port.pace(errand)
        left = self.lease_ends - time.monotonic() - 2 * settings.SYNC_DEADLINE
        starts_at = book(
            self.connection_id,
            pace.endpoint,
            count,
            rate=pace.rate,
            now=now,
            latest=now + timedelta(seconds=left),
        )
        if starts_at is None:
            return False
        time.sleep(max((starts_at - now).total_seconds(), 0))
        return True

    def _do(self, call: Call) -> Outcome | None:
        """Runs in the pool: no database here. None when it was not started."""
        if not self._may_start():
            return None
        killpoint("before_http")
        outcome = ask(self.port, call)
        killpoint("after_http_before_commit")
        self._note(outcome.kind)
        return outcome

    def _note(self, kind: Kind) -> None:
        self.gate.note(is_failure=kind in FAILED, is_closing=kind in CLOSING)

    # --- what is in doubt at LINE -------------------------------------------------------

    def _look(self, rows: list[RemoteCoupon]) -> None:
        """Go on with the look for them; those that it has not settled yet come again."""
        calls = self._check(rows)
        if not calls or not isinstance(self.port, LinePort):
            return
        look = Look(
            self.port,
            self.pool,
            self._wait_and_hold,
            [(call.row, call.order.terms) for call in calls],
            self.clock,
        )
        outcomes = look.outcomes()
        self.has_looked = look.steps > 0
        if look.error is not None:
            trouble = outcome_of(look.error)
            self._note(trouble.kind)
            self.troubles.append((calls[0], trouble))
        again = self.clock() + wait_of(look)
        words = str(look.error or "")
        for call in calls:
            if call.row.pk in outcomes:
                self.looked.append((call, outcomes[call.row.pk]))
            else:  # nothing was asked for it: no failure of its own
                put_off = later(call.row, again)
                detail = words or put_off.detail
                self.results.append(replace(put_off, detail=detail))

    def _wait_and_hold(self, errand: str) -> bool:
        """A look may take longer than a lease: hold the whole block for another one."""
        half = settings.SYNC_LEASE.total_seconds() / 2
        if self.lease_ends - time.monotonic() < 2 * settings.SYNC_DEADLINE + half / 4:
            lease_ends = time.monotonic() + settings.SYNC_LEASE.total_seconds()
            if not RemoteCoupon.objects.renew(
                self.rows,
                now=self.clock(),
                lease=settings.SYNC_LEASE,
                settle=settings.SYNC_SETTLE,
            ):
                return False
            self.lease_ends = lease_ends
        return self._wait_for_turn(errand)

    # --- the end ------------------------------------------------------------------------

    def finish(self) -> None:
        """Wait for the answers and store them, all in one transaction."""
        answers = [(call, future.result()) for call, future in self.calls]
        answers += self.looked
        now = self.clock()
        outcomes = [outcome for _call_, outcome in answers if outcome is not None]
        self._book_rest(outcomes, now)
        judged = [
            judge(call.row, call.terms_no, call.is_withdrawn, outcome, now)
            if outcome is not None
            else later(call.row, now)
            for call, outcome in answers
        ]
        settle([*self.results, *judged], at=now)
        self._react([*answers, *self.troubles], now)
        killpoint("after_commit")

    def _book_rest(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Calls that nobody could foresee are paid for afterwards."""
        extra = sum(outcome.calls for outcome in outcomes) - self.booked
        pace = self.port.pace("create")
        if extra > 0 and not isinstance(self.port, LinePort):
            book(
                self.connection_id,
                pace.endpoint,
                extra,
                rate=pace.rate,
                now=now,
                latest=now + timedelta(days=1),
            )

    def _react(
        self, answers: Sequence[tuple[Call, Outcome | None]], now: datetime
    ) -> None:
        """What answers mean for more than one coupon."""
        outcomes = [outcome for _call_, outcome in answers if outcome is not None]
        for call, outcome in answers:
            if outcome is not None and outcome.kind == Kind.SLOW:
                errand = "list" if is_lost(call.row) else call.row.errand
                endpoint = self.port.pace(errand).endpoint
                hold(self.connection_id, endpoint, until=now + SLOWED)
                logger.warning(
                    "publish.slowed", extra={"connection": self.connection_id}
                )
                break
        self._note_health(outcomes, now)
        self._stop_forbidden(answers)

    def _note_health(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        answered = (Kind.DONE, Kind.REFUSED, Kind.ABSENT, Kind.NOTED)
        if self.has_looked or any(outcome.kind in answered for outcome in outcomes):
            Connection(pk=self.connection_id).note_success(at=now)
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        noes = [error for error in errors if isinstance(error, Unauthorised)]
        failed = [o.error for o in outcomes if o.error is not None and o.kind in FAILED]
        token = str(getattr(getattr(self.port, "client", None), "access_token", ""))
        for error in noes[:1] or failed[-self.gate.failures :][: self.gate.failures]:
            note_error(self.connection_id, error, at=now, token=token)
        if failed:
            logger.warning(
                "publish.failed",
                extra={"connection": self.connection_id, "count": len(failed)},
            )

    def _stop_forbidden(self, answers: Sequence[tuple[Call, Outcome | None]]) -> None:
        """403 is about the account: no other coupon would fare better."""
        for call, outcome in answers:
            if outcome is None or outcome.kind != Kind.FORBIDDEN:
                continue
            if outcome.error is not None:
                note_error(self.connection_id, outcome.error, at=self.clock())
            words = _("The provider doesn't allow this account to do it: %(said)s")
            paused = Publication.objects.filter(
                pk=call.row.publication_id or 0, pause_reason=""
            )
            paused.update(pause_reason=(words % {"said": outcome.detail})[:300])
            return


def wait_of(look: Look) -> timedelta:
    """How long until a look that isn't over goes on: at once, unless it was held up."""
    if look.error is not None:
        return min(wait_after(look.failures - 1), LONGEST_HELD_UP)
    return timedelta(0) if look.steps else HELD_UP


def is_lost(row: RemoteCoupon) -> bool:
    """Whether it may have been created under an id that we were not told."""
    return row.errand == Errand.CREATE and row.is_doubtful and not row.remote_id


def checked(
    row: RemoteCoupon, publication: Publication | None, now: datetime
) -> Result | None:
    """The result of a row that needs no call, or None."""
    if publication is None:
        return None
    if publication.pause_reason or publication.state not in WORKED:
        return later(row, now)
    if publication.state == State.CLOSING and row.is_new:
        return Result(row, Status.GONE)
    return None


def _is_open(publication: Publication | None) -> bool:
    return publication is not None and publication.state == State.OPEN


def _call(
    row: RemoteCoupon,
    publication: Publication | None,
    person: dict[str, str] | None,
) -> Call:
    terms = row.sent(publication.terms if publication else {})
    order = Order(
        remote_id=row.remote_id,
        terms={**terms, **(person or {})},
        is_doubtful=row.is_doubtful,
        secret=publication.onsite_password if publication else "",
        notes=row.own.get("redeem", {}),
    )
    is_closing = publication is not None and publication.state == State.CLOSING
    return Call(
        row,
        order,
        publication.terms_no if publication else 0,
        is_withdrawn=is_closing and row.errand == Errand.CREATE,
    )


def _spent(rows: Sequence[RemoteCoupon]) -> dict[int | None, str]:
    """Of those that are to be made: serials that were spent since they were prepared,
    and how."""
    new = [row for row in rows if row.serial_id and row.is_new]
    ids = [row.serial_id for row in new if row.serial_id]
    if not ids:
        return {}
    void = Serial.objects.filter(pk__in=ids, state=Serial.State.VOID)
    found: dict[int | None, str] = dict.fromkeys(
        void.values_list("pk", flat=True), _("Its serial is void.")
    )
    campaigns = {row.campaign_id for row in new if row.campaign_id}
    for campaign_id in campaigns:
        words = _("Its coupon was used or revoked here before it was made there.")
        found |= dict.fromkeys(ended_serials(campaign_id, ids), words)
    return found


def _people(
    rows: Sequence[RemoteCoupon], publications: dict[int, Publication]
) -> dict[int, dict[str, str]]:
    """Who has a serial, where the publication says that Vivoldi may know.

    Read at the moment of the call: nothing about people is kept beside a coupon.
    """
    serials = [
        row.serial_id
        for row in rows
        if row.serial_id
        and row.errand in (Errand.CREATE, Errand.UPDATE)
        and row.publication_id in publications
        and publications[row.publication_id].options.get("names_people")
    ]
    if not serials:
        return {}
    held = Coupon.objects.filter(serial__in=serials, contact__isnull=False)
    return {
        coupon.serial_id: _named(coupon.contact)
        for coupon in held.select_related("contact")
        if coupon.serial_id is not None and coupon.contact is not None
    }


def _named(contact: Contact) -> dict[str, str]:
    """Vivoldi's fields for a person; `userId` is the shop's own id where it has one."""
    found = {
        "userId": contact.external_id or str(contact.pk),
        "userNm": contact.name,
        "userPhnno": contact.phone,
        "userEml": contact.email,
        "userEtc1": contact.note_1,
        "userEtc2": contact.note_2,
    }
    return {name: value for name, value in found.items() if value}


def ask(port: Port, call: Call) -> Outcome:
    """Do the errand."""
    if call.is_withdrawn:
        return port.withdraw(call.order)
    errands = {
        Errand.CREATE: port.create,
        Errand.UPDATE: port.update,
        Errand.DELETE: port.delete,
        Errand.REDEEM: port.redeem,
    }
    return errands[Errand(call.row.errand)](call.order)
