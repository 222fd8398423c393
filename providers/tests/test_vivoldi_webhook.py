"""Vivoldi's webhooks. How they are signed is unconfirmed: see the module."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from providers.errors import Unreadable
from providers.vivoldi_webhook import (
    BASES,
    TOLERANCE,
    envelope_of,
    is_signed,
    is_timely,
    is_whole,
    parse,
    sent_at_of,
    signed_base,
    time_and_body,
    time_ids_and_digest,
)

SECRET = "vivoldi-secret"
BODY = json.dumps(
    {"cpnNo": "ABCD-ef12", "useCnt": 1, "userNm": "Canary", "onsitePwd": "913377"}
).encode()
AT = datetime(2025, 9, 18, 8, 33, 11, 752000, tzinfo=UTC)
MS = "1758184391752"


def call(body=BODY, *, base=time_and_body, secret=SECRET, timestamp=MS, **changed):
    digest = hashlib.sha256(body).hexdigest()
    headers = {
        "x-vivoldi-request-id": "r1",
        "x-vivoldi-event-id": "e1",
        "x-vivoldi-resource-type": "COUPON",
        "x-vivoldi-action-type": "NONE",
        "x-vivoldi-timestamp": timestamp,
        "x-content-sha256": digest,
        "x-vivoldi-signature": f"t={timestamp},v1=,alg=hmac-sha256",
    }
    unsigned = envelope_of(headers, body)
    signature = hmac.new(secret.encode(), base(unsigned), hashlib.sha256).hexdigest()
    headers["x-vivoldi-signature"] = f"t={timestamp},v1={signature},alg=hmac-sha256"
    headers |= {name.replace("_", "-"): text for name, text in changed.items()}
    return envelope_of({k: v for k, v in headers.items() if v is not None}, body)


@pytest.mark.parametrize("base", BASES)
def test_each_of_the_likely_texts_is_taken(base):
    assert is_signed(call(base=base), [SECRET])
    assert is_signed(call(base=base), ["newer", SECRET])


@pytest.mark.parametrize("base", BASES)
def test_no_likely_text_leaves_the_time_or_the_body_open(base):
    for other in (call(b"{}"), call(timestamp="1758184391753")):
        assert base(other) != base(call())


def test_another_text_can_be_put_in_their_place():
    def other(envelope):
        return b"|".join([envelope.request_id.encode(), envelope.body])

    assert not is_signed(call(base=other), [SECRET])
    assert is_signed(call(base=other), [SECRET], [other])


@pytest.mark.parametrize("secrets", [[], [""], ["another"]])
def test_without_the_secret_nothing_is_signed(secrets):
    assert not is_signed(call(), secrets)


def test_an_empty_secret_signs_nothing():
    assert not is_signed(call(secret=""), ["", SECRET])


@pytest.mark.parametrize(
    "signature", [None, "", "v1=zz", f"t={MS},v1=", f"t={MS},v1={'0' * 64}", "é"]
)
def test_what_is_no_signature_signs_nothing(signature):
    assert not is_signed(call(x_vivoldi_signature=signature), [SECRET])


@pytest.mark.parametrize("digest", [None, "", "0" * 64, "é"])
def test_a_body_is_whole_only_with_its_own_hash(digest):
    assert is_whole(call())
    assert not is_whole(call(x_content_sha256=digest))


@pytest.mark.parametrize(
    "changed",
    [
        {"x_vivoldi_signature": "t=1,v1=00,alg=hmac-sha256"},
        {"x_vivoldi_signature": f"t={MS},v1=00,alg=none"},
    ],
)
def test_two_times_or_another_algorithm_are_unreadable(changed):
    with pytest.raises(Unreadable):
        call(**changed)


@pytest.mark.parametrize(
    ("timestamp", "sent_at"),
    [
        (MS, AT),
        ("1758184391", AT.replace(microsecond=0)),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 18, None),
    ],
)
def test_seconds_and_milliseconds_are_both_understood(timestamp, sent_at):
    assert sent_at_of(call(timestamp=timestamp)) == sent_at


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_was_not_sent_about_now_is_not_timely(sign):
    near, far = (AT + sign * (TOLERANCE + timedelta(seconds=s)) for s in (-1, 1))

    assert is_timely(call(), at=near)
    assert not is_timely(call(), at=far)
    assert not is_timely(call(timestamp="x"), at=AT)


def test_an_event_is_read_and_nobody_is_kept():
    event = parse(call(base=time_ids_and_digest), time_ids_and_digest)

    assert (event.event_id, event.kind, event.occurred_at) == ("e1", "coupon.none", AT)
    assert (event.number, event.use_count) == ("ABCDEF12", 1)
    assert event.kept == {"cpnNo": "ABCD-ef12", "useCnt": 1}


@pytest.mark.parametrize("name", ["payload", "data", "whatever"])
def test_a_coupon_right_inside_is_found(name):
    body = json.dumps({"a": 1, name: {"cpnNo": "ABCDEF12"}}).encode()

    assert parse(call(body), time_and_body).number == "ABCDEF12"


@pytest.mark.parametrize("body", [b'{"a":1}', b'{"cpnNo":7}', b'{"x":{"y":{}}}'])
def test_an_event_that_names_no_coupon_is_an_event(body):
    assert parse(call(body), time_and_body).number == ""


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{", b'{"a":' * 50_000])
def test_what_is_no_object_is_unreadable(body):
    with pytest.raises(Unreadable):
        parse(call(body), time_and_body)


@pytest.mark.parametrize(
    "changed", [{"x_vivoldi_event_id": None}, {"timestamp": "soon"}], ids=str
)
def test_an_event_without_an_id_or_a_time_is_unreadable(changed):
    with pytest.raises(Unreadable):
        parse(call(**changed), time_and_body)


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_what_is_not_signed_does_not_name_an_event(base):
    first = call(base=base)
    other = call(base=base, x_vivoldi_event_id="e2")

    same = parse(first, base).event_id == parse(other, base).event_id

    assert signed_base(first, [SECRET]) is base
    # Either the id counts, and then another one is not signed; or it does not count.
    assert same is (signed_base(other, [SECRET]) is base)


def test_where_one_signed_id_ends_and_the_next_begins_is_not_left_open():
    """With dots in them both are signed, and not which is which."""
    base = time_ids_and_digest
    first = call(base=base, x_vivoldi_request_id="r1", x_vivoldi_event_id="e.1")
    signed = call(base=base, x_vivoldi_request_id="r1", x_vivoldi_event_id="e.1")
    text = base(signed)
    other = replace(signed, request_id="r1.e", event_id="1")

    assert base(other) == text
    assert parse(other, base).event_id == parse(first, base).event_id
