"""Just enough of JSON Web Tokens to know who signed an assertion (RFC 7515, 7517)."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Json = dict[str, Any]

PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi"})
LEAST_BITS = 2048  # what LINE's manual has people make


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT taken apart; nothing of it is to be believed before `is_signed_by`."""

    header: Json
    claims: Json
    signed: bytes
    signature: bytes

    def is_signed_by(self, key: rsa.RSAPublicKey) -> bool:
        """Whether the private half of `key` signed it, by RS256."""
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return self.header.get("alg") == "RS256"


def read(text: str) -> Assertion | None:
    """The parts of a compact JWT, or None when it is none."""
    parts = text.split(".")
    try:
        header, claims, signature = (_bytes(part) for part in parts)
        found = [json.loads(header), json.loads(claims)]
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(part, dict) for part in found):
        return None
    signed = ".".join(parts[:2]).encode("ascii", "replace")
    return Assertion(found[0], found[1], signed, signature)


def public_key_of(jwk: Json) -> rsa.RSAPublicKey | None:
    """An RSA public key written as a JWK; None for anything else, private ones too."""
    if jwk.get("kty") != "RSA" or PRIVATE_PARTS & jwk.keys():
        return None
    try:
        modulus, exponent = (int.from_bytes(_bytes(str(jwk[n]))) for n in ("n", "e"))
        if modulus.bit_length() < LEAST_BITS:
            return None
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except (KeyError, ValueError):
        return None


def _bytes(text: str) -> bytes:
    """Base64 in the alphabet of URLs, without its padding. Raises ValueError."""
    try:
        return base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except binascii.Error as error:
        raise ValueError(str(error)) from None
