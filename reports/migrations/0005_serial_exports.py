"""Exports of serials: who may download what, and until when."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
        ("reports", "0004_audit_telling_until"),
        ("serials", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SerialExport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "states",
                    models.CharField(
                        choices=[
                            ("all", "all of them"),
                            ("free", "free"),
                            ("taken", "taken, verified and revoked ones too"),
                            ("void", "void"),
                        ],
                        max_length=5,
                        verbose_name="which serials",
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[
                            ("excel", "for a spreadsheet"),
                            ("plain", "for a till, plain"),
                        ],
                        max_length=5,
                        verbose_name="what for",
                    ),
                ),
                (
                    "columns",
                    models.CharField(
                        choices=[
                            ("all", "all columns"),
                            ("serials", "only the serials"),
                        ],
                        max_length=7,
                        verbose_name="columns",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("expires_at", models.DateTimeField(verbose_name="works until")),
                (
                    "downloads",
                    models.PositiveIntegerField(default=0, verbose_name="downloads"),
                ),
                (
                    "downloaded_at",
                    models.DateTimeField(null=True, verbose_name="last download"),
                ),
                ("running_until", models.DateTimeField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="serials.batch",
                        verbose_name="batch",
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.campaign",
                        verbose_name="campaign",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "export of serials",
                "verbose_name_plural": "exports of serials",
                "indexes": [
                    models.Index(
                        fields=["owner", "-created_at"], name="serialexport_of_day"
                    )
                ],
            },
        ),
    ]
