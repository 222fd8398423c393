import json
from uuid import UUID

import pytest

from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
    Unreadable,
)
from providers.line import Kind, LineClient, Profile, Quota
from providers.tests.servers import (
    cut,
    refused_port,
    reply,
    reset,
    serving,
    silence,
    trickle,
)

TOKEN = "canary-token-6f1d"
KEY = UUID("c0ffee00-0000-5000-8000-000000000001")
BODY = b'{"messages":[{"text":"hi","type":"text"}],"to":"U1"}'
SENT = b'{"sentMessages":[{"id":"461230966842064897","quoteToken":"q"}]}'


def client(url, **options):
    return LineClient(url, TOKEN, **({"allow_local": True, "deadline": 0.5} | options))


def push(answer):
    with serving(answer) as server:
        return client(server.url).push(BODY, retry_key=KEY), server.requests


def test_a_push_sends_exactly_the_prepared_bytes_with_its_key():
    outcome, requests = push(reply(200, SENT, X_Line_Request_Id="r1"))

    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert body == BODY
    assert head.startswith(b"POST /v2/bot/message/push HTTP/1.1\r\n")
    assert f"x-line-retry-key: {KEY}".encode() in head.lower()
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert outcome.kind == "accepted"
    assert outcome.request_id == "r1"
    assert outcome.message_ids == ("461230966842064897",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>fine</html>",
        b"[1]",
        b"null",
        b"\xff",
        b'{"sentMessages":7}',
        b'{"sentMessages":[1,{"id":{}},{}]}',
        b"[" * 100_000,
        b'{"a":' + b"9" * 10_000 + b"}",
        b'{"sentMessages":NaN}',
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_2xx_is_accepted_whatever_its_body(status, body):
    outcome, _ = push(reply(status, body, X_Line_Request_Id="r1"))

    assert outcome.kind is Kind.ACCEPTED
    assert outcome.request_id == "r1"
    assert outcome.message_ids == ()


@pytest.mark.parametrize(
    "answer",
    [
        cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"{"),
        reply(200, b"x" * 3_000_000),
    ],
    ids="cut trickle long".split(),
)
def test_a_status_of_200_is_enough_when_the_body_does_not_end(answer):
    assert push(answer)[0].kind is Kind.ACCEPTED


def test_409_is_accepted_under_the_earlier_request():
    outcome, _ = push(
        reply(
            409,
            SENT,
            X_Line_Request_Id="r2",
            X_Line_Accepted_Request_Id="r1",
        )
    )

    assert outcome.kind is Kind.ACCEPTED
    assert outcome.request_id == "r1"
    assert outcome.message_ids == ("461230966842064897",)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (429, "The API rate limit has been exceeded. Try again later.", "rate"),
        (429, "You have reached your monthly limit.", "quota"),
        (429, "MONTHLY quota reached", "quota"),
        (429, "", "rate"),
        (429, 5, "rate"),
        (401, "Authentication failed", "unauthorised"),
        (400, "The request body has 1 error(s)", "refused"),
        (403, "x", "refused"),
        (404, "x", "refused"),
        (410, "x", "refused"),
        (413, "x", "refused"),
        (415, "x", "refused"),
        (499, "x", "refused"),
        (500, "x", "unclear"),
        (503, "x", "unclear"),
        (302, "x", "unclear"),
        (304, "x", "unclear"),
        (600, "x", "unclear"),
        (999, "x", "unclear"),
    ],
)
def test_each_status_has_its_kind(status, message, kind):
    outcome, _ = push(reply(status, json.dumps({"message": message}).encode()))

    assert outcome.kind == kind
    assert outcome.status == status
    assert outcome.detail


@pytest.mark.parametrize(
    "answer",
    [
        silence,
        reset,
        cut(b""),
        cut(b"HTTP/1.1 200"),
        cut(b"garbage\r\n\r\n"),
        cut(b"HTTP/1.1 42 OK\r\n\r\n"),
        cut(b"HTTP/1.1 abc OK\r\n\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"),
        reply(500, b"<html>"),
    ],
    ids="silence reset nothing half garbage 42 abc trickle html".split(),
)
def test_what_may_have_been_accepted_is_unclear(answer):
    outcome, requests = push(answer)

    assert outcome.kind is Kind.UNCLEAR
    assert outcome.detail
    assert len(requests) == 1


def test_what_was_never_sent_is_unreachable():
    outcome = client(f"http://127.0.0.1:{refused_port()}").push(BODY, retry_key=KEY)

    assert outcome.kind is Kind.UNREACHABLE
    assert outcome.status is None


def test_the_detail_is_one_short_line_with_the_details():
    body = {
        "message": "The request\nbody has 2 error(s)\x00",
        "details": [
            {"message": "May not be empty", "property": "messages[0].text"},
            {"message": "\ud800 bad"},
            {"property": "to"},
            7,
            {"message": "x" * 2000},
        ],
    }
    outcome, _ = push(reply(400, json.dumps(body).encode()))

    assert outcome.detail.startswith(
        "The request body has 2 error(s) | messages[0].text: May not be empty | bad | to"
    )
    assert len(outcome.detail) == 500
    assert outcome.detail.isprintable()


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "\u3042", "\x00"])
def test_a_token_that_is_none_is_unauthorised_and_not_sent(token):
    with serving(reply(200)) as server:
        line = LineClient(server.url, token, allow_local=True)
        outcome = line.push(BODY, retry_key=KEY)
        with pytest.raises(Unauthorised):
            line.bot_info()

        assert outcome.kind is Kind.UNAUTHORISED
        assert server.requests == []


def test_the_token_is_in_no_repr_and_no_error():
    line = client(f"http://127.0.0.1:{refused_port()}")
    with pytest.raises(Unreachable) as failure:
        line.quota()

    assert TOKEN not in repr(line) + str(line)
    assert TOKEN not in repr(failure.value) + str(failure.value)
    assert failure.value.__context__ is None


def test_bot_info():
    body = b'{"userId":"U9","basicId":"@x","displayName":"Caf\xc3\xa9","new":[1]}'
    with serving(reply(200, body)) as server:
        info = client(server.url).bot_info()

    assert server.requests[0].startswith(b"GET /v2/bot/info ")
    assert (info.user_id, info.basic_id, info.display_name) == ("U9", "@x", "Café")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"userId":7}',
        b'{"userId":null}',
        b'{"userId":""}',
    ],
)
def test_bot_info_that_says_nothing_is_a_provider_error(body):
    with serving(reply(200, body)) as server, pytest.raises(Unreadable):
        client(server.url).bot_info()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, Unauthorised),
        (429, TooMany),
        (500, Unclear),
        (302, Unclear),
    ],
)
def test_a_question_that_is_not_answered_is_a_provider_error(status, kind):
    with serving(reply(status)) as server, pytest.raises(kind) as failure:
        client(server.url).bot_info()

    assert isinstance(failure.value, ProviderError)


def answers_by_path(bodies):
    def answer(connection, request):
        body = bodies[request.split(b" ")[1].decode()]
        reply(200, json.dumps(body).encode())(connection, request)

    return answer


@pytest.mark.parametrize(
    ("quota", "used", "expected"),
    [
        ({"type": "limited", "value": 5000}, {"totalUsage": 12}, Quota(5000, 12)),
        ({"type": "none"}, {"totalUsage": 0}, Quota(None, 0)),
        ({"type": "newly_named", "value": 1}, {"totalUsage": 2}, Quota(1, 2)),
        ({"type": "limited"}, {"totalUsage": 1}, None),
        ({"type": "limited", "value": True}, {"totalUsage": 1}, None),
        ({"type": "limited", "value": "5"}, {"totalUsage": 1}, None),
        ({"type": "none"}, {"totalUsage": None}, None),
        ({"type": "none"}, {}, None),
        ({}, {"totalUsage": 1}, None),
    ],
)
def test_quota(quota, used, expected):
    paths = {
        "/v2/bot/message/quota": quota,
        "/v2/bot/message/quota/consumption": used,
    }
    with serving(answers_by_path(paths)) as server:
        if expected is not None:
            assert client(server.url).quota() == expected
        else:
            with pytest.raises(Unreadable):
                client(server.url).quota()


def test_profile():
    body = {"userId": "U1", "displayName": "A\ud800B", "language": 3}
    with serving(reply(200, json.dumps(body).encode())) as server:
        found = client(server.url).profile("U1/../../x?y")

    assert server.requests[0].startswith(b"GET /v2/bot/profile/U1%2F..%2F..%2Fx%3Fy ")
    assert found == Profile("U1", "A B")


def test_an_unknown_profile_is_none():
    with serving(reply(404, b'{"message":"Not found"}')) as server:
        assert client(server.url).profile("U1") is None
