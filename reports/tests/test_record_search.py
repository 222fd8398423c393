"""Looking for a coupon in the redemption records."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_user,
)

pytestmark = pytest.mark.django_db

RECORDS = "admin:reports_redemptionrecord_changelist"


@pytest.fixture
def shop(client):
    """A campaign with serials and one with a fixed text, a coupon redeemed from each."""
    client.force_login(make_user("Viewer"))
    spring, autumn = make_campaign(name="Spring"), make_campaign(name="Autumn")
    make_serials(spring, ["AAA_1", "AAAX1", "BBB-1"])
    make_fixed_batch(autumn, code="FNA@5841", quantity=None)
    make_campaign(name="Nobody yet")
    people = [
        make_contact(make_connection(), name=name) for name in ("Hana", "Johanna", "Bo")
    ]
    coupons = [make_coupon(spring, who, status="redeemed") for who in people]
    return [*coupons, make_coupon(autumn, people[2], status="redeemed")]


def found(client, text):
    page = client.get(reverse(RECORDS), {"q": text})
    return {record.pk for record in page.context["cl"].result_list}


def ids(*coupons):
    return {coupon.pk for coupon in coupons}


def test_a_serial_is_found_by_its_start_in_any_spelling(client, shop):
    assert found(client, "aaa") == ids(shop[0], shop[1])
    assert found(client, "ＡＡＡ_1") == ids(shop[0])
    assert found(client, "BBB-1") == ids(shop[2])


def test_signs_that_databases_read_as_patterns_are_characters(client, shop):
    assert found(client, "AAA_") == ids(shop[0])
    assert found(client, "A%") == set()


def test_a_fixed_text_finds_every_coupon_of_it(client, shop):
    assert found(client, "fna@5841") == ids(shop[3])
    assert found(client, "fna@") == set()


def test_a_contact_is_found_by_a_part_of_the_name(client, shop):
    assert found(client, "hana") == ids(shop[0])
    assert found(client, "an") == ids(shop[0], shop[1])


def test_a_number_is_found_by_its_start_as_it_is_printed(client, shop):
    shown = shop[1].shown_number

    assert found(client, shown) == ids(shop[1])
    assert shop[1].pk in found(client, shown[:7].lower())


@pytest.mark.parametrize("text", ["%", "\\", "'", "x" * 3_000, "\u200b", "- -"])
def test_what_nothing_is_called_finds_nothing(client, shop, text):
    assert found(client, text) == set()


def test_the_filter_offers_campaigns_that_have_coupons(client, shop):
    page = client.get(reverse(RECORDS))

    filters = {spec.title: spec for spec in page.context["cl"].filter_specs}
    offered = [label for _, label in filters["campaign"].lookup_choices]
    assert offered == ["Autumn", "Spring"]


def test_nothing_is_joined_to_search(client, shop):
    with CaptureQueriesContext(connection) as queries:
        found(client, "aaa")

    counting = [q["sql"] for q in queries if "COUNT" in q["sql"]]
    assert counting
    assert not any("serials_serial" in sql for sql in counting)
