"""Managers told by mail, once, that a campaign has few serials left."""

import logging
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from reports import mailing, telling
from reports.numbers import Numbers, numbers_for, numbers_of
from serials.models import StockWatch

logger = logging.getLogger(__name__)


def is_low(watch: StockWatch, numbers: Numbers) -> bool:
    """Whether fewer can redeem than the campaign should warn at.

    What has no end is never low, and neither is what never had a serial.
    """
    free = numbers.free
    return numbers.has_serials and free is not None and free < watch.warn_below


def due(now: datetime) -> list[int]:
    """Campaigns that run low and of which nobody was told, by id.

    Every sweep asks this: one query, and three more where something is watched. A
    campaign that was filled up meanwhile may be told of again.
    """
    watches = list(_watched(now))
    numbers = numbers_of(watch.pk for watch in watches)
    low = [watch for watch in watches if is_low(watch, numbers[watch.pk])]
    filled = {watch.pk for watch in watches if watch.told_at} - {w.pk for w in low}
    if filled:
        StockWatch.objects.filter(pk__in=filled).update(told_at=None)
    untold = [watch for watch in low if not watch.told_at]
    return [w.pk for w in untold if telling.is_idle(w.telling_until, now)]


def _watched(now: datetime) -> QuerySet[StockWatch]:
    """Watches of the campaigns that somebody can redeem in, now or later."""
    return StockWatch.objects.filter(
        campaign__state=Campaign.State.ACTIVE, campaign__use_ends_at__gt=now
    )


def warn(campaign_id: int, now: datetime) -> None:
    """Mail Managers if the campaign still runs low, unless another worker does.

    What can't be sent is tried again once the lease is over.
    """
    held = telling.hold(_watched(now).filter(told_at=None), campaign_id, now)
    if held is None:
        return
    watch = held.select_related("campaign").first()
    if watch is None:  # set to another number just now
        return
    numbers = numbers_for(watch.campaign)
    if not is_low(watch, numbers):
        telling.release(held)
        return
    left = {"campaign": campaign_id, "left": numbers.free}
    logger.warning("stock.low", extra=left)
    to = mailing.managers() or mailing.superusers()
    words = words_of(watch, numbers)
    telling.tell(held, words, to=to, about="stock", told_at=now)


def words_of(watch: StockWatch, numbers: Numbers) -> tuple[str, str]:
    """Subject and body of the mail, in plain words."""
    campaign = watch.campaign
    upload = reverse("admin:serials_batch_upload")
    page = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    words = {
        "campaign": " ".join(campaign.name.split()),  # a subject is one line
        "left": f"{numbers.free or 0:,}",
        "stock": f"{numbers.stock:,}",
        "limit": f"{numbers.limit or 0:,}",
        "below": f"{watch.warn_below:,}",
        "upload": f"{settings.SITE_URL}{upload}?campaign={campaign.pk}",
        "page": f"{settings.SITE_URL}{page}",
    }
    subject = _("Only %(left)s left: %(campaign)s")
    if not numbers.free:
        subject = _("None left: %(campaign)s")
    body = _limit_body() if numbers.is_limit_lower else _stock_body()
    return subject % words, f"{body}\n\n{_foot()}" % words


def _stock_body() -> str:
    return _(
        "“%(campaign)s” has %(left)s of %(stock)s serials left, and you asked to be told "
        "below %(below)s. Once they are used up, nobody can redeem any more.\n\n"
        "Upload more: %(upload)s\n"
        "See its stock: %(page)s"
    )


def _limit_body() -> str:
    return _(
        "“%(campaign)s” may be redeemed %(limit)s times in total. %(left)s of them are "
        "left, and you asked to be told below %(below)s. After that nobody can redeem "
        "any more, however many serials there are.\n\n"
        "Raise the limit, under “Serials and limits”: %(page)s\n"
        "Upload more serials: %(upload)s"
    )


def _foot() -> str:
    return _(
        "This mail comes once, and again only after %(below)s or more were left in "
        "between. The number can be changed on the campaign's page, under “Serials and "
        "limits”."
    )
