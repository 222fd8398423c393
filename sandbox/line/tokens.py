"""Issuing channel access tokens: stateless, and v2.1 with key ids.

Source: Messaging API reference, "Channel access token"; the OpenAPI file
channel-access-token.yml for the shapes. LINE's file describes the error of the
short-lived kind alone (400 with `error` and `error_description`); that the others
answer in this shape, and the words, are unconfirmed.
"""

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.calls import Answer, Ask, Call, Provider, RefusedError
from sandbox.line import jwt
from sandbox.line.door import RETRY_KEY
from sandbox.line.tokenbook import IssuedToken
from sandbox.world import Channel, World

# The channel a request names, found or not; whether it may have what it asks for is
# the call's to say.
Caller = Channel | None
TokenAsk = Ask[Caller]
Form = dict[str, str]

STATELESS, V2_1 = "stateless", "v2.1"
STATELESS_LIFE = 15 * 60  # seconds, as all below; LINE's figures
LONGEST_LIFE = 30 * 24 * 60 * 60
LONGEST_ASSERTION = 30 * 60
MOST_V2_1 = 30
AUDIENCE = "https://api.line.me/"
GRANT = "client_credentials"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def refuse(error: str, words: str, status: int = 400) -> RefusedError:
    """A no in OAuth's shape."""
    return RefusedError(Answer({"error": error, "error_description": words}, status))


def enter(world: World, request: web.Request, body: bytes) -> Caller:
    """Whom the request speaks of: by channel id, assertion or token, unproven yet."""
    form = form_of(request, body)
    assertion = jwt.read(form.get("client_assertion", ""))
    if assertion is not None:
        return world.channel_of_id(str(assertion.claims.get("iss")))
    if "client_id" in form:
        return world.channel_of_id(form["client_id"])
    return world.channel_of_token(form.get("access_token", ""))


def form_of(request: web.Request, body: bytes) -> Form:
    """The fields of a form, or of the query of a GET."""
    if request.method == "GET":
        return dict(request.query)
    if request.content_type != "application/x-www-form-urlencoded":
        raise refuse("invalid_request", "some parameters missed or invalid")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError:
        raise refuse("invalid_request", "some parameters missed or invalid") from None


# Issuing


async def issue_stateless(ask: TokenAsk) -> Answer:
    """By channel secret or by assertion; good for 15 minutes, never revoked."""
    form = form_of(ask.request, ask.body)
    check_grant(form)
    # LINE's own client sends the fields of the other way too, empty.
    if form.get("client_assertion"):
        channel = check_assertion(ask, form)[0]
    else:
        channel = check_secret(ask, form)
    token = issue(ask.world, channel, STATELESS, STATELESS_LIFE)
    return Answer(
        {
            "token_type": "Bearer",
            "access_token": token.token,
            # A second less than it lives, as in LINE's example.
            "expires_in": STATELESS_LIFE - 1,
        }
    )


async def issue_v2_1(ask: TokenAsk) -> Answer:
    """By assertion, for as long as its `token_exp` says; at most 30 at a time."""
    form = form_of(ask.request, ask.body)
    check_grant(form)
    channel, claims = check_assertion(ask, form)
    life = claims.get("token_exp")
    if type(life) is not int or not 0 < life <= LONGEST_LIFE:
        raise refuse("invalid_request", "invalid token_exp")
    alive = list(ask.world.issued.of(channel.name, V2_1, ask.world.now()))
    if len(alive) >= MOST_V2_1:
        raise refuse("invalid_request", "too many channel access tokens issued")
    token = issue(ask.world, channel, V2_1, life, key_id=secrets.token_urlsafe(16))
    return Answer(
        {
            "access_token": token.token,
            "token_type": "Bearer",
            "expires_in": life,
            "key_id": token.key_id,
        }
    )


def issue(
    world: World, channel: Channel, kind: str, life: float, key_id: str = ""
) -> IssuedToken:
    """Make a token that opens all of the channel's calls for `life` seconds."""
    now = world.now()
    value = secrets.token_urlsafe(120)
    token = IssuedToken(value, channel.name, kind, key_id, now + life)
    world.issued.add(token, now)
    return token


def check_grant(form: Form) -> None:
    if form.get("grant_type") != GRANT:
        raise refuse("unsupported_grant_type", "grant_type is client_credentials")


def check_secret(ask: TokenAsk, form: Form) -> Channel:
    """The channel whose id and secret the form carries."""
    if "client_id" not in form or "client_secret" not in form:
        raise refuse("invalid_request", "some parameters missed or invalid")
    channel, secret = ask.account, form["client_secret"]
    if channel is None or not secrets.compare_digest(
        channel.secret.encode(errors="replace"), secret.encode(errors="replace")
    ):
        raise refuse("invalid_client", "invalid client_id or client_secret")
    return channel


def check_assertion(ask: TokenAsk, form: Form) -> tuple[Channel, dict[str, Any]]:
    """The channel one of whose registered keys signed the assertion, and its claims."""
    assertion = jwt.read(form.get("client_assertion", ""))
    if form.get("client_assertion_type") != JWT_BEARER or assertion is None:
        raise refuse("invalid_request", "some parameters missed or invalid")
    channel = ask.account
    known = channel.public_keys if channel is not None else {}
    key = jwt.public_key_of(known.get(str(assertion.header.get("kid")), {}))
    if channel is None or key is None or not assertion.is_signed_by(key):
        raise refuse("invalid_client", "invalid client_assertion: not signed by a key")
    clocks = (ask.world.now(), ask.world.callers_now())
    wrong = wrong_claim(assertion.claims, channel, clocks)
    if wrong:
        raise refuse("invalid_client", f"invalid client_assertion: {wrong}")
    return channel, assertion.claims


def wrong_claim(
    claims: dict[str, Any], channel: Channel, clocks: tuple[float, ...]
) -> str:
    """The first claim that is not as the manual has it, or nothing.

    The end must be right by one of the `clocks`: who puts the sandbox's forward, to
    see a token expire, may still sign by their own.
    """
    ends_at = claims.get("exp")
    if claims.get("iss") != channel.channel_id:
        return "iss"
    if claims.get("sub") != channel.channel_id:
        return "sub"
    if claims.get("aud") != AUDIENCE:
        return "aud"
    if type(ends_at) is not int or not any(
        now < ends_at <= now + LONGEST_ASSERTION + 1 for now in clocks
    ):
        return "exp"
    return ""


# Asking and revoking


async def verify(ask: TokenAsk) -> Answer:
    """Whose token this is and how long it lasts.

    The manual speaks of v2.1 here; that a stateless one is told too is unconfirmed.
    """
    value = ask.request.query.get("access_token", "")
    token = ask.world.issued.live(value, ask.world.now())
    if token is None or ask.account is None:
        raise refuse("invalid_request", "The access token expired or is invalid")
    left = int(token.ends_at - ask.world.now())
    return Answer({"client_id": ask.account.channel_id, "expires_in": left})


async def key_ids(ask: TokenAsk) -> Answer:
    """The key ids of a channel's good v2.1 tokens."""
    channel, _ = check_assertion(ask, dict(ask.request.query))
    alive = ask.world.issued.of(channel.name, V2_1, ask.world.now())
    return Answer({"kids": [token.key_id for token in alive]})


async def revoke(ask: TokenAsk) -> Answer:
    """End a v2.1 token. One that is over or was never issued is no error (RFC 7009)."""
    form = form_of(ask.request, ask.body)
    channel = check_secret(ask, form)
    token = ask.world.issued.live(form.get("access_token", ""), ask.world.now())
    if "access_token" not in form:
        raise refuse("invalid_request", "some parameters missed or invalid")
    if token is not None and (token.channel, token.kind) == (channel.name, V2_1):
        ask.world.issued.remove(token)
    return Answer()


def _call(
    name: str, method: str, path: str, title: str, handle: Callable[..., Any]
) -> Call[Caller]:
    return Call(name, method, f"/oauth2/{path}", title, handle)


TOKEN_CALLS: tuple[Call[Caller], ...] = (
    _call("token_stateless", "POST", "v3/token", "Stateless token", issue_stateless),
    _call("token_v2_1", "POST", "v2.1/token", "Token v2.1", issue_v2_1),
    _call("token_verify", "GET", "v2.1/verify", "Check a token", verify),
    _call("token_key_ids", "GET", "v2.1/tokens/kid", "Key ids of tokens", key_ids),
    _call("token_revoke", "POST", "v2.1/revoke", "Revoke a token", revoke),
)

TOKENS: Provider[Caller] = Provider(
    name="LINE tokens",
    calls=TOKEN_CALLS,
    enter=enter,
    fault_answers={
        "500": Answer({"error": "server_error"}, 500),
        "429_rate": Answer({"error": "too_many_requests"}, 429),
        "429_quota": Answer({"error": "too_many_requests"}, 429),
        "401": Answer({"error": "invalid_client"}, 401),
    },
    name_of=lambda channel: channel.name if channel is not None else "",
    retry_key_header=RETRY_KEY,
    request_id_header="x-line-request-id",
)
