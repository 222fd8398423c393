"""Whether a row may be deleted, asked cheaply."""

from collections.abc import Iterator
from typing import Any

from django.db.models import PROTECT, Model


def is_pointed_at(row: Model) -> bool:
    """Whether any row elsewhere forbids deleting this one.

    Django's own delete page loads every such row to name it: a million contacts of a
    LINE account, say. This asks each table for one.
    """
    return any(True for _name in what_points_at(row))


def what_points_at(row: Model) -> Iterator[Any]:
    """The kinds of rows, in the plural, that forbid deleting this one."""
    for relation in row._meta.related_objects:
        if getattr(relation, "on_delete", None) is not PROTECT:
            continue
        rows = relation.related_model._base_manager.filter(**{relation.field.name: row})
        if rows.order_by().exists():
            yield relation.related_model._meta.verbose_name_plural
