"""Campaigns, groups and templates in the back office."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from campaigns.forms import CampaignForm
from campaigns.models import Campaign, CampaignText, Group, Template
from campaigns.services import set_own_password, stores_on_page

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
                    "limit_per_contact",
                    ("limit_in_total", "stock_warning"),
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
            {
                "classes": ("tab",),
                "fields": (
                    "verifying",
                    "stores",
                    ("new_password", "new_password_again"),
                    "forget_password",
                ),
            },
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
        new_password = form.cleaned_data.get("new_password", "")
        if new_password or form.cleaned_data.get("forget_password"):
            set_own_password(obj, new_password)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        campaign = form.instance
        if campaign.verified_on_page and not stores_on_page(campaign).exists():
            messages.warning(request, nowhere_words(campaign))


def nowhere_words(campaign: Campaign) -> str:
    """Why nobody can verify on the customer's page yet, and what to do."""
    if campaign.verified_on_page == "password":
        return gettext(
            "No open store that takes this campaign has a password yet, so its coupons "
            "can only be scanned. Set one on the store's page, or one for the campaign."
        )
    return gettext(
        "No open store takes this campaign yet, so nobody can mark its coupons as used. "
        "Open a store, or choose another one."
    )


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(Template)
class TemplateAdmin(ModelAdmin):
    list_display = ("name",)
    search_fields = ("name",)
