"""Who may see, publish and take back a campaign at providers."""

from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SEE = (
    "view_publication",
    "view_remotecoupon",
    "view_run",
    "view_difference",
    "view_step",
)
# Publish, pause, try again; ask for a look; mend what is mended without a loss.
WORK = (*SEE, "add_publication", "change_publication", "add_run", "change_difference")
# What customers would lose, or whose coupon it becomes, is a Manager's to say.
DECIDE = (*WORK, "delete_publication", "change_remotecoupon")
ROLES = {"Viewer": SEE, "Editor": WORK, "Manager": DECIDE}


def allow(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Permissions are made after all migrations; these roles need theirs now.
    config = apps.get_app_config("sync")
    was = getattr(config, "models_module", None)
    config.models_module = was or True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = was
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    of_sync = Permission.objects.filter(content_type__app_label="sync")
    for role in Group.objects.filter(name__in=ROLES):
        role.permissions.add(*of_sync.filter(codename__in=ROLES[role.name]))


def refuse(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Permission = apps.get_model("auth", "Permission")
    of_sync = Permission.objects.filter(content_type__app_label="sync")
    of_sync.filter(codename__in=DECIDE).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0006_editors_export_serials"),
        ("sync", "0002_publishing_and_pulling"),
        ("couponadmin", "0001_groups"),
    ]

    operations = [migrations.RunPython(allow, refuse)]
