"""Vivoldi's coupon calls: the envelope, fields, rules, odd shapes."""

import http.client
import re
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.testing import start_sandbox

KEY = "a-key"
AT = 1_735_700_000.0  # 1 January 2025, noon in Korea
# The example request of Vivoldi's documentation of "Create coupon".
EXAMPLE = {
    "cpnNo": "",
    "grpIdx": 271,
    "tmplIdx": 0,
    "nm": "$5 discount coupon",
    "discTypeIdx": 458,
    "disc": 5,
    "strtYmd": "2025-01-01",
    "endYmd": "2025-12-31",
    "onsiteYn": "Y",
    "onsitePwd": "123456",
    "memo": "New Member Registration, IP: 211.111.222.33",
    "url": "https://bestshop.com",
    "useLimit": 1,
    "userId": "att78z",
    "userNm": "Brown Smith",
    "userPhnno": "+1 123-4567-8900",
    "userEml": "",
    "userEtc1": "Gold rating",
    "userEtc2": "",
}
COUPON = {
    "cpnNo": "CUP23456",
    "nm": "Ten per cent off",
    "discTypeIdx": 457,
    "disc": 10,
    "strtYmd": "2025-01-01",
    "endYmd": "2025-01-31",
}
DAY = 24 * 60 * 60


@pytest.fixture
def sandbox():
    with start_sandbox(clock=lambda: AT) as sandbox:
        sandbox.add_vivoldi(api_key=KEY)
        yield sandbox


def send(sandbox, call, data=None, *, key=KEY, agent="Our back office/1.0", **query):
    """One call as it comes back."""
    method = {"create": "POST", "validate": "GET", "delete": "DELETE"}.get(call, "PUT")
    return requests.request(
        method,
        f"{sandbox.vivoldi_url}/api/coupon/v1/{call}",
        json=data,
        params=query,
        headers={"Authorization": f"APIKey {key}", "User-Agent": agent},
        timeout=5,
    )


def ask(sandbox, call, data=None, **query):
    """The envelope of a call that is answered with 200."""
    answer = send(sandbox, call, data, **query)
    assert answer.status_code == 200
    assert set(answer.json()) == {"code", "message", "result"}
    return answer.json()


def make(sandbox, **fields):
    answer = ask(sandbox, "create", COUPON | fields)
    assert answer["code"] == 0, answer
    return answer["result"]


def is_refused(answer, words=""):
    no_result = answer["result"] is None
    return answer["code"] != 0 and words in answer["message"] and no_result


# --- The door -------------------------------------------------------------------------


def test_the_documented_example_is_answered_as_printed(sandbox):
    answer = ask(sandbox, "create", EXAMPLE)

    assert (answer["code"], answer["message"]) == (0, "")
    assert re.fullmatch(r"[A-Z0-9]{16}", answer["result"])


@pytest.mark.parametrize("agent", ["", "python-requests/2.34", "curl/8.5.0", "Java/21"])
def test_an_agent_of_no_name_of_its_own_is_shut_out(sandbox, agent):
    assert send(sandbox, "create", COUPON, agent=agent).status_code == 403
    assert sandbox.vivoldi_coupons() == []


def test_no_agent_at_all_is_shut_out(sandbox):
    host = urlsplit(sandbox.url).netloc
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request(
        "GET",
        "/vivoldi.com/api/coupon/v1/validate?cpnNo=X",
        headers={"Authorization": f"APIKey {KEY}"},
    )

    assert connection.getresponse().status == 403
    connection.close()


def test_a_wrong_key_is_refused(sandbox):
    answer = send(sandbox, "create", COUPON, key="another")

    assert answer.status_code == 401
    assert answer.json()["code"] != 0


def test_the_scheme_is_apikey_and_no_other(sandbox):
    answer = requests.get(
        f"{sandbox.vivoldi_url}/api/coupon/v1/validate",
        headers={"Authorization": f"Bearer {KEY}", "User-Agent": "ours"},
        timeout=5,
    )

    assert answer.status_code == 401


def test_the_free_plan_has_no_coupons(sandbox):
    sandbox.add_vivoldi(plan="free")

    assert is_refused(ask(sandbox, "create", COUPON), "Personal plan")


def test_a_plan_has_so_many_calls_a_minute(sandbox):
    sandbox.add_vivoldi(calls_a_minute=2)

    statuses = [send(sandbox, "validate", cpnNo="X").status_code for _ in range(3)]
    sandbox.advance(61)
    later = send(sandbox, "validate", cpnNo="X").status_code

    assert (statuses, later) == ([200, 200, 429], 200)


def test_a_plans_own_figure_holds_when_it_is_limited(sandbox):
    sandbox.add_vivoldi(plan="personal", is_limited=True)

    statuses = [send(sandbox, "validate", cpnNo="X").status_code for _ in range(181)]

    assert statuses.count(200) == 180
    assert statuses[-1] == 429


def test_other_paths_and_verbs_are_none(sandbox):
    base = f"{sandbox.vivoldi_url}/api/coupon/v1"

    assert requests.get(f"{base}/create", timeout=5).status_code == 405
    assert requests.get(f"{base}/list", timeout=5).status_code == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"[" * 99999])
def test_a_body_that_is_no_json_object_is_refused(sandbox, body):
    answer = requests.post(
        f"{sandbox.vivoldi_url}/api/coupon/v1/create",
        data=body,
        headers={
            "Authorization": f"APIKey {KEY}",
            "User-Agent": "ours",
            "Content-Type": "application/json",
        },
        timeout=5,
    )

    assert is_refused(answer.json())


# --- Create ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nm": None}, "nm is required"),
        ({"nm": ""}, "nm is required"),
        ({"disc": None}, "disc is required"),
        ({"disc": "10"}, "disc is a number"),
        ({"disc": True}, "disc is a number"),
        ({"disc": 0.5}, "out of range"),
        ({"disc": 10**400}, "out of range"),
        ({"discTypeIdx": 458, "disc": 10**12}, "out of range"),
        ({"nm": "half an emoji \ud83d"}, "nm is a text"),
        ({"disc": 101}, "out of range"),
        ({"discTypeIdx": 1}, "457 or 458"),
        ({"discTypeIdx": 458, "discCurrency": "TWD"}, "discCurrency"),
        ({"strtYmd": "01.01.2025"}, "strtYmd is a date"),
        ({"strtYmd": None}, "strtYmd is required"),
        ({"endYmd": "2025-02-30"}, "endYmd is a date"),
        ({"endYmd": "2024-12-31"}, "before"),
        ({"useLimit": 6}, "0 to 5"),
        ({"useLimit": -1}, "0 to 5"),
        ({"useLimit": 2}, "userId is required"),
        ({"grpIdx": 9}, "no such coupon group"),
        ({"tmplIdx": 9}, "no such coupon template"),
        ({"onsiteYn": "true"}, "Y or N"),
        ({"color": "red"}, "HEX"),
        ({"color": "#12345"}, "HEX"),
        ({"cpnNo": "CUP-23456"}, "8 to 16"),
        ({"cpnNo": "cup23456"}, "8 to 16"),
        ({"cpnNo": "CUP2345"}, "8 to 16"),
        ({"cpnNo": "", "cpnNoDigits": 10}, "16, 12 or 8"),
        ({"memo": 5}, "memo is a text"),
        ({"webhookEnableYn": "Y"}, "Enterprise"),
    ],
)
def test_a_wrong_field_is_refused_in_words_and_makes_nothing(sandbox, fields, words):
    answer = ask(sandbox, "create", COUPON | fields)

    assert is_refused(answer, words)
    assert sandbox.vivoldi_coupons() == []


def test_a_number_can_be_used_once(sandbox):
    make(sandbox)

    assert is_refused(ask(sandbox, "create", COUPON), "in use already")


@pytest.mark.parametrize("digits", [16, 12, 8])
def test_a_number_is_made_up_in_the_length_that_is_asked_for(sandbox, digits):
    assert len(make(sandbox, cpnNo="", cpnNoDigits=digits)) == digits


# --- Validate -------------------------------------------------------------------------


def test_validate_tells_all_of_a_coupon_and_the_password_in_clear(sandbox):
    number = ask(sandbox, "create", EXAMPLE | {"discCurrency": "USD"})["result"]

    answer = ask(sandbox, "validate", cpnNo=number)

    told = answer["result"]
    sent = {name: value for name, value in EXAMPLE.items() if name in told}
    assert {name: told[name] for name in sent} == sent | {"cpnNo": number}
    assert set(EXAMPLE) - set(sent) == {"grpIdx", "tmplIdx"}
    assert told["onsitePwd"] == "123456"
    assert (told["disc"], told["formatDiscCurrency"]) == (5.0, "$5")
    assert (told["useCnt"], told["useLimit"]) == (0, 1)
    assert told["regYmdt"] == "2025-01-01 11:53:20"


def test_validate_fails_before_after_and_when_used_up(sandbox):
    make(sandbox, strtYmd="2025-01-02", endYmd="2025-01-03")

    def validate():
        return ask(sandbox, "validate", cpnNo="CUP23456")

    early = validate()
    sandbox.advance(DAY)
    first_day = validate()
    sandbox.advance(DAY)
    last_day = validate()
    sandbox.vivoldi_use("CUP23456")
    used = validate()
    sandbox.advance(DAY)
    late = validate()

    assert is_refused(early, "yet")
    assert (first_day["code"], last_day["code"]) == (0, 0)
    assert is_refused(used, "already been used")
    assert is_refused(late, "expired")
    assert is_refused(ask(sandbox, "validate", cpnNo="CUP-23456"), "does not exist")


def test_a_groups_settings_beat_the_coupons(sandbox):
    beats = {"onsiteYn": "Y", "onsitePwd": "9999", "endYmd": "2024-12-31"}
    sandbox.add_vivoldi(groups=[{"grpIdx": 5, "name": "Old", "beats": beats}])
    make(sandbox, grpIdx=5)

    assert is_refused(ask(sandbox, "validate", cpnNo="CUP23456"), "expired")
    assert sandbox.vivoldi_coupons()[0]["onsitePwd"] == "9999"


# --- Update and delete ----------------------------------------------------------------


def test_an_update_changes_what_it_names(sandbox):
    make(sandbox)

    answer = ask(sandbox, "update", {"cpnNo": "CUP23456", "disc": 20, "memo": "New"})

    told = sandbox.vivoldi_coupons()[0]
    assert answer == {"code": 0, "message": "", "result": None}
    assert (told["disc"], told["memo"], told["nm"]) == (20, "New", "Ten per cent off")


def test_of_a_used_coupon_only_the_memo_can_be_changed(sandbox):
    make(sandbox, useLimit=0)
    sandbox.vivoldi_use("CUP23456")

    name = ask(sandbox, "update", {"cpnNo": "CUP23456", "nm": "Another", "memo": "x"})
    all_but_memo_same = ask(sandbox, "update", COUPON | {"useLimit": 0, "memo": "seen"})

    told = sandbox.vivoldi_coupons()[0]
    assert is_refused(name, "only its memo")
    assert all_but_memo_same["code"] == 0
    assert (told["nm"], told["memo"]) == ("Ten per cent off", "seen")


def test_a_wrong_update_changes_nothing(sandbox):
    make(sandbox)

    answer = ask(sandbox, "update", {"cpnNo": "CUP23456", "nm": "New", "disc": 101})

    assert is_refused(answer, "out of range")
    assert sandbox.vivoldi_coupons()[0]["nm"] == "Ten per cent off"


def test_delete_takes_one_by_its_number(sandbox):
    make(sandbox)

    deleted = ask(sandbox, "delete", cpnNo="CUP23456")
    again = ask(sandbox, "delete", cpnNo="CUP23456")

    assert deleted == {"code": 0, "message": "", "result": None}
    assert is_refused(again, "does not exist")
    assert sandbox.vivoldi_coupons() == []


# --- Redeem ---------------------------------------------------------------------------


def redeem(sandbox, **fields):
    return ask(sandbox, "redeem", {"cpnNo": "CUP23456"} | fields)


def test_redeem_takes_a_use_and_keeps_the_memo(sandbox):
    make(sandbox)

    first = redeem(sandbox, memo="Till 2")
    second = redeem(sandbox)

    told = sandbox.vivoldi_coupons()[0]
    assert first == {"code": 0, "message": "", "result": None}
    assert is_refused(second, "already been used")
    assert told["useCnt"] == 1
    assert told["uses"][0] == {"at": AT, "userId": "", "memo": "Till 2", "way": "api"}


def test_redeem_wants_the_password_of_a_coupon_that_has_one(sandbox):
    make(sandbox, onsiteYn="Y", onsitePwd="123456")

    without = redeem(sandbox)
    wrong = redeem(sandbox, onsitePwd="654321")
    right = redeem(sandbox, onsitePwd="123456")

    assert is_refused(without, "password")
    assert is_refused(wrong, "password")
    assert right["code"] == 0


def test_two_to_five_uses_want_a_user_and_the_api(sandbox):
    make(sandbox, useLimit=2, userId="att78z")

    without = redeem(sandbox)
    answers = [redeem(sandbox, userId="att78z")["code"] for _ in range(2)]
    third = redeem(sandbox, userId="att78z")

    assert is_refused(without, "userId")
    assert answers == [0, 0]
    assert is_refused(third, "already been used")


def test_two_to_five_uses_cannot_be_taken_by_hand(sandbox):
    make(sandbox, useLimit=2, userId="att78z")

    with pytest.raises(ValueError, match="redeemed by API"):
        sandbox.vivoldi_use("CUP23456", user_id="att78z")


def test_without_limit_means_it(sandbox):
    make(sandbox, useLimit=0)

    assert [redeem(sandbox)["code"] for _ in range(7)] == [0] * 7
    assert sandbox.vivoldi_coupons()[0]["useCnt"] == 7
