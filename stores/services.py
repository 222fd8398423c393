"""What people ask of a store."""

from stores.models import Store

MIN_PASSWORD, MAX_PASSWORD = 6, 128  # characters
LEAST_VARIETY = 3  # different ones among them


def set_store_password(store: Store, raw: str) -> None:
    """Replace the password that staff type on a customer's phone; the old one ends."""
    store.set_password(raw)
