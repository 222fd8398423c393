"""What coupons are sent with: the pre-flight's lines and the person's choice, fixed."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from connections.models import Connection
from serials.models import Batch
from sync.errors import SyncError
from sync.options import Options
from sync.ports.line import body_of as line_body_of
from sync.ports.line import compared, flat
from sync.ports.port import shown
from sync.preflight import paddle, vivoldi
from sync.preflight.checking import CHECKS, NAMES
from sync.preflight.codes import Rule
from sync.preflight.facts import PER_SERIAL, Stock, facts_of
from sync.preflight.lines import Line, Mark, body_of

Provider = Connection.Provider
Terms = Mapping[str, Any]

RULES: dict[str, Rule] = {
    Provider.PADDLE: paddle.code_of,
    Provider.VIVOLDI: vivoldi.code_of,
}
# Of the lines, what each coupon says for itself.
PER_CODE = ("coupon_code", "cpnNo", "allowed_uses")
# What can't be changed once it is there, see the providers' manuals.
FIXED: dict[str, tuple[str, ...]] = {
    Provider.PADDLE: ("coupon_type", "discount_type", "group"),
    Provider.VIVOLDI: (),
}


def terms_of(
    campaign: Campaign, connection: Connection, options: Options, *, at: datetime
) -> dict[str, Any]:
    """The request's fields that all coupons of the campaign share at this account.

    Raises SyncError impossible, with what the pre-flight says.
    """
    lines = _lines_of(campaign, connection, at)
    stops = [line for line in lines if line.mark == Mark.IMPOSSIBLE]
    if stops:
        name = str(NAMES[Provider(connection.provider)])
        raise SyncError("impossible", _stop_words(name, stops))
    return _fields_of(lines, options)


def expressible_of(
    campaign: Campaign, connection: Connection, options: Options, *, at: datetime
) -> tuple[dict[str, Any], frozenset[str]]:
    """The fields that can be sent, and the names of those that can't be expressed.

    For what is there already, made by somebody else: the rest can still be compared.
    """
    lines = _lines_of(campaign, connection, at)
    stops = [line for line in lines if line.mark == Mark.IMPOSSIBLE]
    rest = [line for line in lines if line.mark != Mark.IMPOSSIBLE]
    return _fields_of(rest, options), frozenset(line.key for line in stops)


def _lines_of(
    campaign: Campaign, connection: Connection, at: datetime
) -> Sequence[Line]:
    provider = Provider(connection.provider)
    facts = facts_of(campaign, at=at, has_codes=provider in PER_SERIAL)
    return CHECKS[provider](campaign, facts)


def _fields_of(lines: Sequence[Line], options: Options) -> dict[str, Any]:
    found = {**body_of(lines), **options.terms()}
    return {key: value for key, value in found.items() if key not in PER_CODE}


def _stop_words(name: str, stops: list[Line]) -> str:
    words = " ".join(f"{line.what}: {line.words}" for line in stops)
    return _("This campaign can't be published at %(name)s. %(words)s") % {
        "name": name,
        "words": words,
    }


def own_of(provider: str, batch: Batch | None) -> dict[str, Any]:
    """What a coupon has of its own: how often it may be used.

    `batch` is the fixed one whose text it is; without one it is a serial of its own,
    and stays good for one use whatever the terms come to be.
    """
    if provider == Provider.PADDLE:
        return {"allowed_uses": paddle.uses_of(_stock_of(batch))}
    if provider == Provider.VIVOLDI and batch is None:
        return {"useLimit": 1}
    return {}


def _stock_of(batch: Batch | None) -> Stock:
    if batch is None:
        return Stock("", is_fixed=False, free=1)
    units = getattr(batch, "stock", None)
    free = units.quantity - units.taken if units else None
    return Stock(batch.name, is_fixed=True, free=free)


def content_of(terms: Terms) -> str:
    """What a LINE coupon is known by while its id is not: a hash of all that LINE tells.

    Not of its pictures, whose addresses LINE doesn't tell: two that differ in these alone
    could be taken for each other.
    """
    fields = flat(terms)
    told = {name: shown(fields.get(name)) for name in compared(fields)}
    return hashlib.sha256(line_body_of(told)).hexdigest()


def unchangeable(provider: str, old: Terms, new: Terms) -> list[str]:
    """Fields that differ and that the provider doesn't let us change."""
    return [name for name in FIXED[provider] if old.get(name) != new.get(name)]
