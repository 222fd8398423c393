"""Objects from rows of written-out statements, for the few paths where all are busy.

Building a statement by the ORM takes several times as long as running it, and planning
it anew each time is most of the rest. Redeem and the coupon page write theirs out.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from psycopg import errors
from psycopg.pq import TransactionStatus

M = TypeVar("M", bound=models.Model)
Convert = tuple[int, Callable[..., Any], Any]


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
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    cursor = PlanningCursor(connection.connection)  # type: ignore[call-arg]
    return connection._prepare_cursor(cursor)  # type: ignore[attr-defined,no-any-return]


@cache
def columns_of(model: type[models.Model], alias: str) -> str:
    """All columns of a table, for a SELECT whose rows `built` reads."""
    columns = model._meta.concrete_fields
    return ", ".join(f"{alias}.{column.column}" for column in columns)


@cache
def _shape_of(model: type[models.Model]) -> tuple[list[str], int, list[Convert]]:
    """Names, the primary key's place, and which values need a conversion (SQLite's)."""
    columns = model._meta.concrete_fields
    names = [column.attname for column in columns]
    converts: list[Convert] = []
    for place, column in enumerate(columns):
        expression = column.get_col(model._meta.db_table)
        found = connection.ops.get_db_converters(expression)
        found = [*found, *column.get_db_converters(connection)]
        converts += [(place, convert, expression) for convert in found]
    return names, next(n for n, c in enumerate(columns) if c.primary_key), converts


def built(model: type[M], values: Iterator[Any]) -> M:
    """The object from the next columns of a row, which are `columns_of` the model."""
    found = built_or_none(model, values)
    if found is None:
        raise ValueError(f"This row holds no {model._meta.label}.")
    return found


def built_or_none(model: type[M], values: Iterator[Any]) -> M | None:
    """As `built`; None if an outer join found none."""
    names, primary, converts = _shape_of(model)
    own = [next(values) for _ in names]
    if own[primary] is None:
        return None
    for place, convert, expression in converts:
        own[place] = convert(own[place], expression, connection)
    return model.from_db(connection.alias, names, own)


def know(owner: models.Model, **others: Any) -> None:
    """Let an object know those it refers to: asking for them then asks nobody."""
    for name, other in others.items():
        field: Any = owner._meta.get_field(name)
        field.set_cached_value(owner, other)
