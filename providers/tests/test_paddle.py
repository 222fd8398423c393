"""Paddle Classic: a 200 that says no, fractions for per cent, and odd answers."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs

import pytest

from providers.errors import (
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
    Unreadable,
)
from providers.paddle import PaddleClient
from providers.tests.servers import (
    cut,
    patience,
    refused_port,
    reply,
    reset,
    serving,
    silence,
)

CODE = "cafe" * 8
# As Paddle's manual prints it.
LISTED = {
    "coupon": "56604810a6990",
    "description": "56604810a6dcd",
    "discount_type": "percentage",
    "discount_amount": 0.5,
    "discount_currency": "USD",
    "allowed_uses": 3,
    "times_used": 2,
    "is_recurring": True,
    "expires": "2020-12-03 00:00:00",
}
NOT_ANSWERS = [b"", b"<html>", b'{"success":tr', b"[]", b"{}", b'{"success":"yes"}']
QUESTIONS = {
    "create": lambda paddle: paddle.create({"coupon_code": "SPRING"}),
    "page": lambda paddle: paddle.page(product_id=1),
    "update": lambda paddle: paddle.update(code="SPRING", fields={"expires": ""}),
    "delete": lambda paddle: paddle.delete("SPRING"),
}


def client(url, **options):
    options = {"allow_local": True, "deadline": 5.0} | options
    return PaddleClient(f"{url}/paddle.com", 123, CODE, **options)


def yes(response=None, **more):
    body = {"success": True, "response": response} | more
    return reply(200, json.dumps(body).encode())


def no(code, message="No."):
    body = {"success": False, "error": {"code": code, "message": message}}
    return reply(200, json.dumps(body).encode())


def ask(answer, question):
    """What the question comes to, the path, and the form that was sent."""
    with serving(answer) as server:
        found = question(client(server.url))
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    method, path, _ = head.split(b"\r\n")[0].decode().split()
    assert method == "POST"
    assert b"content-type: application/x-www-form-urlencoded" in head.lower()
    form = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)
    return found, path, {name: values[0] for name, values in form.items()}


def refusal(answer, question, kind):
    with serving(answer) as server, pytest.raises(kind) as raised:
        question(client(server.url, deadline=patience(answer)))
    assert CODE not in repr(raised.value) + str(raised.value)
    return raised.value


def listed(**changed):
    row = {
        name: value for name, value in (LISTED | changed).items() if value is not ...
    }
    page, _, _ = ask(yes([row], count=1, total=1), QUESTIONS["page"])
    return page.coupons[0]


# --- what is sent ----------------------------------------------------------------------


def test_create_sends_its_fields_as_a_form_and_gives_the_codes():
    fields = {
        "coupon_code": "SPRING-Ü&=",
        "discount_amount": Decimal("12.50"),
        "recurring": True,
        "allowed_uses": 1,
        "group": None,
        "expires": "",
    }
    codes, path, form = ask(
        yes({"coupon_codes": ["SPRING-Ü&="]}), lambda paddle: paddle.create(fields)
    )

    assert codes == ("SPRING-Ü&=",)
    assert path == "/paddle.com/api/2.1/product/create_coupon"
    assert form == {
        "coupon_code": "SPRING-Ü&=",
        "discount_amount": "12.50",
        "recurring": "1",
        "allowed_uses": "1",
        "expires": "",
        "vendor_id": "123",
        "vendor_auth_code": CODE,
    }


def test_a_list_is_asked_for_by_product_code_and_place():
    _, path, form = ask(
        yes([]),
        lambda paddle: paddle.page(
            product_id=5, code="A", limit=50, offset=100, is_valid=False
        ),
    )

    assert path == "/paddle.com/api/2.0/product/list_coupons"
    assert form == {
        "product_id": "5",
        "coupon": "A",
        "limit": "50",
        "offset": "100",
        "is_valid": "0",
        "vendor_id": "123",
        "vendor_auth_code": CODE,
    }


@pytest.mark.parametrize("which", [{"code": "A"}, {"group": "A"}])
def test_an_update_is_of_a_code_or_of_a_group(which):
    updated, path, form = ask(
        yes({"updated": 3}), lambda paddle: paddle.update(**which, fields={"a": 1})
    )

    [(name, value)] = which.items()
    assert updated == 3
    assert path == "/paddle.com/api/2.1/product/update_coupon"
    assert form["coupon_code" if name == "code" else "group"] == value
    assert ("coupon_code" in form) != ("group" in form)


@pytest.mark.parametrize("which", [{}, {"code": "A", "group": "B"}])
def test_an_update_of_neither_or_both_is_a_mistake_of_ours(which):
    with pytest.raises(ValueError, match="of a code or of a group"):
        client("http://127.0.0.1:1").update(**which, fields={})


@pytest.mark.parametrize("product_id", [None, 7])
def test_delete_names_a_product_where_there_is_one(product_id):
    found, path, form = ask(
        yes(), lambda paddle: paddle.delete("A", product_id=product_id)
    )

    assert found is None
    assert path == "/paddle.com/api/2.0/product/delete_coupon"
    assert form.get("product_id") == (str(product_id) if product_id else None)


# --- what is answered --------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (132, Refused),
        ("135", Refused),
        (102, Unauthorised),
        (107, Unauthorised),
        (111, Unauthorised),
        (112, Unauthorised),
        (120, Unclear),
    ],
)
def test_a_200_that_says_no_is_a_no(question, code, kind):
    error = refusal(no(code, "Coupon code taken"), question, kind)

    assert str(error) == f"Coupon code taken ({code})"
    if kind is not Unclear:
        assert (error.status, error.code) == (200, int(code))


@pytest.mark.parametrize("error", [None, 7, {"code": "x"}, {"message": 5}, []])
def test_a_no_without_a_reason_is_still_a_no(error):
    answer = reply(200, json.dumps({"success": False, "error": error}).encode())

    assert refusal(answer, QUESTIONS["create"], Refused).code is None


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(401), Unauthorised),
        (reply(403), Refused),
        (reply(405), Refused),
        (reply(429), TooMany),
        (cut(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n{"), Refused),
        (reply(500), Unclear),
        (reply(302), Unclear),
        (cut(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), Unclear),
        (reply(200, b"x" * 2_000_000), Unclear),
        (reset, Unclear),
        (silence, Unclear),
    ],
    ids="401 403 405 429 403-cut 500 302 200-cut huge reset silence".split(),
)
def test_other_answers_mean_the_same_to_every_question(question, answer, kind):
    refusal(answer, question, kind)


@pytest.mark.parametrize("body", NOT_ANSWERS)
@pytest.mark.parametrize("question", ["create", "update", "delete"])
def test_after_an_unreadable_200_it_may_have_been_done(question, body):
    refusal(reply(200, body), QUESTIONS[question], Unclear)


@pytest.mark.parametrize("body", [*NOT_ANSWERS, b'{"success":true,"response":{}}'])
def test_a_list_that_is_none_is_unreadable(body):
    refusal(reply(200, body), QUESTIONS["page"], Unreadable)


@pytest.mark.parametrize("response", [None, {}, {"coupon_codes": []}, ["A"], {"a": 1}])
def test_a_create_that_names_no_code_is_unclear(response):
    refusal(yes(response), QUESTIONS["create"], Unclear)


@pytest.mark.parametrize("response", [None, {}, {"updated": "many"}, {"updated": -1}])
def test_an_update_that_says_no_number_is_unclear(response):
    refusal(yes(response), QUESTIONS["update"], Unclear)


def test_nothing_was_sent_to_a_port_that_nobody_listens_at():
    with pytest.raises(Unreachable):
        client(f"http://127.0.0.1:{refused_port()}").page()


@pytest.mark.parametrize(("vendor_id", "auth_code"), [(0, CODE), (123, "")])
def test_without_who_we_are_nothing_is_sent(vendor_id, auth_code):
    with serving(yes([])) as server, pytest.raises(Unauthorised):
        PaddleClient(server.url, vendor_id, auth_code, allow_local=True).page()

    assert server.requests == []


def test_the_auth_code_is_in_nothing_that_is_printed():
    error = refusal(no(102, f"Bad key {CODE} given"), QUESTIONS["page"], Unauthorised)

    assert str(error) == "Bad key … given (102)"
    assert CODE not in repr(client("http://127.0.0.1:1"))


# --- what is listed ----------------------------------------------------------------------


def test_a_listed_code_is_read_whole():
    coupon = listed()

    assert coupon.code == "56604810a6990"
    assert (coupon.discount_type, coupon.amount) == ("percentage", Decimal(50))
    assert (coupon.allowed_uses, coupon.times_used) == (3, 2)
    assert coupon.is_recurring is True
    assert coupon.expires_at == datetime(2020, 12, 3, tzinfo=UTC)
    assert (coupon.raw, coupon.oddities) == (LISTED, ())


@pytest.mark.parametrize(
    ("amount", "percent"),
    [
        (0.25, "25"),
        ("0.25", "25"),
        (0.1, "10"),
        (0.07, "7"),
        (0.125, "12.5"),
        (1, "100"),
    ],
)
def test_a_fraction_is_given_as_per_cent(amount, percent):
    assert listed(discount_amount=amount).amount == Decimal(percent)


def test_money_is_given_as_it_is():
    coupon = listed(discount_type="flat", discount_amount="12.50")

    assert (coupon.amount, coupon.oddities) == (Decimal("12.50"), ())


def test_what_paddle_is_known_to_leave_out_is_nothing_odd():
    coupon = listed(discount_currency=None, expires=None, description=None)

    assert (coupon.currency, coupon.expires_at, coupon.oddities) == ("", None, ())


@pytest.mark.parametrize(
    ("changed", "oddity"),
    [
        ({"discount_amount": 25}, "discount_amount is no fraction; taken as per cent"),
        ({"discount_amount": "a lot"}, "discount_amount is not a number"),
        ({"discount_amount": ...}, "discount_amount is missing"),
        ({"discount_type": "bogof"}, "discount_type is new to us: bogof"),
        ({"times_used": None}, "times_used is missing"),
        ({"times_used": -1}, "times_used is negative"),
        ({"times_used": 1.5}, "times_used is not a whole number"),
        ({"allowed_uses": {}}, "allowed_uses is not a number"),
        ({"expires": "0000-00-00 00:00:00"}, "expires cannot be read: 0000-00-00 00"),
        ({"expires": 5}, "expires is not text"),
        ({"is_recurring": "sometimes"}, "is_recurring is neither yes nor no"),
    ],
    ids=str,
)
def test_what_is_odd_is_said_and_never_raised(changed, oddity):
    coupon = listed(**changed)

    assert len(coupon.oddities) == 1
    assert coupon.oddities[0].startswith(oddity)


def test_a_row_without_a_code_is_said_and_the_others_are_given():
    answer = yes([LISTED, 7, {"coupon": ""}, {}], count=4, total="4")

    page, _, _ = ask(answer, QUESTIONS["page"])

    assert [coupon.code for coupon in page.coupons] == [LISTED["coupon"]]
    assert (page.total, page.count) == (4, 4)
    assert page.oddities == tuple(
        f"response[{place}] has no coupon code" for place in (1, 2, 3)
    )


@pytest.mark.parametrize("total", [..., None, "many", -1])
def test_a_page_without_a_total_is_a_page(total):
    more = {} if total is ... else {"total": total}

    assert ask(yes([LISTED], **more), QUESTIONS["page"])[0].total is None
