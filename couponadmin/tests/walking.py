"""Walks the migrations of an empty database; test_migrations.py runs it by itself.

A process of its own, because migrations use the default database: `python -m
couponadmin.tests.walking`, with DATABASE_URL naming a database that is its alone. Writes
what it found as JSON.
"""

import io
import json
import sys

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from run import ROOT

COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default,
    character_maximum_length, is_identity
FROM information_schema.columns WHERE table_schema = 'public'
"""
INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
TRIGGERS = """
SELECT tgrelid::regclass::text, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
"""
FUNCTIONS = """
SELECT proname, pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""
# Made anew by whatever makes roles, so their keys change: compared by name.
NAMED = {"auth_permission", "auth_group_permissions", "django_content_type"}
ROLES = """
SELECT auth_group.name, codename FROM auth_group
JOIN auth_group_permissions ON group_id = auth_group.id
JOIN auth_permission ON permission_id = auth_permission.id
"""
SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"


def main():
    django.setup()
    found = {"steps": walk(), "walked": schema()}
    found["left_to_do"] = migrate_all()
    found["after_zero"] = back_to_zero()
    migrate_all()
    found["from_zero"] = schema()
    fill()
    found["with_data"] = {app: there_and_back(app) for app in our_apps()}
    found["with_data_schema"] = schema()
    json.dump(found, sys.stdout)


def our_apps():
    """Apps of this project that have migrations."""
    return sorted(
        config.label
        for config in apps.get_app_configs()
        if (ROOT / config.name.split(".")[0] / "migrations").is_dir()
    )


def rows(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return sorted(json.dumps(row, default=str) for row in cursor.fetchall())


def schema():
    """Everything the database knows of its own shape; order of columns apart."""
    kinds = {
        "columns": COLUMNS,
        "indexes": INDEXES,
        "constraints": CONSTRAINTS,
        "triggers": TRIGGERS,
        "functions": FUNCTIONS,
        "sequences": SEQUENCES,
    }
    return {kind: rows(statement) for kind, statement in kinds.items()}


def walk():
    """Each migration in the graph's order: forward, ours also back and forward again."""
    executor = MigrationExecutor(connection)
    executor.recorder.ensure_schema()
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    state = ProjectState(real_apps=executor.loader.unmigrated_apps)
    steps = []
    for migration, _ in plan:
        before = state.clone()
        was = schema() if migration.app_label in our_apps() else None
        state = executor.apply_migration(state, migration)
        if was is None:
            continue
        there = schema()
        executor.unapply_migration(before.clone(), migration)
        back = schema()
        executor.apply_migration(before.clone(), migration)
        steps.append(
            {
                "name": str(migration),
                "undone": differences(was, back),
                "again": differences(there, schema()),
            }
        )
    return steps


def differences(one, other):
    return [
        f"{kind}: {line}"
        for kind in one
        for line in sorted(set(one[kind]) ^ set(other[kind]))
    ]


def migrate_all():
    """What `migrate` says."""
    out = io.StringIO()
    call_command("migrate", stdout=out, interactive=False)
    return out.getvalue()


def back_to_zero():
    """All of ours undone, the last first; the tables, functions and triggers left."""
    executor = MigrationExecutor(connection)
    executor.migrate([(app, None) for app in our_apps()])
    ours = tuple(f"{app}_" for app in our_apps())
    left = schema()
    return [
        line
        for kind in ("columns", "functions", "triggers", "sequences")
        for line in left[kind]
        if line.removeprefix('["').startswith(ours)
    ]


def fill():
    """A shop with a little of everything that it does in a day."""
    from testing import factories

    call_command("example_data", stdout=io.StringIO())
    store = factories.make_store(clerk := factories.make_user("Store staff"))
    campaign = factories.make_campaign(store, limit_per_contact=2)
    factories.make_serials(campaign, 3)
    contact = factories.make_contact(factories.make_connection())
    factories.make_coupon(campaign, status="sent")
    coupon = factories.make_coupon(campaign, contact, status="redeemed")
    from coupons.services import verify

    verify(coupon.pk, store=store, staff=clerk)


def there_and_back(app):
    """This app's newest migration undone and done again, in a database with rows.

    What was lost: columns that the older state knew and that hold other values now.
    """
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes(app)[0]
    below = executor.loader.get_migration(*newest).dependencies
    older = [key for key in below if key[0] == app]
    if not older:
        return {"newest": newest[1], "first": True}
    full = contents(set(columns()))
    executor.migrate(older)
    kept = set(columns())
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    after = contents(kept)
    lost = [column for column in after if after[column] != full.get(column)]
    return {"newest": newest[1], "lost": sorted(map(".".join, lost))}


def columns():
    """Table and column of what is kept, apart from what Django keeps for itself."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        found = [(row[0], row[1]) for row in cursor.fetchall()]
    return [c for c in found if c[0] not in {"django_migrations", *NAMED}]


def contents(wanted):
    """Column -> its values in the order of the rows' keys."""
    found = {("auth_group", "roles"): rows(ROLES)}
    for table, column in sorted(wanted & set(columns())):
        with connection.cursor() as cursor:
            order = "id" if (table, "id") in wanted else "1"
            cursor.execute(f'SELECT "{column}" FROM "{table}" ORDER BY {order}')  # noqa: S608
            found[table, column] = cursor.fetchall()
    return found


if __name__ == "__main__":
    main()
