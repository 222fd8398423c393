"""Vivoldi's no to `validate`, compared: whether a number is there that can't be used yet.

What its words mean is not relied on, only whether two are the same. A number that is
there, of the same terms, gets one; a number that nobody has ever made gets another; and
which of the two the number in doubt gets tells whether it is there. Where both get the
same, nothing can be told. That Vivoldi's words differ is unconfirmed.
"""

import secrets
import string
from dataclasses import dataclass, field

from providers.errors import Refused, TooMany, Unauthorised
from providers.vivoldi import VivoldiClient
from sync.ports.port import Order

ALPHABET = string.ascii_uppercase + string.digits
LENGTH = 16  # Vivoldi's longest: 36**16 numbers
USABLE = (0, "")  # the answer to a number that can be used

Answer = tuple[int | None, str]  # Vivoldi's code, and its words without the number


@dataclass
class Nos:
    """What Vivoldi answers for numbers of which we know, asked once each."""

    known: dict[str, Answer] = field(default_factory=dict)

    def compare(self, client: VivoldiClient, order: Order) -> tuple[bool | None, int]:
        """Whether the order's number is there, None where that can't be told; and how
        many calls it took. Raises ProviderError."""
        if not order.known:
            return None, 0
        mine, calls = answer_for(client, order.remote_id), 1
        for number in (order.known, ""):
            if number not in self.known:
                self.known[number] = answer_for(client, number or nobodys())
                calls += 1
        there, nowhere = self.known[order.known], self.known[""]
        if there == nowhere or mine not in (there, nowhere):
            return None, calls
        return mine == there, calls

    def is_usable(self, order: Order) -> bool:
        """Whether what the order's number was compared with could be used."""
        return self.known.get(order.known) == USABLE


def answer_for(client: VivoldiClient, number: str) -> Answer:
    """USABLE, or the no. Raises ProviderError for what is no answer about the number."""
    try:
        client.validate(number)
    except (TooMany, Unauthorised):
        raise
    except Refused as error:
        if error.status == 403:
            raise
        return error.code, str(error).replace(number, "…")
    return USABLE


def nobodys() -> str:
    """A number of the right shape that nobody has made."""
    return "".join(secrets.choice(ALPHABET) for _place in range(LENGTH))
