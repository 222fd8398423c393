"""What workers ask again and again is found by an index, however many rows there are."""

import pytest
from django.db import connection as database
from django.utils import timezone

from serials.models import Serial
from sync.models import RemoteCoupon
from testing.factories import (
    make_campaign,
    make_connection,
    make_publication,
    make_serials,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]
ROWS = 20_000


COPY_ROW = """
INSERT INTO sync_remotecoupon ({columns}, remote_id)
SELECT {columns}, %s || n FROM sync_remotecoupon, generate_series(1, %s) n
WHERE id = %s
"""


def rows_of(publication, count, **fields):
    """So many coupons that differ in their remote id alone, copied by the server."""
    first = RemoteCoupon.objects.create(
        connection=publication.connection,
        publication=publication,
        campaign=publication.campaign,
        remote_id=f"{publication.pk}-0",
        **fields,
    )
    own = {"id", "remote_id"}
    names = {field.column for field in RemoteCoupon._meta.concrete_fields} - own
    statement = COPY_ROW.format(columns=", ".join(sorted(names)))
    with database.cursor() as cursor:
        cursor.execute(statement, [f"{publication.pk}-", count - 1, first.pk])


def analyze(table):
    with database.cursor() as cursor:
        cursor.execute(f"ANALYZE {table}")


@pytest.fixture
def publication(db):
    """One with few errands, beside one that is paused with many."""
    account, now = make_connection(provider="paddle"), timezone.now()
    paused = make_publication(connection=account, pause_reason="Paused by hand")
    rows_of(paused, ROWS, errand="create", next_try_at=now)
    found = make_publication(connection=account)
    rows_of(found, 500, errand="create", next_try_at=now)
    rows_of(make_publication(connection=account), ROWS, status="live")
    analyze("sync_remotecoupon")
    return found


def test_a_claim_reads_the_errands_of_its_publication_alone(publication):
    due = RemoteCoupon.objects.due(
        publication.connection_id, publication.pk, timezone.now()
    )

    plan = due.order_by("next_try_at")[:200].explain()

    assert "remote_due" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("count", [3, 200])
def test_names_are_looked_up_by_their_index(publication, count):
    names = [f"{publication.pk}-{n}" for n in range(count)]

    plan = RemoteCoupon.objects.named(publication.connection_id, names).explain()

    assert "remote_id_once" in plan


def test_telling_coupons_what_to_do_walks_an_index(publication):
    live = RemoteCoupon.objects.filter(
        publication_id=publication.pk, status="live", pk__gt=7
    )

    plan = live.order_by("pk").values_list("pk", flat=True)[:1_000].explain()

    assert "remote_of" in plan
    assert "Sort" not in plan


def test_preparing_walks_the_campaigns_own_serials(db):
    campaign = make_campaign()
    make_serials(campaign, 5_000)
    make_serials(make_campaign(), ROWS)
    analyze("serials_serial")

    serials = Serial.objects.filter(campaign_id=campaign.pk, code_key__gt="s")
    plan = serials.order_by("code_key")[:1_000].explain()

    assert "serial_once_in_campaign" in plan
    assert "Seq Scan" not in plan
