"""LINE's own OpenAPI files hold our requests, and the sandbox's answers, to LINE.

The files are not ours to ship: LINE_OPENAPI names the folder where they lie.
"""

import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from providers import line_tokens
from providers.errors import Refused
from providers.line import LineClient
from providers.line_coupons import LineCoupons
from providers.line_messages import (
    coupon_card,
    coupon_message,
    fill,
    push_body,
    template_bytes,
    text_message,
)
from sandbox.line.calls import LINE
from sandbox.line.tokens import TOKENS
from sandbox.testing import start_sandbox
from sandbox.tests.assertions import JWT_BEARER, assertion, jwk_of, new_key
from sandbox.tests.client import COUPON, LOTTERY
from sync.options import LineOptions
from sync.ports.line import body_of as request_of
from sync.preflight import line as preflight
from sync.preflight.lines import body_of
from sync.tests.flights import make_facts, make_fixed, make_flight
from sync.tests.openapi import File
from sync.tests.recorder import Recorder

pytestmark = pytest.mark.openapi

TOKEN, SECRET, CHANNEL_ID = "a-token", "a-secret", "1655000001"
HANA, KEN = "U" + "a1" * 16, "U" + "b2" * 16
FILES = ("messaging-api.yml", "channel-access-token.yml")

# Where LINE's files and its reference part ways, and what we do about it.
#
# Statuses that no operation, or not this one, lists, though "Status codes" and "Rate
# limits" in the reference's common specifications have them for every call. They are
# held to the file's ErrorResponse.
UNLISTED_EVERYWHERE = {
    401: "a bad token",
    413: "over 2 MB",
    415: "no JSON",
    429: "rate",
}
UNLISTED = {
    # Reference, "Validate message objects": 400 for what is wrong; the file: 200 alone.
    ("validateReply", 400),
    ("validatePush", 400),
    ("validateMulticast", 400),
    ("validateNarrowcast", 400),
    ("validateBroadcast", 400),
    # Reference, "Get profile": 400 for a malformed id, 404 for nobody; the file: 200.
    ("getProfile", 400),
    ("getProfile", 404),
    # Reference, "Get follower IDs": 400 for a bad `start`, 403 for accounts without.
    ("getFollowers", 400),
    ("getFollowers", 403),
    # Reference, "Webhook settings": 400 for a bad address, 404 for none.
    ("getWebhookEndpoint", 404),
    ("setWebhookEndpoint", 400),
    ("testWebhookEndpoint", 400),
    ("testWebhookEndpoint", 404),
    # The file lists an error for the short-lived kind of token alone.
    ("issueStatelessChannelToken", 400),
    ("issueChannelTokenByJWT", 400),
    ("getsAllValidChannelAccessTokenKeyIds", 400),
    ("verifyChannelTokenByJWT", 400),
    ("revokeChannelTokenByJWT", 400),
}


def is_unlisted(name, status):
    return status in UNLISTED_EVERYWHERE or (name, status) in UNLISTED


@pytest.fixture(scope="module")
def operations():
    folder = Path(os.environ["LINE_OPENAPI"])
    return [operation for name in FILES for operation in File(folder / name).operations]


@pytest.fixture
def sandbox():
    with start_sandbox(
        token=TOKEN, secret=SECRET, channel_id=CHANNEL_ID, coupon_rate=1000
    ) as running:
        running.add_friend(HANA, "Hana")
        running.add_friend(KEN, "Ken")
        yield running


@pytest.fixture
def line(sandbox):
    """The sandbox behind ears."""
    with Recorder(sandbox.url) as recorder:
        yield recorder


def operation_of(operations, exchange):
    found = [
        operation
        for operation in operations
        if operation.method == exchange.method.lower()
        and operation.pattern.fullmatch(exchange.path)
    ]
    assert len(found) == 1, f"{exchange.method} {exchange.path}: {found}"
    return found[0]


def objections(operations, exchanges):
    """Everything that LINE's files have against what was said."""
    found = []
    for exchange in exchanges:
        operation = operation_of(operations, exchange)
        said = f"{operation.name} {exchange.status}"
        wrong = operation.answer_errors(exchange, is_unlisted)
        found += [f"{said}: the answer: {words}" for words in wrong]
        if exchange.is_ours:
            wrong = operation.request_errors(exchange)
            found += [f"{said}: our request: {words}" for words in wrong]
    return found


# Our own clients


BENEFITS: list[dict[str, Any]] = [
    {"benefit": "percentage", "benefit_value": 20},
    {"benefit": "amount", "benefit_value": 500, "minimum_spend": 3000},
    {
        "benefit": "price",
        "benefit_value": None,
        "price_before": 600,
        "price_after": 480,
    },
    {"benefit": "cash_back", "benefit_value": 5},
    {"benefit": "free", "benefit_value": None},
    {"benefit": "gift", "benefit_value": None},
    {"benefit": "other", "benefit_value": None},
]
CHOICES = [
    LineOptions(),
    LineOptions(visibility="PUBLIC", probability=1),
    LineOptions(probability=99, most_winners=500),
]


def bodies():
    """Create requests as publishing makes them: each benefit, each choice."""
    now = datetime.now(UTC)
    period = {"use_starts_at": now, "use_ends_at": now + timedelta(days=30)}
    facts = make_facts(make_fixed(), at=now)
    terms = [
        body_of(preflight.check(make_flight(**period, **benefit), facts))
        for benefit in BENEFITS
    ]
    barcode = {"barcodeImageUrl": "https://shop.example/barcodes/a.png"}
    return [
        request_of(said | options.terms() | barcode)
        for said in terms
        for options in CHOICES
    ]


def send_messages(client, coupon_id):
    """All that we push: a text, a card, a native coupon."""
    card = coupon_card(
        title="Spring latte",
        button="Open",
        shop="Morning Coffee",
        benefit="20% off",
        period="Until 31 May",
        condition="From 3,000 yen",
        image_url="https://shop.example/a.png",
    )
    text = text_message("A coupon for you", "https://shop.example/c/abc")
    coupon = coupon_message(coupon_id, tag="spring_1")
    filled = fill(template_bytes([card]), to=HANA, link="https://shop.example/c/abc")
    for body in (push_body(HANA, [text]), filled, push_body(HANA, [coupon])):
        client.push(body, retry_key=uuid.uuid4())


def use_clients(line, sandbox):
    """Every call that we make."""
    client = LineClient(line.url, TOKEN, allow_local=True)
    coupons = LineCoupons(line.url, TOKEN, allow_local=True)
    made = [coupons.create(body) for body in bodies()]
    sandbox.make_coupon(is_draft=True, acquisitionCondition={"type": "referral"})
    sandbox.make_coupon(acquisitionCondition=LOTTERY, maxUseCountPerTicket=-1)
    page = coupons.page(statuses=("DRAFT", "RUNNING"), limit=2)
    pages = [page, coupons.page(start=page.next, limit=100), coupons.page()]
    for listed in pages[2].items:
        coupons.detail(listed.coupon_id)
    send_messages(client, made[0])
    client.bot_info()
    client.quota()
    client.profile(HANA)
    assert [coupons.close(made[0]), coupons.close(made[0])] == [True, False]
    use_tokens(line, sandbox)


def use_tokens(line, sandbox):
    key = new_key()
    private = pem_of(key)
    kid = sandbox.register_key(jwk_of(key))
    at: dict[str, Any] = {"channel_id": CHANNEL_ID, "allow_local": True}
    line_tokens.issue_stateless(line.url, channel_secret=SECRET, **at)
    issued = line_tokens.issue_v2_1(line.url, private_key=private, key_id=kid, **at)
    line_tokens.key_ids(line.url, private_key=private, key_id=kid, **at)
    line_tokens.verify(line.url, issued.token, allow_local=True)
    line_tokens.revoke(line.url, issued.token, channel_secret=SECRET, **at)
    with pytest.raises(Refused):
        line_tokens.verify(line.url, issued.token, allow_local=True)


def pem_of(key):
    """The private key as our client reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_what_our_clients_send_and_are_told_is_what_line_s_files_say(
    line, sandbox, operations
):
    use_clients(line, sandbox)

    assert objections(operations, line.exchanges) == []
    ours = {operation_of(operations, e).name for e in line.exchanges if e.is_ours}
    assert ours == {
        "createCoupon",
        "listCoupon",
        "getCouponDetail",
        "closeCoupon",
        "pushMessage",
        "getBotInfo",
        "getMessageQuota",
        "getMessageQuotaConsumption",
        "getProfile",
        "issueStatelessChannelToken",
        "issueChannelTokenByJWT",
        "getsAllValidChannelAccessTokenKeyIds",
        "verifyChannelTokenByJWT",
        "revokeChannelTokenByJWT",
    }


# The sandbox


def ask(line, method, path, data=None, *, token=TOKEN, key=None, **options):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if key:
        headers["X-Line-Retry-Key"] = key
    address = line.url + path
    requests.request(method, address, json=data, headers=headers, timeout=10, **options)


TEXT = {"type": "text", "text": "Hello"}
MESSAGE = "/v2/bot/message"
REWARD_FORMS = [
    {"type": "discount", "priceInfo": {"type": "percentage", "percentage": 5}},
    {
        "type": "discount",
        "priceInfo": {"type": "explicit", "originalPrice": 5, "priceAfterDiscount": 4},
    },
    {"type": "cashBack", "priceInfo": {"type": "fixed", "fixedAmount": 5}},
    {"type": "cashBack", "priceInfo": {"type": "percentage", "percentage": 5}},
    {"type": "free"},
    {"type": "gift"},
    {"type": "others"},
]


def ask_for_messages(line, sandbox):
    """Good and bad sends and questions."""
    sandbox.say(HANA, "Hello")
    reply = sandbox.webhook_log()[0]["event"]["replyToken"]
    bad = {"to": HANA, "messages": [{"type": "text", "text": ""}]}
    key = str(uuid.uuid4())
    for _ in range(2):  # the second is a 409
        ask(line, "POST", f"{MESSAGE}/push", {"to": HANA, "messages": [TEXT]}, key=key)
    for way in ("push", "multicast", "broadcast", "reply"):
        ask(line, "POST", f"{MESSAGE}/{way}", bad)
        ask(line, "POST", f"{MESSAGE}/{way}", bad, token="wrong")
    both = {"to": [HANA, KEN], "messages": [TEXT]}
    ask(line, "POST", f"{MESSAGE}/multicast", both, key=str(uuid.uuid4()))
    ask(line, "POST", f"{MESSAGE}/broadcast", {"messages": [TEXT]})
    for _ in range(2):
        data = {"replyToken": reply, "messages": [TEXT]}
        ask(line, "POST", f"{MESSAGE}/reply", data)
    for way in ("reply", "push", "multicast", "narrowcast", "broadcast"):
        ask(line, "POST", f"{MESSAGE}/validate/{way}", {"messages": [TEXT]})
        ask(line, "POST", f"{MESSAGE}/validate/{way}", {"messages": []})


def ask_for_facts(line, sandbox):
    for path in (
        f"{MESSAGE}/quota",
        f"{MESSAGE}/quota/consumption",
        "/v2/bot/info",
        f"/v2/bot/profile/{HANA}",
        "/v2/bot/profile/nobody",
        f"/v2/bot/profile/U{'0' * 32}",
        "/v2/bot/followers/ids?limit=1",
        "/v2/bot/followers/ids?start=x",
    ):
        ask(line, "GET", path)
        ask(line, "GET", path, token="wrong")
    sandbox.add_channel(quota=0)
    ask(line, "GET", f"{MESSAGE}/quota")
    ask(line, "POST", f"{MESSAGE}/push", {"to": HANA, "messages": [TEXT]})
    sandbox.add_channel(quota=None, verified=False)
    ask(line, "GET", "/v2/bot/followers/ids")


def ask_about_the_webhook(line, sandbox):
    path = "/v2/bot/channel/webhook"
    ask(line, "GET", f"{path}/endpoint")
    ask(line, "POST", f"{path}/test")
    ask(line, "PUT", f"{path}/endpoint", {"endpoint": "ftp://x"})
    ask(line, "PUT", f"{path}/endpoint", {"endpoint": "http://127.0.0.1:9/hook"})
    ask(line, "GET", f"{path}/endpoint")
    ask(line, "POST", f"{path}/test", {"endpoint": "http://127.0.0.1:9/hook"})
    ask(line, "POST", f"{path}/test", {"endpoint": 5})


def ask_for_coupons(line, sandbox):
    path = "/v2/bot/coupon"
    for form in REWARD_FORMS:
        ask(line, "POST", path, COUPON | {"reward": form})
    full = {"couponCode": "A" * 16, "barcodeImageUrl": COUPON["imageUrl"]}
    ask(line, "POST", path, COUPON | full | {"acquisitionCondition": LOTTERY})
    referral = {"type": "referral"}
    sandbox.make_coupon(acquisitionCondition=referral, maxTicketPerUser=30)
    draft = sandbox.make_coupon(is_draft=True)
    for row in sandbox.coupons():
        ask(line, "GET", f"{path}/{row['couponId']}")
    one = sandbox.coupons()[-1]["couponId"]
    for _ in range(2):
        ask(line, "PUT", f"{path}/{one}/close")
    ask(line, "PUT", f"{path}/{draft}/close")
    for query in ("", "?limit=2", "?limit=0", "?status=CLOSED", "?status=x"):
        ask(line, "GET", path + query)
    ask(line, "GET", f"{path}/unknown")
    ask(line, "POST", path, {"title": "x" * 61})
    ask(line, "POST", path, COUPON, key=str(uuid.uuid4()))
    ask(line, "POST", path, "x" * 2_200_000)
    for method, call in (("POST", path), ("GET", path), ("GET", f"{path}/x")):
        ask(line, method, call, token="wrong")
    sandbox.add_channel(coupon_rate=1)
    for _ in range(3):
        ask(line, "GET", path)


def ask_for_tokens(line, sandbox):
    key = new_key()
    kid = sandbox.register_key(jwk_of(key))
    signed = {
        "grant_type": "client_credentials",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": assertion(key, kid, CHANNEL_ID),
    }
    owner = {"client_id": CHANNEL_ID, "client_secret": SECRET}
    by_secret = {"grant_type": "client_credentials"} | owner
    for path, form in (
        ("v3/token", signed),
        ("v3/token", by_secret),
        ("v3/token", by_secret | {"client_secret": "x"}),
        ("v2.1/token", signed),
        ("v2.1/token", signed | {"client_assertion": "x"}),
        ("v2.1/revoke", owner | {"access_token": "x"}),
        ("v2.1/revoke", {"access_token": "x"}),
    ):
        requests.post(f"{line.url}/oauth2/{path}", data=form, timeout=10)
    issued = json.loads(line.exchanges[-4].answer)["access_token"]
    ask(line, "GET", f"/oauth2/v2.1/verify?access_token={issued}", token="")
    ask(line, "GET", "/oauth2/v2.1/verify?access_token=x", token="")
    ask(line, "GET", "/oauth2/v2.1/tokens/kid", params=signed, token="")
    ask(line, "GET", "/oauth2/v2.1/tokens/kid", token="")


def test_every_answer_of_the_sandbox_good_or_bad_is_as_line_s_files_say(
    line, sandbox, operations
):
    with line.of_others():
        ask_for_messages(line, sandbox)
        ask_for_facts(line, sandbox)
        ask_about_the_webhook(line, sandbox)
        ask_for_coupons(line, sandbox)
        ask_for_tokens(line, sandbox)

    assert objections(operations, line.exchanges) == []
    asked = {attempt.call for attempt in sandbox.requests() if attempt.status < 300}
    refused = {
        operation_of(operations, e).name for e in line.exchanges if e.status > 299
    }
    assert asked == {call.name for call in (*LINE.calls, *TOKENS.calls)}
    assert len(refused) >= 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x" * 61},
        {"title": 5},
        {"timezone": "Asia/Tokyo"},
        {"reward": {"type": "coupon"}},
        {"reward": {"type": "discount", "priceInfo": {"type": "half"}}},
        {
            "reward": {
                "type": "discount",
                "priceInfo": {"type": "fixed", "fixedAmount": "100"},
            }
        },
        {"acquisitionCondition": {"type": "lottery"}},
        {"discountType": "fixed"},
        {"reward": {"type": "free", "priceInfoType": "fixed"}},
        {"startTimestamp": 2**63},
    ],
)
def test_a_wrong_request_of_ours_would_be_found(line, operations, wrong):
    ask(line, "POST", "/v2/bot/coupon", COUPON | wrong)

    found = objections(operations, line.exchanges)

    assert any("our request" in words for words in found)


def test_a_wrong_answer_would_be_found(line, sandbox, operations):
    ask(line, "GET", "/v2/bot/coupon")
    [exchange] = line.exchanges
    answers = [b'{"coupons": []}', b'{"items": [{"couponId": "x"}]}', b'{"items": 5}']
    found = []
    for answer in answers:
        exchange.answer = answer
        found.append(objections(operations, [exchange]))
    exchange.answer, exchange.status = b'{"items": [], "total": 0}', 200
    found.append(objections(operations, [exchange]))
    exchange.status = 418
    found.append(objections(operations, [exchange]))

    assert all(found)


def test_no_exception_is_listed_that_line_s_files_have_by_now(operations):
    listed = {
        (operation.name, int(status))
        for operation in operations
        for status in operation.content["responses"]
        if status.isdigit()
    }

    assert UNLISTED & listed == set()
