"""What can be wrong with a connection itself."""


class SecretUnreadable(Exception):
    """A stored secret fits none of FIELD_KEYS: a key was lost or dropped too early."""
