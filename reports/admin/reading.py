"""Pages that are read: what stands there is written elsewhere."""

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin


class ReadOnly(ModelAdmin):
    """Nothing is added, changed or deleted here; a template above the form is the page."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def page(
        self,
        request: HttpRequest,
        template: str,
        title: str,
        status: int = 200,
        **context: Any,
    ) -> TemplateResponse:
        """A page of our own in the back office's frame."""
        everywhere = self.admin_site.each_context(request)
        shown = {**everywhere, "opts": self.opts, "title": title, **context}
        return TemplateResponse(request, f"reports/{template}", shown, status=status)
