"""How often a dispatch got no clear answer: its waits grow with this, not with claims."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0003_delivery_link_base")]

    operations = [
        migrations.AddField(
            model_name="dispatch",
            name="failures",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
