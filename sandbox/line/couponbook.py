"""The native coupons of every channel and the tickets that people hold of them.

Only keeps and finds; what LINE allows stands in `coupons.py` (over the API) and in
`wallet.py` (on the phone).
"""

import itertools
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.storage import Storage


@dataclass(slots=True)
class Path:
    """What came of a coupon by one way of handing it out, as the insight tells it."""

    opened: int = 0
    acquired: int = 0
    used: int = 0


@dataclass(slots=True)
class Coupon:
    """One native coupon. `fields` are the create call's; what is unset is absent."""

    id: str
    number: int  # rises with each coupon made: the list's order
    channel: str
    fields: dict[str, Any]
    made_at: int  # seconds since 1970, as all times here
    is_draft: bool = False
    by_hand: bool = False  # made in the manager, not over the API
    closed_at: float | None = None
    picture: str = ""  # ids of stored pictures
    barcode: str = ""
    paths: dict[str, Path] = field(default_factory=dict)  # by delivery tag

    @property
    def starts_at(self) -> int:
        return int(self.fields["startTimestamp"])

    @property
    def ends_at(self) -> int:
        return int(self.fields["endTimestamp"])

    @property
    def condition(self) -> dict[str, Any]:
        found: dict[str, Any] = self.fields["acquisitionCondition"]
        return found

    @property
    def max_tickets(self) -> int:
        """How many of it one person may hold."""
        return int(self.fields.get("maxTicketPerUser", 1))

    @property
    def has_unlimited_uses(self) -> bool:
        return bool(self.fields["maxUseCountPerTicket"] == -1)

    @property
    def acquired(self) -> int:
        return sum(path.acquired for path in self.paths.values())

    def status(self, at: float) -> str:
        """LINE's three words: RUNNING before its start too, CLOSED for either end."""
        if self.is_draft:
            return "DRAFT"
        if self.closed_at is not None or at >= self.ends_at:
            return "CLOSED"
        return "RUNNING"

    def path(self, tag: str) -> Path:
        """The count for a delivery tag; without one LINE says Unknown."""
        return self.paths.setdefault(tag or "Unknown", Path())


@dataclass(slots=True)
class Ticket:
    """One coupon in one person's hands, or the lot they drew in vain."""

    coupon_id: str
    user_id: str
    place: int  # 0 for their first of this coupon
    at: float
    tag: str = ""  # the delivery that brought them
    is_won: bool = True
    uses: int = 0
    used_at: float | None = None


class CouponBook:
    """Coupons, tickets and pictures, with a file behind them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._of: dict[str, dict[str, Coupon]] = {}
        self._tickets: dict[tuple[str, str], list[Ticket]] = {}
        self._pictures: dict[str, tuple[str, bytes]] = {}
        self._numbers = itertools.count(1)
        # Outcomes of the lotteries to come, for whoever sets the stage; then chance.
        self.fate: deque[bool] = deque()

    # Coupons

    def next_number(self) -> int:
        return next(self._numbers)

    def get(self, channel: str, coupon_id: str) -> Coupon | None:
        """This channel's coupon of that id."""
        return self._of.get(channel, {}).get(coupon_id)

    def newest_first(self, channel: str) -> Iterator[Coupon]:
        return reversed(self._of.get(channel, {}).values())

    def running(self, channel: str, at: float) -> int:
        """How many of a channel's coupons are valid, or will be."""
        return sum(c.status(at) == "RUNNING" for c in self.newest_first(channel))

    def has_room(self, channel: str, most: int, at: float) -> bool:
        """Whether fewer than `most` are; quick while there are not that many at all."""
        made = len(self._of.get(channel, {}))
        return made < most or self.running(channel, at) < most

    def save(self, coupon: Coupon) -> None:
        """Keep a coupon, new or changed."""
        self._hold(coupon)
        row = (coupon.id, coupon.channel, json.dumps(asdict(coupon)))
        self._storage.put("coupon", row)

    def remove(self, coupon: Coupon) -> None:
        """Forget a draft."""
        del self._of[coupon.channel][coupon.id]
        self._storage.forget("coupon", (coupon.id,))

    def _hold(self, coupon: Coupon) -> None:
        self._of.setdefault(coupon.channel, {})[coupon.id] = coupon

    # Tickets

    def tickets(self, coupon: Coupon, user_id: str) -> list[Ticket]:
        """What somebody holds of a coupon, first got first."""
        return self._tickets.get((coupon.id, user_id), [])

    def save_ticket(self, ticket: Ticket) -> None:
        """Keep a ticket, new or changed."""
        held = self._tickets.setdefault((ticket.coupon_id, ticket.user_id), [])
        if ticket not in held:
            held.append(ticket)
        row = (
            ticket.coupon_id,
            ticket.user_id,
            ticket.place,
            ticket.at,
            ticket.tag,
            ticket.is_won,
            ticket.uses,
            ticket.used_at,
        )
        self._storage.put("ticket", row)

    # Pictures

    def save_picture(self, picture_id: str, kind: str, raw: bytes) -> None:
        """Keep a picture of the media type `kind`."""
        self._pictures[picture_id] = (kind, raw)
        self._storage.put("picture", (picture_id, kind, raw))

    def picture(self, picture_id: str) -> tuple[str, bytes] | None:
        return self._pictures.get(picture_id)

    # The file

    def load(self) -> None:
        """Read everything back."""
        for picture_id, kind, raw in self._storage.rows("picture"):
            self._pictures[picture_id] = (kind, raw)
        for _, _, text in self._storage.rows("coupon"):
            row = json.loads(text)
            row["paths"] = {tag: Path(**path) for tag, path in row["paths"].items()}
            self._hold(Coupon(**row))
        for row in self._storage.rows("ticket"):
            ticket = Ticket(*row)
            ticket.is_won = bool(ticket.is_won)  # SQLite has no truth of its own
            key = (ticket.coupon_id, ticket.user_id)
            self._tickets.setdefault(key, []).append(ticket)
        made = (coupon for coupons in self._of.values() for coupon in coupons.values())
        last = max((coupon.number for coupon in made), default=0)
        self._numbers = itertools.count(last + 1)
