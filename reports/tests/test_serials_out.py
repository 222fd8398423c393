"""What stands in an exported file, and how it is read: in short queries, page by page."""

import gzip

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coupons.services import revoke, verify
from reports.serial_exports import held, start_download
from reports.serials_out import csv_of, pages, squeezed
from reports.tests.export_helpers import lines, make
from serials import services
from serials.models import Serial
from serials.reading import EXPORT_HEADER
from serials.tasks import work
from testing.factories import (
    TEST,
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
)

pytestmark = pytest.mark.django_db

FREE, TAKEN, VERIFIED, REVOKED = "AAA-1", "AAA-2", "AAA-3", "AAA-4"


@pytest.fixture
def owner():
    """Somebody who has no need to sign in: making a password takes a while."""
    return User.objects.create(username="owner")


@pytest.fixture
def campaign():
    return make_campaign(time_zone="Asia/Tokyo")


@pytest.fixture
def batch(campaign):
    """A serial in each state; they are given out in the order of their places."""
    batch = make_serials(campaign, [TAKEN, VERIFIED, REVOKED, FREE], name="Till rolls")
    clerk = User.objects.create(username="clerk")
    coupons = [make_coupon(campaign, status="redeemed") for _ in range(3)]
    verify(coupons[1].pk, store=make_store(clerk), staff=clerk)
    revoke(coupons[2].pk, source=TEST, reason="Sent by mistake")
    return batch


def test_every_serial_stands_there_with_its_state_and_its_coupon(
    owner, campaign, batch
):
    found = lines(make(owner, campaign))

    assert {serial: line["state"] for serial, line in found.items()} == {
        FREE: "free",
        TAKEN: "taken",
        VERIFIED: "verified",
        REVOKED: "revoked",
    }
    serial = Serial.objects.select_related("coupon").get(code=VERIFIED)
    here = campaign.zone
    assert found[VERIFIED] == {
        "serial": VERIFIED,
        "state": "verified",
        "batch": "Till rolls",
        "taken_at": f"{serial.taken_at.astimezone(here):%Y-%m-%d %H:%M:%S}+09:00",
        "coupon": serial.coupon.shown_number,
        "verified_at": (
            f"{serial.coupon.verified_at.astimezone(here):%Y-%m-%d %H:%M:%S}+09:00"
        ),
    }
    assert set(found[FREE].values()) == {FREE, "free", "Till rolls", ""}


def test_only_the_states_that_were_asked_for_stand_there(owner, campaign, batch):
    other = make_serials(campaign, ["VOID-1"])
    Serial.objects.filter(batch=other).update(state=Serial.State.VOID)

    found = {
        states: list(lines(make(owner, campaign, states=states)))
        for states in ("free", "taken", "void")
    }

    assert found == {
        "free": [FREE],
        "taken": [TAKEN, VERIFIED, REVOKED],
        "void": ["VOID-1"],
    }


def test_only_the_batch_that_was_asked_for_stands_there(owner, campaign, batch):
    make_serials(campaign, ["AAA-0", "ZZZ-9"])
    make_serials(make_campaign(), ["AAA-5"])

    assert set(lines(make(owner, campaign, batch=batch))) == {
        *(FREE, TAKEN, VERIFIED, REVOKED)
    }


def test_what_a_batch_has_left_is_void_from_the_moment_it_is_asked_for(
    owner, campaign, batch
):
    services.void(batch)
    asked = lines(make(owner, campaign))[FREE]["state"]
    work(batch.pk)

    assert (asked, lines(make(owner, campaign))[FREE]["state"]) == ("void", "void")


def test_what_is_not_whole_is_left_out(owner, campaign, batch):
    for state in ("checking", "checked", "importing", "refused", "cancelled"):
        make_serials(campaign, [f"COMING-{state}"], state=state)

    assert set(lines(make(owner, campaign))) == {FREE, TAKEN, VERIFIED, REVOKED}


def test_a_fixed_serial_is_one_line_of_the_whole_stock(owner, campaign, batch):
    make_fixed_batch(campaign, code="=FNA", quantity=5, name="For all")

    whole = lines(make(owner, campaign))["'=FNA"]
    free = lines(make(owner, campaign, states="free"))

    assert whole == {
        **dict.fromkeys(EXPORT_HEADER, ""),
        **{"serial": "'=FNA", "state": "fixed", "batch": "For all"},
    }
    assert list(free) == [FREE]


def test_a_fixed_serial_that_is_void_says_so(owner, campaign):
    services.void(make_fixed_batch(campaign, code="FNA"))

    assert lines(make(owner, campaign, states="void"))["FNA"]["state"] == "void"


def test_for_a_spreadsheet_nothing_is_run_or_changed(owner, campaign):
    make_serials(campaign, ["00123", "=1+1", 'A"B', "C,D"], name="=HYPERLINK(1)")

    text = "".join(csv_of(make(owner, campaign)))

    head, *rows = text.removeprefix("\ufeff").split("\r\n")
    assert text.startswith("\ufeff")
    assert head == '"serial","state","batch","taken_at","coupon","verified_at"'
    assert rows == [
        '''"'00123","free","'=HYPERLINK(1)","","",""''',
        '''"'=1+1","free","'=HYPERLINK(1)","","",""''',
        '''"A""B","free","'=HYPERLINK(1)","","",""''',
        '''"C,D","free","'=HYPERLINK(1)","","",""''',
        "",
    ]


def test_for_a_till_every_serial_is_as_it_is(owner, campaign):
    make_serials(campaign, ["00123", "=1+1", 'A"B', "C,D", "E;F"])

    export = make(owner, campaign, format="plain", columns="serials")

    assert "".join(csv_of(export)).split("\r\n") == [
        *("serial", "00123", "=1+1", '"A""B"', '"C,D"', '"E;F"', "")
    ]


def test_a_name_of_two_lines_stays_on_one(owner, campaign):
    make_serials(campaign, ["AAA"], name="two\r\nlines")

    export = make(owner, campaign, format="plain")

    assert list(csv_of(export))[1] == "AAA,free,two lines,,,\r\n"


def test_it_may_be_gzipped_on_the_way(owner, campaign, batch):
    export = make(owner, campaign)

    sent = b"".join(squeezed(csv_of(export, page=2)))

    assert gzip.decompress(sent).decode() == "".join(csv_of(export))


# --- how it is read ------------------------------------------------------------------------


def test_pages_of_any_size_give_the_same_file(owner, campaign, batch):
    make_serials(campaign, 4)
    export = make(owner, campaign)

    files = ["".join(csv_of(export, page=size)) for size in (1, 2, 3, 4, 7, 8, 100)]

    assert set(files) == {"".join(csv_of(export))}


def test_a_page_takes_two_queries_whatever_is_on_it(owner, campaign, batch):
    export = make(owner, campaign)

    with CaptureQueriesContext(connection) as few:
        list(csv_of(export, page=10))
    make_serials(campaign, 15)
    with CaptureQueriesContext(connection) as many:
        list(csv_of(export, page=10))

    # The batches; serials and coupons of each page. On the second nothing is taken.
    assert len(few) == 1 + 2
    assert len(many) == len(few) + 1


def test_only_the_serials_are_read_without_their_coupons(owner, campaign, batch):
    export = make(owner, campaign, columns="serials")

    with CaptureQueriesContext(connection) as queries:
        list(csv_of(export))

    assert "coupons_coupon" not in "".join(query["sql"] for query in queries)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_slow_download_waits(owner, campaign, batch):
    export = make(owner, campaign)
    start_download(export)
    pieces = held(export, csv_of(export, page=2))

    states = [connection.connection.info.transaction_status.name for _ in pieces]

    assert states == ["IDLE"] * 3


@pytest.mark.postgres
def test_a_page_is_read_along_the_campaigns_key_and_nothing_is_sorted(campaign):
    batch = make_serials(campaign, 0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO serials_serial"
            " (campaign_id, batch_id, pos, code, code_key, state)"
            " SELECT %s, %s, n, md5(n::text), md5(n::text), 0"
            " FROM generate_series(1, 50000) n",
            [campaign.pk, batch.pk],
        )
        cursor.execute("ANALYZE serials_serial")
    with CaptureQueriesContext(connection) as queries:
        walk = pages(campaign.pk, 1_000)
        next(walk), next(walk)

    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Index Scan using serial_once_in_campaign" in plan, plan
        assert "Sort" not in plan, plan
