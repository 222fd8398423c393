"""What a delivery's links begin with, kept so that every try sends the same bytes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0002_delivery_prepared_at")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="link_base",
            field=models.CharField(default="", editable=False, max_length=500),
        ),
    ]
