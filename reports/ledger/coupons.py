"""Coupons, their steps and their verifications say the same."""

from django.utils.translation import gettext_lazy as _

from reports.ledger.check import Check

COUPON = _("coupon %(coupon)s")

CHECKS = [
    Check(
        "verified_twice",
        _("A coupon has two verifications that hold: it was taken twice at a till."),
        COUPON,
        """
        SELECT coupon_id AS coupon FROM coupons_verification
        WHERE undone_at IS NULL GROUP BY coupon_id HAVING count(*) > 1
        """,
    ),
    Check(
        "verified_without_record",
        _("A coupon is verified, but no verification says where and by whom."),
        COUPON,
        """
        SELECT c.id AS coupon FROM coupons_coupon c
        LEFT JOIN coupons_verification v
            ON v.coupon_id = c.id AND v.undone_at IS NULL
        WHERE c.status = 'verified' AND v.id IS NULL
        """,
    ),
    Check(
        "record_without_verified",
        _(
            "A verification holds, but its coupon is not verified: it could be taken "
            "once more."
        ),
        _("coupon %(coupon)s, verification %(verification)s"),
        """
        SELECT c.id AS coupon, v.id AS verification FROM coupons_verification v
        JOIN coupons_coupon c ON c.id = v.coupon_id
        WHERE v.undone_at IS NULL AND c.status <> 'verified'
        """,
    ),
    Check(
        "verified_time",
        _("A coupon and its verification name different times."),
        COUPON,
        """
        SELECT c.id AS coupon FROM coupons_verification v
        JOIN coupons_coupon c ON c.id = v.coupon_id
        WHERE v.undone_at IS NULL AND c.status = 'verified'
            AND (c.verified_at IS NULL OR c.verified_at <> v.at)
        """,
    ),
    Check(
        "status_time",
        _("A coupon's status does not follow from its times."),
        COUPON,
        """
        SELECT id AS coupon FROM coupons_coupon
        WHERE status <> CASE
                WHEN revoked_at IS NOT NULL THEN 'revoked'
                WHEN verified_at IS NOT NULL THEN 'verified'
                WHEN redeemed_at IS NOT NULL THEN 'redeemed'
                WHEN opened_at IS NOT NULL THEN 'opened'
                WHEN sent_at IS NOT NULL THEN 'sent'
                ELSE 'issued' END
            OR (redeemed_at IS NULL) <> (batch_id IS NULL)
            OR (redeemed_at IS NOT NULL AND opened_at IS NULL)
            OR (verified_at IS NOT NULL
                AND (redeemed_at IS NULL OR revoked_at IS NOT NULL))
        """,
    ),
    Check(
        "replaced",
        _(
            "A coupon replaces one that is not revoked, or that is another contact's "
            "or campaign's: somebody may hold two."
        ),
        _("coupon %(coupon)s in place of coupon %(replaced)s"),
        """
        SELECT new.id AS coupon, old.id AS replaced FROM coupons_coupon new
        JOIN coupons_coupon old ON old.id = new.replaces_id
        WHERE old.status <> 'revoked' OR old.campaign_id <> new.campaign_id
            OR coalesce(old.contact_id, 0) <> coalesce(new.contact_id, 0)
        """,
    ),
    Check(
        "replaced_twice",
        _("A revoked coupon was replaced more than once."),
        COUPON,
        """
        SELECT replaces_id AS coupon FROM coupons_coupon
        WHERE replaces_id IS NOT NULL GROUP BY replaces_id HAVING count(*) > 1
        """,
    ),
    # --- steps: the rows of coupons_event -------------------------------------------
    Check(
        "step_time",
        _(
            "A coupon's times and its recorded steps differ: a step was not recorded, "
            "was recorded twice, or never happened."
        ),
        COUPON,
        # The count finds a step that is there twice.
        """
        SELECT c.id AS coupon FROM coupons_coupon c
        LEFT JOIN (
            SELECT coupon_id, count(*) AS steps,
                max(CASE kind WHEN 'issued' THEN at END) AS issued,
                max(CASE kind WHEN 'sent' THEN at END) AS sent,
                max(CASE kind WHEN 'opened' THEN at END) AS opened,
                max(CASE kind WHEN 'redeemed' THEN at END) AS redeemed,
                max(CASE kind WHEN 'revoked' THEN at END) AS revoked
            FROM coupons_event WHERE kind NOT IN ('verified', 'undone')
            GROUP BY coupon_id
        ) e ON e.coupon_id = c.id
        WHERE e.issued IS NULL OR e.issued <> c.issued_at
            OR (e.sent IS NULL) <> (c.sent_at IS NULL) OR e.sent <> c.sent_at
            OR (e.opened IS NULL) <> (c.opened_at IS NULL) OR e.opened <> c.opened_at
            OR (e.redeemed IS NULL) <> (c.redeemed_at IS NULL)
            OR e.redeemed <> c.redeemed_at
            OR (e.revoked IS NULL) <> (c.revoked_at IS NULL)
            OR e.revoked <> c.revoked_at
            OR e.steps <> 1 + CASE WHEN c.sent_at IS NULL THEN 0 ELSE 1 END
                + CASE WHEN c.opened_at IS NULL THEN 0 ELSE 1 END
                + CASE WHEN c.redeemed_at IS NULL THEN 0 ELSE 1 END
                + CASE WHEN c.revoked_at IS NULL THEN 0 ELSE 1 END
        """,
    ),
    Check(
        "step_order",
        _("A coupon's steps stand in an order that can't be."),
        _("coupon %(coupon)s: %(kind)s"),
        # `sent` may come late, at any status: it is left out of the order.
        """
        SELECT coupon, kind FROM (
            SELECT coupon_id AS coupon, kind,
                lag(kind) OVER (PARTITION BY coupon_id ORDER BY id) AS before
            FROM coupons_event WHERE kind <> 'sent'
        ) step
        WHERE NOT CASE kind
            WHEN 'issued' THEN before IS NULL
            WHEN 'opened' THEN coalesce(before, '') = 'issued'
            WHEN 'redeemed' THEN coalesce(before, '') = 'opened'
            WHEN 'verified' THEN coalesce(before, '') IN ('redeemed', 'undone')
            WHEN 'undone' THEN coalesce(before, '') = 'verified'
            ELSE coalesce(before, '') IN ('issued', 'opened', 'redeemed', 'undone')
            END
        """,
    ),
    Check(
        "step_staff",
        _(
            "A verification names somebody else than the step that was recorded with it."
        ),
        _("coupon %(coupon)s, verification %(verification)s"),
        """
        SELECT v.coupon_id AS coupon, v.id AS verification FROM coupons_verification v
        WHERE NOT EXISTS (
            SELECT 1 FROM coupons_event e
            WHERE e.coupon_id = v.coupon_id AND e.kind = 'verified' AND e.at = v.at
                AND coalesce(e.actor_id, 0) = coalesce(v.staff_id, 0)
        )
        UNION
        SELECT v.coupon_id, v.id FROM coupons_verification v
        WHERE v.undone_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM coupons_event e
            WHERE e.coupon_id = v.coupon_id AND e.kind = 'undone' AND e.at = v.undone_at
                AND coalesce(e.actor_id, 0) = coalesce(v.undone_by_id, 0)
        )
        """,
    ),
    Check(
        "step_verification",
        _("A coupon's verifications and its recorded steps differ."),
        COUPON,
        # With the verification checks above: verified less undone steps are 1 for a
        # verified coupon, and 0 for any other.
        """
        SELECT coupon FROM (
            SELECT coupon_id AS coupon, kind, at,
                CASE kind WHEN 'verified' THEN coalesce(store_id, 0) END AS store, 1 AS n
            FROM coupons_event WHERE kind IN ('verified', 'undone')
            UNION ALL
            SELECT coupon_id, 'verified', at, coalesce(store_id, 0), -1
            FROM coupons_verification
            UNION ALL
            SELECT coupon_id, 'undone', undone_at, NULL, -1
            FROM coupons_verification WHERE undone_at IS NOT NULL
        ) step
        GROUP BY coupon, kind, at, store HAVING sum(n) <> 0
        """,
    ),
    # --- what was asked at the till ---------------------------------------------------
    Check(
        "attempt_verification",
        _(
            "A scan or a press was answered “ok” without a verification of that coupon "
            "at that store."
        ),
        _("attempt %(attempt)s"),
        """
        SELECT a.id AS attempt FROM coupons_attempt a
        LEFT JOIN coupons_verification v ON v.id = a.verification_id
        WHERE a.action = 'verify' AND a.reason = 'ok'
            AND (v.id IS NULL OR a.coupon_id IS NULL OR v.coupon_id <> a.coupon_id
                OR coalesce(v.store_id, 0) <> coalesce(a.store_id, 0))
        """,
    ),
    Check(
        "verification_way",
        _(
            "A verification on the customer's page names no store, or a member of staff, "
            "though nobody had signed in there."
        ),
        _("verification %(verification)s"),
        """
        SELECT id AS verification FROM coupons_verification
        WHERE way IN ('button', 'password')
            AND (store_id IS NULL OR staff_id IS NOT NULL)
        """,
    ),
    Check(
        "attempt_shared",
        _("Two scans were answered “ok” with the same verification."),
        _("verification %(verification)s"),
        """
        SELECT verification_id AS verification FROM coupons_attempt
        WHERE action = 'verify' AND reason = 'ok' AND verification_id IS NOT NULL
        GROUP BY verification_id HAVING count(*) > 1
        """,
    ),
    Check(
        "attempt_twice",
        _("The same scan was answered twice."),
        _("attempts %(first)s and %(last)s"),
        """
        SELECT min(id) AS first, max(id) AS last FROM coupons_attempt
        WHERE nonce IN (SELECT nonce FROM coupons_attempt WHERE nonce IS NOT NULL
            GROUP BY nonce HAVING count(*) > 1)
        GROUP BY nonce, digest HAVING count(*) > 1
        """,
    ),
]
