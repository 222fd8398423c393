"""Encrypting what is stored anew, so that an old key of FIELD_KEYS may go."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast

from connections.fields import EncryptedField, cipher

BLOCK = 500  # rows read at once

UP_TO_DATE = "up to date"
OLDER = "older"
EMPTY = "empty"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Stored:
    """One encrypted value as it lies in the database: never its content."""

    model: type[models.Model]
    pk: object
    field: str
    raw: str

    def __str__(self) -> str:
        return f"{self.model._meta.label} {self.pk}: {self.field}"


def rotate(*, report: Callable[[Stored], None]) -> Counter[str]:
    """Encrypt every stored value with the first of FIELD_KEYS; how many were what.

    May run while the house runs, be stopped, and run again: each value is a statement
    of its own that counts only while the value is still the one that was read.
    `report` gets each value that none of the keys fits; those stay as they are.
    """
    return _walk(_renew, report)


def look(*, report: Callable[[Stored], None]) -> Counter[str]:
    """The same without changing anything."""
    return _walk(state_of, report)


def _walk(
    step: Callable[[Stored], str], report: Callable[[Stored], None]
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stored in all_stored():
        state = step(stored)
        counts[state] += 1
        if state == UNREADABLE:
            report(stored)
    return counts


def all_stored() -> Iterator[Stored]:
    """Every value of every encrypted field of every model, table by table."""
    for model in apps.get_models():
        # Local ones: a proxy has none, a child does not repeat its parent's.
        fields = [f for f in model._meta.local_fields if isinstance(f, EncryptedField)]
        for field in fields:
            yield from _stored_in(model, field.name)


def _stored_in(model: type[models.Model], field: str) -> Iterator[Stored]:
    rows = _raw(model, field).order_by("pk").values_list("pk", "raw")
    block = list(rows[:BLOCK])
    while block:
        for pk, raw in block:
            yield Stored(model, pk, field, raw or "")
        block = list(rows.filter(pk__gt=block[-1][0])[:BLOCK])


def _raw(model: type[models.Model], field: str) -> QuerySet[models.Model]:
    """All rows, with the column as `raw`: read as it is, not decrypted."""
    return model._base_manager.annotate(raw=Cast(field, TextField()))


def state_of(stored: Stored) -> str:
    if not stored.raw:
        return EMPTY
    token = stored.raw.encode()
    try:
        Fernet(settings.FIELD_KEYS[0]).decrypt(token)
    except InvalidToken:
        try:
            cipher().decrypt(token)
        except InvalidToken:
            return UNREADABLE
        return OLDER
    return UP_TO_DATE


def _renew(stored: Stored) -> str:
    """Encrypt it anew if it needs that; changed meanwhile, it is read again."""
    while (state := state_of(stored)) == OLDER:
        token = cipher().rotate(stored.raw.encode()).decode()
        same = _raw(stored.model, stored.field).filter(pk=stored.pk, raw=stored.raw)
        # As an expression: the field itself would encrypt it once more.
        if same.update(**{stored.field: Value(token, output_field=TextField())}):
            return OLDER
        now = _raw(stored.model, stored.field).filter(pk=stored.pk)
        raw = now.values_list("raw", flat=True).first()  # None: deleted meanwhile
        stored = Stored(stored.model, stored.pk, stored.field, raw or "")
    return state
