"""The questions behind “why?” enter an index: none of them reads a large table through."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reports.tests.record_helpers import Desk
from reports.why import answers_for, find_contacts

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

LARGE = (
    "contacts_contact",
    "contacts_membership",
    "coupons_attempt",
    "coupons_contactuse",
    "coupons_coupon",
    "coupons_event",
    "deliveries_dispatch",
    "deliveries_recipient",
)


def read_through(ask):
    """The large tables that a statement of `ask` reads through, by the planner's word.

    It is told to avoid that: what is left has no index to enter.
    """
    with CaptureQueriesContext(connection) as asked:
        ask()
    found = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in asked.captured_queries:
            if not query["sql"].startswith("SELECT"):
                continue
            cursor.execute("EXPLAIN " + query["sql"])
            plan = "\n".join(line for (line,) in cursor.fetchall())
            found += [name for name in LARGE if f"Seq Scan on {name}" in plan]
    return found


def test_answers_are_found_by_index():
    desk = Desk()
    contact = desk.contact()
    desk.coupon("verified", contact)

    def ask():
        answers_for(desk.campaign, [contact], at=timezone.now())

    assert read_through(ask) == []


def test_ids_are_found_by_index():
    desk = Desk()
    desk.contact(external_id="M-1", line_user_id="Uabc0" + "0" * 28)

    for typed in ("M-1", "Uabc0"):
        assert read_through(lambda typed=typed: find_contacts(typed)) == []


def test_a_table_that_is_read_through_would_be_noticed():
    desk = Desk()

    def ask():
        list(type(desk.contact()).objects.filter(note_1="x").order_by("note_1"))

    assert read_through(ask) == ["contacts_contact"]
