"""Passwords that a store's staff type on the customer's page, and how often they may.

A try is counted first and judged afterwards: forty guesses at once are no more than five
one after the other. The counters are rows, so they hold for all processes, and a try that
nobody lived to judge stays counted.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, When

from campaigns.clocks import end_of_day, to_instant
from campaigns.models import Campaign
from coupons.errors import CouponError
from coupons.models import Coupon, PasswordPace, PasswordTries
from coupons.retrying import retrying
from stores.models import Store

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]
Keeper = Store | Campaign  # whose password it is

# On one coupon's page. Tries count as one row until REST has gone by without one, so
# that no quarter of an hour ever holds more.
TRIES = 5
REST = timedelta(minutes=15)
TRIES_EVER = 10
# Of one password, on whatever coupons.
ALERT = 20  # wrong ones in an hour
WRONG_A_DAY = 200


def keeper_of(campaign: Campaign, store: Store) -> Keeper | None:
    """Whose password counts at the store: the campaign's own beats the store's."""
    if campaign.password:
        return campaign
    return store if store.password else None


def judge(coupon: Coupon, keeper: Keeper, raw: str, *, clock: Clock) -> None:
    """Let pass whoever typed the password; the others have one try less.

    Raises CouponError: wrong_password (facts: left, the tries that remain) and, without
    a look at the password, too_many_tries (facts: opens_at when the page may be tried
    again, or paused_until for all pages where this password counts).
    """
    at = clock()
    left, is_last = _reserve(coupon, keeper, at)
    # No transaction is open here: see `is_hash_of`.
    if keeper.has_password(raw):
        _give_back(coupon, keeper, at)
        return
    for event in _note_wrong(keeper, at, is_last=is_last):
        whose = "store_id" if isinstance(keeper, Store) else "campaign_id"
        logger.error(event, extra={whose: keeper.pk})
    raise CouponError("wrong_password", left=left)


@retrying
@transaction.atomic
def _reserve(coupon: Coupon, keeper: Keeper, at: datetime) -> tuple[int, bool]:
    """Count a try as wrong, on the page and of the password; both or neither.

    Returns how many the page has left, and whether it was the password's last of the day.
    """
    left = _take_of_page(coupon, at)
    if left is None:
        tries = PasswordTries.objects.get(coupon=coupon)
        raise CouponError("too_many_tries", opens_at=opens_at(tries))
    wrong = _take_of_day(keeper, at)
    if wrong is None:
        ends = _pace_of(keeper).values_list("day_ends_at", flat=True).get()
        raise CouponError("too_many_tries", paused_until=ends)
    return left, wrong == WRONG_A_DAY


# The numbers are our own.
TAKE_OF_PAGE = f"""
    INSERT INTO coupons_passwordtries AS tries (coupon_id, ever, lately, last_at)
    VALUES (%s, 1, 1, %s)
    ON CONFLICT (coupon_id) DO UPDATE SET
        ever = tries.ever + 1,
        lately = CASE WHEN tries.last_at <= %s THEN 1 ELSE tries.lately + 1 END,
        last_at = excluded.last_at
    WHERE tries.ever < {TRIES_EVER}
    AND (tries.last_at <= %s OR tries.lately < {TRIES})
    RETURNING ever, lately
"""  # noqa: S608


def _take_of_page(coupon: Coupon, at: datetime) -> int | None:
    """Count a try on the coupon's page; how many remain, None if none was left."""
    adapt = connection.ops.adapt_datetimefield_value
    rested = adapt(at - REST)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_OF_PAGE, [coupon.pk, adapt(at), rested, rested])
        row = cursor.fetchone()
    if row is None:
        return None
    ever, lately = row
    return int(min(TRIES - lately, TRIES_EVER - ever))


def opens_at(tries: PasswordTries) -> datetime | None:
    """When a page whose tries are used up may be tried again; None for never."""
    return tries.last_at + REST if tries.ever < TRIES_EVER else None


def is_closed(tries: PasswordTries | None, *, at: datetime) -> bool:
    """Whether the page has no try left at `at`."""
    if tries is None:
        return False
    has_rested = tries.last_at <= at - REST
    return tries.ever >= TRIES_EVER or (tries.lately >= TRIES and not has_rested)


TAKE_OF_DAY = f"""
    INSERT INTO coupons_passwordpace AS pace ({{owner}}, wrong, day_ends_at)
    VALUES (%s, 1, %s)
    ON CONFLICT ({{owner}}) DO UPDATE SET
        wrong = CASE WHEN pace.day_ends_at <= %s THEN 1 ELSE pace.wrong + 1 END,
        day_ends_at = CASE WHEN pace.day_ends_at <= %s
            THEN excluded.day_ends_at ELSE pace.day_ends_at END
    WHERE pace.day_ends_at <= %s OR pace.wrong < {WRONG_A_DAY}
    RETURNING wrong
"""  # noqa: S608


def _take_of_day(keeper: Keeper, at: datetime) -> int | None:
    """Count a try as a wrong one of the keeper's day; None if the day has no more."""
    adapt = connection.ops.adapt_datetimefield_value
    owner = "store_id" if isinstance(keeper, Store) else "campaign_id"
    now, ends = adapt(at), adapt(_end_of_day(keeper, at))
    with connection.cursor() as cursor:
        sql = TAKE_OF_DAY.format(owner=owner)
        cursor.execute(sql, [keeper.pk, ends, now, now, now])
        row = cursor.fetchone()
    return int(row[0]) if row else None


def _end_of_day(keeper: Keeper, at: datetime) -> datetime:
    """The next midnight where the keeper is."""
    today = at.astimezone(keeper.zone).date()
    return to_instant(end_of_day(today), keeper.zone, is_end=True)


def _pace_of(keeper: Keeper) -> QuerySet[PasswordPace]:
    if isinstance(keeper, Store):
        return PasswordPace.objects.filter(store=keeper)
    return PasswordPace.objects.filter(campaign=keeper)


@retrying
@transaction.atomic
def _give_back(coupon: Coupon, keeper: Keeper, at: datetime) -> None:
    """The password was right: the try was none."""
    PasswordTries.objects.filter(coupon=coupon, ever__gt=0).update(
        ever=F("ever") - 1,
        lately=Case(When(lately__gt=0, then=F("lately") - 1), default=0),
    )
    # Not off the day after, if that has begun meanwhile.
    day = _pace_of(keeper).filter(day_ends_at__lte=_end_of_day(keeper, at))
    day.filter(wrong__gt=0).update(wrong=F("wrong") - 1)


# --- telling people ------------------------------------------------------------------


@retrying
@transaction.atomic
def _note_wrong(keeper: Keeper, at: datetime, *, is_last: bool) -> list[str]:
    """Count a wrong one of this hour, and leave word when they are too many.

    Returns what there is to tell, by its names in the log.
    """
    pace = _pace_of(keeper)
    hour = int(at.timestamp()) // 3600
    pace.filter(hour__lt=hour).update(
        hour=hour,
        wrong_before=Case(When(hour=hour - 1, then=F("wrong_in_hour")), default=0),
        wrong_in_hour=0,
    )
    pace.update(wrong_in_hour=F("wrong_in_hour") + 1)
    # Any hour lies within two of the clock's: rather alert early than not at all.
    many = Q(wrong_in_hour__gte=ALERT - F("wrong_before"))
    is_news = Q(alerted_at=None) | Q(alerted_at__lte=at - timedelta(hours=1))
    events = []
    if pace.filter(many & is_news).update(alerted_at=at):
        events.append("password.guessing")
    if is_last:
        pace.update(alerted_at=at)
        events.append("password.paused")
    return events
