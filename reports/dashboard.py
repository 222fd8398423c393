"""The first page of the back office: what runs, and what to do next."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from campaigns.models import Campaign
from connections.models import Connection
from contacts.models import Contact
from coupons.models import Coupon
from deliveries.models import Delivery
from reports.auditing import last_audit
from reports.numbers import numbers_of
from serials.models import Batch
from stores.models import Store


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Running campaigns with their numbers, open deliveries, and the first steps."""
    if not request.user.has_perm("campaigns.view_campaign"):
        return context
    running = list(Campaign.objects.filter(state=Campaign.State.ACTIVE)[:8])
    found = numbers_of(campaign.pk for campaign in running)
    return context | {
        "may_view": True,
        "running": [(campaign, found[campaign.pk]) for campaign in running],
        "open_deliveries": Delivery.objects.filter(
            state__in=["preparing", "ready", "paused"]
        ).select_related("campaign", "contact_list", "contact")[:5],
        "first_steps": first_steps(),
        "ledger": request.user.has_perm("reports.view_audit")
        and last_audit(timezone.now()),
    }


def first_steps() -> list[tuple[str, bool]]:
    """What a new shop does, in order, and whether it is done; empty when all are."""
    steps = [
        ("connection", Connection.objects.exists()),
        ("store", Store.objects.exists()),
        ("contact", Contact.objects.exists()),
        ("campaign", Campaign.objects.exists()),
        ("serials", Batch.objects.filter(state=Batch.State.READY).exists()),
        ("delivery", Delivery.objects.exists()),
        ("redeemed", Coupon.objects.filter(redeemed_at__isnull=False).exists()),
    ]
    return [] if all(done for _, done in steps) else steps
