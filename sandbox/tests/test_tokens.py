"""Channel access tokens: who gets one, what it opens, and when it is over."""

import time

import pytest
import requests

from sandbox.tests.assertions import JWT_BEARER, LIFE, assertion, jwk_of, new_key
from sandbox.tests.client import call, push
from sandbox.tests.conftest import HANA, SECRET

DAY = 24 * 60 * 60
CHANNEL_ID = "1655000001"


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture
def kid(line, key):
    line.add_channel(channel_id=CHANNEL_ID)
    return line.register_key(jwk_of(key))


def post(line, path, *, without=(), **form):
    form = {"grant_type": "client_credentials"} | form
    sent = {name: value for name, value in form.items() if name not in without}
    return requests.post(f"{line.url}/oauth2/{path}", data=sent, timeout=5)


def stateless(line, **changes):
    form = {"client_id": CHANNEL_ID, "client_secret": SECRET} | changes
    return post(line, "v3/token", **form)


def v2_1(line, signed, path="v2.1/token", **changes):
    form = {"client_assertion_type": JWT_BEARER, "client_assertion": signed} | changes
    return post(line, path, **form)


def verify(line, token):
    address = f"{line.url}/oauth2/v2.1/verify"
    return requests.get(address, params={"access_token": token}, timeout=5)


def revoke(line, token, *, path="v2.1/revoke", **changes):
    form = {"client_id": CHANNEL_ID, "client_secret": SECRET, "access_token": token}
    return post(line, path, **(form | changes))


def opens(line, token):
    """Whether the token opens the calls."""
    return call(line, "info", method="GET", token=token).status_code == 200


def test_a_stateless_token_opens_every_call_for_fifteen_minutes(line, kid):
    answer = stateless(line).json()
    token = answer["access_token"]

    sent = push(line, HANA, token=token)
    coupons = call(line, "coupon", method="GET", token=token)
    line.advance(14 * 60)
    late = opens(line, token)
    line.advance(61)

    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 899)
    assert [sent.status_code, coupons.status_code] == [200, 200]
    assert late
    assert not opens(line, token)


def test_a_stateless_token_comes_for_an_assertion_too(line, key, kid):
    signed = assertion(key, kid, CHANNEL_ID)

    answer = v2_1(line, signed, "v3/token")

    assert opens(line, answer.json()["access_token"])


def test_a_v2_1_token_lives_as_long_as_asked_and_tells_its_key_id(line, key, kid):
    signed = assertion(key, kid, CHANNEL_ID, token_exp=7 * DAY)

    answer = v2_1(line, signed).json()
    told = verify(line, answer["access_token"]).json()
    line.advance(7 * DAY - 60)
    late = opens(line, answer["access_token"])
    line.advance(61)

    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 7 * DAY)
    assert answer["key_id"]
    assert told["client_id"] == CHANNEL_ID
    assert 7 * DAY - 60 < told["expires_in"] <= 7 * DAY
    assert late
    assert not opens(line, answer["access_token"])
    assert verify(line, answer["access_token"]).status_code == 400


def test_thirty_v2_1_tokens_and_no_more_until_one_is_revoked(line, key, kid):
    signed = assertion(key, kid, CHANNEL_ID)
    tokens = [v2_1(line, signed).json()["access_token"] for _ in range(30)]

    refused = v2_1(line, signed)
    revoked = revoke(line, tokens[0])
    after = v2_1(line, signed)

    assert refused.status_code == 400
    assert set(refused.json()) == {"error", "error_description"}
    assert revoked.status_code == after.status_code == 200
    assert not opens(line, tokens[0])
    assert opens(line, tokens[1])


def test_stateless_tokens_have_no_limit_and_cannot_be_revoked(line, kid):
    tokens = [stateless(line).json()["access_token"] for _ in range(40)]

    answer = revoke(line, tokens[0])

    assert answer.status_code == 200
    assert all(opens(line, token) for token in tokens)


def test_key_ids_are_those_of_good_v2_1_tokens(line, key, kid):
    signed = assertion(key, kid, CHANNEL_ID)
    made = [v2_1(line, signed).json() for _ in range(2)]
    stateless(line)
    revoke(line, made[0]["access_token"])

    answer = requests.get(
        f"{line.url}/oauth2/v2.1/tokens/kid",
        params={"client_assertion_type": JWT_BEARER, "client_assertion": signed},
        timeout=5,
    )

    assert answer.json() == {"kids": [made[1]["key_id"]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "wrong"},
        {"client_secret": b"\xff\xfe"},
        {"client_id": "1655000002"},
        {"without": ("client_secret",)},
        {"without": ("client_id",)},
        {"grant_type": "password"},
        {"without": ("grant_type",)},
    ],
)
def test_a_stateless_token_needs_id_and_secret(line, kid, changes):
    answer = stateless(line, **changes)

    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "1655000002"},
        {"sub": "1655000002"},
        {"aud": "https://api.line.me"},
        {"aud": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": int(time.time()) + 3 * LIFE},
        {"token_exp": 30 * DAY + 1},
        {"token_exp": 0},
        {"token_exp": None},
        {"token_exp": True},
        {"header": {"kid": "another"}},
        {"header": {"kid": None}},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
    ],
)
def test_an_assertion_that_is_not_as_the_manual_has_it_gets_nothing(
    line, key, kid, changes
):
    answer = v2_1(line, assertion(key, kid, CHANNEL_ID, **changes))

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_only_a_registered_key_of_the_channel_signs(line, key, kid):
    stranger = new_key()
    line.add_channel("Other", token="other", channel_id="1655000009")
    signed = assertion(key, kid, CHANNEL_ID)
    head, claims, signature = signed.split(".")

    answers = [
        v2_1(line, assertion(stranger, kid, CHANNEL_ID)),
        v2_1(line, assertion(key, kid, "1655000009")),
        v2_1(line, f"{head}.{claims}."),
        v2_1(line, f"{head}.{claims}"),
        v2_1(line, f"{head}.{claims}.ä"),
        v2_1(line, "." * 5),
        v2_1(line, "e30.e30.e30"),
        v2_1(line, "W10.W10.W10"),
        v2_1(line, f"{head}.{claims}.{signature}", client_assertion_type="jwt"),
    ]

    assert [answer.status_code for answer in answers] == [400] * 9


def test_an_assertion_is_good_by_the_caller_s_clock_or_the_sandbox_s(line, key, kid):
    line.advance(10 * DAY)

    by_theirs = v2_1(line, assertion(key, kid, CHANNEL_ID))
    by_ours = v2_1(line, assertion(key, kid, CHANNEL_ID, now=line.now()))
    by_neither = v2_1(line, assertion(key, kid, CHANNEL_ID, now=line.now() - 5 * DAY))

    assert by_theirs.status_code == by_ours.status_code == 200
    assert by_neither.status_code == 400


def test_forms_only_and_nothing_makes_it_fail(line, kid):
    address = f"{line.url}/oauth2/v3/token"

    answers = [
        requests.post(address, json={"client_id": CHANNEL_ID}, timeout=5),
        requests.post(
            address,
            data=b"\xff\xfe",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            timeout=5,
        ),
        requests.post(address, timeout=5),
        verify(line, ""),
        verify(line, "😀"),
        revoke(line, "", without=("access_token",)),
    ]

    assert [answer.status_code for answer in answers] == [400] * 6
    assert all("error" in answer.json() for answer in answers)
    assert requests.get(f"{line.url}/oauth2/v9", timeout=5).status_code == 404


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        "RSA",
    ],
)
def test_only_a_public_rsa_key_is_registered(line, jwk):
    with pytest.raises(ValueError, match="public_keys"):
        line.register_key(jwk)


def test_a_private_key_is_not_taken_for_a_public_one(line, key):
    with pytest.raises(ValueError, match="public_keys"):
        line.register_key(jwk_of(key, d="AQAB"))


def test_a_channel_id_belongs_to_one_channel(line, kid):
    with pytest.raises(ValueError, match="has this channel id already"):
        line.add_channel("Other", channel_id=CHANNEL_ID)


@pytest.mark.parametrize("name", ["token_stateless", "token_v2_1"])
def test_issuing_has_faults_of_its_own(line, key, kid, name):
    signed = assertion(key, kid, CHANNEL_ID)
    line.fault(name, "500", times=1)
    ask = stateless if name == "token_stateless" else v2_1
    arguments = () if name == "token_stateless" else (signed,)

    answers = [ask(line, *arguments).status_code for _ in range(2)]

    assert answers == [500, 200]


def test_checking_and_revoking_have_faults_of_their_own(line, kid):
    token = stateless(line).json()["access_token"]
    line.fault("token_verify", "429_rate", times=1)
    line.fault("token_revoke", "html", times=1)

    assert [verify(line, token).status_code for _ in range(2)] == [429, 200]
    assert revoke(line, token).headers["Content-Type"].startswith("text/html")
