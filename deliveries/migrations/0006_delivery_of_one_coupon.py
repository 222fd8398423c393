"""A delivery may carry one coupon that exists already, to that coupon's contact."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("coupons", "0003_limit_held_and_replacement"),
        ("deliveries", "0005_dispatch_due_by_delivery"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="coupon",
            field=models.OneToOneField(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="own_delivery",
                to="coupons.coupon",
                verbose_name="coupon",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=Q(coupon=None) | Q(contact__isnull=False),
                name="delivery_of_coupon_has_contact",
            ),
        ),
    ]
