"""What the sandbox accepts, counts and refuses."""

import pytest

from sandbox.line.events import sign
from sandbox.tests.client import KEY, TEXT, call, card, push
from sandbox.tests.conftest import HANA, KEN, LIN


def test_a_key_sends_again_after_24_hours(line):
    push(line, key=KEY)
    line.advance(24 * 3600 - 1)
    early = push(line, key=KEY)
    line.advance(1)
    late = push(line, key=KEY)

    assert [early.status_code, late.status_code] == [409, 200]
    assert line.counts() == {HANA: 2}


@pytest.mark.parametrize("key", ["no-uuid", "1" * 32, "{" + KEY + "}", KEY + "0"])
def test_a_malformed_key_is_refused(line, key):
    assert push(line, key=key).status_code == 400
    assert line.counts() == {}


def test_a_key_in_capitals_is_the_same_key(line):
    push(line, key=KEY)

    assert push(line, key=KEY.upper()).status_code == 409


def test_calls_without_retries_refuse_a_key(line):
    answer = call(
        line, "message/reply", {"replyToken": "x", "messages": [TEXT]}, key=KEY
    )

    assert answer.status_code == 400
    assert "Retry-Key" in answer.json()["message"]


def test_who_blocked_us_is_counted_but_sees_nothing(line):
    line.unfollow(HANA)

    answer = push(line)

    assert answer.status_code == 200
    assert line.counts() == {HANA: 1}
    assert line.messages(HANA) == []


def test_unknown_users_are_taken_or_refused_as_the_channel_says(line):
    silent = push(line, LIN)
    line.add_channel(refuse_unknown=True)
    strict = push(line, LIN)

    assert [silent.status_code, strict.status_code] == [200, 400]
    assert strict.json()["message"] == "Failed to send messages"
    assert line.counts() == {LIN: 1}


def test_one_bad_id_stops_a_whole_multicast(line):
    body = {"to": [HANA, "Uxyz"], "messages": [TEXT]}

    answer = call(line, "message/multicast", body)

    assert answer.status_code == 400
    assert "to[1]" in answer.json()["message"]
    assert line.counts() == {}


def test_a_multicast_takes_at_most_500(line):
    users = [f"U{number:032x}" for number in range(501)]

    full = call(line, "message/multicast", {"to": users[:500], "messages": [TEXT]})
    over = call(line, "message/multicast", {"to": users, "messages": [TEXT]})

    assert [full.status_code, over.status_code] == [200, 400]
    assert len(line.counts()) == 500


def test_a_broadcast_reaches_followers_once_per_key(line):
    line.unfollow(KEN)

    first = call(line, "message/broadcast", {"messages": [TEXT]}, key=KEY)
    again = call(line, "message/broadcast", {"messages": [TEXT]}, key=KEY)

    assert [first.status_code, again.status_code] == [200, 409]
    assert "sentMessages" not in again.json()
    assert line.counts() == {HANA: 1}


def test_each_answer_has_a_request_id_of_its_own(line):
    answers = [push(line), push(line, "nobody"), push(line, token="wrong")]

    ids = {answer.headers["x-line-request-id"] for answer in answers}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({"type": "text", "text": ""}, "messages[0].text"),
        ({"type": "nonsense"}, "messages[0].type"),
        ("text", "messages[0]"),
        (card(uri="javascript:alert(1)"), "contents.footer.contents[0].action.uri"),
        (card(uri="https://x/" + "a" * 1000), "contents.footer.contents[0].action.uri"),
        (card(label=""), "contents.footer.contents[0].action.label"),
        (card() | {"altText": "x" * 1501}, "messages[0].altText"),
        ({"type": "coupon"}, "messages[0].couponId"),
        ({"type": "coupon", "couponId": "x", "deliveryTag": "a b"}, "deliveryTag"),
        (
            {
                "type": "image",
                "originalContentUrl": "http://shop.example/a.png",
                "previewImageUrl": "https://shop.example/a.png",
            },
            "messages[0].originalContentUrl",
        ),
    ],
)
def test_a_bad_message_is_named_by_its_place(line, message, where):
    answer = push(line, HANA, message)

    assert answer.status_code == 400
    assert answer.json()["details"][0]["property"].endswith(where)
    assert line.counts() == {}


def test_a_bubble_above_30_kb_is_refused(line):
    heavy = card()
    filler = {"type": "text", "text": "x" * 1900}
    heavy["contents"]["footer"]["contents"] += [filler] * 16

    assert push(line, HANA, heavy).status_code == 400


def test_a_card_with_pictures_of_this_machine_is_fine(line):
    hero = {"type": "image", "url": "http://127.0.0.1:8000/media/a.png"}
    message = card()
    message["contents"]["hero"] = hero

    assert push(line, HANA, message).status_code == 200


def test_validate_looks_at_messages_and_sends_nothing(line):
    good = call(line, "message/validate/push", {"messages": [card()]})
    bad = call(line, "message/validate/push", {"messages": []})

    assert [good.status_code, bad.status_code] == [200, 400]
    assert line.counts() == {}


def test_followers_come_in_pages(line):
    line.unfollow(HANA)
    first = call(line, "followers/ids?limit=1", method="GET").json()
    start = first["next"]
    second = call(line, f"followers/ids?limit=1&start={start}", method="GET").json()

    assert first["userIds"] == []
    assert second == {"userIds": [KEN]}


def test_an_unverified_account_may_not_list_followers(line):
    line.add_channel(verified=False)

    assert call(line, "followers/ids", method="GET").status_code == 403


def test_profiles_of_those_who_blocked_are_not_found(line):
    line.unfollow(HANA)

    statuses = [
        call(line, f"profile/{user_id}", method="GET").status_code
        for user_id in (KEN, HANA, LIN, "nobody")
    ]

    assert statuses == [200, 404, 404, 400]


def test_the_webhook_address_can_be_set_and_tested(line, shop):
    missing = call(line, "channel/webhook/test", {})
    put = call(line, "channel/webhook/endpoint", {"endpoint": shop.url}, method="PUT")
    tested = call(line, "channel/webhook/test", {})
    read = call(line, "channel/webhook/endpoint", method="GET")

    assert [missing.status_code, put.status_code] == [404, 200]
    assert tested.json()["success"] is True
    assert read.json() == {"endpoint": shop.url, "active": True}
    assert b'"events":[]' in shop.received[0][0]


def test_the_signature_is_the_one_line_publishes():
    body = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'

    signature = sign("8c570fa6dd201bb328f1c1eac23a96d8", body)

    assert signature == "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="


def test_a_failed_webhook_is_redelivered_only_when_that_is_on(line, shop):
    shop.statuses += [500, 500]
    line.add_channel(webhook_url=shop.url)
    line.follow(HANA)
    line.wait_for_webhooks()
    line.add_channel(redelivery=True)
    event_id = line.follow(KEN)
    line.wait_for_webhooks()

    once, twice = line.webhook_log()
    assert [attempt["status"] for attempt in once["tries"]] == [500]
    assert [attempt["status"] for attempt in twice["tries"]] == [500, 200]
    assert twice["event_id"] == event_id
    first, second = (body for body, _ in shop.received[1:])
    assert second == first.replace(b'"isRedelivery":false', b'"isRedelivery":true')


def test_a_webhook_nobody_takes_is_logged_in_lines_words(line):
    line.add_channel(webhook_url="http://127.0.0.1:9/hook")
    line.follow(HANA)
    line.wait_for_webhooks()

    assert line.webhook_log()[0]["tries"][0]["reason"] == "could_not_connect"
