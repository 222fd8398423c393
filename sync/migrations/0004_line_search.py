import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0003_other_providers"),
        ("sync", "0003_spent_codes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Search",
            fields=[
                (
                    "connection",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="connections.connection",
                    ),
                ),
                ("cursor", models.JSONField(default=dict)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("leased_until", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "search at a provider",
                "verbose_name_plural": "searches at providers",
            },
        ),
    ]
