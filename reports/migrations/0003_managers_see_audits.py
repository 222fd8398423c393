"""Managers may open the audits of the ledger."""

from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def allow(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Permissions are made after all migrations; this role needs its own now.
    config = apps.get_app_config("reports")
    was = getattr(config, "models_module", None)
    config.models_module = was or True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = was
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    view = Permission.objects.get(
        content_type__app_label="reports", codename="view_audit"
    )
    for manager in Group.objects.filter(name="Manager"):
        manager.permissions.add(view)


def refuse(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Permission = apps.get_model("auth", "Permission")
    Permission.objects.filter(
        content_type__app_label="reports", codename="view_audit"
    ).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0002_audits_of_the_ledger"),
        ("couponadmin", "0001_groups"),
    ]

    operations = [migrations.RunPython(allow, refuse)]
