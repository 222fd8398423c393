"""The whole pre-flight of a campaign, and whether it may be activated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.models import Campaign
from connections.models import Connection
from sync.preflight import line, ours, paddle, vivoldi
from sync.preflight.facts import Facts, facts_of
from sync.preflight.lines import Line, Mark

Provider = Connection.Provider
CHECKS = {
    Provider.LINE: line.check,
    Provider.PADDLE: paddle.check,
    Provider.VIVOLDI: vivoldi.check,
}
NAMES = {
    Provider.LINE: gettext_lazy("LINE's own coupon"),
    Provider.PADDLE: "Paddle Classic",
    Provider.VIVOLDI: "Vivoldi",
}


@dataclass(frozen=True)
class Section:
    """One place where the campaign would appear, with its lines."""

    key: str
    name: str
    lines: Sequence[Line]
    is_connected: bool = True

    def count(self, mark: Mark) -> int:
        return sum(line.mark == mark for line in self.lines)

    @property
    def stops(self) -> list[Line]:
        return [line for line in self.lines if line.mark == Mark.IMPOSSIBLE]

    @property
    def remarks(self) -> int:
        """How many lines a person should read."""
        return sum(not line.is_fine for line in self.lines)


@dataclass(frozen=True)
class Preflight:
    """Our own page first, then the providers; those without an account last."""

    ours: Section
    connected: Sequence[Section]
    others: Sequence[Section]

    @property
    def stops(self) -> list[Line]:
        """Why the campaign can't be activated: nobody could do anything with it."""
        return self.ours.stops

    @property
    def remarks(self) -> int:
        return sum(section.remarks for section in (self.ours, *self.connected))


def preflight(campaign: Campaign, *, at: datetime, is_whole: bool = True) -> Preflight:
    """The table as it stands at `at`; not whole, providers without an account are left out."""
    if is_whole:
        return of_facts(campaign, facts_of(campaign, at=at))
    found = of_facts(campaign, facts_of(campaign, at=at, has_codes=None))
    return Preflight(found.ours, found.connected, [])


def of_facts(campaign: Campaign, facts: Facts) -> Preflight:
    """The same of facts that are read already: no database."""
    sections = [
        Section(
            provider.value,
            str(NAMES[provider]),
            check(campaign, facts),
            is_connected=provider.value in facts.connected,
        )
        for provider, check in CHECKS.items()
    ]
    return Preflight(
        Section("ours", _("Our own page"), ours.check(campaign, facts)),
        [section for section in sections if section.is_connected],
        [section for section in sections if not section.is_connected],
    )


def stops_of(campaign: Campaign, *, at: datetime) -> list[Line]:
    """Why the campaign can't be activated at `at`; looks at no serial."""
    lines = ours.check(campaign, facts_of(campaign, at=at, has_codes=False))
    return [found for found in lines if found.mark == Mark.IMPOSSIBLE]
