"""The side bar, grouped as a marketer thinks."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext_lazy as _

# Group -> its links: title, icon, model's admin name, permission to see it.
GROUPS: list[tuple[Any, list[tuple[Any, str, str, str]]]] = [
    (
        _("Campaigns"),
        [
            (
                _("Campaigns"),
                "campaign",
                "campaigns_campaign",
                "campaigns.view_campaign",
            ),
            (
                _("Redemption records"),
                "receipt_long",
                "reports_redemptionrecord",
                "coupons.view_coupon",
            ),
            (_("Sync"), "sync", "sync_publication", "sync.view_publication"),
            (_("Groups"), "folder", "campaigns_group", "campaigns.view_group"),
            (
                _("Templates"),
                "description",
                "campaigns_template",
                "campaigns.view_template",
            ),
        ],
    ),
    (
        _("Serials"),
        [
            (_("Batches"), "barcode", "serials_batch", "serials.view_batch"),
            (_("Find a serial"), "search", "serials_serial", "serials.view_serial"),
            (
                _("Exports"),
                "download",
                "reports_serialexport",
                "reports.view_serialexport",
            ),
        ],
    ),
    (
        _("Contacts"),
        [
            (_("Contacts"), "person", "contacts_contact", "contacts.view_contact"),
            (_("Lists"), "group", "contacts_contactlist", "contacts.view_contactlist"),
        ],
    ),
    (
        _("Deliveries"),
        [
            (
                _("Deliveries"),
                "send",
                "deliveries_delivery",
                "deliveries.view_delivery",
            )
        ],
    ),
    (_("Stores"), [(_("Stores"), "storefront", "stores_store", "stores.view_store")]),
    (
        _("Settings"),
        [
            (
                _("Connections"),
                "link",
                "connections_connection",
                "connections.view_connection",
            ),
            (_("People"), "badge", "auth_user", "auth.view_user"),
            (
                _("Audits of the ledger"),
                "fact_check",
                "reports_audit",
                "reports.view_audit",
            ),
        ],
    ),
]

# Of a link that stands for every page of its app: the app.
WHOLE_APPS = {"sync_publication": "sync"}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of links, each shown to whom may see what it leads to."""
    shown = []
    for title, links in GROUPS:
        items = [
            {
                "title": name,
                "icon": icon,
                "link": reverse_lazy(f"admin:{model}_changelist"),
                **_active(request, model),
            }
            for name, icon, model, permission in links
            if request.user.has_perm(permission)
        ]
        if items:
            shown.append({"title": title, "separator": True, "items": items})
    return shown


def _active(request: HttpRequest, model: str) -> dict[str, bool]:
    """Whether the link is marked as where one is; empty: on its own pages alone."""
    if model not in WHOLE_APPS:
        return {}
    pages = reverse("admin:app_list", args=[WHOLE_APPS[model]])
    return {"active": request.path.startswith(pages)}
