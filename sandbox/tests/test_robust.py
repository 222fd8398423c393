"""Nothing that comes in makes the sandbox fail or show what it should not."""

import json
import time

import pytest
import requests

from sandbox.line.messages import graphemes, utf16_length
from sandbox.tests.client import TEXT, card, push
from sandbox.tests.conftest import HANA, TOKEN

BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"to": 7}',
    b'{"to": {"a": 1}, "messages": "x"}',
    b'{"to": "' + HANA.encode() + b'", "messages": [null, 1, [], {}]}',
    b'{"to": "' + HANA.encode() + b'", "messages": {"0": 1}}',
    b'{"n": ' + b"9" * 5000 + b"}",
    b'{"messages": [{"type": ["text"]}]}',
    b'{"messages": [{"type": "flex", "altText": 1, "contents": {"type": "bubble", '
    b'"body": {"type": "box", "contents": [{"type": {}}, {"type": "text"}]}}}]}',
    b'{"messages": [{"type": "text", "text": "x", "quickReply": []}], "replyToken": 5}',
    b'{"endpoint": 5}',
    b'{"endpoint": "ftp://x"}',
    b'{"title": {}, "acquisitionCondition": [], "reward": 5, "timezone": []}',
    b'{"acquisitionCondition": {"type": []}, "reward": {"type": "discount", '
    b'"priceInfo": {"type": {}}}, "startTimestamp": 1e999, "endTimestamp": NaN}',
    b'{"title": "\\ud800", "imageUrl": "https://[", "barcodeImageUrl": "http://\\u0000"}',
]
PATHS = [
    "message/push",
    "message/multicast",
    "message/broadcast",
    "message/reply",
    "message/validate/push",
    "channel/webhook/test",
    "coupon",
]


@pytest.mark.parametrize("path", PATHS)
def test_malformed_bodies_are_refused_without_a_500(line, path):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    for body in BODIES:
        answer = requests.post(
            f"{line.url}/v2/bot/{path}", data=body, headers=headers, timeout=5
        )

        assert 400 <= answer.status_code < 500, (path, body[:60])
        assert answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "followers/ids?limit=x"),
        ("GET", "followers/ids?limit=0"),
        ("GET", "followers/ids?start=%ff"),
        ("GET", "followers/ids?start=bmV4dCB4"),
        ("GET", "profile/%00"),
        ("GET", "coupon/%00"),
        ("GET", "coupon/.."),
        ("GET", "coupon?limit=9999999999999999999999"),
        ("GET", "coupon?start=MSA5OTk5OTk5OTk5OTk5OTk5OTk5OTk="),
        ("PUT", "coupon/x/close"),
        ("PUT", "coupon/%ff/close"),
        ("GET", "message/push"),
        ("POST", "nothing/here"),
    ],
)
def test_malformed_addresses_are_refused_without_a_500(line, method, path):
    headers = {"Authorization": f"Bearer {TOKEN}"}

    answer = requests.request(
        method, f"{line.url}/v2/bot/{path}", headers=headers, timeout=5
    )

    assert answer.status_code in (400, 404)


def test_a_body_above_2_mb_is_a_413_and_plain_text_a_415(line):
    big = push(line, HANA, {"type": "text", "text": "x" * 2_200_000})
    plain = push(line, headers={"Content-Type": "text/plain"})

    assert [big.status_code, plain.status_code] == [413, 415]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("channels", {"name": 5}),
        ("channels", {"name": "x", "quota": -1}),
        ("channels", {"name": "x", "colour": "red"}),
        ("friends", {"friends": [5]}),
        ("friends", {"friends": [{"name": ""}]}),
        ("friends", {"friends": [{"name": "x", "user_id": "y"}]}),
        ("friends/U1/follow", {}),
        (f"friends/{HANA}/say", {"text": " "}),
        ("faults", {"call": "push", "kind": "500", "times": "3"}),
        ("faults", {"call": "push", "kind": "500", "share": 2}),
        ("faults", {"call": "nothing", "kind": "500"}),
        ("clock", {"seconds": -1}),
        ("webhooks/x/redeliver", {}),
        ("channels", {"name": "x", "channel_id": "abc"}),
        ("channels", {"name": "x", "country": "Japan"}),
        ("channels", {"name": "x", "coupon_rate": 0}),
        ("channels", {"name": "x", "public_keys": {"a": {"kty": "RSA"}}}),
        ("coupons", {"fields": {"title": ""}}),
        ("coupons", {"fields": {"reward": {"type": ["free"]}}}),
        ("coupons", {"fields": {"maxTicketPerUser": 2}}),
        ("coupons", {"fields": []}),
        ("coupons/x/stop", {}),
        ("coupons/x/use", {"user_id": HANA}),
        ("keys", {"jwk": "x"}),
    ],
)
def test_the_control_api_says_what_is_wrong(line, path, body):
    answer = requests.post(f"{line.url}/_control/{path}", json=body, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_ten_thousand_friends_are_made_at_once(line):
    rows = [{"name": f"Friend {n}", "user_id": f"U{n:032x}"} for n in range(10_000)]
    started = time.monotonic()

    answer = requests.post(
        f"{line.url}/_control/friends", json={"friends": rows}, timeout=9
    )

    assert len(answer.json()["user_ids"]) == 10_000
    assert time.monotonic() - started < 5


def test_a_message_cannot_bring_markup_or_styles_to_the_phone(line):
    evil = "<script>alert(1)</script>"
    message = card(label=f'"{evil}')
    message["altText"] = evil
    message["contents"]["body"] = {
        "type": "box",
        "layout": "vertical",
        "backgroundColor": "#fff;background:url(//x)",
        "contents": [
            {"type": "text", "text": evil, "color": '"><b>', "size": "1px;top:0"}
        ],
    }
    sent = push(line, HANA, {"type": "text", "text": evil}, message)

    page = requests.get(f"{line.url}/phone/{HANA}", timeout=5)

    assert sent.status_code == 200
    assert page.status_code == 200
    assert evil not in page.text
    assert "&lt;script&gt;" in page.text
    assert "url(//x)" not in page.text
    assert "top:0" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_half_an_emoji_shows_as_a_question_mark(line):
    push(line, HANA, {"type": "text", "text": "half \ud83d"})

    page = requests.get(f"{line.url}/phone/{HANA}", timeout=5)
    news = requests.get(f"{line.url}/news?friend={HANA}", timeout=5)

    assert page.status_code == news.status_code == 200
    assert "half ?" in page.text


@pytest.mark.parametrize("path", ["/", "/faults", "/phone/" + HANA, "/?q=nobody"])
def test_pages_open_with_nothing_and_with_much_to_show(line, path):
    empty = requests.get(line.url + path, timeout=5)
    quick = {"items": [{"action": {"type": "message", "label": "Hi", "text": "Hi"}}]}
    push(line, HANA, card(), {"type": "sticker"}, TEXT | {"quickReply": quick})
    line.fault("push", "500", times=1)
    push(line)
    line.follow(HANA)
    line.wait_for_webhooks()
    full = requests.get(line.url + path, timeout=5)

    assert [empty.status_code, full.status_code] == [200, 200]


def test_the_phone_works_by_plain_forms(line):
    phone = f"{line.url}/phone/{HANA}"

    requests.post(f"{phone}/say", data={"text": "coupon"}, timeout=5)
    requests.post(f"{phone}/press", data={"data": "a=1", "text": "Yes"}, timeout=5)
    requests.post(f"{phone}/block", timeout=5)
    refused = requests.post(f"{phone}/say", data={"text": "hello"}, timeout=5)

    assert [row["message"]["text"] for row in line.chat(HANA)] == ["coupon", "Yes"]
    assert "does not follow" in refused.text
    kinds = [record["type"] for record in line.webhook_log()]
    assert kinds == ["message", "postback", "unfollow"]


def test_a_new_friend_and_a_fault_come_by_plain_forms(line):
    made = requests.post(f"{line.url}/friends", data={"name": "Mei"}, timeout=5)
    fault = {"call": "push", "kind": "500", "often": "15%"}
    page = requests.post(f"{line.url}/faults", data=fault, timeout=5)
    wrong = requests.post(f"{line.url}/faults", data=fault | {"often": "x"}, timeout=5)

    assert "Mei" in made.text
    assert "15% of calls" in page.text
    assert "How often is a number" in wrong.text
    assert line.webhook_log()[0]["type"] == "follow"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://["},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_gets_nothing_done_here(line, headers):
    answer = requests.post(f"{line.url}/_control/reset", headers=headers, timeout=5)

    assert answer.status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_form_of_ours_whose_origin_is_withheld_is_taken(line, site):
    headers = {"Origin": "null", "Sec-Fetch-Site": site}

    answer = requests.post(f"{line.url}/_control/reset", headers=headers, timeout=5)

    assert answer.status_code == 200


def test_characters_are_counted_as_line_counts_them():
    assert utf16_length("a😀") == 3
    assert graphemes("👨‍👩‍👧é") == 2


def test_all_messages_are_json_that_came_in(line):
    push(line, HANA, card())

    assert json.dumps(line.messages(HANA)[0]) == json.dumps(card())
