"""The side bar, grouped as a marketer thinks."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def item(title: Any, icon: str, name: str, permission: str) -> dict[str, Any]:
    def may(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{name}_changelist"),
        "permission": may,
    }


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of links, each shown to whom may see what it leads to."""
    groups = [
        (
            _("Campaigns"),
            [
                item(
                    _("Campaigns"),
                    "campaign",
                    "campaigns_campaign",
                    "campaigns.view_campaign",
                ),
                item(
                    _("Redemption records"),
                    "receipt_long",
                    "reports_redemptionrecord",
                    "coupons.view_coupon",
                ),
                item(_("Groups"), "folder", "campaigns_group", "campaigns.view_group"),
                item(
                    _("Templates"),
                    "description",
                    "campaigns_template",
                    "campaigns.view_template",
                ),
            ],
        ),
        (
            _("Serials"),
            [item(_("Batches"), "barcode", "serials_batch", "serials.view_batch")],
        ),
        (
            _("Contacts"),
            [
                item(
                    _("Contacts"), "person", "contacts_contact", "contacts.view_contact"
                ),
                item(
                    _("Lists"),
                    "group",
                    "contacts_contactlist",
                    "contacts.view_contactlist",
                ),
            ],
        ),
        (
            _("Deliveries"),
            [
                item(
                    _("Deliveries"),
                    "send",
                    "deliveries_delivery",
                    "deliveries.view_delivery",
                )
            ],
        ),
        (
            _("Stores"),
            [item(_("Stores"), "storefront", "stores_store", "stores.view_store")],
        ),
        (
            _("Settings"),
            [
                item(
                    _("Connections"),
                    "link",
                    "connections_connection",
                    "connections.view_connection",
                ),
                item(_("People"), "badge", "auth_user", "auth.view_user"),
            ],
        ),
    ]
    shown = []
    for title, items in groups:
        allowed = [one for one in items if one["permission"](request)]
        if allowed:
            shown.append({"title": title, "separator": True, "items": allowed})
    return shown
