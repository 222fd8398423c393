"""How Paddle signs an alert: PHP's serialize() of its fields, RSA with SHA-1.

Source: Paddle Classic, "Verifying webhooks".
"""

import base64
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def signed(fields: Mapping[str, str], key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The fields with their p_signature."""
    signature = key.sign(serialized(fields), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    return dict(fields) | {"p_signature": base64.b64encode(signature).decode()}


def serialized(fields: Mapping[str, str]) -> bytes:
    """PHP's serialize() of an array of texts, sorted by key; lengths are of bytes."""
    pairs = b"".join(_text(k) + _text(v) for k, v in sorted(fields.items()))
    return b"a:%d:{%s}" % (len(fields), pairs)


def _text(text: str) -> bytes:
    raw = text.encode()
    return b's:%d:"%s";' % (len(raw), raw)
