"""Issuing, checking and revoking LINE's channel access tokens.

Stateless ones live 15 minutes, as many as one likes, and cannot be revoked. Those of
version 2.1 live up to 30 days, 30 of them at a time, and are asked for with a JWT that a
key of the channel signs. Source: Messaging API reference, "Channel access token";
"Issue channel access tokens v2.1".
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from providers.answers import Answer, json_object, plain
from providers.errors import ProviderError, Unauthorised, Unreadable
from providers.http import DEADLINE, Http
from providers.verdicts import error_of, is_success

LONGEST = 30 * 24 * 3600  # s, of a token of version 2.1
_JWT_LIFE = 30 * 60  # s, the longest that LINE takes
_AUDIENCE = "https://api.line.me/"  # whatever address we call
_BY_JWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_TOKEN = 4000
# OAuth 2.0's words for "not you"; LINE answers them with 400 or 401.
_NOT_US = ("invalid_client", "unauthorized_client", "invalid_client_assertion")


@dataclass(frozen=True)
class IssuedToken:
    """`expires_in` is seconds from when it was issued; `key_id` names a v2.1 token."""

    token: str = field(repr=False)
    expires_in: int
    key_id: str = ""


@dataclass(frozen=True)
class TokenInfo:
    """Whose token it is, and how many seconds it is still good."""

    channel_id: str
    expires_in: int
    scope: str = ""


def issue_stateless(
    base_url: str,
    *,
    channel_id: str,
    channel_secret: str,
    allow_local: bool = False,
    deadline: float = DEADLINE,
) -> IssuedToken:
    """A token for 15 minutes. Raises ProviderError; Unauthorised: id or secret."""
    fields = {
        "grant_type": "client_credentials",
        "client_id": channel_id,
        "client_secret": channel_secret,
    }
    http = Http((base_url,), allow_local, deadline)
    return _issued(_post(http, base_url, "/oauth2/v3/token", fields))


def issue_v2_1(
    base_url: str,
    *,
    channel_id: str,
    private_key: str,
    key_id: str,
    lifetime: int = LONGEST,
    allow_local: bool = False,
    deadline: float = DEADLINE,
    now: Callable[[], float] = time.time,
) -> IssuedToken:
    """A token for `lifetime` seconds, asked for with our own key (JWK or PEM).

    `key_id` is what LINE's console called our public key. Raises ProviderError;
    Unauthorised: channel id or key; Refused with status 400 also when 30 tokens are
    good already; ValueError: the private key cannot be read.
    """
    claims = {
        "iss": channel_id,
        "sub": channel_id,
        "aud": _AUDIENCE,
        "exp": int(now()) + _JWT_LIFE - 60,  # our clock may be ahead of LINE's
        "token_exp": min(lifetime, LONGEST),
    }
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": _BY_JWT,
        "client_assertion": signed_jwt(claims, private_key, key_id),
    }
    http = Http((base_url,), allow_local, deadline)
    return _issued(_post(http, base_url, "/oauth2/v2.1/token", fields))


def verify(
    base_url: str,
    token: str,
    *,
    allow_local: bool = False,
    deadline: float = DEADLINE,
) -> TokenInfo:
    """Whose token it is. Raises ProviderError; Refused with status 400: not good."""
    query = urlencode({"access_token": token})
    http = Http((base_url,), allow_local, deadline)
    answer = http.request("GET", f"{base_url.rstrip('/')}/oauth2/v2.1/verify?{query}")
    found = _object_in(answer)
    return TokenInfo(
        channel_id=plain(found.get("client_id"), 40),
        expires_in=_seconds(found),
        scope=plain(found.get("scope"), 500),
    )


def revoke(
    base_url: str,
    token: str,
    *,
    channel_id: str,
    channel_secret: str,
    allow_local: bool = False,
    deadline: float = DEADLINE,
) -> None:
    """End a v2.1 token; one that is over already is fine. Raises ProviderError."""
    fields = {
        "client_id": channel_id,
        "client_secret": channel_secret,
        "access_token": token,
    }
    http = Http((base_url,), allow_local, deadline)
    answer = _post(http, base_url, "/oauth2/v2.1/revoke", fields)
    if not is_success(answer):
        raise _error_of(answer)


def key_ids(
    base_url: str,
    *,
    channel_id: str,
    private_key: str,
    key_id: str,
    allow_local: bool = False,
    deadline: float = DEADLINE,
    now: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """The key ids of all v2.1 tokens that are good. Raises ProviderError, ValueError."""
    claims = {
        "iss": channel_id,
        "sub": channel_id,
        "aud": _AUDIENCE,
        "exp": int(now()) + _JWT_LIFE - 60,
    }
    query = urlencode(
        {
            "client_assertion_type": _BY_JWT,
            "client_assertion": signed_jwt(claims, private_key, key_id),
        }
    )
    http = Http((base_url,), allow_local, deadline)
    url = f"{base_url.rstrip('/')}/oauth2/v2.1/tokens/kid?{query}"
    kids = _object_in(http.request("GET", url)).get("kids")
    if not isinstance(kids, list):
        raise Unreadable("LINE's answer has no list of key ids.")
    return tuple(kid for one in kids if (kid := plain(one, 200)))


def signed_jwt(claims: Mapping[str, Any], private_key: str, key_id: str) -> str:
    """The claims as a JWT of ours: RS256, named by the key's id at LINE.

    Raises ValueError when the key is no RSA key, JWK or PEM.
    """
    head = {"alg": "RS256", "typ": "JWT", "kid": key_id}
    text = f"{_encoded(_dump(head))}.{_encoded(_dump(claims))}"
    key = rsa_key(private_key)
    signature = key.sign(text.encode(), padding.PKCS1v15(), SHA256())
    return f"{text}.{_encoded(signature)}"


def rsa_key(text: str) -> rsa.RSAPrivateKey:
    """A private RSA key from JWK, as LINE's guide makes them, or PEM.

    Raises ValueError in words that quote nothing of it.
    """
    found = json_object(text.encode("utf-8", "replace"))
    try:
        key = _from_pem(text) if found is None else _from_jwk(found)
    except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        raise ValueError("This is no private RSA key.") from None
    return key


def _from_pem(text: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("another kind of key")
    return key


def _from_jwk(found: dict[str, Any]) -> rsa.RSAPrivateKey:
    """Only n, e and d are required of a JWK; the rest follows from them."""
    n, e, d = (_number(found[name]) for name in ("n", "e", "d"))
    p, q = rsa.rsa_recover_prime_factors(n, e, d)
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e=e, n=n),
    )
    return numbers.private_key()


def _number(text: str) -> int:
    padded = text + "=" * (-len(text) % 4)
    return int.from_bytes(base64.urlsafe_b64decode(padded), "big")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _post(http: Http, base_url: str, path: str, fields: dict[str, str]) -> Answer:
    return http.request(
        "POST",
        base_url.rstrip("/") + path,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(fields).encode(),
    )


def _issued(answer: Answer) -> IssuedToken:
    found = _object_in(answer)
    token = found.get("access_token")
    if not isinstance(token, str) or not token or token != plain(token, _MAX_TOKEN):
        raise Unreadable("LINE's answer has no access token.")
    return IssuedToken(
        token=token,
        expires_in=_seconds(found),
        key_id=plain(found.get("key_id"), 200),
    )


def _seconds(found: dict[str, Any]) -> int:
    seconds = found.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        raise Unreadable("LINE's answer does not say how long the token is good.")
    return seconds


def _object_in(answer: Answer) -> dict[str, Any]:
    if not is_success(answer):
        raise _error_of(answer)
    found = json_object(answer.body)
    if found is None:
        raise Unreadable("LINE's answer is not a JSON object.")
    return found


def _error_of(answer: Answer) -> ProviderError:
    """OAuth's errors: `{error, error_description}`. They quote nothing that we sent."""
    found = json_object(answer.body) or {}
    code = plain(found.get("error"), 100)
    said = plain(found.get("error_description") or found.get("message"), 400)
    detail = ": ".join(filter(None, [code, said])) or f"HTTP {answer.status}"
    if answer.status == 400 and code in _NOT_US:
        return Unauthorised(detail, answer.status)
    return error_of(answer, detail)
