import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import ProviderError
from providers.line_webhook import is_signed, parse

# LINE's public sample.
SECRET = "8c570fa6dd201bb328f1c1eac23a96d8"
RAW = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
SIGNATURE = "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="

FOLLOW = {
    "type": "follow",
    "mode": "active",
    "timestamp": 1700000000123,
    "source": {"type": "user", "userId": "U" + "a" * 32},
    "webhookEventId": "01H810YECXQQZ37VAXPF6H9E6T",
    "deliveryContext": {"isRedelivery": False},
    "follow": {"isUnblocked": True},
}


def events(*found):
    return parse(json.dumps({"destination": "U1", "events": found}).encode()).events


def signed(raw, secret):
    digest = hmac.new(secret.encode(), raw, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def test_lines_own_sample_is_signed():
    assert is_signed(RAW, SIGNATURE, [SECRET])
    assert is_signed(RAW, SIGNATURE, ["new", SECRET])
    assert is_signed(RAW, SIGNATURE, [SECRET, "new"])


@pytest.mark.parametrize(
    "signature",
    [None, "", "x", "あ", "\ud800", SIGNATURE[:-1], SIGNATURE + " ", SIGNATURE.lower()],
)
def test_another_signature_is_refused(signature):
    assert not is_signed(RAW, signature, [SECRET])


def test_another_body_or_secret_is_refused():
    assert not is_signed(RAW + b" ", SIGNATURE, [SECRET])
    assert not is_signed(RAW, SIGNATURE, ["x"])
    assert not is_signed(RAW, SIGNATURE, [])


def test_an_empty_secret_signs_nothing():
    assert not is_signed(RAW, signed(RAW, ""), [""])
    assert not is_signed(RAW, signed(RAW, ""), ["", SECRET])


def test_a_call_without_events():
    envelope = parse(RAW)

    assert envelope.destination == "U8e742f61d673b39c7fff3cecb7536ef0"
    assert envelope.events == ()


def test_an_event():
    (event,) = events(FOLLOW)

    assert event.event_id == "01H810YECXQQZ37VAXPF6H9E6T"
    assert event.kind == "follow"
    assert event.occurred_at == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
    assert event.user_id == "U" + "a" * 32
    assert event.is_redelivery is False
    assert event.raw == FOLLOW


def test_unknown_types_are_kept_and_what_is_no_event_is_skipped():
    found = events({"type": "brandNew", "x": [1]}, 7, None, "x", [], {})

    assert [event.kind for event in found] == ["brandNew", ""]
    assert found[0].raw == {"type": "brandNew", "x": [1]}


def test_an_event_without_an_id_has_the_same_one_when_delivered_again():
    bare = {key: value for key, value in FOLLOW.items() if key != "webhookEventId"}
    again = dict(reversed(bare.items())) | {"deliveryContext": {"isRedelivery": True}}
    later = bare | {"timestamp": 1700000000124}

    ids = [event.event_id for event in events(bare, again, later)]

    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) <= 64


@pytest.mark.parametrize("event_id", [None, 5, "", " ", "x" * 65, "a\x07b", {}])
def test_a_useless_id_is_replaced(event_id):
    (event,) = events(FOLLOW | {"webhookEventId": event_id})

    assert event.event_id.startswith("sha256-")


@pytest.mark.parametrize(
    "timestamp", [None, "1", True, [], 10**30, -(10**30), 1e300, 10**400]
)
def test_a_useless_time_is_older_than_every_other(timestamp):
    (event,) = events(FOLLOW | {"timestamp": timestamp})

    assert event.occurred_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "source", [None, 5, [], {}, {"userId": None}, {"userId": 5}, {"userId": ""}]
)
def test_an_event_may_name_nobody(source):
    (event,) = events(FOLLOW | {"source": source, "deliveryContext": source})

    assert event.user_id is None
    assert event.is_redelivery is False


def test_raw_can_be_stored_in_postgresql():
    (event,) = events(
        {"message": {"text": "a\x00b\ud83dc\ud83d\ude00", "\x00": [1e308]}}
    )

    assert event.raw == {"message": {"text": "a\ufffdb\ufffdc😀", "\ufffd": [1e308]}}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"events":7}',
        b'{"events":{}}',
        b'{"events":null}',
        b'{"events":[NaN]}',
        b"[" * 200_000,
        b'{"events":[' + b"[" * 200_000,
    ],
)
def test_what_is_no_webhook_is_a_provider_error(raw):
    with pytest.raises(ProviderError):
        parse(raw)


@pytest.mark.parametrize("depth", [100, 400, 900, 990])
def test_deep_nesting_is_read_or_refused(depth):
    raw = b'{"events":[{"a":' + b"[" * depth + b"]" * depth + b"}]}"
    try:
        parse(raw)
    except ProviderError:
        pass


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(sorted(FOLLOW)), json_values))
def test_whatever_an_event_holds_it_is_read(found):
    (event,) = parse(json.dumps({"events": [found]}).encode()).events

    assert event.occurred_at.tzinfo is UTC
    json.dumps(event.raw, allow_nan=False).encode()


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw):
    try:
        parse(raw)
    except ProviderError:
        pass
