"""Whether a row may be deleted, asked cheaply."""

from django.db.models import PROTECT, Model


def is_pointed_at(row: Model) -> bool:
    """Whether any row elsewhere forbids deleting this one.

    Django's own delete page loads every such row to name it: a million contacts of a
    LINE account, say. This asks each table for one.
    """
    return any(
        relation.related_model._base_manager.filter(**{relation.field.name: row})
        .order_by()
        .exists()
        for relation in row._meta.related_objects
        if getattr(relation, "on_delete", None) is PROTECT
    )
