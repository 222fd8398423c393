"""PostgreSQL refuses to change or delete a step of a coupon: the ledger only grows."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

REFUSE = """
CREATE FUNCTION coupons_event_append_only() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'coupons_event is append-only';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER coupons_event_append_only BEFORE UPDATE OR DELETE ON coupons_event
FOR EACH ROW EXECUTE FUNCTION coupons_event_append_only();
"""
ALLOW = """
DROP TRIGGER coupons_event_append_only ON coupons_event;
DROP FUNCTION coupons_event_append_only();
"""


def refuse(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(REFUSE)


def allow(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ALLOW)


class Migration(migrations.Migration):
    dependencies = [("coupons", "0001_initial")]

    operations = [migrations.RunPython(refuse, allow)]
