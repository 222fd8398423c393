"""What people ask of a campaign: start it, pause it, end it, limit it."""

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from campaigns.errors import CampaignError
from campaigns.models import Campaign, TotalLimit

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


def check_total_limit(campaign: Campaign, quota: int | None) -> None:
    """Refuse a limit in total that can't hold. Raises CampaignError.

    A first limit is set before the campaign runs, because redemptions are counted
    only where there is one: `limit_late`. None is below what is used: `limit_too_low`.
    """
    limit = TotalLimit.objects.filter(campaign=campaign).first()
    has_started = campaign.state != Campaign.State.DRAFT
    if (limit is None) != (quota is None) and has_started:
        raise CampaignError(
            "limit_late",
            _(
                "A limit in total can be given or taken away only before the campaign "
                "is activated. An existing one can be raised or lowered."
            ),
        )
    if limit is not None and quota is not None and quota < limit.used:
        raise CampaignError(
            "limit_too_low",
            _("%(used)s coupons are redeemed already: choose no less.")
            % {"used": limit.used},
        )


@transaction.atomic
def set_total_limit(campaign: Campaign, quota: int | None) -> None:
    """Allow `quota` redemptions in total; None lets the stock decide alone.

    Raises CampaignError as `check_total_limit` does.
    """
    locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
    check_total_limit(locked, quota)
    if quota is None:
        TotalLimit.objects.filter(campaign=campaign).delete()
        return
    if TotalLimit.objects.filter(campaign=campaign, used__lte=quota).update(
        quota=quota
    ):
        return
    check_total_limit(locked, quota)  # used up meanwhile: say so
    TotalLimit.objects.create(campaign=campaign, quota=quota)


def take_of_limit(campaign_id: int) -> bool:
    """Count one redemption against the limit in total; False when it is reached.

    Called last in the redeem transaction: the row is hot, and its lock is held until
    the commit.
    """
    limit = TotalLimit.objects.filter(campaign_id=campaign_id)
    if limit.filter(used__lt=F("quota")).update(used=F("used") + 1):
        return True
    return not limit.exists()


def give_back_to_limit(campaign_id: int) -> None:
    """Take one redemption off the count: its coupon was revoked."""
    TotalLimit.objects.filter(campaign_id=campaign_id, used__gt=0).update(
        used=F("used") - 1
    )
