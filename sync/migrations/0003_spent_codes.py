import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sync", "0002_publishing_and_pulling"),
    ]

    operations = [
        migrations.CreateModel(
            name="SpentCount",
            fields=[
                (
                    "publication",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="spent_count",
                        serialize=False,
                        to="sync.publication",
                    ),
                ),
                ("total", models.PositiveIntegerField(default=0)),
                ("signs", models.JSONField(default=dict)),
                ("counted_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="publication",
            name="cleared_to",
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="publication",
            name="is_clearing",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="remotecoupon",
            name="is_spent",
            field=models.BooleanField(default=False),
        ),
        migrations.AddConstraint(
            model_name="publication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_clearing", False), ("state", "open"), _connector="OR"
                ),
                name="publication_clears_while_open",
            ),
        ),
    ]
