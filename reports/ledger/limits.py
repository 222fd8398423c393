"""Every counter equals what it counts, and none is over its limit.

Tallies are compared with the coupons' own times, and `step_time` and `step_verification`
compare those with the recorded steps: so tallies equal the sums of steps.
"""

from django.utils.translation import gettext_lazy as _

from reports.ledger.check import Check

CHECKS = [
    Check(
        "stock_count",
        _("A fixed batch's stock differs from the coupons that were given its text."),
        _("batch %(batch)s: %(taken)s counted, %(given)s given out"),
        """
        SELECT k.batch_id AS batch, k.taken, coalesce(c.given, 0) AS given
        FROM serials_stock k
        LEFT JOIN (
            SELECT batch_id, count(*) AS given FROM coupons_coupon
            WHERE batch_id IS NOT NULL AND serial_id IS NULL GROUP BY batch_id
        ) c ON c.batch_id = k.batch_id
        WHERE k.taken <> coalesce(c.given, 0)
        """,
    ),
    Check(
        "stock_exceeded",
        _("More of a fixed batch was given out than there is."),
        _("batch %(batch)s: %(taken)s of %(quantity)s"),
        """
        SELECT batch_id AS batch, taken, quantity FROM serials_stock
        WHERE taken > quantity
        """,
    ),
    Check(
        "total_limit_count",
        _(
            "A campaign's count against its limit in total differs from its redeemed "
            "coupons."
        ),
        _("campaign %(campaign)s: %(used)s counted, %(redeemed)s redeemed"),
        """
        SELECT l.campaign_id AS campaign, l.used, coalesce(c.redeemed, 0) AS redeemed
        FROM campaigns_totallimit l
        LEFT JOIN (
            SELECT campaign_id, count(*) AS redeemed FROM coupons_coupon
            WHERE status IN ('redeemed', 'verified') GROUP BY campaign_id
        ) c ON c.campaign_id = l.campaign_id
        WHERE l.used <> coalesce(c.redeemed, 0)
        """,
    ),
    Check(
        "total_limit_exceeded",
        _("A campaign was redeemed more often than its limit in total allows."),
        _("campaign %(campaign)s: %(used)s of %(quota)s"),
        """
        SELECT campaign_id AS campaign, used, quota FROM campaigns_totallimit
        WHERE used > quota
        """,
    ),
    Check(
        "contact_count",
        _(
            "A contact's count in a campaign differs from the coupons it redeemed: its "
            "limit lets it redeem too often, or not often enough."
        ),
        _("campaign %(campaign)s contact %(contact)s"),
        """
        SELECT campaign, contact FROM (
            SELECT campaign_id AS campaign, contact_id AS contact, used AS n
            FROM coupons_contactuse
            UNION ALL
            SELECT campaign_id, contact_id, -1 FROM coupons_coupon
            WHERE contact_id IS NOT NULL AND status IN ('redeemed', 'verified')
        ) redeemed
        GROUP BY campaign, contact HAVING sum(n) <> 0
        """,
    ),
    Check(
        "contact_exceeded",
        _("A contact redeemed more often than its campaign allowed."),
        _("campaign %(campaign)s contact %(contact)s: %(used)s of %(allowed)s"),
        """
        SELECT campaign_id AS campaign, contact_id AS contact, used, allowed
        FROM coupons_contactuse WHERE allowed > 0 AND used > allowed
        """,
    ),
    Check(
        "tally",
        _("The numbers that people see differ from what happened."),
        _("campaign %(campaign)s, batch %(batch)s (0: steps without one)"),
        # Batch 0 is the steps that know no batch. An opening that came with a redemption
        # is counted with its batch.
        """
        SELECT campaign, batch FROM (
            SELECT campaign_id AS campaign, coalesce(batch_id, 0) AS batch,
                sum(issued) AS issued, sum(sent) AS sent, 0 AS opened,
                sum(redeemed) AS redeemed, sum(verified) AS verified,
                sum(revoked) AS revoked
            FROM coupons_tally GROUP BY campaign_id, coalesce(batch_id, 0)
            UNION ALL
            SELECT campaign_id, 0, 0, 0, sum(opened), 0, 0, 0
            FROM coupons_tally GROUP BY campaign_id
            UNION ALL
            SELECT campaign_id, 0, -count(*), -count(sent_at), -count(opened_at), 0, 0,
                -sum(CASE WHEN batch_id IS NULL AND revoked_at IS NOT NULL
                     THEN 1 ELSE 0 END)
            FROM coupons_coupon GROUP BY campaign_id
            UNION ALL
            SELECT campaign_id, batch_id, 0, 0, 0, -count(*), -count(verified_at),
                -count(revoked_at)
            FROM coupons_coupon WHERE batch_id IS NOT NULL
            GROUP BY campaign_id, batch_id
        ) step
        GROUP BY campaign, batch
        HAVING sum(issued) <> 0 OR sum(sent) <> 0 OR sum(opened) <> 0
            OR sum(redeemed) <> 0 OR sum(verified) <> 0 OR sum(revoked) <> 0
        """,
    ),
]
