"""How PostgreSQL finds the coupons of one chunk: along an index, and no more of them."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coupons.ends import run
from coupons.models import Coupon
from coupons.tests.ends_helpers import later, save_terms
from testing.factories import make_campaign, make_coupons

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]

FILL = """
    INSERT INTO coupons_coupon
        (campaign_id, token, number, status, issued_at, ends_at, memo)
    SELECT %s, md5('t' || n), left(md5('n' || n), 12), 'issued', now(), %s, ''
    FROM generate_series(1, 40000) n
"""


def test_a_chunk_walks_its_campaigns_index_and_not_the_table():
    others = make_campaign()
    with connection.cursor() as cursor:
        cursor.execute(FILL, [others.pk, others.use_ends_at])
    campaign = make_campaign()
    make_coupons(campaign, [None] * 600)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE coupons_coupon")
    change = save_terms(campaign, use_ends_at=later(60))

    with CaptureQueriesContext(connection) as asked:
        run(change.pk, chunk=100)

    statements = [
        query["sql"]
        for query in asked.captured_queries
        if re.search(r'^(SELECT|UPDATE).*"coupons_coupon"', query["sql"])
    ]
    assert len(statements) >= 3 * 6
    for sql in statements:
        plan = explained(sql)
        assert "Index" in plan, plan
        assert "Seq Scan" not in plan, plan
    assert Coupon.objects.filter(ends_at=change.use_ends_at).count() == 600


def explained(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())
