"""What generated serials look like: `SPRING-####-####`. Pure functions, no database.

Each # is a character drawn from the alphabet by the operating system's source of
randomness; every code of the pattern is as likely as any other.
"""

import functools
import math
import re
import secrets
from dataclasses import dataclass

MARK = "#"
LENGTH = 8  # random characters where nobody says how many
# What somebody needs on average to guess one that exists. A person at a till is let try
# 20 a minute: a million take five weeks without a break.
FEWEST_TRIES = 1_000_000

# Without those that are taken for another on paper or on the phone: 0 and O, 1 and I.
ALPHABETS = {
    "clear": "23456789ABCDEFGHJKLMNPQRSTUVWXYZ",
    "letters": "ABCDEFGHJKLMNPQRSTUVWXYZ",
    "digits": "0123456789",
}
_GROUPS = re.compile(f"({MARK}+)")


@dataclass(frozen=True)
class Pattern:
    """A text with a # for each random character, and what these are drawn from."""

    text: str
    alphabet: str = "clear"

    @property
    def length(self) -> int:
        """How many characters are random."""
        return self.text.count(MARK)

    @property
    def size(self) -> int:
        """How many different codes there are."""
        return int(len(ALPHABETS[self.alphabet]) ** self.length)

    def tries(self, quantity: int) -> int:
        """How many guesses one of `quantity` codes takes on average."""
        return (self.size + 1) // (quantity + 1)

    def fewest_marks(self, quantity: int) -> int:
        """How many # make `quantity` codes too many to guess."""
        letters = len(ALPHABETS[self.alphabet])
        # From the float's answer on, in whole numbers.
        marks = max(int(math.log(FEWEST_TRIES * quantity, letters)) - 1, 1)
        while letters**marks < FEWEST_TRIES * (quantity + 1):
            marks += 1
        return marks

    @property
    def widest(self) -> tuple[str, str]:
        """Two codes, of which one takes as much room in a barcode as any of them.

        A letter does, but for CODE_128 in this one place: a digit before an even number
        of digits that end the text leaves the last one without a pair.
        """
        letters = ALPHABETS[self.alphabet]
        head, _, tail = self.text.rpartition(MARK)
        start = head.replace(MARK, max(letters))
        return start + max(letters) + tail, start + min(letters) + tail

    def codes(self, count: int) -> list[str]:
        """So many codes; two of them may be the same."""
        parts = _GROUPS.split(self.text.replace("%", "%%"))
        shape = "".join("%s" if n % 2 else part for n, part in enumerate(parts))
        if self.length == 0:
            return [self.text] * count
        columns = [_drawn(self.alphabet, len(part), count) for part in parts[1::2]]
        return [shape % row for row in zip(*columns, strict=True)]


def of_prefix(prefix: str, length: int) -> str:
    """The pattern of a prefix and so many random characters after it."""
    return prefix + MARK * length


@functools.cache
def _translation(alphabet: str) -> tuple[bytes, bytes]:
    """What a random byte becomes, and the bytes that are thrown away.

    They would make the alphabet's first characters likelier than its last.
    """
    letters = ALPHABETS[alphabet].encode()
    most = 256 - 256 % len(letters)
    table = bytes(letters[byte % len(letters)] for byte in range(256))
    return table, bytes(range(most, 256))


def _drawn(alphabet: str, length: int, count: int) -> list[str]:
    """So many random texts of this length."""
    table, refused = _translation(alphabet)
    wanted = length * count
    text = ""
    while len(text) < wanted:
        # A few more, so that one round is nearly always enough.
        bytes_left = (wanted - len(text)) * 256 // (256 - len(refused)) + 64
        raw = secrets.token_bytes(bytes_left)
        text += raw.translate(table, refused).decode()
    return [text[at : at + length] for at in range(0, wanted, length)]
