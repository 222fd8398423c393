"""Our own RSA keys, with which LINE access tokens of version 2.1 are asked for."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from providers.line_tokens import rsa_key

BITS = 2048  # what LINE takes


def make_private_key() -> str:
    """A new private key as PEM: for EncryptedField, never for a page."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    kept = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return kept.decode()


def public_jwk(private_key: str) -> str:
    """The public half as LINE's console wants it pasted: a JSON Web Key.

    Raises ValueError when it is no private RSA key. Source: "Issue channel access
    tokens v2.1", Assertion Signing Key specification.
    """
    numbers = rsa_key(private_key).public_key().public_numbers()
    jwk = {
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "e": _encoded(numbers.e),
        "n": _encoded(numbers.n),
    }
    return json.dumps(jwk, indent=2)


def _encoded(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
