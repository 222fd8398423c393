"""Keeping what we and a provider say differently: opened, renewed and ended as seen."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from sync.models import Difference, Publication, RemoteCoupon, Step

# Fields of ours, beside the provider's own; their values are our words for states.
MISSING = "missing"  # the coupon is not there any more, and not by us
CLOSED = "closed"  # somebody closed it in the provider's own manager
STILL_THERE = "still_there"  # we took it back, and it can be used all the same
DOUBTFUL = "doubtful"  # Vivoldi: used there or deleted there, it doesn't say which
# We told it of a use that was taken back here since. Not for a look at it to end.
MIRRORED = "mirrored"
# Codes that are spent here and can be used there: of a publication, with their numbers.
SPENT = "spent"
APART = (MIRRORED, SPENT)  # what only whoever looks for it ends

AGREED = "agreed"  # how one ends by itself
ACCEPTED = "accepted"  # a person lets it be, until a value changes

Found = tuple[str, str, str]  # field, ours, theirs
Owner = RemoteCoupon | Publication


@dataclass(frozen=True)
class Seen:
    """All that differs about one coupon, or about all of a publication, at this look.

    `fields` limits what the look could see: others stay as they are.
    """

    owner: Owner
    found: Sequence[Found]
    fields: Collection[str] | None = None


def note(seen: Iterable[Seen], *, at: datetime) -> list[Step]:
    """Bring the differences in line with a look; the steps to record of it.

    Inside a transaction that holds the owners. One that a person accepted stays away
    until one of its values is another.
    """
    looks = list(seen)
    known = _known(looks)
    steps: list[Step] = []
    for look in looks:
        mine = known.get(_key(look.owner), {})
        steps += _note_one(look, mine, at)
    return steps


def _note_one(look: Seen, mine: Mapping[str, Difference], at: datetime) -> list[Step]:
    found = {field[:40]: (ours, theirs) for field, ours, theirs in look.found}
    steps = []
    for field, values in found.items():
        if _write(look.owner, field, values, mine.get(field), at):
            steps.append(_step(look.owner, field, values, at))
    over = [
        difference.pk
        for field, difference in mine.items()
        if difference.ended_at is None
        and field not in found
        and (field not in APART if look.fields is None else field in look.fields)
    ]
    if over:
        end(over, how=AGREED, at=at)
    return steps


def _write(
    owner: Owner,
    field: str,
    values: tuple[str, str],
    known: Difference | None,
    at: datetime,
) -> bool:
    """Open or renew one; whether it is news."""
    is_same = known is not None and (known.ours, known.theirs) == values
    if known is not None and known.ended_at is None:
        Difference.objects.filter(pk=known.pk, ended_at=None).update(
            ours=values[0], theirs=values[1], last_seen_at=at
        )
        # Its numbers follow each sale: only that there are some is news.
        return not is_same and field != SPENT
    if is_same:  # accepted as it is
        return False
    Difference.objects.create(
        publication_id=_publication_id(owner),
        coupon=owner if isinstance(owner, RemoteCoupon) else None,
        field=field,
        ours=values[0],
        theirs=values[1],
        seen_at=at,
        last_seen_at=at,
    )
    return True


def end(ids: Collection[int], *, how: str, at: datetime) -> int:
    """End open differences that nobody has to do anything about any more."""
    return Difference.objects.filter(pk__in=ids, ended_at=None).update(
        ended_at=at, ended_how=how
    )


def _known(looks: Sequence[Seen]) -> dict[tuple[str, int], dict[str, Difference]]:
    """The open ones, and of the accepted the newest, by owner and field."""
    coupons = [x.owner.pk for x in looks if isinstance(x.owner, RemoteCoupon)]
    wholes = [x.owner.pk for x in looks if isinstance(x.owner, Publication)]
    of_them = Q(coupon__in=coupons) | Q(coupon=None, publication__in=wholes)
    telling = Q(ended_at=None) | Q(ended_how=ACCEPTED)
    known: dict[tuple[str, int], dict[str, Difference]] = {}
    for row in Difference.objects.filter(of_them, telling).order_by("pk"):
        key = (
            ("coupon", row.coupon_id)
            if row.coupon_id is not None
            else ("publication", row.publication_id or 0)
        )
        mine = known.setdefault(key, {})
        open_one = mine.get(row.field)
        if open_one is None or open_one.ended_at is not None:
            mine[row.field] = row
    return known


def _key(owner: Owner) -> tuple[str, int]:
    return ("coupon" if isinstance(owner, RemoteCoupon) else "publication", owner.pk)


def _publication_id(owner: Owner) -> int | None:
    return owner.publication_id if isinstance(owner, RemoteCoupon) else owner.pk


def _step(owner: Owner, field: str, values: tuple[str, str], at: datetime) -> Step:
    return Step(
        connection_id=owner.connection_id,
        publication_id=_publication_id(owner),
        coupon=owner if isinstance(owner, RemoteCoupon) else None,
        kind=Step.Kind.DIFFERS,
        facts={"field": field, "ours": values[0][:200], "theirs": values[1][:200]},
        at=at,
    )
