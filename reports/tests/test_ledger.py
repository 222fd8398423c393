"""Every kind of break is found where there is one, and none where there is none."""
# ruff: noqa: S608 - the SQL is put together from this file's own words

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from coupons.ends import run as run_ends
from coupons.models import Verification
from coupons.services import undo
from coupons.tests.ends_helpers import save_terms
from deliveries.models import Dispatch, Recipient
from reports.ledger import CHECKS, NAMES, find_break, find_breaks
from reports.ledger.backstops import find_missing_backstops
from reports.tests.ledgers import make_ledger
from sync.models import Publication
from testing.factories import make_run

pytestmark = pytest.mark.django_db

PLANTS: list[Any] = []


@dataclass(frozen=True)
class Plant:
    """Changes the tables as a bug or a hand in the database could."""

    name: str
    sow: Any


def plants(name, about="", *, needs_server=False):
    """Marks a function that plants the break that the check `name` looks for."""

    def keep(sow):
        label = f"{name}-{about}" if about else name
        marks = [pytest.mark.postgres] if needs_server else []
        PLANTS.append(pytest.param(Plant(name, sow), id=label, marks=marks))
        return sow

    return keep


@pytest.fixture(scope="module")
def whole_ledger(django_db_setup, django_db_blocker):
    """Made once; each test's own changes are rolled back to it."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_ledger()
        transaction.set_rollback(True)


@pytest.fixture
def ledger(whole_ledger, db):
    return whole_ledger


@pytest.fixture(autouse=True)
def _checks_come_back():
    yield
    if connection.vendor == "sqlite":
        run("PRAGMA ignore_check_constraints = OFF")


# --- what stands in the way of a break ------------------------------------------------


def run(sql, *params):
    """One statement; how many rows it changed. It has to change some."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


def change(sql, *params):
    assert run(sql, *params) > 0


def free_hand():
    """Let the tables be altered, and steps be changed, until the test is over."""
    if connection.vendor == "postgresql":
        run("SET CONSTRAINTS ALL IMMEDIATE")
        run("ALTER TABLE coupons_event DISABLE TRIGGER coupons_event_append_only")


def drop_check(table, name):
    if connection.vendor == "postgresql":
        free_hand()
        run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    else:
        run("PRAGMA ignore_check_constraints = ON")


def drop_index(name):
    free_hand()
    run(f"DROP INDEX {name}")


def drop_unique(table, *columns):
    """The unique constraint of these columns; SQLite has them within its tables."""
    free_hand()
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    for name, entry in found.items():
        if entry["unique"] and entry["columns"] == list(columns):
            run(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')


def copy(table, which, **changed):
    """One row again, with a new id and these expressions instead of its values."""
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table)
    columns = [column.name for column in described if column.name != "id"]
    values = [changed.get(name, name) for name in columns]
    change(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {', '.join(values)} FROM {table} WHERE {which} LIMIT 1"
    )


def new_uuid():
    return (
        "gen_random_uuid()"
        if connection.vendor == "postgresql"
        else "hex(randomblob(16))"
    )


# --- coupons --------------------------------------------------------------------------


@plants("verified_twice")
def _(ledger):
    drop_index("verification_one_live")
    copy("coupons_verification", "undone_at IS NULL")


@plants("verified_without_record")
def _(ledger):
    change("UPDATE coupons_verification SET undone_at = at WHERE undone_at IS NULL")


@plants("record_without_verified")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET status = 'redeemed', verified_at = NULL WHERE id = %s",
        ledger.coupons.verified.pk,
    )


@plants("verified_time")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET verified_at = issued_at WHERE id = %s",
        ledger.coupons.verified.pk,
    )


@plants("status_time", "behind")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET status = 'issued' WHERE id = %s",
        ledger.coupons.sent.pk,
    )


@plants("status_time", "no_batch")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET batch_id = NULL, serial_id = NULL WHERE id = %s",
        ledger.coupons.revoked.pk,
    )


@plants("status_time", "redeemed_unopened")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET opened_at = NULL WHERE id = %s",
        ledger.coupons.redeemed.pk,
    )


@plants("replaced", "other_contact")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET contact_id = %s WHERE replaces_id IS NOT NULL",
        ledger.coupons.verified.contact_id,
    )


@plants("replaced", "not_revoked")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET replaces_id = %s WHERE replaces_id IS NOT NULL",
        ledger.coupons.sent.pk,
    )


@plants("replaced", "other_campaign")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET campaign_id = %s WHERE replaces_id IS NOT NULL",
        ledger.fixed.pk,
    )


@plants("replaced_twice")
def _(ledger):
    drop_index("coupon_replaced_once")
    change(
        "UPDATE coupons_coupon SET replaces_id = %s WHERE id = %s",
        ledger.coupons.revoked.pk,
        ledger.coupons.issued.pk,
    )


# --- steps ----------------------------------------------------------------------------

ONCE = ["issued", "sent", "opened", "redeemed", "revoked"]


def plant_step(kind):
    @plants("step_time", f"lost_{kind}")
    def _(ledger):
        free_hand()
        change("DELETE FROM coupons_event WHERE kind = %s", kind)

    @plants("step_time", f"late_{kind}")
    def _(ledger):
        free_hand()
        change(
            "UPDATE coupons_event SET at = %s WHERE kind = %s",
            connection.ops.adapt_datetimefield_value(timezone.now()),
            kind,
        )

    @plants("step_time", f"{kind}_twice")
    def _(ledger):
        drop_index("event_once")
        copy("coupons_event", f"kind = '{kind}'")


for kind in ONCE:
    plant_step(kind)


@plants("step_time", "one_instead_of_another")
def _(ledger):
    free_hand()
    drop_index("event_once")
    coupon = ledger.coupons.sent
    which = f"coupon_id = {coupon.pk}"
    change(f"DELETE FROM coupons_event WHERE kind = 'sent' AND {which}")
    copy("coupons_event", which)


def plant_untrue_step(kind):
    @plants("step_time", f"untrue_{kind}")
    def _(ledger):
        which = f"coupon_id = {ledger.coupons.issued.pk}"
        copy("coupons_event", which, kind=f"'{kind}'")


for kind in ONCE[1:]:
    plant_untrue_step(kind)


def plant_order(kind, coupon_name):
    @plants("step_order", f"{kind}_after_{coupon_name}")
    def _(ledger):
        drop_index("event_once")
        coupon = getattr(ledger.coupons, coupon_name)
        copy("coupons_event", f"coupon_id = {coupon.pk}", kind=f"'{kind}'")


for kind, coupon_name in [
    ("issued", "sent"),
    ("opened", "redeemed"),
    ("opened", "withdrawn"),
    ("redeemed", "sent"),
    ("redeemed", "verified"),
    ("redeemed", "revoked"),
    ("verified", "opened"),
    ("verified", "verified"),
    ("verified", "revoked"),
    ("undone", "redeemed"),
    ("undone", "revoked"),
    ("revoked", "verified"),
    ("revoked", "revoked"),
]:
    plant_order(kind, coupon_name)


@plants("step_verification", "too_many")
def _(ledger):
    pk = ledger.coupons.redeemed.pk
    copy("coupons_event", f"coupon_id = {pk}", kind="'verified'")


@plants("step_verification", "lost")
def _(ledger):
    free_hand()
    change(
        "DELETE FROM coupons_event WHERE coupon_id = %s AND kind = 'verified'",
        ledger.coupons.verified.pk,
    )


@plants("step_verification", "lost_undone")
def _(ledger):
    change("DELETE FROM coupons_verification WHERE undone_at IS NOT NULL")


@plants("step_verification", "other_store")
def _(ledger):
    change("UPDATE coupons_verification SET store_id = NULL WHERE undone_at IS NULL")


@plants("step_verification", "other_time")
def _(ledger):
    change("UPDATE coupons_verification SET undone_at = at WHERE undone_at > at")


# --- the till -------------------------------------------------------------------------


@plants("attempt_verification", "none")
def _(ledger):
    change("UPDATE coupons_attempt SET verification_id = NULL WHERE reason = 'ok'")


@plants("attempt_verification", "other_coupon")
def _(ledger):
    change(
        "UPDATE coupons_attempt SET coupon_id = %s WHERE reason = 'ok'",
        ledger.coupons.redeemed.pk,
    )


@plants("attempt_verification", "other_store")
def _(ledger):
    change("UPDATE coupons_attempt SET store_id = NULL WHERE reason = 'ok'")


@plants("verification_way", "staff")
def _(ledger):
    change("UPDATE coupons_verification SET way = 'button' WHERE staff_id IS NOT NULL")


@plants("verification_way", "store")
def _(ledger):
    change(
        "UPDATE coupons_verification"
        " SET way = 'password', staff_id = NULL, store_id = NULL"
    )


@plants("attempt_shared")
def _(ledger):
    copy("coupons_attempt", "reason = 'ok'", nonce=new_uuid())


@plants("attempt_twice")
def _(ledger):
    drop_index("attempt_nonce_once")
    copy("coupons_attempt", "nonce IS NOT NULL")


# --- serials --------------------------------------------------------------------------


@plants("serial_shared", needs_server=True)
def _(ledger):
    drop_unique("coupons_coupon", "serial_id")
    change(
        "UPDATE coupons_coupon SET serial_id = %s WHERE id = %s",
        ledger.coupons.verified.serial_id,
        ledger.coupons.redeemed.pk,
    )


def plant_serial(about, changes):
    @plants("serial_not_taken", about)
    def _(ledger):
        change(
            f"UPDATE serials_serial SET {changes} WHERE id = %s",
            ledger.coupons.redeemed.serial_id,
        )


plant_serial("free", "state = 0, taken_at = NULL")
plant_serial("void", "state = 2, taken_at = NULL")
plant_serial("other_time", "taken_at = (SELECT min(ends_at) FROM coupons_coupon)")


@plants("serial_lost")
def _(ledger):
    change(
        "UPDATE serials_serial SET state = 1, taken_at = %s WHERE state = 0",
        connection.ops.adapt_datetimefield_value(timezone.now()),
    )


@plants("serial_elsewhere", "other_batch")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET batch_id = %s WHERE id = %s",
        ledger.coupons.fixed.batch_id,
        ledger.coupons.redeemed.pk,
    )


@plants("serial_elsewhere", "other_campaign")
def _(ledger):
    change("UPDATE serials_serial SET campaign_id = %s", ledger.fixed.pk)


@plants("serial_missing", "none")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET serial_id = NULL WHERE id = %s",
        ledger.coupons.redeemed.pk,
    )


@plants("serial_missing", "of_fixed")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET serial_id = (SELECT min(id) FROM serials_serial "
        "WHERE state = 0) WHERE id = %s",
        ledger.coupons.fixed.pk,
    )


@plants("batch_elsewhere", "other_campaign")
def _(ledger):
    change("UPDATE serials_batch SET campaign_id = %s", ledger.fixed.pk)


@plants("batch_elsewhere", "not_ready")
def _(ledger):
    change("UPDATE serials_batch SET state = 'cancelled' WHERE kind <> 'fixed'")


@plants("batch_total", "lost_serial")
def _(ledger):
    change(
        "DELETE FROM serials_serial WHERE state = 0 AND batch_id = %s",
        ledger.coupons.redeemed.batch_id,
    )


@plants("batch_total", "uncounted_void")
def _(ledger):
    change("UPDATE serials_serial SET state = 2 WHERE state = 0")


@plants("batch_total", "other_campaign")
def _(ledger):
    change("UPDATE serials_serial SET campaign_id = %s", ledger.fixed.pk)


def plant_void_total(state):
    @plants("batch_total", f"lost_serial_{state}")
    def _(ledger):
        change(
            "UPDATE serials_batch SET state = %s WHERE id = %s",
            state,
            ledger.coupons.redeemed.batch_id,
        )
        change(
            "DELETE FROM serials_serial WHERE state = 0 AND batch_id = %s",
            ledger.coupons.redeemed.batch_id,
        )


for state in ("voiding", "void"):
    plant_void_total(state)


@plants("void_free", "serial")
def _(ledger):
    change(
        "UPDATE serials_batch SET state = 'void' WHERE id = %s",
        ledger.coupons.redeemed.batch_id,
    )


@plants("void_free", "unit")
def _(ledger):
    change("UPDATE serials_stock SET quantity = taken + 1")
    change(
        "UPDATE serials_batch SET state = 'void' WHERE id = %s",
        ledger.coupons.fixed.batch_id,
    )


@plants("void_early", "one_time")
def _(ledger):
    change("UPDATE serials_batch SET voided = 1 WHERE kind <> 'fixed'")


@plants("void_early", "fixed")
def _(ledger):
    change("UPDATE serials_batch SET voided = 1 WHERE kind = 'fixed'")


@plants("code_twice", needs_server=True)
def _(ledger):
    drop_unique("serials_serial", "campaign_id", "code_key")
    copy("serials_serial", "state = 0")


@plants("code_shown_twice")
def _(ledger):
    change("UPDATE serials_serial SET code = (SELECT min(code) FROM serials_serial)")


@plants("recipient_without_coupon")
def _(ledger):
    change("UPDATE deliveries_recipient SET coupon_id = NULL")


@plants("native_with_coupon")
def _(ledger):
    change("UPDATE deliveries_delivery SET kind = 'native', native_coupon_id = 'x'")


@plants("step_staff", "verified")
def _(ledger):
    change("UPDATE coupons_verification SET staff_id = NULL")


@plants("step_staff", "undone")
def _(ledger):
    change("UPDATE coupons_verification SET undone_by_id = NULL")


@plants("code_fixed", "void")
def _(ledger):
    read_alike()
    change("UPDATE serials_batch SET state = 'void'")


@plants("code_fixed")
def _(ledger):
    read_alike()


def read_alike():
    change(
        "UPDATE serials_batch SET code_key = (SELECT min(code_key) FROM serials_serial) "
        "WHERE kind = 'fixed'"
    )


# --- limits ---------------------------------------------------------------------------


@plants("stock_count")
def _(ledger):
    change("UPDATE serials_stock SET taken = taken + 1")


@plants("stock_exceeded")
def _(ledger):
    drop_check("serials_stock", "stock_not_exceeded")
    change("UPDATE serials_stock SET quantity = taken - 1")


@plants("total_limit_count")
def _(ledger):
    change("UPDATE campaigns_totallimit SET used = used - 1")


@plants("total_limit_exceeded")
def _(ledger):
    drop_check("campaigns_totallimit", "totallimit_not_exceeded")
    change("UPDATE campaigns_totallimit SET quota = used - 1")


@plants("contact_count", "too_low")
def _(ledger):
    change("UPDATE coupons_contactuse SET used = 0 WHERE used > 0")


@plants("contact_count", "lost")
def _(ledger):
    change("DELETE FROM coupons_contactuse WHERE used > 0")


@plants("contact_count", "of_nothing")
def _(ledger):
    copy(
        "coupons_contactuse",
        f"campaign_id = {ledger.campaign.pk} AND used = 1",
        contact_id=str(ledger.coupons.withdrawn.contact_id),
    )


@plants("contact_exceeded")
def _(ledger):
    drop_check("coupons_contactuse", "contactuse_not_exceeded")
    change("UPDATE coupons_contactuse SET used = allowed + 1 WHERE allowed > 0")


def plant_tally(column):
    @plants("tally", column)
    def _(ledger):
        change(f"UPDATE coupons_tally SET {column} = {column} + 1 WHERE slot = 3")


for column in ("issued", "sent", "opened", "redeemed", "verified", "revoked"):
    plant_tally(column)


@plants("tally", "other_batch")
def _(ledger):
    free = ledger.coupons.fixed_verified.batch_id
    change("DELETE FROM coupons_tally WHERE batch_id = %s", free)
    used = ledger.coupons.redeemed.batch_id
    change("UPDATE coupons_tally SET batch_id = %s WHERE batch_id = %s", free, used)


@plants("tally", "lost")
def _(ledger):
    change("DELETE FROM coupons_tally")


# --- deliveries -----------------------------------------------------------------------


def plant_count(column):
    @plants("delivery_count", column)
    def _(ledger):
        drop_check("deliveries_delivery", "delivery_counts_add_up")
        change(f"UPDATE deliveries_delivery SET {column} = {column} + 1")


for column in ("total", "accepted", "refused", "unknown", "cancelled"):
    plant_count(column)


@plants("delivery_done", "too_early")
def _(ledger):
    change("UPDATE deliveries_delivery SET state = 'done' WHERE state = 'ready'")


@plants("delivery_done", "goes_on")
def _(ledger):
    change("UPDATE deliveries_delivery SET state = 'ready' WHERE state = 'done'")


@plants("delivery_done", "paused")
def _(ledger):
    change("UPDATE deliveries_delivery SET state = 'paused' WHERE state = 'done'")


@plants("recipient_outcome", "other")
def _(ledger):
    change(
        "UPDATE deliveries_recipient SET outcome = 'unknown' WHERE outcome = 'refused'"
    )


@plants("recipient_outcome", "other_delivery")
def _(ledger):
    change(
        "UPDATE deliveries_recipient SET dispatch_id = %s WHERE delivery_id = %s "
        "AND outcome = 'accepted'",
        ledger.under_way.dispatches.get(status="accepted").pk,
        ledger.done.pk,
    )


@plants("recipient_twice", needs_server=True)
def _(ledger):
    drop_unique("deliveries_recipient", "delivery_id", "contact_id")
    copy("deliveries_recipient", "true", coupon_id="NULL")


@plants("recipient_coupon", "other_contact")
def _(ledger):
    change(
        "UPDATE deliveries_recipient SET contact_id = %s WHERE delivery_id = %s "
        "AND outcome = 'refused'",
        ledger.coupons.redeemed.contact_id,
        ledger.done.pk,
    )


@plants("recipient_coupon", "other_campaign")
def _(ledger):
    change("UPDATE deliveries_delivery SET campaign_id = %s", ledger.fixed.pk)


@plants("recipient_coupon", "shared", needs_server=True)
def _(ledger):
    drop_unique("deliveries_recipient", "coupon_id")
    first = Recipient.objects.earliest("pk")
    copy(
        "deliveries_recipient",
        f"id = {first.pk}",
        delivery_id=str(ledger.under_way.pk),
    )


@plants("accepted_not_sent")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET sent_at = NULL, status = 'issued' WHERE id IN ("
        "SELECT coupon_id FROM deliveries_recipient WHERE outcome = 'accepted') "
        "AND status = 'sent'"
    )


@plants("sent_not_accepted")
def _(ledger):
    change(
        "UPDATE coupons_coupon SET sent_at = issued_at WHERE id IN ("
        "SELECT coupon_id FROM deliveries_recipient WHERE outcome = 'refused')"
    )


@plants("dispatch_lease", "over")
def _(ledger):
    change(
        "UPDATE deliveries_dispatch SET leased_until = %s WHERE status = 'sending'",
        connection.ops.adapt_datetimefield_value(
            timezone.now() - timedelta(minutes=5, seconds=1)
        ),
    )


@plants("dispatch_lease", "none")
def _(ledger):
    drop_check("deliveries_dispatch", "dispatch_sending_has_lease")
    change(
        "UPDATE deliveries_dispatch SET leased_until = NULL WHERE status = 'sending'"
    )


# --- what ends coupons ------------------------------------------------------------------


def changed_ends(ledger, **terms):
    """A change of the campaign's terms that has reached every coupon."""
    terms.setdefault("use_ends_at", ledger.campaign.use_ends_at + timedelta(days=9))
    work = save_terms(ledger.campaign, **terms)
    assert run_ends(work.pk) is False
    assert find_breaks(now=timezone.now()) == []
    work.refresh_from_db()
    return work


def move_end(coupon, at):
    change(
        "UPDATE coupons_coupon SET ends_at = %s WHERE id = %s",
        connection.ops.adapt_datetimefield_value(at),
        coupon.pk,
    )


@plants("end_late")
def _(ledger):
    coupon = ledger.coupons.sent
    move_end(coupon, coupon.ends_at + timedelta(seconds=1))


@plants("ends_left_behind", "early")
def _(ledger):
    changed_ends(ledger)
    move_end(ledger.coupons.issued, ledger.coupons.issued.ends_at)


@plants("ends_left_behind", "late")
def _(ledger):
    earlier = ledger.campaign.use_ends_at - timedelta(days=9)
    changed_ends(ledger, use_ends_at=earlier)
    move_end(ledger.coupons.redeemed, ledger.coupons.redeemed.ends_at)


@plants("ends_left_behind", "clock")
def _(ledger):
    changed_ends(ledger, expiry="from_sending", expiry_amount=5, expiry_unit="days")
    coupon = ledger.coupons.sent
    move_end(coupon, coupon.sent_at + timedelta(days=5, seconds=5))


@plants("ends_left_behind", "clock cut short")
def _(ledger):
    terms = {"expiry": "from_redemption", "expiry_amount": 5, "expiry_unit": "days"}
    changed_ends(ledger, **terms)
    coupon = ledger.coupons.redeemed
    move_end(coupon, coupon.redeemed_at + timedelta(days=4))


@plants("ends_unfinished")
def _(ledger):
    long_ago = timezone.now() - timedelta(minutes=6)
    save_terms(ledger.campaign, at=long_ago, use_ends_at=timezone.now())


@plants("ends_count")
def _(ledger):
    work = changed_ends(ledger)
    change("UPDATE coupons_endschange SET done = done - 1 WHERE id = %s", work.pk)


@plants("dispatch_recipients", "none")
def _(ledger):
    copy("deliveries_dispatch", "number = 1", number="99", retry_key=new_uuid())


@plants("dispatch_recipients", "several")
def _(ledger):
    dispatches = ledger.done.dispatches.filter(status="accepted")
    change(
        "UPDATE deliveries_recipient SET dispatch_id = %s WHERE dispatch_id = %s",
        dispatches.earliest("pk").pk,
        dispatches.latest("pk").pk,
    )


@plants("retry_key_twice", needs_server=True)
def _(ledger):
    drop_unique("deliveries_dispatch", "retry_key")
    copy("deliveries_dispatch", "number = 1", number="99")


# --- the schema -----------------------------------------------------------------------


@plants("backstops", "unique_index")
def _(ledger):
    drop_index("verification_one_live")


@plants("backstops", "check", needs_server=True)
def _(ledger):
    drop_check("serials_stock", "stock_not_exceeded")


@plants("backstops", "unchecked", needs_server=True)
def _(ledger):
    drop_check("serials_stock", "stock_not_exceeded")
    run(
        "ALTER TABLE serials_stock ADD CONSTRAINT stock_not_exceeded "
        "CHECK (taken <= quantity) NOT VALID"
    )


@plants("backstops", "unique_column", needs_server=True)
def _(ledger):
    drop_unique("coupons_coupon", "serial_id")


@plants("backstops", "foreign_key", needs_server=True)
def _(ledger):
    free_hand()
    run("ALTER TABLE coupons_event ENABLE TRIGGER coupons_event_append_only")
    run(
        "DO $$ DECLARE found text; BEGIN "
        "SELECT conname INTO found FROM pg_constraint WHERE contype = 'f' "
        "AND conrelid = 'coupons_verification'::regclass "
        "AND confrelid = 'coupons_coupon'::regclass; "
        "EXECUTE 'ALTER TABLE coupons_verification DROP CONSTRAINT ' "
        "|| quote_ident(found); END $$"
    )


@plants("backstops", "trigger of campaigns", needs_server=True)
def _(ledger):
    run(
        "ALTER TABLE campaigns_campaignevent "
        "DISABLE TRIGGER campaigns_campaignevent_append_only"
    )


@plants("backstops", "trigger", needs_server=True)
def _(ledger):
    free_hand()


# --- providers ------------------------------------------------------------------------


def free_errands():
    drop_check("sync_remotecoupon", "remote_errand_has_time")
    drop_check("sync_remotecoupon", "remote_idle_has_no_lease")


def long_ago():
    return connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(hours=1))


@plants("use_twice", "named")
def _(ledger):
    drop_index("use_once")
    copy("sync_use", "key = 'order:1'")


@plants("use_twice", "told")
def _(ledger):
    drop_index("use_told_once")
    copy("sync_use", "source = 'mirror'")


@plants("use_twice", "counted")
def _(ledger):
    drop_index("use_counted_in_one_row")
    copy("sync_use", "source = 'count'")


@plants("use_ignored")
def _(ledger):
    change(
        "UPDATE serials_serial SET state = 0 WHERE state = 2 AND id IN "
        "(SELECT serial_id FROM sync_remotecoupon)"
    )


@plants("use_verification")
def _(ledger):
    change(
        "UPDATE sync_use SET verification_id = (SELECT min(id) "
        "FROM coupons_verification) WHERE verification_id IS NOT NULL"
    )


@plants("use_verified", "none")
def _(ledger):
    change("UPDATE sync_use SET verification_id = NULL WHERE outcome = 'verified'")


@plants("use_verified", "at a till")
def _(ledger):
    change("UPDATE coupons_verification SET way = 'scan' WHERE way = 'paddle'")


@plants("void_early", "used elsewhere, uncounted")
def _(ledger):
    change("UPDATE sync_use SET outcome = 'counted' WHERE outcome = 'void'")


def plant_publication_count(name):
    @plants("publication_count", name)
    def _(ledger):
        change("UPDATE sync_publication SET total = total + 1")
        if name != "total":
            change(f"UPDATE sync_publication SET {name} = {name} + 1")


for name in ("total", "live", "gone", "refused", "unknown"):
    plant_publication_count(name)


@plants("remote_twice", "serial")
def _(ledger):
    drop_index("remote_serial_once")
    copy("sync_remotecoupon", "serial_id IS NOT NULL", remote_id="'OTHER'")


@plants("remote_twice", "batch")
def _(ledger):
    drop_index("remote_batch_once")
    copy("sync_remotecoupon", "batch_id IS NOT NULL", remote_id="'OTHER'")


@plants("remote_name_twice")
def _(ledger):
    drop_index("remote_id_once")
    copy("sync_remotecoupon", "batch_id IS NOT NULL", batch_id="NULL")


@plants("remote_elsewhere", "serial")
def _(ledger):
    change(
        "UPDATE sync_remotecoupon SET serial_id = %s WHERE serial_id = "
        "(SELECT max(serial_id) FROM sync_remotecoupon)",
        ledger.coupons.redeemed.serial_id,
    )


@plants("remote_elsewhere", "account")
def _(ledger):
    change(
        "UPDATE sync_remotecoupon SET connection_id = (SELECT min(id) FROM "
        "connections_connection) WHERE batch_id IS NOT NULL"
    )


@plants("spent_free", "serial")
def _(ledger):
    change(
        "UPDATE sync_remotecoupon SET is_spent = TRUE WHERE serial_id IN "
        "(SELECT id FROM serials_serial WHERE state = 0)"
    )


@plants("spent_free", "text")
def _(ledger):
    change(
        "UPDATE sync_remotecoupon SET is_spent = TRUE, errand = 'delete', "
        "next_try_at = %s WHERE batch_id IS NOT NULL",
        long_ago(),
    )


@plants("errand_time", "none")
def _(ledger):
    free_errands()
    change("UPDATE sync_remotecoupon SET errand = 'update'")


@plants("errand_time", "idle and held")
def _(ledger):
    free_errands()
    change("UPDATE sync_remotecoupon SET leased_until = %s", long_ago())


@plants("errand_left")
def _(ledger):
    change(
        "UPDATE sync_remotecoupon SET errand = 'update', next_try_at = %s, "
        "leased_until = %s",
        long_ago(),
        long_ago(),
    )


@plants("publication_left")
def _(ledger):
    change("UPDATE sync_publication SET leased_until = %s", long_ago())


@plants("run_left")
def _(ledger):
    account = Publication.objects.first().connection
    make_run(account, state="running", leased_until=timezone.now() - timedelta(hours=1))


# --- the tests ------------------------------------------------------------------------


@pytest.mark.parametrize("plant", PLANTS)
def test_a_break_is_found_and_its_rows_are_named(ledger, plant):
    plant.sow(ledger)

    found = find_break(plant.name, now=timezone.now())

    assert found is not None
    assert found.check == plant.name
    assert found.count >= len(found.rows) > 0


def test_every_check_has_a_break_that_it_finds():
    assert {param.values[0].name for param in PLANTS} == set(NAMES)


def test_a_ledger_made_by_the_services_has_no_break(ledger):
    assert find_breaks(now=timezone.now()) == []
    assert find_missing_backstops() is None


def test_each_check_is_one_statement(ledger):
    with CaptureQueriesContext(connection) as asked:
        find_breaks(now=timezone.now())

    assert len(asked) == len(CHECKS)


def test_coupons_that_were_verified_before_a_change_may_keep_their_ends(ledger):
    verification = Verification.objects.get(
        coupon=ledger.coupons.verified, undone_at=None
    )
    changed_ends(ledger)

    undo(verification.pk, by=ledger.clerk, reason="wrong", is_manager=True)

    assert find_breaks(now=timezone.now()) == []


def test_few_rows_are_named_and_all_are_counted(ledger):
    change("UPDATE coupons_coupon SET sent_at = issued_at WHERE sent_at IS NULL")
    change("UPDATE coupons_coupon SET sent_at = ends_at")

    found = find_break("step_time", now=timezone.now(), most_rows=3)

    assert len(found.rows) == 3
    assert found.count > 10
    assert found.rows[0].startswith("coupon ")


def test_only_the_named_checks_are_made(ledger):
    change("UPDATE serials_stock SET taken = taken + 1")

    found = find_breaks(now=timezone.now(), only=["stock_count", "tally"])

    [stock] = found
    assert stock.check == "stock_count"
    fixed = ledger.coupons.fixed
    assert stock.rows == [
        f"batch {fixed.batch_id}: 3 counted, 2 given out (campaign {fixed.campaign_id})"
    ]
    with pytest.raises(KeyError):
        find_breaks(now=timezone.now(), only=["stok_count"])


def test_a_lease_that_ended_just_now_waits_for_the_sweep(ledger):
    sending = Dispatch.objects.get(status="sending")

    def found(after):
        return find_break("dispatch_lease", now=sending.leased_until + after)

    assert found(timedelta(minutes=4, seconds=59)) is None
    assert found(timedelta(minutes=5, seconds=1)).count == 1
