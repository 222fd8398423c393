"""The admin site: lists can be filtered by what they offer, and by nothing else."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

# Endings that Django's own filters write.
ENDINGS = ("", "__exact", "__id__exact", "__isnull", "__gte", "__lt", "__lte", "__in")


class OfferedFiltersOnly:
    """Refuses any filter in the address that the list does not offer.

    Django lets an address filter by every column. A reader who may not see a coupon's
    link could find it letter by letter: `?token__startswith=`.
    """

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        offered = set()
        for item in self.list_filter:  # type: ignore[attr-defined]
            name = item[0] if isinstance(item, (list, tuple)) else item
            offered.add(getattr(name, "parameter_name", name))
        return any(lookup == f"{name}{end}" for name in offered for end in ENDINGS)


@method_decorator(never_cache, "password_change")
@method_decorator(never_cache, "password_change_done")
class HouseSite(UnfoldAdminSite):
    """unfold's site, whose every admin class gets the rule above.

    No page with a person's name is kept by a browser; Django lets it keep two.
    """

    def register(
        self, model_or_iterable: Any, admin_class: Any = None, **options: Any
    ) -> None:
        given = admin_class or admin.ModelAdmin
        guarded = type(given.__name__, (OfferedFiltersOnly, given), {})
        super().register(model_or_iterable, guarded, **options)


class HouseAdminConfig(AdminConfig):
    default_site = "couponadmin.site.HouseSite"
