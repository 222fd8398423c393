"""What tests of the coupons' ends do again and again."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from campaigns.models import Campaign
from coupons.ends import change_ends
from coupons.models import Coupon, EndsChange


def save_terms(
    campaign: Campaign,
    *,
    is_for_issued: bool = True,
    at: datetime | None = None,
    **terms,
) -> EndsChange:
    """Change the campaign's terms as the form does it: both in one transaction."""
    with transaction.atomic():
        now = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        was = now.use_ends_at
        for name, value in terms.items():
            setattr(now, name, value)
        now.save(update_fields=[*terms, "updated_at"])
        return change_ends(
            now,
            was_use_ends_at=was,
            is_for_issued=is_for_issued,
            at=at or timezone.now(),
        )


def end_of(coupon: Coupon) -> datetime:
    ends_at: datetime = Coupon.objects.values_list("ends_at", flat=True).get(
        pk=coupon.pk
    )
    return ends_at


def later(days: float) -> datetime:
    return timezone.now() + timedelta(days=days)
