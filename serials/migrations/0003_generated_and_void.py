"""Generated batches, batches whose rest is void, and a threshold for low stock."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
        ("serials", "0002_import_in_blocks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StockWatch",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="stock_watch",
                        serialize=False,
                        to="campaigns.campaign",
                    ),
                ),
                ("warn_below", models.PositiveIntegerField()),
                ("told_at", models.DateTimeField(null=True)),
                ("telling_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="batch",
            name="batch_fixed_has_text",
        ),
        migrations.RemoveConstraint(
            model_name="batch",
            name="batch_voided_not_over_total",
        ),
        migrations.RemoveIndex(
            model_name="batch",
            name="batch_in_work",
        ),
        migrations.AddField(
            model_name="batch",
            name="voided_at",
            field=models.DateTimeField(
                editable=False, null=True, verbose_name="void since"
            ),
        ),
        migrations.AlterField(
            model_name="serial",
            name="campaign",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="campaigns.campaign",
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="alphabet",
            field=models.CharField(
                blank=True, max_length=10, verbose_name="characters"
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="is_any_size",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AlterField(
            model_name="batch",
            name="state",
            field=models.CharField(
                choices=[
                    ("checking", "being checked"),
                    ("checked", "checked, not yet imported"),
                    ("importing", "being imported"),
                    ("ready", "ready"),
                    ("refused", "refused"),
                    ("cancelled", "cancelled"),
                    ("voiding", "being made void"),
                    ("void", "void"),
                ],
                max_length=10,
                verbose_name="state",
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("state__in", ["checking", "importing", "voiding"])),
                fields=["leased_until"],
                name="batch_in_work",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind", "fixed"),
                        models.Q(("code", ""), _negated=True),
                        ("state__in", ["ready", "void"]),
                    ),
                    models.Q(models.Q(("kind", "fixed"), _negated=True), ("code", "")),
                    _connector="OR",
                ),
                name="batch_fixed_has_text",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind", "fixed"),
                    ("voided__lte", models.F("total")),
                    _connector="OR",
                ),
                name="batch_voided_not_over_total",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "generated"), ("state", "ready"), _negated=True),
                    models.Q(("total", models.F("wanted")), ("wanted__isnull", False)),
                    _connector="OR",
                ),
                name="batch_generated_whole",
            ),
        ),
    ]
