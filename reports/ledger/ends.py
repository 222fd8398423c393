"""Coupons end when their campaign's terms say, and changed terms reached all of them."""

from django.db import connection
from django.utils.translation import gettext_lazy as _

from reports.ledger.check import Check


def seconds_between(start: str, end: str) -> str:
    """SQL for the seconds from one column's instant to another's."""
    if connection.vendor == "postgresql":
        return f"extract(epoch FROM {end} - {start})"
    return f"((julianday({end}) - julianday({start})) * 86400)"


FROM_SENDING = seconds_between("c.sent_at", "c.ends_at")
FROM_REDEMPTION = seconds_between("c.redeemed_at", "c.ends_at")

CHECKS = [
    Check(
        "end_late",
        _("A coupon ends later than its campaign's use period ever did."),
        _("coupon %(coupon)s"),
        """
        SELECT c.id AS coupon FROM coupons_coupon c
        JOIN campaigns_campaign p ON p.id = c.campaign_id
        WHERE c.ends_at > p.use_ends_at AND NOT EXISTS (
            SELECT 1 FROM coupons_endschange e
            WHERE e.campaign_id = c.campaign_id AND e.was_use_ends_at >= c.ends_at
        )
        """,
    ),
    Check(
        "ends_left_behind",
        _(
            "A change of ends is said to have reached every coupon that was out, but "
            "this one has another end: it may expire too early, or too late."
        ),
        _("coupon %(coupon)s, change %(change)s"),
        # Of each campaign's newest change, as long as its terms hold. One that was
        # verified when the change came to it has kept its end, were it undone since. A
        # second more or less: a clock's start and a coupon's end are compared in seconds.
        f"""
        SELECT coupon, change FROM (
            SELECT c.id AS coupon, e.id AS change, c.ends_at, e.use_ends_at,
                e.expiry_seconds AS allowed,
                CASE e.expiry WHEN 'from_sending' THEN {FROM_SENDING}
                    WHEN 'from_redemption' THEN {FROM_REDEMPTION} END AS runs
            FROM coupons_endschange e
            JOIN campaigns_campaign p ON p.id = e.campaign_id
            JOIN coupons_coupon c
                ON c.campaign_id = e.campaign_id AND c.id <= e.last_id
            WHERE e.state = 'done' AND e.is_for_issued
                AND p.use_ends_at = e.use_ends_at AND p.expiry = e.expiry
                AND e.expiry_seconds = CASE p.expiry WHEN 'use_end' THEN 0
                    ELSE p.expiry_amount * CASE p.expiry_unit WHEN 'minutes' THEN 60
                        WHEN 'hours' THEN 3600 ELSE 86400 END END
                AND c.status NOT IN ('verified', 'revoked')
                AND NOT EXISTS (
                    SELECT 1 FROM coupons_endschange later
                    WHERE later.campaign_id = e.campaign_id AND later.id > e.id
                )
                AND NOT EXISTS (
                    SELECT 1 FROM coupons_verification v
                    WHERE v.coupon_id = c.id AND v.at <= e.finished_at
                )
        ) reached
        WHERE ends_at > use_ends_at
            OR (runs IS NULL AND ends_at <> use_ends_at)
            OR runs > allowed + 1
            OR (ends_at < use_ends_at AND runs < allowed - 1)
        """,  # noqa: S608 - our own words alone
    ),
    Check(
        "ends_unfinished",
        _(
            "A change of ends is under way, but for 5 minutes no worker has held it: "
            "some coupons have the new ends, others the old ones."
        ),
        _("campaign %(campaign)s, change %(change)s"),
        """
        SELECT campaign_id AS campaign, id AS change FROM coupons_endschange
        WHERE state = 'working' AND coalesce(leased_until, asked_at) < %(left_at)s
        """,
    ),
    Check(
        "ends_count",
        _("A change of ends counts more coupons than there were, or not all of them."),
        _("campaign %(campaign)s, change %(change)s: %(done)s of %(total)s"),
        """
        SELECT campaign_id AS campaign, id AS change, done, total
        FROM coupons_endschange
        WHERE is_for_issued AND (done > total OR changed > done
            OR (state = 'done' AND done <> total))
        """,
    ),
]
