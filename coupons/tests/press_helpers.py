"""Presses of a store's staff on the customer's page, past the page itself."""

from uuid import uuid4

from django.utils import timezone

from coupons.services import Press, Source, verify_on_page


def by_button(coupon, store, *, nonce=None, at=None):
    return press(coupon, store, way="button", nonce=nonce, at=at)


def by_password(coupon, store, typed, *, nonce=None, at=None):
    return press(coupon, store, way="password", nonce=nonce, at=at, password=typed)


def press(coupon, store, *, nonce, at, **fields):
    return verify_on_page(
        Press(
            token=coupon.token,
            store_id=store.pk,
            nonce=nonce or uuid4(),
            source=Source("page", request_id="a-request"),
            clock=timezone.now if at is None else lambda: at,
            **fields,
        )
    )
