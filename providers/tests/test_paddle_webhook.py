"""Paddle's alerts: PHP's serialize, RSA with SHA-1, and what an alert tells."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from providers.errors import Unreadable
from providers.paddle_webhook import fields_of, is_signed, parse, serialize

ALERT = {
    "alert_id": "77",
    "alert_name": "payment_succeeded",
    "event_time": "2026-05-01 12:00:00",
    "order_id": "100-1",
    "coupon": "SPRING-Ü",
    "customer_name": "Canary Büyer 🎟",
    "email": "canary@example.com",
    "passthrough": "",
    "Zed": " kept as it is \n",
}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def public(key):
    return pem(key)


def pem(key):
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(key, fields, algorithm=None):
    raw = key.sign(serialize(fields), padding.PKCS1v15(), algorithm or SHA1())  # noqa: S303
    return base64.b64encode(raw).decode()


def test_fields_are_serialized_as_php_does():
    """What `php -r 'ksort($f); echo serialize($f);'` prints."""
    found = serialize({"b": "x", "a": "é€", "A": "", "a1": 'q"'})

    assert found.decode() == (
        'a:4:{s:1:"A";s:0:"";s:1:"a";s:5:"é€";s:2:"a1";s:2:"q"";s:1:"b";s:1:"x";}'
    )


def test_an_alert_that_paddle_signed_is_paddles(key, public):
    fields = fields_of(urlencode(ALERT).encode())

    assert fields == ALERT
    assert is_signed(fields, sign(key, ALERT), public)
    # With the signature among the fields, as it comes.
    assert is_signed(fields | {"p_signature": "any"}, sign(key, ALERT), public)


def test_bytes_that_are_no_utf_8_are_checked_as_they_came(key, public):
    fields = fields_of(b"alert_name=x&a=%ff%fe&b=%80")

    assert b's:2:"\xff\xfe"' in serialize(fields)
    assert is_signed(fields, sign(key, fields), public)
    json.dumps(parse(fields | {"coupon": "\udcff"}).kept).encode()


@pytest.mark.parametrize(
    "change",
    [{"coupon": "OTHER"}, {"more": ""}, {"passthrough": " "}, {"Zed": "kept as it is"}],
    ids=str,
)
def test_a_changed_field_breaks_the_signature(key, public, change):
    assert not is_signed(ALERT | change, sign(key, ALERT), public)


def test_nothing_odd_is_a_signature(key, public):
    good = sign(key, ALERT)

    for bad in (None, "", "A", "?", good[:-8], good + "AAAA", good[::-1], "é"):
        assert not is_signed(ALERT, bad, public)
    assert not is_signed(ALERT, sign(key, ALERT, SHA256()), public)


def test_no_other_key_will_do(key):
    good = sign(key, ALERT)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    curve = ec.generate_private_key(ec.SECP256R1())

    for text in (pem(other), pem(curve), "", "PEM", "é", "-----BEGIN PUBLIC KEY-----"):
        assert not is_signed(ALERT, good, text)


def test_an_alert_is_read_and_its_buyer_left_out():
    alert = parse(ALERT)

    assert (alert.alert_id, alert.kind) == ("77", "payment_succeeded")
    assert alert.occurred_at == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert (alert.coupon, alert.order_id) == ("SPRING-Ü", "100-1")
    assert set(alert.kept) == {
        "alert_id",
        "alert_name",
        "event_time",
        "order_id",
        "coupon",
    }
    assert "canary" not in (repr(alert) + json.dumps(alert.kept)).lower()


@pytest.mark.parametrize("name", [{}, {"alert_name": ""}, {"alert_name": "\x00"}])
def test_an_alert_without_a_name_is_none(name):
    with pytest.raises(Unreadable):
        parse({"alert_id": "1"} | name)


@pytest.mark.parametrize("time", ["", "soon", "2026-05-01T12:00:00Z", "0000-00-00"])
def test_an_alert_without_a_usable_time_never_beats_one_that_has_one(time):
    assert parse(ALERT | {"event_time": time}).occurred_at.year == 1970


def test_an_alert_without_an_id_has_one_of_its_content():
    ids = [
        parse(ALERT | {"alert_id": given, **more}).alert_id
        for given, more in (("", {}), ("", {}), ("", {"order_id": "2"}), ("x" * 65, {}))
    ]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(one.startswith("sha256-") for one in ids)


@pytest.mark.parametrize("raw", [b"", b"&&", b"\x00\x01", b"a=1&" * 501])
def test_what_is_no_form_is_unreadable_or_has_no_alert(raw):
    with pytest.raises(Unreadable):
        parse(fields_of(raw))
