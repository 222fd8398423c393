"""Each contact gets each send at most once, and every send ends for everybody."""

from django.utils.translation import gettext_lazy as _

from reports.ledger.check import Check

DELIVERY = _("delivery %(delivery)s")
RECIPIENT = _("delivery %(delivery)s recipient %(recipient)s")
DISPATCH = _("delivery %(delivery)s dispatch %(dispatch)s")

CHECKS = [
    Check(
        "delivery_count",
        _("A delivery's numbers differ from what became of its recipients."),
        DELIVERY,
        """
        SELECT d.id AS delivery FROM deliveries_delivery d
        LEFT JOIN (
            SELECT delivery_id, count(*) AS total,
                sum(CASE outcome WHEN 'accepted' THEN 1 ELSE 0 END) AS accepted,
                sum(CASE outcome WHEN 'refused' THEN 1 ELSE 0 END) AS refused,
                sum(CASE outcome WHEN 'unknown' THEN 1 ELSE 0 END) AS unclear,
                sum(CASE outcome WHEN 'cancelled' THEN 1 ELSE 0 END) AS cancelled
            FROM deliveries_recipient GROUP BY delivery_id
        ) r ON r.delivery_id = d.id
        WHERE d.total <> coalesce(r.total, 0) OR d.accepted <> coalesce(r.accepted, 0)
            OR d.refused <> coalesce(r.refused, 0)
            OR d.unknown <> coalesce(r.unclear, 0)
            OR d.cancelled <> coalesce(r.cancelled, 0)
        """,
    ),
    Check(
        "delivery_done",
        _(
            "A delivery is done although somebody still waits, or goes on although "
            "nobody does."
        ),
        DELIVERY,
        """
        SELECT d.id AS delivery FROM deliveries_delivery d
        LEFT JOIN (
            SELECT delivery_id, count(*) AS waiting FROM deliveries_recipient
            WHERE outcome IN ('queued', 'sending') GROUP BY delivery_id
        ) r ON r.delivery_id = d.id
        WHERE (d.state = 'done' AND r.waiting IS NOT NULL)
            OR (d.state IN ('ready', 'paused') AND d.prepared_at IS NOT NULL
                AND r.waiting IS NULL)
        """,
    ),
    Check(
        "recipient_outcome",
        _("A recipient's outcome is not that of its request to LINE."),
        RECIPIENT,
        """
        SELECT r.delivery_id AS delivery, r.id AS recipient
        FROM deliveries_recipient r
        JOIN deliveries_dispatch d ON d.id = r.dispatch_id
        WHERE d.delivery_id <> r.delivery_id
            OR r.outcome <> CASE d.status WHEN 'sending' THEN 'queued' ELSE d.status END
        """,
    ),
    Check(
        "recipient_twice",
        _("A contact stands twice in one delivery: it gets the message twice."),
        _("delivery %(delivery)s contact %(contact)s"),
        """
        SELECT delivery_id AS delivery, contact_id AS contact
        FROM deliveries_recipient GROUP BY delivery_id, contact_id HAVING count(*) > 1
        """,
    ),
    Check(
        "recipient_coupon",
        _(
            "A recipient's coupon is another contact's, of another campaign, or also "
            "another recipient's: two people hold one link."
        ),
        RECIPIENT,
        """
        SELECT r.delivery_id AS delivery, r.id AS recipient
        FROM deliveries_recipient r
        JOIN deliveries_delivery d ON d.id = r.delivery_id
        JOIN coupons_coupon c ON c.id = r.coupon_id
        WHERE coalesce(c.contact_id, 0) <> r.contact_id
            OR c.campaign_id <> d.campaign_id
        UNION
        SELECT delivery_id, id FROM deliveries_recipient WHERE coupon_id IN (
            SELECT coupon_id FROM deliveries_recipient WHERE coupon_id IS NOT NULL
            GROUP BY coupon_id HAVING count(*) > 1)
        """,
    ),
    Check(
        "recipient_without_coupon",
        _("A recipient has no coupon: the message leads nowhere, or its link is lost."),
        RECIPIENT,
        """
        SELECT r.delivery_id AS delivery, r.id AS recipient
        FROM deliveries_recipient r
        JOIN deliveries_delivery d ON d.id = r.delivery_id
        WHERE r.coupon_id IS NULL AND d.kind <> 'native'
        """,
    ),
    Check(
        "native_with_coupon",
        _(
            "A message with LINE's own coupon has used up one of ours, which nobody can "
            "open."
        ),
        RECIPIENT,
        """
        SELECT r.delivery_id AS delivery, r.id AS recipient
        FROM deliveries_recipient r
        JOIN deliveries_delivery d ON d.id = r.delivery_id
        WHERE r.coupon_id IS NOT NULL AND d.kind = 'native'
        """,
    ),
    Check(
        "accepted_not_sent",
        _("LINE took a message, but its coupon does not say when it was sent."),
        RECIPIENT,
        """
        SELECT r.delivery_id AS delivery, r.id AS recipient
        FROM deliveries_recipient r JOIN coupons_coupon c ON c.id = r.coupon_id
        WHERE r.outcome = 'accepted' AND c.sent_at IS NULL
        """,
    ),
    Check(
        "sent_not_accepted",
        _("A coupon says that it was sent, but LINE did not take its message."),
        RECIPIENT,
        """
        SELECT r.delivery_id AS delivery, r.id AS recipient
        FROM deliveries_recipient r JOIN coupons_coupon c ON c.id = r.coupon_id
        WHERE r.outcome <> 'accepted' AND c.sent_at IS NOT NULL
        """,
    ),
    Check(
        "dispatch_lease",
        _(
            "A request to LINE is said to be under way, but no worker holds it: "
            "somebody waits for a message that nobody sends."
        ),
        DISPATCH,
        """
        SELECT delivery_id AS delivery, id AS dispatch FROM deliveries_dispatch
        WHERE status = 'sending'
            AND (leased_until IS NULL OR leased_until < %(left_at)s)
        """,
    ),
    Check(
        "dispatch_recipients",
        _("A request to LINE has no recipient, or a push has several."),
        DISPATCH,
        """
        SELECT d.delivery_id AS delivery, d.id AS dispatch
        FROM deliveries_dispatch d
        LEFT JOIN (
            SELECT dispatch_id, count(*) AS n FROM deliveries_recipient
            GROUP BY dispatch_id
        ) r ON r.dispatch_id = d.id
        WHERE r.n IS NULL OR (r.n > 1 AND d.delivery_id IN (
            SELECT id FROM deliveries_delivery WHERE method = 'push'))
        """,
    ),
    Check(
        "retry_key_twice",
        _("Two requests to LINE have the same key: LINE sends only one of them."),
        _("dispatches %(first)s and %(last)s"),
        """
        SELECT min(id) AS first, max(id) AS last FROM deliveries_dispatch
        GROUP BY retry_key HAVING count(*) > 1
        """,
    ),
]
