"""LINE's own coupons: what is asked, and what each answer means."""

import json
from datetime import UTC, datetime

import pytest

from providers.errors import (
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
    Unreadable,
)
from providers.line_coupons import LineCoupons, Listed
from providers.tests.servers import (
    cut,
    patience,
    refused_port,
    reply,
    reset,
    serving,
    silence,
    trickle,
)

TOKEN = "canary-token-6f1d"
COUPON = "01JYNW8JMQVFBNWF1APF8Z3FS7"
# As LINE's reference prints it.
DETAIL = {
    "acquisitionCondition": {"type": "normal"},
    "barcodeImageUrl": "https://example.com/barcode.png",
    "couponCode": "UNIQUECODE123",
    "couponId": COUPON,
    "createdTimestamp": 1_749_000_000,
    "description": "100Yen OFF",
    "endTimestamp": 1_752_591_600,
    "maxTicketPerUser": 1,
    "maxUseCountPerTicket": 1,
    "reward": {
        "priceInfo": {"currency": "JPY", "fixedAmount": 100, "type": "fixed"},
        "type": "discount",
    },
    "startTimestamp": 1_749_999_600,
    "status": "RUNNING",
    "timezone": "ASIA_TOKYO",
    "title": "Friends-only Coupon",
    "usageCondition": "Minimum purchase of 500 yen",
    "visibility": "UNLISTED",
}
NOT_ANSWERS = [
    b"",
    b"<html>busy</html>",
    b'{"couponId":"01',
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"couponId":NaN}',
]


def client(url, **options):
    options = {"allow_local": True, "deadline": 5.0} | options
    return LineCoupons(url, TOKEN, **options)


def ask(answer, question, **options):
    """What the question comes to, and the first line and body of what was sent."""
    with serving(answer) as server:
        found = question(client(server.url, **options))
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    return found, head.split(b"\r\n")[0].decode(), body


def refusal(answer, question, kind):
    with serving(answer) as server, pytest.raises(kind) as raised:
        question(client(server.url, deadline=patience(answer)))
    assert TOKEN not in repr(raised.value) + str(raised.value)
    return raised.value


def detail_of(**changed):
    fields = {k: v for k, v in (DETAIL | changed).items() if v is not ...}
    body = json.dumps(fields).encode()
    return ask(reply(200, body), lambda line: line.detail(COUPON))[0]


# --- create ----------------------------------------------------------------------------


def test_create_sends_exactly_the_body_and_gives_the_id():
    with serving(reply(200, json.dumps({"couponId": COUPON}).encode())) as server:
        coupon_id = client(server.url).create(b'{"title":"x"}')

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert coupon_id == COUPON
    assert head.startswith(b"POST /v2/bot/coupon HTTP/1.1\r\n")
    assert body == b'{"title":"x"}'
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    # LINE answers 400 to a retry key here.
    assert b"retry-key" not in head.lower()


@pytest.mark.parametrize(
    "body", [*NOT_ANSWERS, b"{}", b'{"couponId":7}', b'{"couponId":""}']
)
def test_a_coupon_whose_id_is_not_known_may_exist(body):
    refusal(reply(200, body), lambda line: line.create(b"{}"), Unclear)


@pytest.mark.parametrize(
    "answer",
    [
        reply(500, b"<html>"),
        reply(503),
        reply(302, b"", Location="https://example.com/"),
        cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"{"),
        reply(200, b"x" * 3_000_000),
        reset,
        silence,
    ],
    ids="500 503 302 cut trickle huge reset silence".split(),
)
def test_what_does_not_say_no_may_have_made_it(answer):
    refusal(answer, lambda line: line.create(b"{}"), Unclear)


@pytest.mark.parametrize(
    "answer",
    [
        reply(400, b'{"message":"The request body has 1 error(s)"}'),
        cut(b"HTTP/1.1 400 Bad\r\nContent-Length: 99\r\n\r\n{"),
        trickle(b"HTTP/1.1 400 Bad\r\nContent-Length: 99999\r\n\r\n", b"{"),
    ],
    ids="whole cut trickle".split(),
)
def test_a_no_is_a_no_though_its_body_breaks_off(answer):
    error = refusal(answer, lambda line: line.create(b"{}"), Refused)

    assert (error.status, error.code) == (400, None)


def test_a_refusal_has_lines_words_and_where():
    body = {
        "message": "The request body has 1 error(s)",
        "details": [
            {"message": "Size must be between 1 and 60", "property": "title"},
            {"message": "You have too many coupons created."},
        ],
    }
    error = refusal(
        reply(400, json.dumps(body).encode()), lambda line: line.create(b""), Refused
    )

    assert str(error) == (
        "The request body has 1 error(s) | title: Size must be between 1 and 60 | "
        "You have too many coupons created."
    )


def test_nothing_was_sent_to_a_port_that_nobody_listens_at():
    line = client(f"http://127.0.0.1:{refused_port()}")

    with pytest.raises(Unreachable):
        line.create(b"{}")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorised), (403, Refused), (429, TooMany)]
)
@pytest.mark.parametrize(
    "question",
    [
        lambda line: line.create(b"{}"),
        lambda line: line.page(),
        lambda line: line.detail(COUPON),
        lambda line: line.close(COUPON),
    ],
    ids="create page detail close".split(),
)
def test_a_no_means_the_same_to_every_question(status, kind, question):
    assert refusal(reply(status), question, kind).status == status


def test_without_a_token_nothing_is_sent():
    with serving(reply(200)) as server, pytest.raises(Unauthorised):
        LineCoupons(server.url, "", allow_local=True).page()

    assert server.requests == []


def test_the_token_is_not_in_what_is_printed():
    assert TOKEN not in repr(client("https://api.line.me"))


# --- list --------------------------------------------------------------------------------


def page_of(body, **options):
    return ask(reply(200, json.dumps(body).encode()), lambda line: line.page(**options))


def test_a_page_has_ids_titles_and_where_it_goes_on():
    items = [{"couponId": "a", "title": "A"}, {"couponId": "b", "title": "B", "x": 1}]

    page, asked, _ = page_of({"items": items, "next": "n+/="}, limit=2)

    assert page.items == (Listed("a", "A"), Listed("b", "B"))
    assert (page.next, page.oddities) == ("n+/=", ())
    assert asked == "GET /v2/bot/coupon?limit=2 HTTP/1.1"


def test_the_next_page_is_asked_for_as_it_was_told():
    page, asked, _ = page_of(
        {"items": []}, statuses=["DRAFT", "RUNNING"], start="n+/=&x"
    )

    assert (page.items, page.next) == ((), "")
    assert asked == (
        "GET /v2/bot/coupon?status=DRAFT&status=RUNNING&limit=100"
        "&start=n%2B%2F%3D%26x HTTP/1.1"
    )


@pytest.mark.parametrize(
    "body",
    [*NOT_ANSWERS, b"{}", b'{"items":{}}', b'{"items":[],"next":7}']
    + [b'{"items":[],"next":"a\\u0000b"}'],
)
def test_what_is_no_page_is_unreadable(body):
    refusal(reply(200, body), lambda line: line.page(), Unreadable)


def test_an_item_that_cannot_be_read_is_said_and_the_others_are_given():
    items = [7, {"title": "no id"}, {"couponId": 5}, {"couponId": "a", "title": 3}]

    page, _, _ = page_of({"items": items})

    assert page.items == (Listed("a", ""),)
    assert page.oddities == (
        "items[0].couponId is missing",
        "items[1].couponId is missing",
        "items[2].couponId is not text",
        "items[3].title is not text",
    )


# --- detail ------------------------------------------------------------------------------


def test_the_detail_of_lines_reference_is_read_whole():
    found = detail_of()

    assert (found.coupon_id, found.title) == (COUPON, "Friends-only Coupon")
    assert found.status == "RUNNING"
    assert found.starts_at == datetime(2025, 6, 15, 15, tzinfo=UTC)
    assert found.ends_at == datetime(2025, 7, 15, 15, tzinfo=UTC)
    assert found.made_at == datetime.fromtimestamp(1_749_000_000, UTC)
    assert found.raw == DETAIL
    assert found.oddities == ()


@pytest.mark.parametrize(
    ("changed", "oddity"),
    [
        ({"status": "SUSPENDED"}, "status is new to us: SUSPENDED"),
        ({"status": 3}, "status is not text"),
        ({"status": ...}, "status is missing"),
        ({"startTimestamp": "soon"}, "startTimestamp is not a number"),
        ({"endTimestamp": 1e30}, "endTimestamp is not a number"),
        ({"endTimestamp": 10**14}, "endTimestamp is no time in seconds"),
        ({"endTimestamp": -5}, "endTimestamp is negative"),
        ({"endTimestamp": True}, "endTimestamp is not a number"),
        ({"endTimestamp": 1.5}, "endTimestamp is not a whole number"),
        ({"createdTimestamp": [1]}, "createdTimestamp is not a number"),
        ({"couponId": "another"}, "couponId is that of another coupon"),
        ({"title": {"ja": "x"}}, "title is not text"),
        ({"visibility": "FRIENDS"}, "visibility is new to us: FRIENDS"),
        ({"reward": "discount"}, "reward is not an object"),
        ({"reward": {"type": "points"}}, "reward.type is new to us: points"),
        (
            {"reward": {"type": "discount", "priceInfo": {"type": "tiers"}}},
            "reward.priceInfo.type is new to us: tiers",
        ),
        (
            {"acquisitionCondition": {"type": "quiz"}},
            "acquisitionCondition.type is new to us: quiz",
        ),
    ],
    ids=str,
)
def test_what_is_odd_is_said_and_never_raised(changed, oddity):
    found = detail_of(**changed)

    assert found.oddities == (oddity,)
    assert found.coupon_id == COUPON


def test_a_new_status_is_given_as_it_is():
    assert detail_of(status="SUSPENDED").status == "SUSPENDED"


def test_whatever_line_adds_is_kept_and_can_be_stored():
    found = detail_of(news={"a": [1, None]}, title="a\x00b\ud800")

    assert found.raw["news"] == {"a": [1, None]}
    assert found.raw["title"] == "a\ufffdb\ufffd"
    assert found.title == "a b"
    json.dumps(found.raw, allow_nan=False).encode()


def test_what_line_need_not_send_is_nothing_odd():
    found = detail_of(
        startTimestamp=..., endTimestamp=..., createdTimestamp=..., reward=...
    )

    assert (found.starts_at, found.ends_at, found.made_at) == (None, None, None)
    assert found.oddities == ()


@pytest.mark.parametrize("body", NOT_ANSWERS)
def test_a_detail_that_is_no_object_is_unreadable(body):
    refusal(reply(200, body), lambda line: line.detail(COUPON), Unreadable)


def test_a_coupon_that_line_does_not_have_is_refused_with_404():
    error = refusal(
        reply(404, b'{"message":"coupon not found"}'),
        lambda line: line.detail(COUPON),
        Refused,
    )

    assert (error.status, str(error)) == (404, "coupon not found")


@pytest.mark.parametrize("coupon_id", ["", ".", "..", "a\nb", "x" * 101])
def test_what_cannot_be_an_id_is_not_asked_for(coupon_id):
    with serving(reply(200)) as server, pytest.raises(Refused) as raised:
        client(server.url).close(coupon_id)

    assert raised.value.status == 404
    assert server.requests == []


def test_an_id_stays_one_piece_of_the_path():
    _, asked, _ = ask(
        reply(200, json.dumps(DETAIL).encode()), lambda line: line.detail("../x?y#z")
    )

    assert asked == "GET /v2/bot/coupon/..%2Fx%3Fy%23z HTTP/1.1"


# --- close -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "is_now"),
    [
        (reply(200), True),
        (reply(200, b"<html>fine"), True),
        (cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), True),
        (reply(410, b'{"message":"The coupon has already been closed."}'), False),
        (cut(b"HTTP/1.1 410 Gone\r\nContent-Length: 99\r\n\r\n{"), False),
    ],
    ids="closed html cut already already-cut".split(),
)
def test_closing_says_whether_it_was_closed_now(answer, is_now):
    found, asked, _ = ask(answer, lambda line: line.close(COUPON))

    assert found is is_now
    assert asked == f"PUT /v2/bot/coupon/{COUPON}/close HTTP/1.1"


@pytest.mark.parametrize("answer", [reset, silence, reply(502)])
def test_a_close_without_an_answer_is_unclear(answer):
    refusal(answer, lambda line: line.close(COUPON), Unclear)


def test_closing_what_line_does_not_have_is_refused_with_404():
    assert refusal(reply(404), lambda line: line.close(COUPON), Refused).status == 404
