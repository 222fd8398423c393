"""Proxies: other apps' rows as the screens of this one show them."""

from django.utils.translation import gettext_lazy as _

from coupons.models import Coupon


class RedemptionRecord(Coupon):
    """A coupon with its times, as its line in the redemption records."""

    class Meta:
        proxy = True
        verbose_name = _("redemption record")
        verbose_name_plural = _("redemption records")
