"""Keys of serials are compared byte by byte: quicker to sort, and found by their start."""

from django.db import migrations


def set_collation(editor, name):
    if editor.connection.vendor == "postgresql":
        editor.execute(
            "ALTER TABLE serials_serial ALTER COLUMN code_key"
            f' TYPE varchar(64) COLLATE "{name}"'
        )


def by_bytes(apps, editor):
    set_collation(editor, "C")


def by_language(apps, editor):
    set_collation(editor, "default")


class Migration(migrations.Migration):
    dependencies = [("serials", "0003_generated_and_void")]

    # SQLite compares by bytes anyway.
    operations = [migrations.RunPython(by_bytes, by_language)]
