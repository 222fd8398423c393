"""What providers hold of ours: each code once, each use once, nothing left lying."""

from django.utils.translation import gettext_lazy as _

from reports.ledger.check import Check

REMOTE = _("coupon at a provider %(remote)s")
PUBLICATION = _("publication %(publication)s")

CHECKS = [
    Check(
        "use_twice",
        _(
            "One use at a provider is kept twice: more uses are counted than there were."
        ),
        _("coupon at a provider %(remote)s: uses %(first)s and %(last)s"),
        """
        SELECT max(coupon_id) AS remote, min(id) AS first, max(id) AS last
        FROM sync_use WHERE key <> '' GROUP BY connection_id, key HAVING count(*) > 1
        UNION
        SELECT coupon_id, min(id), max(id)
        FROM sync_use WHERE source = 'mirror' OR (source = 'count' AND key = '')
        GROUP BY coupon_id, source HAVING count(*) > 1
        """,
    ),
    Check(
        "use_ignored",
        _(
            "A serial was used at a provider, but is still free here: somebody will get "
            "a serial that is used up."
        ),
        _("serial %(serial)s, use %(use)s"),
        """
        SELECT s.id AS serial, u.id AS use FROM sync_use u
        JOIN sync_remotecoupon r ON r.id = u.coupon_id
        JOIN serials_serial s ON s.id = r.serial_id
        WHERE s.state = 0 AND u.count > 0
        """,
    ),
    Check(
        "use_verification",
        _("A use at a provider names the verification of another serial than its own."),
        _("use %(use)s, verification %(verification)s"),
        """
        SELECT u.id AS use, v.id AS verification FROM sync_use u
        JOIN coupons_verification v ON v.id = u.verification_id
        JOIN coupons_coupon c ON c.id = v.coupon_id
        LEFT JOIN sync_remotecoupon r ON r.id = u.coupon_id
        WHERE r.serial_id IS NULL OR c.serial_id IS NULL OR c.serial_id <> r.serial_id
        """,
    ),
    Check(
        "use_verified",
        _("A use is said to have verified a coupon, but no verification says so."),
        _("use %(use)s"),
        """
        SELECT u.id AS use FROM sync_use u
        LEFT JOIN coupons_verification v ON v.id = u.verification_id
        WHERE u.outcome = 'verified'
            AND (v.id IS NULL OR v.way NOT IN ('paddle', 'vivoldi'))
        """,
    ),
    Check(
        "publication_count",
        _("A publication counts more or fewer coupons than it has."),
        PUBLICATION,
        """
        SELECT p.id AS publication FROM sync_publication p
        LEFT JOIN (
            SELECT publication_id, count(*) AS total,
                sum(CASE WHEN status = 'live' THEN 1 ELSE 0 END) AS live,
                sum(CASE WHEN status = 'gone' THEN 1 ELSE 0 END) AS gone,
                sum(CASE WHEN status = 'refused' THEN 1 ELSE 0 END) AS refused,
                sum(CASE WHEN status = 'unknown' THEN 1 ELSE 0 END) AS unclear
            FROM sync_remotecoupon WHERE publication_id IS NOT NULL
            GROUP BY publication_id
        ) r ON r.publication_id = p.id
        WHERE p.total <> coalesce(r.total, 0) OR p.live <> coalesce(r.live, 0)
            OR p.gone <> coalesce(r.gone, 0) OR p.refused <> coalesce(r.refused, 0)
            OR p.unknown <> coalesce(r.unclear, 0)
        """,
    ),
    Check(
        "remote_twice",
        _("A serial, or a fixed text, stands twice in one publication."),
        _("publication %(publication)s: coupons at a provider %(first)s and %(last)s"),
        """
        SELECT publication_id AS publication, min(id) AS first, max(id) AS last
        FROM sync_remotecoupon WHERE serial_id IS NOT NULL OR batch_id IS NOT NULL
        GROUP BY publication_id, serial_id, batch_id HAVING count(*) > 1
        """,
    ),
    Check(
        "remote_name_twice",
        _("Two coupons of one account at a provider have the same name there."),
        _("coupons at a provider %(first)s and %(last)s"),
        """
        SELECT min(id) AS first, max(id) AS last FROM sync_remotecoupon
        WHERE remote_id <> '' GROUP BY connection_id, remote_id HAVING count(*) > 1
        """,
    ),
    Check(
        "remote_elsewhere",
        _(
            "A coupon at a provider stands for a serial of another campaign than its "
            "publication's, or is at another account."
        ),
        REMOTE,
        """
        SELECT r.id AS remote FROM sync_remotecoupon r
        JOIN sync_publication p ON p.id = r.publication_id
        LEFT JOIN serials_serial s ON s.id = r.serial_id
        LEFT JOIN serials_batch b ON b.id = r.batch_id
        WHERE r.connection_id <> p.connection_id OR s.campaign_id <> p.campaign_id
            OR b.campaign_id <> p.campaign_id
        """,
    ),
    Check(
        "spent_free",
        _(
            "A coupon at a provider was taken back because its serial was spent here, "
            "but nobody has ever had that serial, and it is not void."
        ),
        REMOTE,
        """
        SELECT r.id AS remote FROM sync_remotecoupon r
        LEFT JOIN serials_serial s ON s.id = r.serial_id
        LEFT JOIN serials_batch b ON b.id = r.batch_id
        WHERE r.is_spent AND coalesce(s.state = 0, b.state <> 'void', TRUE)
        """,
    ),
    Check(
        "errand_time",
        _(
            "An errand at a provider has no time at which it is due, or a coupon without "
            "an errand has one or is held by a worker: it is never worked on."
        ),
        REMOTE,
        """
        SELECT id AS remote FROM sync_remotecoupon
        WHERE (errand <> '') <> (next_try_at IS NOT NULL)
            OR (errand = '' AND leased_until IS NOT NULL)
        """,
    ),
    Check(
        "errand_left",
        _(
            "A worker that had an errand at a provider is gone for 5 minutes, nothing "
            "else comes before it, and no other worker has taken it."
        ),
        REMOTE,
        """
        SELECT r.id AS remote FROM sync_remotecoupon r
        JOIN connections_connection c ON c.id = r.connection_id
        LEFT JOIN sync_publication p ON p.id = r.publication_id
        WHERE r.errand <> '' AND r.leased_until < %(left_at)s
            AND r.next_try_at < %(left_at)s AND c.state = 'active'
            AND coalesce(p.pause_reason, '') = ''
            AND NOT EXISTS (
                SELECT 1 FROM sync_remotecoupon first
                WHERE first.connection_id = r.connection_id AND first.errand <> ''
                    AND first.next_try_at < r.next_try_at
            )
        """,
    ),
    Check(
        "publication_left",
        _(
            "A worker that was writing a publication's coupons is gone for 5 minutes, "
            "and no other has gone on: some serials are missing from it."
        ),
        PUBLICATION,
        """
        SELECT id AS publication FROM sync_publication
        WHERE leased_until < %(left_at)s AND state <> 'closed' AND pause_reason = ''
        """,
    ),
    Check(
        "run_left",
        _(
            "A worker that looked at what a provider has is gone for 5 minutes, and no "
            "other has gone on: nothing newer is known of that account."
        ),
        _("look %(run)s"),
        """
        SELECT r.id AS run FROM sync_run r
        JOIN connections_connection c ON c.id = r.connection_id
        WHERE r.state = 'running' AND c.state = 'active'
            AND r.leased_until < %(left_at)s
            AND coalesce(r.next_try_at, r.leased_until) < %(left_at)s
        """,
    ),
]
