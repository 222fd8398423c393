"""LINE's own Python client talks to the sandbox unchanged."""

import json

import pytest
from linebot.v3 import WebhookParser
from linebot.v3.messaging import (
    ApiClient,
    ApiException,
    Configuration,
    FlexContainer,
    FlexMessage,
    MessagingApi,
    MulticastRequest,
    PushMessageRequest,
    ReplyMessageRequest,
    TextMessage,
)
from linebot.v3.webhooks import (
    FollowEvent,
    MessageEvent,
    PostbackEvent,
    UnfollowEvent,
)

from sandbox.tests.client import KEY, card
from sandbox.tests.conftest import HANA, KEN, SECRET, TOKEN

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def connect(line, token=TOKEN):
    configuration = Configuration(host=line.url, access_token=token)
    configuration.retries = False
    return ApiClient(configuration)


@pytest.fixture
def api(line):
    with connect(line) as client:
        yield MessagingApi(client)


def push_text(api, text="Hello", key=None):
    request = PushMessageRequest(to=HANA, messages=[TextMessage(text=text)])
    return api.push_message_with_http_info(request, x_line_retry_key=key)


def test_text_and_flex_arrive_on_the_phone(line, api):
    contents = FlexContainer.from_dict(card()["contents"])
    flex = FlexMessage(altText="A coupon", contents=contents)

    answer = api.push_message(
        PushMessageRequest(to=HANA, messages=[TextMessage(text="Hello"), flex])
    )

    assert len(answer.sent_messages) == 2
    shown = line.messages(HANA)
    assert shown[0]["text"] == "Hello"
    assert shown[1]["contents"]["footer"]["contents"][0]["type"] == "button"
    assert line.counts() == {HANA: 1}


def test_the_same_key_again_is_a_409_that_names_the_first_request(line, api):
    first = push_text(api, key=KEY)

    with pytest.raises(ApiException) as refusal:
        push_text(api, key=KEY)

    assert refusal.value.status == 409
    accepted = refusal.value.headers["x-line-accepted-request-id"]
    assert accepted == first.headers["x-line-request-id"]
    assert refusal.value.headers["x-line-request-id"] != accepted
    repeated = json.loads(refusal.value.body)["sentMessages"]
    assert repeated[0]["id"] == first.data.sent_messages[0].id
    assert line.counts() == {HANA: 1}


def test_a_wrong_token_is_a_401(line):
    with connect(line, "wrong") as client, pytest.raises(ApiException) as refusal:
        push_text(MessagingApi(client))

    assert refusal.value.status == 401
    assert "Authentication failed" in refusal.value.body


def test_a_used_up_quota_is_a_429_and_sends_nothing(line, api):
    line.add_channel(quota=1)
    push_text(api)

    with pytest.raises(ApiException) as refusal:
        push_text(api, "One more")

    assert refusal.value.status == 429
    assert "monthly limit" in refusal.value.body
    assert line.counts() == {HANA: 1}
    assert api.get_message_quota().value == 1
    assert api.get_message_quota_consumption().total_usage == 1


def test_a_text_too_long_is_a_400_with_details(api):
    with pytest.raises(ApiException) as refusal:
        push_text(api, "😀" * 2501)

    assert refusal.value.status == 400
    [detail] = json.loads(refusal.value.body)["details"]
    assert detail["property"] == "messages[0].text"


def test_multicast_profile_info_and_followers(line, api):
    request = MulticastRequest(to=[HANA, KEN], messages=[TextMessage(text="Hello")])

    api.multicast(request, x_line_retry_key=KEY)

    assert line.counts() == {HANA: 1, KEN: 1}
    assert api.get_profile(HANA).display_name == "Hana"
    assert api.get_bot_info().display_name == "Sandbox"
    assert api.get_followers().user_ids == [HANA, KEN]


def test_webhooks_are_signed_and_parsed_as_what_they_are(line, shop):
    line.add_channel(webhook_url=shop.url)
    for act in (
        lambda: line.follow(KEN),
        lambda: line.say(KEN, "coupon ☕"),
        lambda: line.press(KEN, "get=1"),
        lambda: line.unfollow(KEN),
        lambda: line.follow(KEN),
    ):
        act()
        line.wait_for_webhooks()

    parser = WebhookParser(SECRET)
    events = [
        parser.parse(body.decode(), signature)[0] for body, signature in shop.received
    ]

    kinds = [FollowEvent, MessageEvent, PostbackEvent, UnfollowEvent, FollowEvent]
    assert [type(event) for event in events] == kinds
    assert events[1].message.text == "coupon ☕"
    assert events[2].postback.data == "get=1"
    assert [events[0].follow.is_unblocked, events[4].follow.is_unblocked] == [
        False,
        True,
    ]
    assert {event.source.user_id for event in events} == {KEN}
    assert len({event.webhook_event_id for event in events}) == 5


def test_a_reply_token_works_once_for_a_minute_and_costs_no_quota(line, api, shop):
    line.add_channel(webhook_url=shop.url, quota=0)
    line.say(HANA, "first")
    line.say(HANA, "second")
    line.wait_for_webhooks()
    tokens = [json.loads(body)["events"][0]["replyToken"] for body, _ in shop.received]
    replies = [
        ReplyMessageRequest(replyToken=token, messages=[TextMessage(text="Here")])
        for token in tokens
    ]

    api.reply_message(replies[0])
    with pytest.raises(ApiException, match="Invalid reply token"):
        api.reply_message(replies[0])
    line.advance(61)
    with pytest.raises(ApiException, match="Invalid reply token"):
        api.reply_message(replies[1])

    assert [message["text"] for message in line.messages(HANA)] == ["Here"]
