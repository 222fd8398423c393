"""What people ask of a campaign: start it, pause it, end it."""

from django.utils.translation import gettext as _

from campaigns.errors import CampaignError
from campaigns.models import Campaign

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
