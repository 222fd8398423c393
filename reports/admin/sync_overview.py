"""The overview of Sync: accounts with their last look, and campaigns by provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.models import Campaign
from connections.admin import LABELS, health_of
from connections.models import SECRETS, Connection
from reports.publications import (
    OPEN,
    Card,
    by_connection,
    card_of,
    label_of,
    last_run,
)
from sync.models import Difference, Publication, Run
from sync.services.pulling import round_time

A_PAGE = 20  # campaigns
SHOWN_ACCOUNTS = 100
RUN_COLOURS = {
    Run.State.RUNNING: "info",
    Run.State.DONE: "success",
    Run.State.FAILED: "danger",
}
ONLY: dict[str, str | Promise] = {
    "": gettext_lazy("All"),
    "differences": gettext_lazy("With differences"),
    "unpublished": gettext_lazy("Active, published nowhere"),
}


@dataclass(frozen=True)
class Account:
    """A connection with its health and its last look."""

    connection: Connection
    health_colour: str
    health_words: str
    run: Run | None
    round: timedelta | None  # until each coupon has been asked about once

    @property
    def is_running(self) -> bool:
        return self.run is not None and self.run.state == Run.State.RUNNING

    @property
    def may_look(self) -> bool:
        return self.connection.state == Connection.State.ACTIVE

    @property
    def round_words(self) -> str:
        return length_words(self.round) if self.round else ""


@dataclass(frozen=True)
class Place:
    """A campaign at one account, in a cell of the matrix."""

    card: Card
    colour: str
    words: str | Promise

    @property
    def has_trouble(self) -> bool:
        return bool(self.card.open_differences or self.card.troubles)


@dataclass(frozen=True)
class Row:
    """A campaign, and under each provider the accounts that have it."""

    campaign: Campaign
    cells: Sequence[tuple[str, Sequence[Place]]] = field(default_factory=list)


def overview_page(query: Mapping[str, str], *, at: datetime) -> dict[str, Any]:
    """What the overview shows; `only` and `page` of the query choose among campaigns."""
    accounts = accounts_now()
    only = query.get("only", "")
    only = only if only in ONLY else ""
    pages: Paginator[Any] = Paginator(campaigns_of(only), A_PAGE)
    page = pages.get_page(query.get("page", "1")[:6])
    connections = {account.connection.pk: account.connection for account in accounts}
    return {
        "accounts": accounts,
        "lookable": [account for account in accounts if account.may_look],
        "providers": Connection.Provider.choices,
        "rows": rows_of(page, connections, at=at),
        "page": page,
        "only": only,
        "choices": ONLY.items(),
    }


def accounts_now() -> list[Account]:
    rows = Connection.objects.defer(*SECRETS).order_by("provider", "name")
    return [account_of(row) for row in rows[:SHOWN_ACCOUNTS]]


def account_of(connection: Connection) -> Account:
    kind, words = health_of(connection)
    return Account(
        connection, LABELS[kind], words, last_run(connection), round_time(connection.pk)
    )


def campaigns_of(only: str) -> QuerySet[Campaign]:
    """Campaigns that are or were at a provider, and active ones; the newest first."""
    published = Publication.objects.filter(campaign=OuterRef("pk"))
    campaigns = Campaign.objects.filter(archived_at=None).order_by("-pk")
    if only == "differences":
        differing = Difference.objects.filter(
            OPEN, publication__campaign=OuterRef("pk")
        )
        return campaigns.filter(Exists(differing))
    if only == "unpublished":
        current = published.exclude(state=Publication.State.CLOSED)
        return campaigns.filter(~Exists(current), state=Campaign.State.ACTIVE)
    is_active = campaigns.filter(state=Campaign.State.ACTIVE)
    return campaigns.filter(Exists(published)) | is_active


def rows_of(
    page: Page[Any], connections: Mapping[int, Connection], *, at: datetime
) -> list[Row]:
    publications = Publication.objects.filter(
        campaign__in=[campaign.pk for campaign in page]
    ).defer("onsite_password")
    of_campaign: dict[int, list[Publication]] = {}
    for publication in publications:
        of_campaign.setdefault(publication.campaign_id, []).append(publication)
    return [
        Row(campaign, cells_of(of_campaign.get(campaign.pk, []), connections, at=at))
        for campaign in page
    ]


def cells_of(
    publications: Sequence[Publication],
    connections: Mapping[int, Connection],
    *,
    at: datetime,
) -> list[tuple[str, list[Place]]]:
    """Each provider's name, with the accounts that have the campaign or had it."""
    places: dict[str, list[Place]] = {value: [] for value in Connection.Provider.values}
    for connection_id, found in by_connection(publications).items():
        connection = connections.get(connection_id)
        if connection is not None:
            place = place_of(card_of(connection, found), at=at)
            places[connection.provider].append(place)
    names = dict(Connection.Provider.choices)
    return [(str(names[value]), found) for value, found in places.items()]


def place_of(card: Card, *, at: datetime) -> Place:
    colour, words = label_of(card, at)
    return Place(card, colour, words)


def length_words(length: timedelta) -> str:
    """A length of time as people say it, rounded up."""
    minutes = max(1, -int(-length.total_seconds() // 60))
    if minutes < 120:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {
            "count": minutes
        }
    hours = -(-minutes // 60)
    if hours < 48:
        return _("%(count)s hours") % {"count": hours}
    return _("%(count)s days") % {"count": -(-hours // 24)}
