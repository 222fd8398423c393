"""Paddle Classic: coupons by API, a checkout that takes them, and its alerts.

Source: Paddle Classic's documentation of its coupon calls, error codes and webhooks.
What it does not say is a setting of the account, or marked "unconfirmed".
"""
