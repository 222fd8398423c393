"""What people ask of a campaign: start it, pause it, end it."""

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.errors import CampaignError
from campaigns.models import Campaign
from stores.models import Store, hashed

MOVES = {
    "activate": (("draft",), "active"),
    "pause": (("active",), "paused"),
    "resume": (("paused",), "active"),
    "end": (("active", "paused"), "ended"),
}


def move(campaign_id: int, action: str) -> None:
    """Change a campaign's state; the one writer of `state`.

    `action` is activate, pause, resume or end. Raises CampaignError `wrong_state`.
    """
    was, to = MOVES[action]
    changed = Campaign.objects.filter(pk=campaign_id, state__in=was).update(state=to)
    if not changed:
        raise CampaignError(
            "wrong_state",
            _("This campaign is no longer in a state that allows this. Look again."),
        )


def set_own_password(campaign: Campaign, raw: str) -> None:
    """Let this password count at every store of the campaign; "" for the stores' own."""
    campaign.password = hashed(raw) if raw else ""
    campaign.password_changed_at = timezone.now()
    campaign.save(update_fields=["password", "password_changed_at"])


def stores_on_page(campaign: Campaign) -> QuerySet[Store]:
    """The open stores whose staff can verify on the customer's page."""
    stores = Store.objects.filter(is_active=True)
    if campaign.stores.exists():
        stores = stores.filter(campaigns=campaign)
    if campaign.verified_on_page == "password" and not campaign.password:
        stores = stores.exclude(password="")
    return stores if campaign.verified_on_page else stores.none()
