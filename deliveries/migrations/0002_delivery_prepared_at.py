"""Whether every contact of a delivery's list has been looked at, and since when."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="prepared_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
