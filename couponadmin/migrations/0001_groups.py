"""The roles: Manager, Editor, Viewer and Store staff, with what each may do."""

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

VIEW_ALL = {
    "campaigns": ["campaign", "campaigntext", "group", "template"],
    "serials": ["batch", "serial", "refusedrow"],
    "contacts": ["contact", "contactlist", "membership"],
    "coupons": ["coupon", "event", "verification"],
    "deliveries": ["delivery", "dispatch", "recipient"],
    "stores": ["store"],
}
EDIT = {
    "campaigns": ["campaign", "campaigntext", "group", "template"],
    "serials": ["batch"],
    "contacts": ["contact", "contactlist", "membership"],
    "deliveries": ["delivery"],
}
MANAGE = {
    "stores": ["store", "storestaff"],
    "connections": ["connection"],
    "auth": ["user"],
}


def codenames(
    models: dict[str, list[str]], verbs: tuple[str, ...]
) -> set[tuple[str, str]]:
    return {
        (app, f"{verb}_{model}")
        for app, names in models.items()
        for model in names
        for verb in verbs
    }


VIEWER = codenames(VIEW_ALL, ("view",))
EDITOR = VIEWER | codenames(EDIT, ("add", "change", "delete"))
MANAGER = (
    EDITOR
    | codenames(MANAGE, ("view", "add", "change", "delete"))
    | codenames({"coupons": ["coupon", "verification"]}, ("change",))
)
ROLES = {
    "Viewer": VIEWER,
    "Editor": EDITOR,
    "Manager": MANAGER,
    "Store staff": set(),  # works at /store/ only, at the stores that name them
}


def make_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Permissions are made after all migrations; these roles need them now.
    for config in apps.get_app_configs():
        was = getattr(config, "models_module", None)
        config.models_module = was or True
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = was
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        found = [
            permission
            for permission in Permission.objects.select_related("content_type")
            if (permission.content_type.app_label, permission.codename) in wanted
        ]
        group.permissions.set(found)


def drop_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("connections", "0001_initial"),
        ("stores", "0001_initial"),
        ("contacts", "0001_initial"),
        ("campaigns", "0001_initial"),
        ("serials", "0001_initial"),
        ("coupons", "0001_initial"),
        ("deliveries", "0001_initial"),
        ("sync", "0001_initial"),
    ]

    operations = [migrations.RunPython(make_roles, drop_roles)]
