"""The nightly audits of the ledger, to be read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from reports.admin.reading import ReadOnly
from reports.auditing import result_of
from reports.models import Audit

RESULT_COLOURS = {"clean": "success", "broken": "danger", "unfinished": "warning"}


@admin.register(Audit)
class AuditAdmin(ReadOnly):
    """One line a night; its page says what was found, row by row."""

    list_display = ("night", "started_at", "ended_at", "shown_result")
    list_display_links = ("night",)
    list_per_page = 50
    empty_words = _(
        "The first check of the night comes at half past three. By hand, at any time: "
        "python manage.py audit_ledger"
    )
    change_form_outer_before_template = "reports/audit.html"

    @display(description=_("result"), label=RESULT_COLOURS)
    def shown_result(self, audit: Audit) -> tuple[str, str]:
        return result_of(audit)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        audit = self.get_object(request, object_id) if object_id else None
        extra = {**(extra_context or {}), "audit": audit}
        if audit is not None:
            kind, words = result_of(audit)
            extra |= {"result": kind, "result_words": words}
        return super().changeform_view(request, object_id, form_url, extra)
