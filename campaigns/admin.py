"""Campaigns, groups and templates in the back office."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from campaigns.forms import CampaignForm
from campaigns.models import Campaign, CampaignText, Group, Template

COLOURS = (
    "background_colour",
    "text_colour",
    "button_colour",
    "button_text_colour",
)


class CampaignTextInline(TabularInline):
    model = CampaignText
    extra = 0
    tab = True


class CampaignAdmin(ModelAdmin):
    """The campaign form. `reports` adds numbers, records and the state's buttons."""

    form = CampaignForm
    warn_unsaved_form = True
    compressed_fields = False
    search_fields = ("name", "memo")
    autocomplete_fields = ("stores", "group", "template")
    inlines = (CampaignTextInline,)
    fieldsets = (
        (
            _("Offer"),
            {
                "classes": ("tab",),
                "fields": (
                    "name",
                    "instructions",
                    "usage_condition",
                    ("benefit", "benefit_value", "currency"),
                    ("price_before", "price_after", "minimum_spend"),
                    "image",
                    "memo",
                ),
            },
        ),
        (
            _("Dates"),
            {
                "classes": ("tab",),
                "fields": (
                    "time_zone",
                    ("use_starts_at", "use_ends_at"),
                    ("send_starts_at", "send_ends_at"),
                    ("expiry", "expiry_amount", "expiry_unit"),
                ),
            },
        ),
        (
            _("Serials and limits"),
            {
                "classes": ("tab",),
                "fields": (
                    "barcode",
                    ("limit_per_contact", "limit_in_total"),
                    "warn_below",
                    "is_case_sensitive",
                ),
            },
        ),
        (
            _("Look"),
            {
                "classes": ("tab",),
                "fields": (COLOURS[:2], COLOURS[2:], ("button_label", "button_url")),
            },
        ),
        (
            _("Stores"),
            {"classes": ("tab",), "fields": ("verifying", "stores")},
        ),
        (
            _("More"),
            {
                "classes": ("tab",),
                "fields": (
                    "language",
                    ("group", "template"),
                    ("product_ids", "applies_to_renewals"),
                ),
            },
        ),
    )

    def has_delete_permission(
        self, request: HttpRequest, obj: Campaign | None = None
    ) -> bool:
        """Only a draft can go; whatever has run is kept for its records."""
        allowed = super().has_delete_permission(request, obj)
        return bool(allowed and (obj is None or obj.state == Campaign.State.DRAFT))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def save_model(
        self, request: HttpRequest, obj: Campaign, form: Any, change: bool
    ) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
            obj.save()
        elif form.changed_data:
            # The state moves elsewhere meanwhile: only what the form shows is saved.
            fields = {field.name for field in Campaign._meta.concrete_fields}
            changed = [name for name in form.cleaned_data if name in fields]
            obj.save(update_fields=[*changed, "updated_at"])


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(Template)
class TemplateAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)
