"""JWT assertions as LINE's manual has people make them, written out here anew."""

import base64
import json
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE = 30 * 60  # seconds


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def new_key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk_of(key, **more):
    """The public half of a key as the console takes it."""
    numbers = key.public_key().public_numbers()
    parts = {"kty": "RSA", "alg": "RS256", "use": "sig"}
    return parts | {"n": number(numbers.n), "e": number(numbers.e)} | more


def assertion(key, kid, channel_id, *, header=None, now=None, **claims):
    """A signed assertion of LINE's manual, with some claims changed."""
    now = int(time.time()) if now is None else now
    head = {"alg": "RS256", "typ": "JWT", "kid": kid} | (header or {})
    body = {
        "iss": channel_id,
        "sub": channel_id,
        "aud": "https://api.line.me/",
        "exp": now + LIFE,
        "token_exp": 60 * 60 * 24 * 30,
    } | claims
    signed = ".".join(b64(json.dumps(part).encode()) for part in (head, body))
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{b64(signature)}"
