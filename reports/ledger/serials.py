"""Each serial is given out once, to one coupon, from a batch that may give it."""

from django.utils.translation import gettext_lazy as _

from reports.ledger.check import Check

COUPON = _("coupon %(coupon)s")
COUPON_SERIAL = _("coupon %(coupon)s, serial %(serial)s")
COUPON_BATCH = _("coupon %(coupon)s, batch %(batch)s")

CHECKS = [
    Check(
        "serial_shared",
        _("A serial of one's own was given to more than one coupon."),
        _("serial %(serial)s"),
        """
        SELECT serial_id AS serial FROM coupons_coupon
        WHERE serial_id IS NOT NULL GROUP BY serial_id HAVING count(*) > 1
        """,
    ),
    Check(
        "serial_not_taken",
        _(
            "A coupon holds a serial that is free, void, or was taken at another time "
            "than it was redeemed: a free one will be given out again."
        ),
        COUPON_SERIAL,
        """
        SELECT c.id AS coupon, s.id AS serial FROM coupons_coupon c
        JOIN serials_serial s ON s.id = c.serial_id
        WHERE s.state <> 1 OR s.taken_at IS NULL OR c.redeemed_at IS NULL
            OR s.taken_at <> c.redeemed_at
        """,
    ),
    Check(
        "serial_lost",
        _("A serial is taken, but no coupon holds it: nobody can use it any more."),
        _("serial %(serial)s"),
        """
        SELECT s.id AS serial FROM serials_serial s
        LEFT JOIN coupons_coupon c ON c.serial_id = s.id
        WHERE s.state = 1 AND c.id IS NULL
        """,
    ),
    Check(
        "serial_elsewhere",
        _("A coupon holds a serial of another batch or campaign than its own."),
        COUPON_SERIAL,
        """
        SELECT c.id AS coupon, s.id AS serial FROM coupons_coupon c
        JOIN serials_serial s ON s.id = c.serial_id
        WHERE c.batch_id IS NULL OR s.batch_id <> c.batch_id
            OR s.campaign_id <> c.campaign_id
        """,
    ),
    Check(
        "serial_missing",
        _(
            "A coupon of a one-time batch has no serial of its own, or one of a fixed "
            "text has one."
        ),
        COUPON_BATCH,
        """
        SELECT c.id AS coupon, b.id AS batch FROM coupons_coupon c
        JOIN serials_batch b ON b.id = c.batch_id
        WHERE (b.kind = 'fixed') <> (c.serial_id IS NULL)
        """,
    ),
    Check(
        "batch_elsewhere",
        _(
            "A coupon was redeemed from a batch of another campaign, or from one that "
            "never was ready."
        ),
        COUPON_BATCH,
        """
        SELECT c.id AS coupon, b.id AS batch FROM coupons_coupon c
        JOIN serials_batch b ON b.id = c.batch_id
        WHERE b.campaign_id <> c.campaign_id
            OR b.state NOT IN ('ready', 'voiding', 'void')
        """,
    ),
    Check(
        "batch_total",
        _(
            "A batch that is ready, or was before it was made void, has more or fewer "
            "serials than it says, void ones that it does not count, or some of another "
            "campaign."
        ),
        _("batch %(batch)s"),
        """
        SELECT b.id AS batch FROM serials_batch b
        LEFT JOIN (
            SELECT batch_id, campaign_id, count(*) AS total,
                sum(CASE WHEN state = 2 THEN 1 ELSE 0 END) AS voided
            FROM serials_serial GROUP BY batch_id, campaign_id
        ) s ON s.batch_id = b.id
        WHERE b.state IN ('ready', 'voiding', 'void') AND (
            b.total <> coalesce(s.total, 0)
            OR (b.kind <> 'fixed' AND b.voided <> coalesce(s.voided, 0))
            OR s.campaign_id <> b.campaign_id)
        """,
    ),
    Check(
        "void_free",
        _(
            "A batch is void, but some of it is not: a free serial, or a unit of a fixed "
            "text."
        ),
        _("batch %(batch)s"),
        """
        SELECT b.id AS batch FROM serials_batch b
        LEFT JOIN serials_stock k ON k.batch_id = b.id
        LEFT JOIN (
            SELECT DISTINCT batch_id FROM serials_serial WHERE state = 0
        ) free ON free.batch_id = b.id
        WHERE b.state = 'void'
            AND (free.batch_id IS NOT NULL OR k.taken < k.quantity)
        """,
    ),
    Check(
        "void_early",
        _(
            "A batch has void serials, though nobody made it void, and they were not "
            "used at a provider: fewer can be given out than people think."
        ),
        _("batch %(batch)s: %(voided)s"),
        """
        SELECT b.id AS batch, b.voided FROM serials_batch b
        LEFT JOIN (
            SELECT s.batch_id, count(DISTINCT s.id) AS used FROM sync_use u
            JOIN sync_remotecoupon r ON r.id = u.coupon_id
            JOIN serials_serial s ON s.id = r.serial_id
            WHERE u.outcome = 'void' AND s.state = 2 GROUP BY s.batch_id
        ) u ON u.batch_id = b.id
        WHERE b.voided > coalesce(u.used, 0) AND b.state NOT IN ('voiding', 'void')
        """,
    ),
    Check(
        "code_twice",
        _("A campaign has the same serial twice: two customers hold the same code."),
        _("campaign %(campaign)s: serials %(first)s and %(last)s"),
        """
        SELECT campaign_id AS campaign, min(id) AS first, max(id) AS last
        FROM serials_serial GROUP BY campaign_id, code_key HAVING count(*) > 1
        """,
    ),
    Check(
        "code_shown_twice",
        _("Two serials of a campaign read the same, though they are told apart."),
        _("campaign %(campaign)s: serials %(first)s and %(last)s"),
        """
        SELECT campaign_id AS campaign, min(id) AS first, max(id) AS last
        FROM serials_serial GROUP BY campaign_id, code HAVING count(*) > 1
        """,
    ),
    Check(
        "code_fixed",
        _(
            "A one-time serial reads like a fixed text of its campaign: a scan can't "
            "tell whose it is."
        ),
        _("serial %(serial)s, batch %(batch)s"),
        # Until it is ready, a batch may hold one: it is refused for it at its end.
        """
        SELECT s.id AS serial, fixed.id AS batch FROM serials_batch fixed
        JOIN serials_serial s
            ON s.campaign_id = fixed.campaign_id AND s.code_key = fixed.code_key
        JOIN serials_batch b ON b.id = s.batch_id
        WHERE fixed.kind = 'fixed' AND b.state IN ('ready', 'voiding', 'void')
        """,
    ),
]
