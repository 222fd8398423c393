"""What can be wrong with a connection itself."""

from providers.errors import Unauthorised, Unreachable


class SecretUnreadable(Exception):
    """A stored secret fits none of FIELD_KEYS: a key was lost or dropped too early."""


class IssueRefused(Unauthorised):
    """LINE issues no access token for what we have: channel id, secret or key."""


class Incomplete(IssueRefused):
    """What a token is issued with has not been filled in yet; the words say what."""


class TokenAwaited(Unreachable):
    """Another worker is renewing the access token; try again in a moment."""
