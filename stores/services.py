"""What people ask of a store."""

from stores.models import Store

MIN_PASSWORD = 6


def set_store_password(store: Store, raw: str) -> None:
    """Replace the password that staff type on a customer's phone; the old one ends."""
    store.set_password(raw)
