"""LINE's channel access tokens: issued, looked at, revoked, and never printed."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from providers.errors import Refused, TooMany, Unauthorised, Unclear, Unreadable
from providers.line_tokens import (
    LONGEST,
    issue_stateless,
    issue_v2_1,
    key_ids,
    revoke,
    rsa_key,
    signed_jwt,
    verify,
)
from providers.tests.servers import reply, reset, serving

SECRET = "canary-channel-secret"
TOKEN = "canary.issued.token"
ISSUED = {"token_type": "Bearer", "access_token": TOKEN, "expires_in": 899}
LOCAL: dict[str, Any] = {"allow_local": True, "deadline": 5.0}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def jwk(key):
    """As LINE's guide makes it: with the factors, which we do not need."""
    private = key.private_numbers()
    parts = {
        "n": private.public_numbers.n,
        "e": private.public_numbers.e,
        "d": private.d,
        "p": private.p,
        "q": private.q,
    }
    return json.dumps(
        {"kty": "RSA", "alg": "RS256", "use": "sig"}
        | {name: number(value) for name, value in parts.items()}
    )


def pem(key, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def number(value):
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def said(found, status=200):
    return reply(status, json.dumps(found).encode())


def stateless(url):
    return issue_stateless(url, channel_id="123", channel_secret=SECRET, **LOCAL)


def sent(server):
    """The first request's line and form."""
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    form = parse_qs(body.decode(), strict_parsing=bool(body))
    return head.split(b"\r\n")[0].decode(), {k: v[0] for k, v in form.items()}


def test_a_stateless_token_is_asked_for_with_id_and_secret():
    with serving(said(ISSUED)) as server:
        token = stateless(server.url)
        line, form = sent(server)

    assert (token.token, token.expires_in, token.key_id) == (TOKEN, 899, "")
    assert line == "POST /oauth2/v3/token HTTP/1.1"
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "123",
        "client_secret": SECRET,
    }


def test_a_v2_1_token_is_asked_for_with_a_jwt_of_our_key(key, jwk):
    with serving(said(ISSUED | {"key_id": "kid-1"})) as server:
        token = issue_v2_1(
            server.url,
            channel_id="123",
            private_key=jwk,
            key_id="ours",
            now=lambda: 1_000_000,
            **LOCAL,
        )
        line, form = sent(server)

    head, claims, signature = form["client_assertion"].split(".")
    assert token.key_id == "kid-1"
    assert line == "POST /oauth2/v2.1/token HTTP/1.1"
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"].endswith(":jwt-bearer")
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "ours"}
    found = json.loads(decoded(claims))
    assert (found["iss"], found["sub"]) == ("123", "123")
    assert found["aud"] == "https://api.line.me/"
    assert 1_000_000 < found["exp"] <= 1_000_000 + 30 * 60
    assert found["token_exp"] == LONGEST == 2_592_000
    key.public_key().verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256()
    )


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]
)
def test_a_key_may_be_pem(key, jwk, form):
    assert rsa_key(pem(key, form)).private_numbers() == key.private_numbers()
    assert rsa_key(jwk).private_numbers().d == key.private_numbers().d


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"n":"AQ","e":"AQ","d":"AQ"}',
        '{"n":1,"e":2,"d":3}',
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "canary",
        "\ud800",
    ],
)
def test_what_is_no_key_is_said_without_quoting_it(text):
    with pytest.raises(ValueError, match="^This is no private RSA key.$") as raised:
        signed_jwt({}, text, "kid")

    assert raised.value.__cause__ is None


def test_a_key_of_another_kind_is_no_key():
    with pytest.raises(ValueError, match="no private RSA key"):
        rsa_key(pem(ec.generate_private_key(ec.SECP256R1())))


def test_verify_says_whose_token_it_is():
    found = {"client_id": "123", "expires_in": 5, "scope": "a b"}
    with serving(said(found)) as server:
        info = verify(server.url, "to+ken&x", **LOCAL)
        line, _ = sent(server)

    assert (info.channel_id, info.expires_in, info.scope) == ("123", 5, "a b")
    assert line == "GET /oauth2/v2.1/verify?access_token=to%2Bken%26x HTTP/1.1"


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>"])
def test_revoke_needs_no_body(body):
    with serving(reply(200, body)) as server:
        revoke(server.url, TOKEN, channel_id="123", channel_secret=SECRET, **LOCAL)
        line, form = sent(server)

    assert line == "POST /oauth2/v2.1/revoke HTTP/1.1"
    assert form["access_token"] == TOKEN


def test_the_key_ids_of_good_tokens_are_listed(jwk):
    with serving(said({"kids": ["a", "b", 7, ""]})) as server:
        found = key_ids(
            server.url, channel_id="123", private_key=jwk, key_id="ours", **LOCAL
        )

    assert found == ("a", "b")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said({"error": "invalid_client"}, 400), Unauthorised),
        (said({"error": "invalid_client"}, 401), Unauthorised),
        (said({"error": "invalid_request", "error_description": "x"}, 400), Refused),
        (reply(403), Refused),
        (reply(429), TooMany),
        (reply(500), Unclear),
        (reset, Unclear),
        (reply(200, b"<html>"), Unreadable),
        (reply(200, b""), Unreadable),
        (said({}), Unreadable),
        (said(ISSUED | {"access_token": ""}), Unreadable),
        (said(ISSUED | {"access_token": "a\nb"}), Unreadable),
        (said(ISSUED | {"access_token": 7}), Unreadable),
        (said(ISSUED | {"expires_in": "899"}), Unreadable),
        (said(ISSUED | {"expires_in": -1}), Unreadable),
    ],
    ids=range(15),
)
def test_what_is_no_token_is_said_without_secrets(answer, kind):
    with serving(answer) as server, pytest.raises(kind) as raised:
        stateless(server.url)

    for secret in (SECRET, TOKEN):
        assert secret not in str(raised.value) + repr(raised.value)


def test_a_refusal_has_lines_words():
    answer = said({"error": "invalid_request", "error_description": "Too many"}, 400)
    with serving(answer) as server, pytest.raises(Refused) as raised:
        stateless(server.url)

    assert str(raised.value) == "invalid_request: Too many"


def test_an_issued_token_is_not_in_what_is_printed():
    with serving(said(ISSUED)) as server:
        assert TOKEN not in repr(stateless(server.url))
