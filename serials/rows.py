"""Objects from rows of written-out statements, for the few paths where all are busy.

Building a statement by the ORM takes several times as long as running it, and planning
it anew each time is most of the rest. Redeem and the coupon page write theirs out.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models.base import ModelState
from psycopg import errors
from psycopg.pq import TransactionStatus

M = TypeVar("M", bound=models.Model)
Convert = tuple[int, Callable[..., Any], Any]
Names = tuple[str, ...]  # of fields, foreign keys with their `_id`


class PlanningCursor(ServerBindingCursor):
    """Plans anew when a table has changed since, or somebody forgot our statements."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        ask = super().execute  # type: ignore[misc]
        raw = self.connection  # type: ignore[attr-defined]
        try:
            return ask(query, params, **options)
        except (errors.FeatureNotSupported, errors.InvalidSqlStatementName):
            if raw.info.transaction_status != TransactionStatus.IDLE:
                raise  # whoever owns the transaction tries again: see `retrying`
            raw.execute("DEALLOCATE ALL")  # psycopg forgets them too
            return ask(query, params, **options)


def planned_once() -> CursorWrapper:
    """A cursor whose statements PostgreSQL prepares when they come again.

    Django's own cursors put the values into the text, so each of theirs is planned anew.
    See `prepare_threshold` in the settings. Whoever logs queries gets Django's own, which
    can tell them.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]  # once, not for each of its names
    if database.vendor != "postgresql" or database.queries_logged:
        return database.cursor()  # type: ignore[no-any-return]
    database.close_if_health_check_failed()
    database.ensure_connection()
    cursor = PlanningCursor(database.connection)  # type: ignore[call-arg]
    return database._prepare_cursor(cursor)  # type: ignore[no-any-return]


@cache
def columns_of(model: type[models.Model], alias: str, only: Names = ()) -> str:
    """All columns of a table or only these, for a SELECT whose rows `built` reads."""
    return ", ".join(f"{alias}.{column.column}" for column in _fields_of(model, only))


@cache
def _fields_of(model: type[models.Model], only: Names) -> list[Any]:
    fields = model._meta.concrete_fields
    return [field for field in fields if not only or field.attname in only]


@cache
def _shape_of(
    model: type[models.Model], only: Names
) -> tuple[list[str], int, list[Convert]]:
    """Names, the primary key's place, and which values need a conversion (SQLite's)."""
    columns = _fields_of(model, only)
    names = [column.attname for column in columns]
    converts: list[Convert] = []
    for place, column in enumerate(columns):
        expression = column.get_col(model._meta.db_table)
        found = connection.ops.get_db_converters(expression)
        found = [*found, *column.get_db_converters(connection)]
        converts += [(place, convert, expression) for convert in found]
    return names, next(n for n, c in enumerate(columns) if c.primary_key), converts


def built(model: type[M], values: Iterator[Any], only: Names = ()) -> M:
    """The object from the next columns of a row, which are `columns_of` the model.

    Columns left out are read from the database if somebody asks for them.
    """
    found = built_or_none(model, values, only)
    if found is None:
        raise ValueError(f"This row holds no {model._meta.label}.")
    return found


def built_or_none(model: type[M], values: Iterator[Any], only: Names = ()) -> M | None:
    """As `built`; None if an outer join found none."""
    names, primary, converts = _shape_of(model, only)
    own = [next(values) for _ in names]
    if own[primary] is None:
        return None
    for place, convert, expression in converts:
        own[place] = convert(own[place], expression, connection)
    # As `Model.from_db` leaves one, without its walk over every field there is: that
    # took longer than all the rest of this.
    found = model.__new__(model)
    found._state = ModelState()
    found._state.adding, found._state.db = False, DEFAULT_DB_ALIAS
    found.__dict__.update(zip(names, own, strict=True))
    return found


def know(owner: models.Model, **others: Any) -> None:
    """Let an object know those it refers to: asking for them then asks nobody."""
    for name, other in others.items():
        field: Any = owner._meta.get_field(name)
        field.set_cached_value(owner, other)
