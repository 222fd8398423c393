"""Channel access tokens that were issued over the API, and who may ask for them."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.line.jwt import public_key_of
from sandbox.storage import Storage


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """`kind` is stateless or v2.1; only the latter has a `key_id`."""

    token: str
    channel: str
    kind: str
    key_id: str
    ends_at: float  # seconds since 1970


class TokenBook:
    """Those that are good, with a file behind them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._tokens: dict[str, IssuedToken] = {}

    def live(self, token: str, at: float) -> IssuedToken | None:
        """The token as it was issued, unless its time is over or it was revoked."""
        found = self._tokens.get(token)
        return found if found is not None and at < found.ends_at else None

    def of(self, channel: str, kind: str, at: float) -> Iterator[IssuedToken]:
        """A channel's good tokens of one kind."""
        for token in self._tokens.values():
            if (token.channel, token.kind) == (channel, kind) and at < token.ends_at:
                yield token

    def add(self, token: IssuedToken, at: float) -> None:
        """Keep a new one and forget those whose time is over."""
        for old in [t for t in self._tokens.values() if t.ends_at <= at]:
            self.remove(old)
        self._tokens[token.token] = token
        self._storage.put("token", astuple(token))

    def remove(self, token: IssuedToken) -> None:
        """From now on it opens nothing."""
        del self._tokens[token.token]
        self._storage.forget("token", (token.token,))

    def load(self, at: float) -> None:
        """Read everything back."""
        for row in self._storage.rows("token"):
            token = IssuedToken(*row)
            if at < token.ends_at:
                self._tokens[token.token] = token
            else:
                self._storage.forget("token", (token.token,))


def is_public_key(jwk: object) -> bool:
    """Whether this is the public half of an RSA key, as a JWK."""
    return isinstance(jwk, dict) and isinstance(public_key_of(jwk), rsa.RSAPublicKey)
