"""The threshold of a low stock is kept with who was told: serials.StockWatch."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="campaign",
            name="warn_below",
        ),
    ]
