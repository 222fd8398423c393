"""Campaigns, groups and templates in the back office."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline

from campaigns.effective import LOOK, faint_pairs, shown_ratio
from campaigns.forms import (
    CampaignForm,
    CampaignTextForm,
    CampaignTextFormSet,
    GroupForm,
    TemplateForm,
    first_values,
)
from campaigns.models import Campaign, CampaignText, Group, Template
from campaigns.services import set_own_password, stores_on_page
from stores.models import Store

COLOURS = (
    "background_colour",
    "text_colour",
    "button_colour",
    "button_text_colour",
)
SHOWN_CAMPAIGNS = 20  # of those that use a group or template


class CampaignTextInline(StackedInline):
    """The texts in the other languages: a tab of the form draws them."""

    model = CampaignText
    form = CampaignTextForm
    formset = CampaignTextFormSet
    template = "campaigns/_texts.html"


class CampaignAdmin(ModelAdmin):
    """The campaign form. `reports` adds numbers, records and the state's buttons."""

    form = CampaignForm
    change_form_template = "campaigns/change_form.html"
    warn_unsaved_form = True
    compressed_fields = False
    search_fields = ("name", "memo")
    autocomplete_fields = ("stores", "group", "template")
    inlines = (CampaignTextInline,)
    fieldsets = (
        (
            _("Offer"),
            {
                "classes": ("tab", "tab-offer"),
                "fields": (
                    ("name", "language"),
                    "benefit",
                    ("benefit_value", "price_before", "price_after"),
                    ("minimum_spend", "currency"),
                    "instructions",
                    "usage_condition",
                    "template",
                    "memo",
                ),
            },
        ),
        (
            _("Dates"),
            {
                "classes": ("tab", "tab-dates"),
                "fields": (
                    "time_zone",
                    ("use_starts_at", "use_ends_at"),
                    ("send_starts_at", "send_ends_at"),
                    "expiry",
                    ("expiry_amount", "expiry_unit"),
                ),
            },
        ),
        (
            _("Serials and limits"),
            {
                "classes": ("tab", "tab-serials"),
                "fields": (
                    "barcode",
                    ("limit_per_contact", "limit_in_total"),
                    "stock_warning",
                    "is_case_sensitive",
                ),
            },
        ),
        (
            _("Look"),
            {
                "classes": ("tab", "tab-look"),
                "fields": (
                    "group",
                    "image",
                    COLOURS[:2],
                    COLOURS[2:],
                    ("button_label", "button_url"),
                ),
            },
        ),
        (
            _("Stores"),
            {
                "classes": ("tab", "tab-stores"),
                "fields": (
                    "verifying",
                    "stores",
                    ("new_password", "new_password_again"),
                    "forget_password",
                ),
            },
        ),
        (
            _("Paddle"),
            {
                "classes": ("tab", "tab-paddle"),
                "fields": ("product_ids", "applies_to_renewals"),
            },
        ),
    )

    class Media:
        css = {"all": ["campaigns/form.css"]}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Today to the end of next month, in the first store's zone.

        Language and currency are those of the newest campaign.
        """
        asked = super().get_changeform_initial_data(request)
        store = Store.objects.filter(is_active=True).order_by("pk").first()
        zone = store.time_zone if store else Campaign().time_zone
        values = first_values(zone, timezone.now())
        newest = Campaign.objects.order_by("-pk").first()
        if newest is not None:
            values |= {"language": newest.language, "currency": newest.currency}
        return values | asked

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
            # Nor is a picture that somebody else removed meanwhile brought back.
            if "image" in changed and "image" not in form.changed_data:
                changed.remove("image")
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


class SharedAdmin(ModelAdmin):
    """What several campaigns share: who uses it, and what a change of it changes."""

    compressed_fields = False
    warn_unsaved_form = True
    list_display = ("name", "used_by")
    search_fields = ("name",)

    class Media:
        css = {"all": ["campaigns/form.css"]}
        js = ["campaigns/form_colours.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(campaigns=Count("campaign"))

    @admin.display(description=_("campaigns"), ordering="campaigns")
    def used_by(self, shared: Any) -> int:
        return int(shared.campaigns)

    def users_of(self, shared: Any) -> QuerySet[Campaign]:
        """The campaigns that a change of it changes."""
        raise NotImplementedError

    @admin.display(description=_("Campaigns that change with it"))
    def users(self, shared: Any) -> str:
        found = self.users_of(shared)
        count = found.count()
        shown = found.order_by("-pk")[:SHOWN_CAMPAIGNS]
        return render_to_string(
            "campaigns/_users.html",
            {
                "campaigns": shown,
                "count": count,
                "more": max(0, count - SHOWN_CAMPAIGNS),
                "running": found.filter(state=Campaign.State.ACTIVE).count(),
            },
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("users",) if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*(("users",) if obj else ()), *self.form._meta.fields]

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        count = self.users_of(obj).count() if change and form.changed_data else 0
        if count:
            messages.info(
                request,
                ngettext(
                    "%(count)d campaign shows this from now on.",
                    "%(count)d campaigns show this from now on.",
                    count,
                )
                % {"count": count},
            )


@admin.register(Group)
class GroupAdmin(SharedAdmin):
    form = GroupForm

    def users_of(self, shared: Any) -> QuerySet[Campaign]:
        return Campaign.objects.filter(group=shared)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        for faint in faint_pairs({field: getattr(obj, field) for field in LOOK}):
            messages.warning(
                request,
                gettext(
                    "“%(text)s” can hardly be read on “%(behind)s”: %(ratio)s:1, and "
                    "4.5:1 is needed. %(enough)s would be enough."
                )
                % {
                    "text": form.fields[faint.field].label,
                    "behind": form.fields[faint.behind].label,
                    "ratio": shown_ratio(faint.ratio),
                    "enough": faint.enough,
                },
            )


@admin.register(Template)
class TemplateAdmin(SharedAdmin):
    form = TemplateForm

    def users_of(self, shared: Any) -> QuerySet[Campaign]:
        """Those without texts of their own; the others keep theirs."""
        its_own = Campaign.objects.filter(template=shared)
        return its_own.filter(instructions="") | its_own.filter(usage_condition="")
