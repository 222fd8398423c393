"""What a person chooses when publishing, besides what the campaign says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

VISIBILITIES = ("UNLISTED", "PUBLIC")
# LINE: per cent of those who draw, and winners at most. Source: "Create a coupon".
LEAST_PROBABILITY, MOST_PROBABILITY = 1, 99
MOST_WINNERS = 999_999


@dataclass(frozen=True)
class LineOptions:
    """LINE's own coupon. A probability makes it a lottery; it is per cent.

    `most_winners` caps a lottery; None is no end.
    """

    visibility: str = "UNLISTED"
    probability: int | None = None
    most_winners: int | None = None

    def __post_init__(self) -> None:
        if self.visibility not in VISIBILITIES:
            raise ValueError("visibility")
        if self.probability is not None and not (
            LEAST_PROBABILITY <= self.probability <= MOST_PROBABILITY
        ):
            raise ValueError("probability")
        if self.most_winners is not None and not (
            self.probability is not None and 1 <= self.most_winners <= MOST_WINNERS
        ):
            raise ValueError("most_winners")

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """As `to_json` wrote it; raises ValueError for what LINE does not take."""
        return cls(
            visibility=found.get("visibility", "UNLISTED"),
            probability=found.get("probability"),
            most_winners=found.get("most_winners"),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "visibility": self.visibility,
            "probability": self.probability,
            "most_winners": self.most_winners,
        }

    def terms(self) -> dict[str, Any]:
        """What they make of the request."""
        found: dict[str, Any] = {"visibility": self.visibility}
        if self.probability is not None:
            found["acquisitionCondition"] = {
                "type": "lottery",
                "lotteryProbability": self.probability,
                "maxAcquireCount": self.most_winners or -1,
            }
        return found


@dataclass(frozen=True)
class PaddleOptions:
    """Paddle: there is nothing to choose, the campaign says it all."""

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        return cls()

    def to_json(self) -> dict[str, Any]:
        return {}

    def terms(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class VivoldiOptions:
    """Vivoldi: what is made in its own dashboard, and what of ours it may know.

    `group` and `template` are its numbers, 0 is none; a group's settings beat the
    coupon's. `domain` empty is its own. `wants_webhook` None leaves it to the account.
    `onsite_password` is what store staff type on its page: never stored in the clear.
    `is_mirrored` tells our verifications to it; `names_people` sends who has a coupon.
    """

    group: int = 0
    template: int = 0
    domain: str = ""
    wants_webhook: bool | None = None
    memo: str = ""
    is_mirrored: bool = False
    names_people: bool = False
    onsite_password: str = field(default="", repr=False)

    @classmethod
    def from_json(cls, found: Mapping[str, Any], *, onsite_password: str = "") -> Self:
        """As `to_json` wrote it; the password is kept apart."""
        return cls(
            group=int(found.get("group") or 0),
            template=int(found.get("template") or 0),
            domain=str(found.get("domain") or ""),
            wants_webhook=found.get("wants_webhook"),
            memo=str(found.get("memo") or ""),
            is_mirrored=bool(found.get("is_mirrored")),
            names_people=bool(found.get("names_people")),
            onsite_password=onsite_password,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the password."""
        return {
            "group": self.group,
            "template": self.template,
            "domain": self.domain,
            "wants_webhook": self.wants_webhook,
            "memo": self.memo,
            "is_mirrored": self.is_mirrored,
            "names_people": self.names_people,
        }

    def terms(self) -> dict[str, Any]:
        """What they make of the request; the password comes in at the call."""
        found: dict[str, Any] = {
            "grpIdx": self.group or None,
            "tmplIdx": self.template or None,
            "domain": self.domain or None,
            "memo": self.memo or None,
        }
        if self.wants_webhook is not None:
            found["webhookEnableYn"] = "Y" if self.wants_webhook else "N"
        return {key: value for key, value in found.items() if value is not None}


Options = LineOptions | PaddleOptions | VivoldiOptions
OF_PROVIDER: dict[str, type[Options]] = {
    "line": LineOptions,
    "paddle": PaddleOptions,
    "vivoldi": VivoldiOptions,
}


def options_from(provider: str, found: Mapping[str, Any]) -> Options:
    """The options of a publication at this provider, from its stored JSON."""
    return OF_PROVIDER[provider].from_json(found)
