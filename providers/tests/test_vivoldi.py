"""Vivoldi: numbers without dashes, a password that nobody may see, and odd answers."""

import json
from datetime import date
from decimal import Decimal

import pytest

from providers.errors import (
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
    Unreadable,
)
from providers.tests.servers import (
    cut,
    patience,
    refused_port,
    reply,
    reset,
    serving,
    silence,
)
from providers.vivoldi import VivoldiClient

KEY = "canary-key-77aa"
PASSWORD = "913377"
NUMBER = "ZJLF0399WQBEQZJM"
# After the sample in Vivoldi's manual.
TOLD = {
    "cpnNo": NUMBER,
    "domain": "https://vvd.bz",
    "nm": "Gift card worth 60 dollars",
    "discTypeIdx": 458,
    "disc": 60.0,
    "discCurrency": "USD",
    "formatDiscCurrency": "$60",
    "strtYmd": "2025-05-10",
    "endYmd": "2026-12-31",
    "useLimit": 1,
    "imgUrl": "https://file.vivoldi.com/coupon/x.png",
    "onsiteYn": "Y",
    "onsitePwd": PASSWORD,
    "memo": "",
    "url": "",
    "userId": "user08",
    "userNm": "Emily",
    "useCnt": 0,
    "regYmdt": "2025-06-11 18:10:34",
}
NOT_ANSWERS = [b"", b"<html>", b'{"code":0', b"[]", b"{}", b'{"code":"ok"}']
QUESTIONS = {
    "create": lambda vivoldi: vivoldi.create({"nm": "x"}),
    "update": lambda vivoldi: vivoldi.update({"cpnNo": NUMBER}),
    "delete": lambda vivoldi: vivoldi.delete(NUMBER),
    "validate": lambda vivoldi: vivoldi.validate(NUMBER),
    "redeem": lambda vivoldi: vivoldi.redeem(NUMBER, password=PASSWORD),
}


def client(url, **options):
    options = {"allow_local": True, "deadline": 5.0} | options
    return VivoldiClient(f"{url}/vivoldi.com", KEY, **options)


def said(result=None, code=0, message="", status=200):
    body = {"code": code, "message": message, "result": result}
    return reply(status, json.dumps(body).encode())


def ask(answer, question):
    """What the question comes to, its first line, and the JSON that was sent."""
    with serving(answer) as server:
        found = question(client(server.url))
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert f"Authorization: APIKey {KEY}".encode() in head
    # Vivoldi answers 403 without one.
    assert b"\r\nuser-agent: coupon-back-office\r\n" in head.lower()
    return found, head.split(b"\r\n")[0].decode(), json.loads(body) if body else None


def refusal(answer, question, kind):
    with serving(answer) as server, pytest.raises(kind) as raised:
        question(client(server.url, deadline=patience(answer)))
    for secret in (KEY, PASSWORD):
        assert secret not in repr(raised.value) + str(raised.value)
    return raised.value


def told(**changed):
    result = {
        name: value for name, value in (TOLD | changed).items() if value is not ...
    }
    return ask(said(result), QUESTIONS["validate"])[0]


# --- what is sent ----------------------------------------------------------------------


def test_create_sends_json_and_gives_the_number():
    fields = {"cpnNo": "ZJLF-0399-WQBE-QZJM", "disc": Decimal("60.50"), "memo": None}

    number, asked, body = ask(said(NUMBER), lambda vivoldi: vivoldi.create(fields))

    assert number == NUMBER
    assert asked == "POST /vivoldi.com/api/coupon/v1/create HTTP/1.1"
    assert body == {"cpnNo": NUMBER, "disc": 60.5}


def test_a_number_of_our_own_is_the_coupons_whatever_the_answer_says():
    found, _, _ = ask(said(None), lambda vivoldi: vivoldi.create({"cpnNo": NUMBER}))

    assert found == NUMBER


def test_update_sends_json():
    _, asked, body = ask(
        said(), lambda vivoldi: vivoldi.update({"cpnNo": "AB-CD", "memo": "x"})
    )

    assert asked == "PUT /vivoldi.com/api/coupon/v1/update HTTP/1.1"
    assert body == {"cpnNo": "ABCD", "memo": "x"}


@pytest.mark.parametrize(
    ("method", "call", "answer"),
    [("DELETE", "delete", said()), ("GET", "validate", said(TOLD))],
)
def test_a_number_is_asked_for_without_dashes(method, call, answer):
    number = "ZJLF-0399-WQBE-QZJM"

    _, asked, body = ask(answer, lambda vivoldi: getattr(vivoldi, call)(number))

    assert (
        asked == f"{method} /vivoldi.com/api/coupon/v1/{call}?cpnNo={NUMBER} HTTP/1.1"
    )
    assert body is None


def test_a_number_stays_one_value_of_the_query():
    _, asked, _ = ask(said(), lambda vivoldi: vivoldi.delete("A&b=c#d é"))

    assert asked.split()[1].endswith("?cpnNo=A%26b%3Dc%23d+%C3%A9")


def test_redeem_sends_what_there_is():
    _, asked, body = ask(said(), QUESTIONS["redeem"])
    _, _, more = ask(
        said(), lambda vivoldi: vivoldi.redeem(NUMBER, user_id="u", memo="till 3")
    )

    assert asked == "PUT /vivoldi.com/api/coupon/v1/redeem HTTP/1.1"
    assert body == {"cpnNo": NUMBER, "onsitePwd": PASSWORD}
    assert more == {"cpnNo": NUMBER, "userId": "u", "memo": "till 3"}


# --- what is answered --------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("code", [1, -1, 40001, "7"])
def test_a_code_that_is_not_0_is_a_no(question, code):
    error = refusal(said(code=code, message="Not yours."), question, Refused)

    assert (error.status, error.code, str(error)) == (200, int(code), "Not yours.")


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(401), Unauthorised),
        (reply(403, b"<html>Forbidden"), Refused),
        (said(code=9, message="Slow down", status=429), TooMany),
        (cut(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n{"), Refused),
        (reply(500), Unclear),
        (reply(302), Unclear),
        (cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), Unclear),
        (reply(200, b"x" * 2_000_000), Unclear),
        (reset, Unclear),
        (silence, Unclear),
    ],
    ids="401 403 429 403-cut 500 302 200-cut huge reset silence".split(),
)
def test_other_answers_mean_the_same_to_every_question(question, answer, kind):
    refusal(answer, question, kind)


@pytest.mark.parametrize("body", NOT_ANSWERS)
@pytest.mark.parametrize("question", ["create", "update", "delete", "redeem"])
def test_after_an_unreadable_200_it_may_have_been_done(question, body):
    refusal(reply(200, body), QUESTIONS[question], Unclear)


@pytest.mark.parametrize(
    "body", [*NOT_ANSWERS, b'{"code":0,"result":null}', b'{"code":0,"result":"x"}']
)
def test_a_look_that_shows_no_coupon_is_unreadable(body):
    refusal(reply(200, body), QUESTIONS["validate"], Unreadable)


@pytest.mark.parametrize("result", [None, "", 7, ["A"]])
def test_a_create_without_a_number_is_unclear(result):
    refusal(said(result), QUESTIONS["create"], Unclear)


def test_nothing_was_sent_to_a_port_that_nobody_listens_at():
    with pytest.raises(Unreachable):
        client(f"http://127.0.0.1:{refused_port()}").delete(NUMBER)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "é"])
def test_what_is_no_key_is_not_sent(key):
    with serving(said()) as server, pytest.raises(Unauthorised):
        VivoldiClient(server.url, key, allow_local=True).delete(NUMBER)

    assert server.requests == []


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_quotes_secrets_is_repeated_without_them(status):
    answer = said(code=3, message=f"{PASSWORD} is wrong for {KEY}", status=status)

    assert str(refusal(answer, QUESTIONS["redeem"], Refused)) == "… is wrong for …"


# --- what is told ------------------------------------------------------------------------


def test_a_coupon_is_read_whole():
    coupon = told()

    assert (coupon.number, coupon.name) == (NUMBER, "Gift card worth 60 dollars")
    assert (coupon.kind, coupon.amount, coupon.currency) == (458, Decimal(60), "USD")
    assert (coupon.starts_on, coupon.ends_on) == (
        date(2025, 5, 10),
        date(2026, 12, 31),
    )
    assert (coupon.use_limit, coupon.use_count, coupon.is_onsite) == (1, 0, True)
    assert coupon.oddities == ()


def test_the_password_is_in_nothing_that_is_kept_or_printed():
    deep = {"inner": [{"onsitePwd": PASSWORD, "OnsitePWD": PASSWORD, "a": 1}]}

    coupon = told(**deep)

    assert PASSWORD not in repr(coupon) + json.dumps(coupon.raw)
    assert coupon.raw["inner"] == [{"a": 1}]
    assert KEY not in repr(client("http://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("changed", "oddity"),
    [
        ({"cpnNo": "OTHER123"}, "cpnNo is that of another coupon"),
        ({"discTypeIdx": 459}, "discTypeIdx is new to us: 459"),
        ({"discTypeIdx": ...}, "discTypeIdx is missing"),
        ({"disc": "much"}, "disc is not a number"),
        ({"strtYmd": "05/10/2025"}, "strtYmd cannot be read: 05/10/2025"),
        ({"endYmd": 20261231}, "endYmd is not text"),
        ({"useCnt": ...}, "useCnt is missing"),
        ({"useCnt": "x"}, "useCnt is not a number"),
        ({"useLimit": -1}, "useLimit is negative"),
        ({"onsiteYn": "maybe"}, "onsiteYn is neither yes nor no"),
        ({"memo": ["a"]}, "memo is not text"),
    ],
    ids=str,
)
def test_what_is_odd_is_said_and_never_raised(changed, oddity):
    assert told(**changed).oddities == (oddity,)


def test_numbers_as_text_are_numbers():
    coupon = told(discTypeIdx="457", disc="12.5", useCnt="3")

    assert (coupon.kind, coupon.amount, coupon.use_count) == (457, Decimal("12.5"), 3)
    assert coupon.oddities == ()
