"""Limits: how often a contact and a campaign as a whole may redeem.

A limit holds because a guarded statement with the limit in its WHERE changed a row. The
rows are counters; no limit is ever decided by counting coupons.
"""

from django.db import connection, transaction
from django.db.models import F, Q, Sum
from django.utils.translation import gettext as _

from campaigns.errors import CampaignError
from campaigns.models import Campaign, TotalLimit
from coupons.models import Coupon, Tally
from coupons.retrying import retrying
from serials.rows import planned_once

# The first half of our advisory locks' key, so that others' locks are not ours.
LOCKS = 1_129_270_352


def take_of_contact(coupon: Coupon) -> bool:
    """Count one redemption of the contact; False when its limit is reached.

    One guarded statement; it keeps the limit that it was held against, and a CHECK
    stands behind it. Without a contact there is nobody to count.
    """
    if coupon.contact_id is None:
        return True
    limit = coupon.campaign.limit_per_contact
    with planned_once() as cursor:
        cursor.execute(
            """
            INSERT INTO coupons_contactuse (campaign_id, contact_id, used, allowed)
            VALUES (%s, %s, 1, %s)
            ON CONFLICT (campaign_id, contact_id) DO UPDATE
            SET used = coupons_contactuse.used + 1, allowed = excluded.allowed
            WHERE excluded.allowed = 0
                OR coupons_contactuse.used < excluded.allowed
            """,
            [coupon.campaign_id, coupon.contact_id, limit],
        )
        return bool(cursor.rowcount)


def take_of_total(campaign_id: int) -> bool:
    """Count one redemption against the limit in total; False when it is reached.

    Called last in the redeem transaction: the row is hot, and its lock is held until
    the commit.
    """
    limit = TotalLimit.objects.filter(campaign_id=campaign_id)
    if limit.filter(used__lt=F("quota")).update(used=F("used") + 1):
        return True
    return not limit.exists()


def give_back_to_total(campaign_id: int) -> None:
    """Take one redemption off the count: its coupon was revoked."""
    TotalLimit.objects.filter(campaign_id=campaign_id, used__gt=0).update(
        used=F("used") - 1
    )


# --- setting the limit in total ------------------------------------------------------


def counting_sql(alias: str) -> str:
    """A column for whoever reads a coupon to change how many are redeemed.

    Costs no statement of its own: a shared lock of the campaign is taken with the row,
    until the commit. `set_total_limit` waits for all who hold it, and those after it
    see the limit.
    """
    if connection.vendor != "postgresql":  # SQLite has one writer at a time
        return ""
    return f", pg_advisory_xact_lock_shared({LOCKS}, {alias}.campaign_id::integer)"


def _wait_for_counting(campaign_id: int) -> None:
    """Let every redemption under way end, and none begin, until we commit."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, %s::integer)", [LOCKS, campaign_id]
            )


def check_total_limit(campaign: Campaign, quota: int | None) -> None:
    """Refuse a limit in total that is passed already.

    Raises CampaignError `limit_too_low`.
    """
    if quota is None:
        return
    limit = TotalLimit.objects.filter(campaign=campaign).first()
    _refuse_below(_used(limit, campaign), quota)


def _used(limit: TotalLimit | None, campaign: Campaign) -> int:
    return limit.used if limit is not None else count_redeemed(campaign.pk)


def _refuse_below(used: int, quota: int) -> None:
    if quota < used:
        raise CampaignError(
            "limit_too_low",
            _(
                "%(used)s coupons count against it already (redeemed, not revoked): "
                "choose no less."
            )
            % {"used": f"{used:,}"},
        )


@retrying
@transaction.atomic
def set_total_limit(campaign: Campaign, quota: int | None) -> None:
    """Allow `quota` redemptions in total from now on; None lets the stock decide alone.

    Works while customers redeem: see `counting_sql`. Raises CampaignError `limit_too_low`.
    """
    if quota is None:
        TotalLimit.objects.filter(campaign=campaign).delete()
        return
    # Whoever has the limit's row waits for nobody: redemptions under way want it.
    rows = TotalLimit.objects.select_for_update().filter(campaign=campaign)
    limit = rows.first()
    if limit is None:
        _wait_for_counting(campaign.pk)
        limit = rows.first()  # another manager's, set while we waited
    used = _used(limit, campaign)
    _refuse_below(used, quota)
    if limit is None:
        TotalLimit.objects.create(campaign=campaign, quota=quota, used=used)
    else:
        TotalLimit.objects.filter(campaign=campaign).update(quota=quota)


def count_redeemed(campaign_id: int) -> int:
    """How many of the campaign's coupons are redeemed and not revoked, by its tallies."""
    sums = Tally.objects.filter(campaign_id=campaign_id).aggregate(
        redeemed=Sum("redeemed", default=0),
        # Those revoked before Redeem was pressed are counted without a batch.
        revoked=Sum("revoked", filter=Q(batch__isnull=False), default=0),
    )
    return int(sums["redeemed"] - sums["revoked"])
