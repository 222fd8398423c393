"""Claims go delivery by delivery, so that rows of a paused one cost nothing."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0004_dispatch_failures")]

    operations = [
        migrations.RemoveIndex(model_name="dispatch", name="dispatch_due"),
        migrations.AddIndex(
            model_name="dispatch",
            index=models.Index(
                fields=["delivery", "next_try_at"],
                condition=Q(status="queued"),
                name="dispatch_due",
            ),
        ),
    ]
