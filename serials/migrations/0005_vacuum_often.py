"""Serials that were taken leave the index of free ones at a vacuum: often, not rarely.

By default that waits for a fifth of the table; after 50,000 claims one took 40 times as
long as the first.
"""

from django.db import migrations


def often(apps, editor):
    if editor.connection.vendor == "postgresql":
        editor.execute(
            "ALTER TABLE serials_serial SET"
            " (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)"
        )


def as_usual(apps, editor):
    if editor.connection.vendor == "postgresql":
        editor.execute(
            "ALTER TABLE serials_serial RESET"
            " (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)"
        )


class Migration(migrations.Migration):
    dependencies = [("serials", "0004_keys_in_byte_order")]

    operations = [migrations.RunPython(often, as_usual)]
