"""What the pages about providers share: their look, who may see them, and GET alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from reports.admin.reading import ReadOnly
from reports.publications import MOST_COUNTED, counted_found, counted_open

PAGES = [
    ("publication", _("Overview"), "sync.view_publication"),
    ("difference", _("Differences"), "sync.view_difference"),
    ("remotecoupon", _("Found at LINE"), "sync.view_remotecoupon"),
    ("run", _("Looks"), "sync.view_run"),
    ("step", _("History"), "sync.view_step"),
]


@dataclass(frozen=True)
class Tab:
    """A link of the bar that all pages of Sync carry."""

    name: str
    url: str
    is_here: bool
    count: str


class SyncPages(ReadOnly):
    """A page of Sync: the list's address shows it, nothing is edited in place."""

    def tabs(self, request: HttpRequest) -> list[Tab]:
        """The pages that this person may see; what needs somebody carries a number."""
        counts = {"difference": counted_open, "remotecoupon": counted_found}
        return [
            Tab(
                str(name),
                reverse(f"admin:sync_{model}_changelist"),
                is_here=model == self.opts.model_name,
                count=shown_count(counts[model]()) if model in counts else "",
            )
            for model, name, permission in PAGES
            if request.user.has_perm(permission)
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponseBase:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return require_safe(self.listing)(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponseBase:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return require_safe(self.detail)(request, self.one(request, object_id))

    def listing(self, request: HttpRequest) -> HttpResponseBase:
        raise NotImplementedError

    def detail(self, request: HttpRequest, row: Any) -> HttpResponseBase:
        raise Http404

    def one(self, request: HttpRequest, pk: int | str) -> Any:
        """The row, or 404."""
        row = self.get_object(request, str(pk))
        if row is None:
            raise Http404
        return row

    def of_one(
        self, act: Callable[..., HttpResponseBase], permission: str
    ) -> Callable[..., HttpResponseBase]:
        """A page of one row for whoever may see it and has the permission."""

        def view(request: HttpRequest, pk: int, **rest: Any) -> HttpResponseBase:
            may = self.has_view_permission(request)
            if not may or not request.user.has_perm(permission):
                raise PermissionDenied
            row: Model = self.one(request, pk)
            return act(request, row, **rest)

        return view


def shown_count(count: int) -> str:
    """Such as 12 or 1,000+; nothing for none."""
    if not count:
        return ""
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"


def nonce_of(request: HttpRequest) -> UUID:
    """The name of this press; one of our own for a form that has lost its."""
    try:
        return UUID(request.POST.get("nonce", ""))
    except ValueError:
        return uuid4()
