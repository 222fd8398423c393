"""Managers told by mail when somebody tries out passwords on customers' pages."""

from datetime import datetime

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from coupons.models import PasswordPace
from coupons.passwords import WRONG_A_DAY
from reports import mailing, telling


def due(now: datetime) -> list[int]:
    """Passwords that were guessed at and of which nobody was told, by id."""
    return list(_untold(now).values_list("pk", flat=True))


def _untold(now: datetime) -> QuerySet[PasswordPace]:
    news = Q(told_at=None) | Q(told_at__lt=F("alerted_at"))
    idle = telling.idle(now)
    return PasswordPace.objects.filter(idle, news, alerted_at__isnull=False)


def warn(pace_id: int, now: datetime) -> None:
    """Mail Managers of it, unless another worker does or they know."""
    held = telling.hold(_untold(now), pace_id, now)
    if held is None:
        return
    pace = held.select_related("store", "campaign").first()
    if pace is None:  # its store or campaign was deleted just now
        return
    to = mailing.managers() or mailing.superusers()
    telling.tell(held, words_of(pace, now), to=to, about="password", told_at=now)


def words_of(pace: PasswordPace, now: datetime) -> tuple[str, str]:
    """Subject and body of the mail, in plain words."""
    owner = pace.store or pace.campaign
    page = (
        reverse("admin:stores_store_change", args=[pace.store_id])
        if pace.store_id
        else reverse("admin:campaigns_campaign_change", args=[pace.campaign_id])
    )
    words = {
        "owner": " ".join(str(owner).split()),  # a subject is one line
        "page": f"{settings.SITE_URL}{page}",
    }
    is_paused = pace.wrong >= WRONG_A_DAY and pace.day_ends_at > now
    parts = [_guessed(), _paused() if is_paused else _going_on(), _advice()]
    subject = _("Wrong passwords on coupon pages: %(owner)s")
    return subject % words, "\n\n".join(parts) % words


def _guessed() -> str:
    return _(
        "The password of “%(owner)s”, which staff type on a customer's coupon page, was "
        "typed wrong 20 times or more within an hour. Somebody may be trying out "
        "passwords, or the staff do not know the new one."
    )


def _going_on() -> str:
    return _(
        "It still works. After 200 wrong ones in a day it is taken on no page until "
        "midnight; scanning is not affected."
    )


def _paused() -> str:
    return _(
        "It is taken on no page until midnight. Staff can scan the coupons meanwhile."
    )


def _advice() -> str:
    return _(
        "Set another password and tell it to the staff alone: %(page)s\n"
        "Coupons that were taken can be seen, and taken back, in the redemption records."
    )
