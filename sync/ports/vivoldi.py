"""Vivoldi: the number is the identity, and the only look is one that checks usability.

`validate` fails for what is not begun, used up or over as well as for what is unknown,
and tells them apart in words alone. Source: Vivoldi's coupon API; providers/vivoldi.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.translation import gettext as _

from providers.errors import ProviderError, Refused
from providers.reading import decimal_of
from providers.vivoldi import VivoldiClient
from sync.ports.nos import Nos
from sync.ports.port import (
    Differences,
    Kind,
    Order,
    Outcome,
    Pace,
    asked,
    difference_words,
    outcome_of,
    shown,
)

COMPARED = (
    "nm",
    "discTypeIdx",
    "disc",
    "discCurrency",
    "strtYmd",
    "endYmd",
    "useLimit",
    "onsiteYn",
    "url",
)
SEEN = (Kind.DONE, Kind.REFUSED)  # a look that has found something
USES = "uses_before"  # what a use is noted against


@dataclass(frozen=True)
class VivoldiPort:
    """One organisation. `rate` is calls a second, of all kinds together."""

    client: VivoldiClient
    rate: float
    nos: Nos = field(default_factory=Nos, compare=False)

    def pace(self, errand: str) -> Pace:
        return Pace("vivoldi", self.rate)

    def calls(self, errand: str, *, is_doubtful: bool) -> int:
        return 2 if errand == "create" and is_doubtful else 1

    def create(self, order: Order) -> Outcome:
        """A number can't be made twice, so asking again is safe where a look fails."""
        if not order.is_doubtful:
            return self._create_first(order)
        found = self.find(order)
        if found.kind != Kind.ABSENT:
            return found
        return self._create_again(order).after(found.calls)

    def _create_first(self, order: Order) -> Outcome:
        """Vivoldi publishes no codes: a no may mean that it broke after making it, or
        that the number is taken. What can be seen there settles both."""
        first = self._create(order)
        if first.kind != Kind.REFUSED:
            return first
        found = self.find(order).after(1)
        if found.kind == Kind.ABSENT:
            return replace(first, calls=found.calls)
        return _unless_sure(found)

    def _create(self, order: Order) -> Outcome:
        """The number keeps the spelling that we gave it: Vivoldi writes dashes."""

        def make() -> Outcome:
            self.client.create(self._fields(order))
            return Outcome(Kind.DONE, order.remote_id)

        return asked(make)

    def _create_again(self, order: Order) -> Outcome:
        """Where it is refused, the first try may have made it, or the no is a true one.

        Vivoldi publishes no codes for either, so its words are compared with others.
        """
        again = self._create(order)
        if again.kind != Kind.REFUSED:
            return again
        try:
            is_there, calls = self.nos.compare(self.client, order)
        except ProviderError as error:
            return outcome_of(error).after(again.calls)
        if is_there and self.nos.is_usable(order):
            # It can be looked at by now: its terms say whether it is ours.
            return _unless_sure(self.find(order)).after(again.calls + calls)
        if is_there:
            return Outcome(Kind.DONE, order.remote_id, calls=again.calls + calls)
        if is_there is False:
            return replace(again, calls=again.calls + calls)
        words = _(
            "Vivoldi didn't answer whether it made this number, and refuses it now: "
            "%(said)s. Look for it in Vivoldi's dashboard."
        )
        detail = words % {"said": again.detail}
        return Outcome(Kind.UNDECIDABLE, detail=detail, calls=again.calls + calls)

    def _fields(self, order: Order) -> dict[str, Any]:
        secret = {"onsitePwd": order.secret} if order.secret else {}
        return {**order.terms, **secret, "cpnNo": order.remote_id}

    def update(self, order: Order) -> Outcome:
        def change() -> Outcome:
            self.client.update(self._fields(order))
            return Outcome(Kind.DONE)

        return asked(change)

    def delete(self, order: Order) -> Outcome:
        """After a doubtful try, a no to what can't be looked at either is a yes."""

        def take_back() -> Outcome:
            self.client.delete(order.remote_id)
            return Outcome(Kind.DONE)

        outcome = asked(take_back)
        if outcome.kind != Kind.REFUSED or not order.is_doubtful:
            return outcome
        found = self.find(order)
        if found.kind == Kind.ABSENT:
            return Outcome(Kind.DONE, calls=2)
        if found.kind in SEEN:
            return outcome.after(found.calls)
        return found.after(1)

    def withdraw(self, order: Order) -> Outcome:
        """Never somebody else's number, as far as that can be seen."""
        found = self.find(order)
        if found.kind not in (Kind.DONE, Kind.ABSENT):
            return found
        gone = self.delete(order)
        if gone.kind == Kind.REFUSED and found.kind == Kind.ABSENT:
            return Outcome(Kind.DONE, calls=gone.calls + found.calls)
        return gone.after(found.calls)

    def redeem(self, order: Order) -> Outcome:
        """Count the uses, keep the number, then tell: a lost answer can be read off.

        Three turns of the errand at most, each a call: the count, the use, and after an
        unclear answer the count again.
        """
        if USES not in order.notes:
            return self._count(order)
        if order.is_doubtful:
            return self._recount(order)
        told = order.notes

        def use() -> Outcome:
            self.client.redeem(
                order.remote_id,
                password=order.secret,
                user_id=str(told.get("user_id") or ""),
                memo=str(told.get("memo") or ""),
            )
            return Outcome(Kind.DONE)

        return asked(use)

    def _count(self, order: Order) -> Outcome:
        """A number that can't be used now is refused here, before any use."""
        try:
            coupon = self.client.validate(order.remote_id)
        except ProviderError as error:
            return outcome_of(error)
        if coupon.use_count is None:
            return Outcome(Kind.UNCLEAR, detail=_("Vivoldi tells no use count."))
        return Outcome(Kind.NOTED, notes={**order.notes, USES: coupon.use_count})

    def _recount(self, order: Order) -> Outcome:
        before = int(order.notes[USES])
        try:
            coupon = self.client.validate(order.remote_id)
        except Refused as error:
            if outcome_of(error).kind != Kind.REFUSED:
                return outcome_of(error)
            return self._used_up(order, error)
        except ProviderError as error:
            return outcome_of(error)
        if coupon.use_count is None:
            return Outcome(Kind.UNCLEAR, detail=_("Vivoldi tells no use count."))
        if coupon.use_count == before:
            return Outcome(Kind.ABSENT)
        if coupon.use_count == before + 1:
            return Outcome(Kind.DONE)
        return self._undecidable(_("several uses were taken at once"))

    def _used_up(self, order: Order, error: Refused) -> Outcome:
        """It could be used before our try and can't be now: it was the last use."""
        limit = order.terms.get("useLimit")
        if limit and int(order.notes[USES]) + 1 >= int(limit):
            return Outcome(Kind.DONE)
        return self._undecidable(str(error))

    def _undecidable(self, why: str) -> Outcome:
        words = _(
            "Whether Vivoldi counted this use can't be told: %(why)s. Look at the "
            "number in Vivoldi's dashboard."
        )
        return Outcome(Kind.UNDECIDABLE, detail=words % {"why": why})

    def find(self, order: Order) -> Outcome:
        """ABSENT where Vivoldi says no: it may be there all the same, see `validate`."""
        try:
            coupon = self.client.validate(order.remote_id)
        except Refused as error:
            outcome = outcome_of(error)
            if outcome.kind == Kind.REFUSED:
                return Outcome(Kind.ABSENT, detail=outcome.detail)
            return outcome
        except ProviderError as error:
            return outcome_of(error)
        found = self.differences(order.terms, coupon.raw)
        if not found:
            return Outcome(Kind.DONE, order.remote_id)
        words = _("Another coupon has this number at Vivoldi: %(differences)s.")
        said = words % {"differences": difference_words(found)}
        return Outcome(Kind.REFUSED, detail=said)

    def differences(
        self, sent: Mapping[str, Any], told: Mapping[str, Any]
    ) -> Differences:
        """Fields that we sent and validate tells; a group's settings may beat ours."""
        return [
            (field, shown(sent[field]), shown(told.get(field)))
            for field in COMPARED
            if field in sent and not _is_same(sent[field], told.get(field))
        ]


def _unless_sure(found: Outcome) -> Outcome:
    """After a no that may be none: a look that failed leaves it in doubt."""
    return found if found.kind in SEEN else replace(found, kind=Kind.UNCLEAR)


def _is_same(ours: object, theirs: object) -> bool:
    mine, its = decimal_of(ours), decimal_of(theirs)
    if mine is not None and its is not None:
        return mine == its
    return shown(ours) == shown(theirs)
