"""Vivoldi: coupons by API, their public pages, and the webhook about their use.

Source: Vivoldi's coupon API documentation. What it does not say is a setting of the
account, or marked "unconfirmed".
"""
