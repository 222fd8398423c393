"""Managers and Editors may export serials."""

from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

ROLES = ("Manager", "Editor")
CODENAMES = ("add_serialexport", "view_serialexport")


def allow(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Permissions are made after all migrations; these roles need theirs now.
    config = apps.get_app_config("reports")
    was = getattr(config, "models_module", None)
    config.models_module = was or True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = was
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    wanted = Permission.objects.filter(
        content_type__app_label="reports", codename__in=CODENAMES
    )
    for role in Group.objects.filter(name__in=ROLES):
        role.permissions.add(*wanted)


def refuse(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Permission = apps.get_model("auth", "Permission")
    Permission.objects.filter(
        content_type__app_label="reports", codename__in=CODENAMES
    ).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0005_serial_exports"),
        ("couponadmin", "0001_groups"),
    ]

    operations = [migrations.RunPython(allow, refuse)]
