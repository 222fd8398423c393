"""PostgreSQL refuses to change what was done to a campaign; a draft's goes with it."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

REFUSE = """
CREATE FUNCTION campaigns_campaignevent_append_only() RETURNS trigger AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT 1 FROM campaigns_campaign WHERE id = OLD.campaign_id AND state = 'draft'
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'campaigns_campaignevent is append-only';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER campaigns_campaignevent_append_only
BEFORE UPDATE OR DELETE ON campaigns_campaignevent
FOR EACH ROW EXECUTE FUNCTION campaigns_campaignevent_append_only();
"""
ALLOW = """
DROP TRIGGER campaigns_campaignevent_append_only ON campaigns_campaignevent;
DROP FUNCTION campaigns_campaignevent_append_only();
"""


def refuse(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(REFUSE)


def allow(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ALLOW)


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0004_events_and_copies")]

    operations = [migrations.RunPython(refuse, allow)]
