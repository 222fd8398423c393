"""Answers that make no sense: the row or the run says so, and the look goes on.

A small server stands for each provider and answers as no sandbox would.
"""

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from providers.tests.servers import reply, serving
from sync.models import Difference
from sync.tests.looks import (
    Clock,
    Watch,
    make_publication,
    make_remote,
    watch_line,
)
from testing.factories import make_connection

pytestmark = pytest.mark.django_db

GOOD = {
    "couponId": "GOOD",
    "title": "Good",
    "status": "RUNNING",
    "startTimestamp": 1_700_000_000,
    "endTimestamp": 4_000_000_000,
    "createdTimestamp": 1_700_000_000,
    "visibility": "PUBLIC",
    "maxUseCountPerTicket": 1,
    "acquisitionCondition": {"type": "normal"},
    "reward": {"type": "free"},
}
HTML = b"<!DOCTYPE html><title>Down for maintenance</title>"


def told(**changes):
    return json.dumps(GOOD | changes).encode()


def line_of(body, status=200):
    """LINE with one odd and one good coupon."""

    def answer(connection, request):
        path = request.split(b" ")[1].decode()
        found = urlsplit(path)
        name = unquote(found.path.rpartition("/")[2])
        if name == "coupon":
            status_asked = parse_qs(found.query)["status"][0]
            items = [{"couponId": one, "title": one} for one in ("ODD", "GOOD")]
            page = {"items": items if status_asked == "RUNNING" else []}
            reply(200, json.dumps(page).encode())(connection, request)
        elif name == "ODD":
            reply(status, body)(connection, request)
        else:
            reply(200, told())(connection, request)

    return answer


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (HTML, 200, "not a JSON object"),
        (b'{"couponId": "ODD", "tit', 200, "not a JSON object"),
        (b"", 200, "not a JSON object"),
        (b"[]", 200, "not a JSON object"),
        (b"{}", 200, "status is missing"),
        (told(status=7), 200, "status is not text"),
        (told(status="PAUSED"), 200, "status is new to us: PAUSED"),
        (told(endTimestamp="tomorrow"), 200, "endTimestamp is not a number"),
        (told(endTimestamp=10**18), 200, "endTimestamp"),
        (told(reward=[1, 2]), 200, "reward is not an object"),
        (told(title={"en": "x"}), 200, "title is not text"),
        (told(acquisitionCondition={"type": "raffle"}), 200, "is new to us: raffle"),
        (told(couponId="ANOTHER"), 200, "couponId is that of another coupon"),
        (b'{"message": "no"}', 403, "403"),
        (b"teapot", 418, "418"),
        (HTML, 500, "no proper answer"),
        (HTML, 302, "302"),
        (b"[" * 5_000, 200, "not a JSON object"),
    ],
)
def test_odd_details_of_one_line_coupon(settings, body, status, words):
    with serving(line_of(body, status)) as server:
        settings.LINE_API_URL = server.url
        watch = watch_line()

        run = watch.look()

    rows = watch.coupons()
    assert run.state == "done"
    assert words in rows["ODD"].problem
    assert (rows["GOOD"].problem, rows["GOOD"].raw["title"]) == ("", "Good")
    assert Difference.objects.count() == 0


def test_nul_and_half_surrogates_in_details_are_stored_without_them(settings):
    body = b'{"status": "RUNNING", "title": "a\\u0000b\\ud800c", "x": 1e999}'
    with serving(line_of(body)) as server:
        settings.LINE_API_URL = server.url
        watch = watch_line()

        run = watch.look()

    row = watch.coupons()["ODD"]
    assert run.state == "done"
    assert (row.title, row.raw["x"]) == ("a b c", None)


def test_list_that_never_ends_stops_the_look(settings):
    """Each page names itself as the next one."""
    page = {"items": [{"couponId": "A", "title": "A"}], "next": "again"}
    with serving(reply(200, json.dumps(page).encode())) as server:
        settings.LINE_API_URL = server.url
        watch = watch_line()

        run = watch.glance()

    assert run.state == "running"
    assert "does not come to an end" in run.problem
    assert len(server.requests) == 2  # the first page, and itself again


@pytest.mark.parametrize("body", [HTML, b'{"items": [', b"", b"7", b'{"items": {}}'])
def test_list_that_is_none_is_tried_again_later(settings, body):
    with serving(reply(200, body)) as server:
        settings.LINE_API_URL = server.url
        watch = watch_line()

        run = watch.glance()

    assert (run.state, run.failures) == ("running", 1)
    assert run.next_try_at > run.started_at
    assert run.problem


def test_items_without_an_id_are_said_in_the_run(settings):
    items = [{"couponId": "A", "title": "A"}, {"title": "B"}, 7, {"couponId": ["C"]}]
    page = json.dumps({"items": items}).encode()

    def answer(connection, request):
        is_list = b"?status=" in request
        reply(200, page if is_list else told(couponId="A"))(connection, request)

    with serving(answer) as server:
        settings.LINE_API_URL = server.url
        watch = watch_line()

        run = watch.look()

    assert run.state == "done"
    assert list(watch.coupons()) == ["A"]
    assert "couponId" in run.problem


# --- Paddle ------------------------------------------------------------------------------

CODE = {
    "coupon": "CODE-1",
    "discount_type": "percentage",
    "discount_amount": 0.2,
    "allowed_uses": 1,
    "times_used": 0,
    "is_recurring": False,
    "expires": None,
    "description": "",
}


def paddle_watch(settings, url):
    settings.PADDLE_API_URL = url
    connection = make_connection(
        provider="paddle", account_id="123", access_token="abc"
    )
    terms = {
        "coupon_type": "checkout",
        "discount_type": "percentage",
        "discount_amount": "20",
        "allowed_uses": 1,
        "recurring": 0,
    }
    publication = make_publication(connection, terms=terms)
    make_remote(publication, "CODE-1")
    return Watch(connection, Clock())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"times_used": "many"}, "times_used is not a number"),
        ({"times_used": -3}, "times_used is negative"),
        ({"discount_type": "bogof"}, "discount_type is new to us: bogof"),
        ({"expires": "soon"}, "expires cannot be read"),
        ({"allowed_uses": []}, "allowed_uses is not a number"),
    ],
)
def test_odd_fields_of_a_paddle_code(settings, changes, words):
    page = {"success": True, "response": [CODE | changes]}
    with serving(reply(200, json.dumps(page).encode())) as server:
        watch = paddle_watch(settings, server.url)

        run = watch.look()

    row = watch.coupons()["CODE-1"]
    assert run.state == "done"
    assert words in row.problem
    assert (row.missing_since, row.used) == (None, 0 if row.used == 0 else None)


def test_huge_use_count_is_stored_as_the_most_there_can_be(settings):
    page = {"success": True, "response": [CODE | {"times_used": 2**40}]}
    with serving(reply(200, json.dumps(page).encode())) as server:
        watch = paddle_watch(settings, server.url)

        run = watch.look()

    assert run.state == "done"
    assert watch.coupons()["CODE-1"].used == 2**31 - 1


@pytest.mark.parametrize(
    "body",
    [HTML, b"", b'{"success": tr', b'{"success": true}', b'{"success": "yes"}', b"[]"],
)
def test_paddle_list_that_is_none_is_tried_again_later(settings, body):
    with serving(reply(200, body)) as server:
        watch = paddle_watch(settings, server.url)

        run = watch.glance()

    assert (run.state, run.failures) == ("running", 1)
    assert watch.coupons()["CODE-1"].missing_since is None


def test_codes_that_could_not_be_read_are_not_said_to_be_missing(settings):
    page = {"success": True, "response": [{"code": "CODE-1"}, 7]}
    with serving(reply(200, json.dumps(page).encode())) as server:
        watch = paddle_watch(settings, server.url)

        run = watch.look()

    row = watch.coupons()["CODE-1"]
    assert run.state == "done"
    assert row.missing_since is None
    assert "no coupon code" in row.problem


def test_paddle_that_gives_no_list_at_all_is_asked_code_by_code(settings):
    """Whether codes for the whole checkout are listed without a product: nobody knows."""

    def answer(connection, request):
        is_single = b"coupon=CODE-1" in request
        error = {"success": False, "error": {"code": 116, "message": "Missing"}}
        page = {"success": True, "response": [CODE]}
        reply(200, json.dumps(page if is_single else error).encode())(
            connection, request
        )

    with serving(answer) as server:
        watch = paddle_watch(settings, server.url)

        run = watch.look()

    row = watch.coupons()["CODE-1"]
    assert run.state == "done"
    assert row.raw["coupon"] == "CODE-1"
    assert "Missing" in run.problem


def test_paddle_list_that_gives_the_same_page_for_ever_stops_the_look(settings):
    page = {"success": True, "response": [CODE] * 500}
    with serving(reply(200, json.dumps(page).encode())) as server:
        watch = paddle_watch(settings, server.url)

        run = watch.glance()

    assert (run.state, run.failures) == ("running", 1)
    assert "does not come to an end" in run.problem


# --- Vivoldi -----------------------------------------------------------------------------

NUMBER = {
    "cpnNo": "AAAA1111",
    "nm": "Spring latte",
    "discTypeIdx": 457,
    "disc": 20.0,
    "strtYmd": "2026-01-01",
    "endYmd": "2099-12-31",
    "useLimit": 1,
    "useCnt": 0,
    "onsiteYn": "N",
    "url": "",
}


def vivoldi_watch(settings, url):
    settings.VIVOLDI_API_URL = url
    connection = make_connection(provider="vivoldi", account_id="", access_token="key")
    terms = {name: NUMBER[name] for name in ("nm", "discTypeIdx", "disc", "useLimit")}
    terms |= {"strtYmd": NUMBER["strtYmd"], "endYmd": NUMBER["endYmd"]}
    publication = make_publication(connection, terms=terms)
    make_remote(publication, "AAAA1111")
    return Watch(connection, Clock())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(200, HTML), "no JSON"),
        (reply(200, b'{"code": 0, "resu'), "no JSON"),
        (reply(200, b""), "no JSON"),
        (reply(200, b'{"code": 0, "result": null}'), "no coupon"),
        (reply(200, b'{"code": 0, "result": [1]}'), "no coupon"),
        (reply(200, b'{"code": {}, "result": {}}'), "no JSON"),
        (reply(404, b"{}"), "404"),
        (reply(500, HTML), "no proper answer"),
    ],
)
def test_odd_answers_about_a_vivoldi_number(settings, answer, words):
    with serving(answer) as server:
        watch = vivoldi_watch(settings, server.url)

        run = watch.look()

    row = watch.coupons()["AAAA1111"]
    assert run.state == "done"
    assert words in row.problem
    assert (row.missing_since, row.told) == (None, "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"useCnt": "x"}, "useCnt is not a number"),
        ({"discTypeIdx": 999}, "discTypeIdx is new to us: 999"),
        ({"endYmd": "31/12/2026"}, "endYmd cannot be read"),
        ({"endYmd": "9999-12-31"}, ""),
    ],
)
def test_odd_fields_of_a_vivoldi_number(settings, changes, words):
    body = json.dumps({"code": 0, "result": NUMBER | changes}).encode()
    with serving(reply(200, body)) as server:
        watch = vivoldi_watch(settings, server.url)

        run = watch.look()

    assert run.state == "done"
    assert words in watch.coupons()["AAAA1111"].problem


def test_password_of_vivoldis_staff_button_is_never_stored(settings):
    body = json.dumps({"code": 0, "result": NUMBER | {"onsitePwd": "90210"}}).encode()
    with serving(reply(200, body)) as server:
        watch = vivoldi_watch(settings, server.url)

        watch.look()

    assert "90210" not in json.dumps(watch.coupons()["AAAA1111"].raw)
