"""Imports go block by block through a temporary table; their counts add up."""

import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
        ("serials", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="refusedrow",
            name="reason",
            field=models.CharField(
                choices=[
                    ("empty", "empty"),
                    ("too_long", "longer than 64 characters"),
                    ("characters", "holds characters that can't be used"),
                    ("columns", "more than one column"),
                    ("quotes", "a quotation mark is missing or stands in the middle"),
                    (
                        "formula",
                        "a formula; write the serial itself, or put ' before it",
                    ),
                    (
                        "scientific",
                        "rounded by a spreadsheet; format the column as text and enter it again",
                    ),
                    ("barcode", "can't be drawn in the campaign's barcode"),
                    ("in_file", "twice in the file"),
                    ("in_campaign", "already in the campaign"),
                ],
                max_length=12,
                verbose_name="reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "imported"), ("state", "ready"), _negated=True),
                    (
                        "lines",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("new"), "+", models.F("duplicate")
                            ),
                            "+",
                            models.F("refused"),
                        ),
                    ),
                    _connector="OR",
                ),
                name="batch_lines_add_up",
            ),
        ),
        migrations.DeleteModel(
            name="StagedSerial",
        ),
    ]
