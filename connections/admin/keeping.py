"""What the pages of rows share that records point at."""

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin

from connections.usage import is_pointed_at


class KeptWhileUsed(ModelAdmin):
    """Rows that records point at stay."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not is_pointed_at(obj))


class DeletedOneByOne(KeptWhileUsed):
    """Deleting in bulk would load every row that points at them."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        found.pop("delete_selected", None)
        return found
