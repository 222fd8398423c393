"""What a check of the ledger is, and what it found."""

from dataclasses import dataclass

from django.utils.functional import Promise


@dataclass(frozen=True)
class Check:
    """One statement that finds the rows of one kind of break; none when all is well.

    One statement sees one moment of the database, and every step of a coupon commits
    whole, so the house keeps running while it is looked at. The SQL is for PostgreSQL
    and SQLite alike. Its first column orders what is shown; `words` says one row by
    the columns' names, with ids only.
    """

    name: str
    what: Promise  # what is wrong and what that means, for an operator
    words: Promise
    sql: str


@dataclass(frozen=True)
class Break:
    """A kind of break, how many rows have it, and the first of them in words."""

    check: str
    what: str
    count: int
    rows: list[str]
