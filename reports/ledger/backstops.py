"""What the schema itself refuses: constraints, unique indexes, the append-only trigger."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection, models
from django.utils.translation import gettext as _

from campaigns.models import CampaignEvent, TotalLimit
from coupons.models import (
    Attempt,
    ContactUse,
    Coupon,
    EndsChange,
    Event,
    PasswordPace,
    PasswordTries,
    Tally,
    Verification,
)
from deliveries.models import Delivery, Dispatch, Recipient
from reports.ledger.check import Break
from serials.models import Batch, Serial, Stock
from sync.models import Difference, InboundEvent, Publication, RemoteCoupon, Run, Use

MODELS: list[type[models.Model]] = [
    CampaignEvent,
    TotalLimit,
    Batch,
    Stock,
    Serial,
    Coupon,
    Event,
    Verification,
    Attempt,
    ContactUse,
    PasswordTries,
    PasswordPace,
    Tally,
    EndsChange,
    Delivery,
    Dispatch,
    Recipient,
    InboundEvent,
    Publication,
    RemoteCoupon,
    Run,
    Difference,
    Use,
]
NAME = "backstops"
# Table -> its trigger.
TRIGGERS = {
    "coupons_event": "coupons_event_append_only",
    "campaigns_campaignevent": "campaigns_campaignevent_append_only",
}
# Constraints that are not checked against all rows, and unique indexes not built whole.
INVALID = """
    SELECT conname FROM pg_constraint
    WHERE conrelid = %(table)s::regclass AND NOT convalidated
    UNION ALL
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = %(table)s::regclass AND i.indisunique
        AND NOT (i.indisvalid AND i.indisready)
"""
# `D` is disabled; `R` fires on a replica only.
ARMED = """
    SELECT count(*) FROM pg_trigger
    WHERE tgrelid = %(table)s::regclass AND tgname = %(name)s
        AND tgenabled IN ('O', 'A')
"""


def find_missing_backstops() -> Break | None:
    """What the migrations made and the database has no more, table by table."""
    missing = [name for model in MODELS for name in _missing_of(model)]
    if connection.vendor == "postgresql":
        missing += [name for table, name in TRIGGERS.items() if not _is_armed(table)]
    if not missing:
        return None
    return Break(
        NAME,
        _(
            "The database no longer refuses by itself what would break the ledger: a "
            "constraint, a unique index or the steps' append-only trigger is gone or "
            "switched off."
        ),
        len(missing),
        missing,
    )


def _missing_of(model: type[models.Model]) -> Iterator[str]:
    """Names as `table: constraint`."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
        invalid: set[str] = set()
        if connection.vendor == "postgresql":
            cursor.execute(INVALID, {"table": table})
            invalid = {name for (name,) in cursor.fetchall()}
    whole = {name: entry for name, entry in found.items() if name not in invalid}
    for constraint in model._meta.constraints:
        if constraint.name not in whole:
            yield f"{table}: {constraint.name}"
    unique = _columns(whole, "unique") | _columns(whole, "primary_key")
    referring = _columns(whole, "foreign_key")
    for field in model._meta.local_concrete_fields:
        is_lost = field.unique and field.column not in unique
        if is_lost or (field.is_relation and field.column not in referring):
            yield f"{table}: {field.column}"


def _columns(found: Mapping[str, Any], kind: str) -> set[str]:
    """The columns that have a constraint of this kind alone."""
    columns = (entry["columns"] for entry in found.values() if entry[kind])
    return {names[0] for names in columns if names and len(names) == 1}


def _is_armed(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(ARMED, {"table": table, "name": TRIGGERS[table]})
        return bool(cursor.fetchone()[0])
