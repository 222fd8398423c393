"""What a provider is to whoever publishes: five questions, and answers of one kind.

An adapter says what became of a request, never what to do about it, and knows no tables:
it runs in threads.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from django.utils.translation import gettext as _

from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unreachable,
)


class Kind(StrEnum):
    """What became of an errand."""

    DONE = "done"
    REFUSED = "refused"  # a clear no: the same request will never do
    ABSENT = "absent"  # looked up: what an earlier try asked for has not been done
    NOTED = "noted"  # nothing was asked for yet; `notes` have to be kept first
    UNCLEAR = "unclear"  # may have been done: look before it is asked for again
    UNREACHABLE = "unreachable"  # certainly not done by this try
    SLOW = "slow"  # 429, certainly not done by this try
    UNAUTHORISED = "unauthorised"  # certainly not done by this try
    FORBIDDEN = "forbidden"  # 403: nothing of this kind is allowed to the account
    UNDECIDABLE = "undecidable"  # nothing that can be asked tells: a person has to


FAILED = (Kind.UNCLEAR, Kind.UNREACHABLE)


@dataclass(frozen=True)
class Order:
    """One errand about one coupon, in plain values.

    `terms` are the publication's with the coupon's own on top. `is_doubtful`: an earlier
    try may have been done. `secret` is Vivoldi's password for store staff. `notes` are
    what earlier tries have kept. `known` is another one of the same terms that is there.
    `ends` (monotonic): an errand of many calls begins none of them after it.
    """

    remote_id: str
    terms: Mapping[str, Any]
    is_doubtful: bool = False
    known: str = ""
    secret: str = field(default="", repr=False)
    notes: Mapping[str, Any] = field(default_factory=dict)
    ends: float = math.inf

    def may_go_on(self) -> bool:
        """Whether there is time for one call more."""
        return time.monotonic() < self.ends


@dataclass(frozen=True)
class Outcome:
    """`remote_id` is the provider's name of what was made; `calls` how many it took.

    `detail` is for people; `error` is what the health of the connection goes by.
    """

    kind: Kind
    remote_id: str = ""
    detail: str = ""
    calls: int = 1
    notes: Mapping[str, Any] | None = None
    error: ProviderError | None = None

    def after(self, calls: int) -> "Outcome":
        """The same, with so many calls before it."""
        return replace(self, calls=self.calls + calls)


@dataclass(frozen=True)
class Pace:
    """The bucket in which calls of one kind are counted, and how many a second."""

    endpoint: str
    rate: float


# (field, ours, theirs) where the two differ.
Differences = list[tuple[str, str, str]]


class Port(Protocol):
    """One account at one provider. No method raises ProviderError."""

    def pace(self, errand: str) -> Pace:
        """How fast such errands may go; those of one endpoint share a bucket."""

    def calls(self, errand: str, *, is_doubtful: bool) -> int:
        """How many calls one such errand usually takes."""

    def create(self, order: Order) -> Outcome:
        """Make it; after a doubtful try look first. Never makes a second one."""

    def update(self, order: Order) -> Outcome:
        """Bring what is there to the order's terms; may be repeated."""

    def delete(self, order: Order) -> Outcome:
        """Take it back; done too where it is not there any more."""

    def withdraw(self, order: Order) -> Outcome:
        """Take back what an earlier try may have made; DONE where there is nothing."""

    def redeem(self, order: Order) -> Outcome:
        """Tell of one use, never twice."""

    def find(self, order: Order) -> Outcome:
        """Whether it is there: DONE, ABSENT, REFUSED (another is), or a failure."""

    def differences(
        self, sent: Mapping[str, Any], told: Mapping[str, Any]
    ) -> Differences:
        """What was sent against the provider's raw answer, field by field.

        A field that the provider does not tell, or that it is known to tell wrongly, is
        no difference.
        """


def outcome_of(error: ProviderError) -> Outcome:
    """What a failed call means for what was asked with it."""
    return Outcome(_kind_of(error), detail=str(error)[:500], error=error)


def _kind_of(error: ProviderError) -> Kind:
    if isinstance(error, Unauthorised):
        return Kind.UNAUTHORISED
    if isinstance(error, TooMany):
        return Kind.SLOW
    if isinstance(error, Refused):
        return Kind.FORBIDDEN if error.status == 403 else Kind.REFUSED
    if isinstance(error, Unreachable):
        return Kind.UNREACHABLE
    # Unclear; and Unreadable, where a success could not be made sense of.
    return Kind.UNCLEAR


def asked(question: Callable[[], Outcome]) -> Outcome:
    """What the question comes to, a failure of the provider included."""
    try:
        return question()
    except ProviderError as error:
        return outcome_of(error)


def difference_words(found: Differences) -> str:
    """All of them in one sentence, for people."""
    parts = [
        _("%(field)s is %(theirs)s there and %(ours)s here")
        % {"field": field, "ours": ours or "–", "theirs": theirs or "–"}
        for field, ours, theirs in found
    ]
    return "; ".join(parts)


def shown(value: object) -> str:
    """A value as it is compared and shown: no needless zeros, no line breaks."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float | Decimal) and value == int(value):
        return str(int(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return " ".join(str(value).split())
