"""A campaign at each account: its state in words, its numbers, and what needs somebody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from campaigns.models import Campaign
from connections.models import SECRETS, Connection
from coupons.moments import local
from sync.models import Difference, Publication, RemoteCoupon, Run
from sync.states import Derived, derived_state

Provider = Connection.Provider
State = Publication.State
Status = RemoteCoupon.Status
Words = str | Promise

MOST_COUNTED = 1_000  # beyond, "1,000+" is said: nobody needs it to the last one
MOST_EARLIER = 200  # publications of a campaign that are looked through

# What people would otherwise look for in vain.
CANNOT: dict[str, Sequence[Words]] = {
    Provider.LINE: (
        gettext_lazy(
            "LINE doesn't tell who got this coupon or who used it; its own manager "
            "shows totals."
        ),
        gettext_lazy(
            "Nothing about it can be changed at LINE. A change closes it and makes "
            "another."
        ),
    ),
    Provider.PADDLE: (
        gettext_lazy(
            "Paddle can't be asked about one code: each look reads its lists, and says "
            "how often a code was used, not by whom."
        ),
        gettext_lazy("A use can't be taken back at Paddle."),
    ),
    Provider.VIVOLDI: (
        gettext_lazy(
            "Vivoldi has no list of its coupons: each is asked about by itself, a few a "
            "minute."
        ),
        gettext_lazy("A use can't be cancelled at Vivoldi."),
    ),
}
# Of a coupon by itself, as LINE's are.
DERIVED_COLOURS = {
    Derived.WAITING: "info",
    Derived.REFUSED: "danger",
    Derived.UNKNOWN: "warning",
    Derived.UPCOMING: "info",
    Derived.RUNNING: "success",
    Derived.CLOSED_ELSEWHERE: "danger",
    Derived.MISSING: "danger",
    Derived.OTHER: "warning",
}


@dataclass(frozen=True)
class Card:
    """One account, and what it has of the campaign.

    `publication` is the current one, else the last that was taken back; `coupon` its
    only coupon where there is one for everybody, as at LINE.
    """

    connection: Connection
    publication: Publication | None = None
    coupon: RemoteCoupon | None = None
    open_differences: int = 0
    errands: int = 0  # things to be done there; no more than MOST_COUNTED are counted
    is_stuck: bool = False  # what was to be taken back was refused there
    run: Run | None = None
    earlier: int = 0

    @property
    def is_current(self) -> bool:
        return self.publication is not None and self.publication.state != State.CLOSED

    @property
    def is_account_paused(self) -> bool:
        return self.connection.state == Connection.State.PAUSED

    @property
    def is_line(self) -> bool:
        return self.connection.provider == Provider.LINE

    @property
    def is_working(self) -> bool:
        """Whether numbers may change without anybody pressing a button."""
        if not self.is_current or self.publication is None or self.is_held:
            return False
        if self.publication.state == State.CLOSING:
            return not self.is_stuck
        is_prepared = self.publication.prepared_at is not None
        is_told = self.publication.is_changing or self.publication.is_clearing
        return not is_prepared or is_told or bool(self.errands)

    @property
    def replaced(self) -> Publication | None:
        """What it replaces, while that is being closed."""
        old = self.publication.replaces if self.publication else None
        return old if old is not None and old.state == State.CLOSING else None

    @property
    def is_held(self) -> bool:
        """Whether its work waits for a person."""
        is_paused = self.publication is not None and self.publication.pause_reason
        return self.is_current and (bool(is_paused) or self.is_account_paused)

    @property
    def done(self) -> int:
        """How far it is, of its total."""
        found = self.publication
        if found is None:
            return 0
        if found.state == State.CLOSING:
            return found.gone + found.refused
        return found.total - found.waiting

    @property
    def troubles(self) -> int:
        found = self.publication
        if found is None or not self.is_current:
            return 0
        return (
            found.unknown
            if found.state == State.CLOSING
            else found.refused + found.unknown
        )

    @cached_property
    def state(self) -> tuple[str, Words]:
        """Kind of its label, and the words."""
        return state_of(self)

    @property
    def cannot(self) -> Sequence[Words]:
        return CANNOT[self.connection.provider]

    @property
    def looked_at(self) -> datetime | None:
        return self.run.finished_at or self.run.started_at if self.run else None

    @property
    def version(self) -> str:
        """Another one, and the page has to be drawn anew."""
        found = self.publication
        parts = [
            found and found.pk,
            found and found.state,
            self.is_held,
            self.errands > 0,
        ]
        return "-".join(str(part) for part in parts)


def state_of(card: Card) -> tuple[str, Words]:
    found = card.publication
    if found is None:
        return "default", _("not published")
    if found.state == State.CLOSED:
        return "default", Publication.State(found.state).label
    is_moving = found.state != State.OPEN or found.is_changing or card.errands
    if card.is_account_paused and (is_moving or found.waiting):
        return "warning", _("account paused")
    if found.pause_reason:
        return "warning", _("paused")
    if card.is_stuck:
        return "warning", _("partly taken back")
    if found.state != State.OPEN:
        return "info", Publication.State(found.state).label
    if found.waiting:
        return "info", _("being published")
    return state_of_open(card, found)


def state_of_open(card: Card, found: Publication) -> tuple[str, Words]:
    """When nothing waits any more: is all of it there?"""
    if found.unknown:
        return "warning", _("unclear")
    if found.refused:
        words = (
            _("partly refused") if found.live else pgettext("publication", "refused")
        )
        return ("warning" if found.live else "danger"), words
    if card.errands:
        return "info", _("being changed")
    return "success", Publication.State(found.state).label


def coupon_state(coupon: RemoteCoupon, at: datetime) -> tuple[str, Words]:
    """What has become of a coupon by the provider's word and the clock."""
    derived = derived_state(coupon, at)
    return DERIVED_COLOURS.get(derived, "default"), derived.label


def is_lost(coupon: RemoteCoupon | None, at: datetime) -> bool:
    """Whether it is over or gone there, though not by us."""
    over = (Derived.CLOSED_ELSEWHERE, Derived.MISSING)
    return coupon is not None and derived_state(coupon, at) in over


def label_of(card: Card, at: datetime) -> tuple[str, Words]:
    """The label of a card: LINE's only coupon says by itself how it is, once it is there."""
    colour, words = card.state
    if colour == "success" and card.coupon is not None:
        return coupon_state(card.coupon, at)
    return colour, words


def until_of(coupon: RemoteCoupon | None, campaign: Campaign) -> str:
    """Until when a coupon can be used there, as forms and lists say it."""
    if coupon is None or coupon.ends_at is None:
        return ""
    return local(campaign, coupon.ends_at, is_end=True)


# --- a campaign's accounts ------------------------------------------------------------


def cards_of(campaign: Campaign) -> list[Card]:
    """Every account, those with the campaign first, in few queries."""
    # Not decrypted: a page without them works with a lost key.
    connections = Connection.objects.defer(*SECRETS).order_by("provider", "name")
    found = by_connection(publications_of(campaign))
    cards = [
        card_of(connection, found.get(connection.pk, [])) for connection in connections
    ]
    return sorted(cards, key=lambda card: not card.is_current)


def publications_of(campaign: Campaign) -> list[Publication]:
    rows = Publication.objects.filter(campaign=campaign).defer(
        "onsite_password", "replaces__onsite_password"
    )
    return list(
        rows.select_related("created_by", "replaces").order_by("-pk")[:MOST_EARLIER]
    )


def by_connection(rows: Iterable[Publication]) -> Mapping[int, list[Publication]]:
    """The current one of each account first, then the others, the newest first."""
    found: dict[int, list[Publication]] = {}
    for row in sorted(rows, key=lambda row: (row.state == State.CLOSED, -row.pk)):
        found.setdefault(row.connection_id, []).append(row)
    return found


def card_of(connection: Connection, publications: Sequence[Publication]) -> Card:
    if not publications:
        return Card(connection)
    shown = publications[0]
    return Card(
        connection,
        publication=shown,
        coupon=only_coupon(connection, shown),
        open_differences=count_differences(shown),
        errands=(errands := count_errands(shown)),
        is_stuck=not errands and is_stuck(shown),
        run=last_run(connection),
        earlier=len(publications) - 1,
    )


def card_for(publication: Publication) -> Card:
    """The card of one publication."""
    return card_of(publication.connection, [publication])


def only_coupon(connection: Connection, found: Publication) -> RemoteCoupon | None:
    if connection.provider != Provider.LINE:
        return None
    return RemoteCoupon.objects.filter(publication=found).order_by("pk").first()


def last_run(connection: Connection) -> Run | None:
    return Run.objects.filter(connection=connection).order_by("-pk").first()


def is_stuck(found: Publication) -> bool:
    """Whether some of it could not be taken back; asked when nothing is to be done."""
    if found.state != State.CLOSING:
        return False
    if found.unknown:
        return True
    left = RemoteCoupon.objects.filter(publication=found, status=Status.LIVE, errand="")
    return left.filter(failures__gt=0).exists()


def count_errands(found: Publication) -> int:
    """How many things are to be done there; by the index of what is due."""
    rows = RemoteCoupon.objects.filter(
        connection=found.connection_id, publication=found
    )
    return capped(rows.exclude(errand=""))


# Coupons that are there and belong to no campaign.
FOUND = Q(connection__provider=Provider.LINE, publication=None, missing_since=None)
OPEN = Q(ended_at=None)


def count_differences(found: Publication) -> int:
    return capped(Difference.objects.filter(OPEN, publication=found))


def counted_open() -> int:
    """How many differences are open in all."""
    return capped(Difference.objects.filter(OPEN))


def counted_found() -> int:
    """How many coupons at LINE belong to no campaign."""
    return capped(RemoteCoupon.objects.filter(FOUND))


def capped(rows: QuerySet[Any]) -> int:
    """How many, as far as it is worth counting."""
    return rows.order_by()[: MOST_COUNTED + 1].count()


def numbers_of(card: Card) -> dict[str, Any]:
    """What the page's script asks for again and again."""
    found = card.publication
    names = ("total", "live", "gone", "refused", "unknown", "waiting")
    numbers = {name: getattr(found, name) for name in names} if found else {}
    return {
        "version": card.version,
        "is_working": card.is_working,
        "done": card.done,
        **numbers,
    }
