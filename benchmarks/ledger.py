"""The whole ledger audited while the house goes on: a million coupons, in flat memory.

    python benchmarks/ledger.py

DATABASE_URL names the PostgreSQL server; a database of its own is made there and dropped
at the end. It is filled by SQL with a ledger that adds up, in every state, first with
100,000 and then with 1,000,000 coupons, and `manage.py audit_ledger` looks at each as a
process of its own. Ends with 1 when it takes over a minute, needs more memory for the
million, or finds anything.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from _house import ROOT, prepared_database

if TYPE_CHECKING:
    from django.db.models import Model

SIZES = (100_000, 1_000_000)  # coupons
LIMIT = 60.0  # seconds
MEMORY_LIMIT = 1.2  # times as much for the larger one


# --- filling -------------------------------------------------------------------------

# Coupon g: two for each contact, one in each campaign. Of twenty contacts so many have
# come so far; `r` is which of the twenty this one is.
STATES = """
    CASE WHEN r < 2 THEN 'issued' WHEN r < 5 THEN 'sent' WHEN r < 8 THEN 'opened'
        WHEN r < 12 THEN 'redeemed' WHEN r < 19 THEN 'verified' ELSE 'revoked' END
"""
COUPONS = f"""
    (SELECT g, 1 + g %% 2 AS campaign, (g + 1) / 2 AS contact, r, status,
        status IN ('redeemed', 'verified') OR (status = 'revoked' AND g %% 80 < 40)
            AS is_redeemed,
        timestamptz '2026-05-01 00:00Z' + g * interval '1 second' AS at
    FROM (SELECT g, r, {STATES} AS status
        FROM (SELECT g, ((g + 1) / 2) %% 20 AS r FROM generate_series(1, %(n)s) g) a
    ) b) c
"""  # noqa: S608 - our own text


def add(
    model: "type[Model]",
    source: str,
    values: Mapping[str, str],
    params: Mapping[str, Any],
) -> None:
    """INSERT ... SELECT of these columns; the others get the model's defaults."""
    from django.db import connection
    from django.db.models.fields import NOT_PROVIDED

    columns, given = dict(values), dict(params)
    for field in model._meta.local_concrete_fields:
        column = str(field.column)
        known = column in columns or field.primary_key or field.null
        if known or field.db_default is not NOT_PROVIDED:
            continue
        given[f"default_{column}"] = field.get_default()
        columns[column] = f"%(default_{column})s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "  # noqa: S608
            f"SELECT {', '.join(columns.values())} FROM {source}",
            given,
        )


def fill(n: int) -> None:
    """An empty database becomes one of `n` coupons that adds up."""
    from django.db import connection, transaction

    with transaction.atomic():
        without_triggers()
        add_parents(n)
        add_serials(n)
        add_coupons(n)
        add_steps()
        add_counters()
        add_delivery()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def without_triggers() -> None:
    """Fill without looking up every foreign key, where we may: half the time."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE current_setting('is_superuser') WHEN 'on' THEN"
            " set_config('session_replication_role', 'replica', true) END"
        )


def add_parents(n: int) -> None:
    """Two campaigns, one with serials of its own and one fixed; contacts; a store."""
    from django.utils import timezone

    from campaigns.models import Campaign
    from connections.models import Connection
    from contacts.models import Contact
    from serials.models import Batch
    from stores.models import Store

    now = timezone.now()
    Store.objects.create(pk=1, name="Store")
    Connection.objects.create(pk=1, provider="line", name="LINE", account_id="U1")
    Campaign.objects.bulk_create(
        Campaign(
            pk=pk,
            name=f"Campaign {pk}",
            state="active",
            use_starts_at=now,
            use_ends_at=now.replace(year=now.year + 1),
        )
        for pk in (1, 2)
    )
    count = n // 2
    Batch.objects.create(
        pk=1,
        campaign_id=1,
        name="Serials",
        kind="imported",
        state="ready",
        lines=count,
        new=count,
        total=count,
    )
    Batch.objects.create(
        pk=2,
        campaign_id=2,
        name="Fixed",
        kind="fixed",
        state="ready",
        code="FIXED",
        code_key="FIXED",
    )
    add(
        Contact,
        "generate_series(1, %(n)s) g",
        {
            "id": "g",
            "connection_id": "1",
            "line_user_id": "'U' || lpad(to_hex(g), 32, '0')",
            "created_at": "now()",
        },
        {"n": count},
    )


def add_serials(n: int) -> None:
    """One for each coupon of the first campaign, taken if that has redeemed."""
    from serials.models import Serial

    add(
        Serial,
        COUPONS + "WHERE campaign = 1",
        {
            "id": "contact",
            "campaign_id": "1",
            "batch_id": "1",
            "pos": "contact",
            "code": "'S' || lpad(contact::text, 9, '0')",
            "code_key": "'S' || lpad(contact::text, 9, '0')",
            "state": "CASE WHEN is_redeemed THEN 1 ELSE 0 END",
            "taken_at": "CASE WHEN is_redeemed THEN at + interval '3 hour' END",
        },
        {"n": n},
    )


def add_coupons(n: int) -> None:
    from coupons.models import Coupon

    add(
        Coupon,
        COUPONS,
        {
            "id": "g",
            "campaign_id": "campaign",
            "contact_id": "contact",
            "token": "'t' || lpad(g::text, 23, '0')",
            "number": "lpad(g::text, 12, '0')",
            "status": "status",
            "batch_id": "CASE WHEN is_redeemed THEN campaign END",
            "serial_id": "CASE WHEN is_redeemed AND campaign = 1 THEN contact END",
            "issued_at": "at",
            "sent_at": "CASE WHEN r >= 2 THEN at + interval '1 hour' END",
            "opened_at": (
                "CASE WHEN r >= 5 AND (status <> 'revoked' OR is_redeemed)"
                " THEN at + interval '2 hour' END"
            ),
            "redeemed_at": "CASE WHEN is_redeemed THEN at + interval '3 hour' END",
            "verified_at": (
                "CASE WHEN status = 'verified' THEN at + interval '6 hour' END"
            ),
            "revoked_at": (
                "CASE WHEN status = 'revoked' THEN at + interval '7 hour' END"
            ),
            "ends_at": "at + interval '90 day'",
        },
        {"n": n},
    )


# As in a shop, the steps of one coupon lie far apart, and customers come in no order.
STEPS = {
    "issued": ("issued_at", "true"),
    "sent": ("sent_at", "sent_at IS NOT NULL"),
    "opened": ("opened_at", "opened_at IS NOT NULL"),
    "redeemed": ("redeemed_at", "redeemed_at IS NOT NULL"),
    # One in seven was taken back first.
    "verified once": ("verified_at - interval '2 hour'", "status = 'verified' AND {1}"),
    "undone": ("verified_at - interval '1 hour'", "status = 'verified' AND {1}"),
    "verified": ("verified_at", "verified_at IS NOT NULL"),
    "revoked": ("revoked_at", "revoked_at IS NOT NULL"),
}
UNDONE = "((id + 1) / 2) %% 20 = 18"


def add_steps() -> None:
    """Events, and for those at the till verifications and the scans they answered."""
    from coupons.models import Attempt, Event, Verification

    for name, (at, which) in STEPS.items():
        kind = name.split()[0]
        order = "id" if name in ("issued", "sent") else "md5(id::text)"
        add(
            Event,
            f"coupons_coupon WHERE {which.replace('{1}', UNDONE)} ORDER BY {order}",
            {
                "coupon_id": "id",
                "kind": f"'{kind}'",
                "at": at,
                "store_id": "1" if kind == "verified" else "NULL::bigint",
                "way": "'scan'",
                "request_id": "gen_random_uuid()::text",
            },
            {},
        )
    for at, undone_at, which in (
        (STEPS["verified once"][0], STEPS["undone"][0], f"AND {UNDONE}"),
        ("verified_at", "NULL::timestamptz", ""),
    ):
        add(
            Verification,
            f"coupons_coupon WHERE status = 'verified' {which}",
            {
                "coupon_id": "id",
                "store_id": "1",
                "way": "'scan'",
                "at": at,
                "undone_at": undone_at,
            },
            {},
        )
    add(
        Attempt,
        "coupons_verification",
        {
            "action": "'verify'",
            "reason": "'ok'",
            "coupon_id": "coupon_id",
            "verification_id": "id",
            "store_id": "1",
            "nonce": "gen_random_uuid()",
            "digest": "repeat(md5(id::text), 2)",
            "at": "at",
        },
        {},
    )


def add_counters() -> None:
    from campaigns.models import TotalLimit
    from coupons.models import ContactUse, Tally
    from serials.models import Stock

    counting = "coupons_coupon WHERE status IN ('redeemed', 'verified')"
    add(
        ContactUse,
        counting,
        {
            "campaign_id": "campaign_id",
            "contact_id": "contact_id",
            "used": "1",
            "allowed": "1",
        },
        {},
    )
    add(
        Stock,
        "coupons_coupon WHERE batch_id = 2",
        {"batch_id": "2", "quantity": "2 * count(*)", "taken": "count(*)"},
        {},
    )
    add(
        TotalLimit,
        counting + " AND campaign_id = 2",
        {"campaign_id": "2", "quota": "2 * count(*)", "used": "count(*)"},
        {},
    )
    revoked = "count(*) FILTER (WHERE status = 'revoked' {})"
    add(
        Tally,
        "coupons_coupon GROUP BY campaign_id, id %% 8",
        {
            "campaign_id": "campaign_id",
            "slot": "id %% 8",
            "issued": "count(*)",
            "sent": "count(sent_at)",
            "opened": "count(opened_at)",
            "revoked": revoked.format("AND batch_id IS NULL"),
        },
        {},
    )
    add(
        Tally,
        "coupons_coupon WHERE batch_id IS NOT NULL"
        " GROUP BY campaign_id, batch_id, id %% 8",
        {
            "campaign_id": "campaign_id",
            "batch_id": "batch_id",
            "slot": "id %% 8",
            "redeemed": "count(*)",
            "verified": "count(verified_at)",
            "revoked": revoked.format(""),
        },
        {},
    )


def add_delivery() -> None:
    """Ten deliveries that are done; half of all coupons went out with them."""
    from deliveries.models import Delivery, Dispatch, Recipient

    add(
        Delivery,
        "(SELECT d, count(c.id) AS total, count(c.sent_at) AS sent"
        " FROM generate_series(0, 9) d JOIN coupons_coupon c ON c.campaign_id = 1"
        " AND c.contact_id %% 10 = d GROUP BY d) x",
        {
            "id": "d + 1",
            "campaign_id": "1",
            "connection_id": "1",
            "contact_id": "1",
            "send_at": "now()",
            "state": "'done'",
            "template": "'[]'",
            "nonce": "gen_random_uuid()",
            "prepared_at": "now()",
            "done_at": "now()",
            "created_at": "now()",
            "total": "total",
            "accepted": "sent",
            "refused": "total - sent",
        },
        {},
    )
    outcome = "CASE WHEN sent_at IS NULL THEN 'refused' ELSE 'accepted' END"
    ours = "coupons_coupon WHERE campaign_id = 1"
    add(
        Dispatch,
        ours,
        {
            "id": "id",
            "delivery_id": "1 + contact_id %% 10",
            "number": "id",
            "retry_key": "gen_random_uuid()",
            "body_hash": "repeat(md5(id::text), 2)",
            "status": outcome,
            "tries": "1",
            "next_try_at": "issued_at",
            "first_try_at": "sent_at",
            "settled_at": "issued_at + interval '1 hour'",
        },
        {},
    )
    add(
        Recipient,
        ours,
        {
            "delivery_id": "1 + contact_id %% 10",
            "contact_id": "contact_id",
            "dispatch_id": "id",
            "coupon_id": "id",
            "outcome": outcome,
        },
        {},
    )


def empty() -> None:
    from django.apps import apps
    from django.db import connection

    ours = ("contacts", "stores", "connections", "campaigns", "serials", "coupons")
    tables = [
        m._meta.db_table for app in ours for m in apps.get_app_config(app).get_models()
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")


# --- measuring -----------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """One run of the command."""

    seconds: float
    megabytes: float  # at the most
    output: str

    @property
    def is_clean(self) -> bool:
        return bool(re.search(r"^\d+ checks, no break$", self.output, re.MULTILINE))

    @property
    def checks(self) -> dict[str, float]:
        found = re.findall(r"^ *([\d.]+) s  (\w+)$", self.output, re.MULTILINE)
        return {name: float(seconds) for seconds, name in found}


def look() -> Look:
    started = time.monotonic()
    command = [sys.executable, "manage.py", "audit_ledger", "--verbosity", "2"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Look(time.monotonic() - started, usage.ru_maxrss / 1024, output)


def count_steps() -> int:
    from coupons.models import Event

    return Event.objects.count()


def main() -> int:
    looks = []
    with prepared_database():
        for size in SIZES:
            empty()
            started = time.monotonic()
            fill(size)
            filled = time.monotonic() - started
            looks.append(look())
            found = looks[-1]
            print(
                f"{size:>9,} coupons, {count_steps():,} steps (filled in {filled:.0f} s):"
                f" audited in {found.seconds:.1f} s with {found.megabytes:.0f} MB"
            )
            if not found.is_clean:
                print(found.output)
    few, many = looks
    for name, seconds in sorted(many.checks.items(), key=lambda item: -item[1]):
        print(f"{seconds:9.3f} s  {name}")
    memory = many.megabytes / few.megabytes
    is_good = (
        few.is_clean
        and many.is_clean
        and many.seconds <= LIMIT
        and memory <= MEMORY_LIMIT
    )
    figures = {
        "name": "ledger",
        "figure": round(many.seconds, 2),
        "unit": "s",
        "limit": LIMIT,
        "ratio": round(many.seconds / LIMIT, 3),
        "memory_mb": round(many.megabytes, 1),
        "memory_ratio": round(memory, 3),
        "memory_limit": MEMORY_LIMIT,
        "is_clean": few.is_clean and many.is_clean,
    }
    print(json.dumps(figures))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
