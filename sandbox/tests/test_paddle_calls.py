"""Paddle's coupon calls: fields, rules, odd shapes."""

import re

import pytest
import requests

from sandbox.testing import start_sandbox

AUTH = {"vendor_id": 12345, "vendor_auth_code": "abc1234..."}
# The example request of Paddle's documentation of "Create coupon".
EXAMPLE = {
    "coupon_prefix": "TEST-",
    "num_coupons": "5",
    "description": "Coupons created via the API.",
    "coupon_type": "product",
    "product_ids": "510509,511520,508649",
    "discount_type": "percentage",
    "discount_amount": "25",
    "allowed_uses": "1",
    "group": "My-Test-Group",
}
COUPON = {
    "coupon_code": "A-CODE",
    "coupon_type": "checkout",
    "discount_type": "percentage",
    "discount_amount": "25",
}
FLAT = {"discount_type": "flat", "discount_amount": "5.00", "currency": "USD"}
NOON = 1_790_000_000.0  # 21 September 2026


@pytest.fixture
def sandbox():
    with start_sandbox(clock=lambda: NOON) as sandbox:
        sandbox.add_paddle(vendor_id=12345, auth_code="abc1234...")
        yield sandbox


def ask(sandbox, call, *, version="2.1", auth=AUTH, json=False, **fields):
    """One call; the answer's JSON. Every one of these is HTTP 200."""
    url = f"{sandbox.paddle_url}/api/{version}/product/{call}"
    body = {"json" if json else "data": auth | fields}
    answer = requests.post(url, timeout=5, **body)
    assert answer.status_code == 200
    return answer.json()


def code_of(answer):
    """The code of a no."""
    assert answer["success"] is False
    assert answer["error"]["message"]
    return answer["error"]["code"]


def make(sandbox, **fields):
    answer = ask(sandbox, "create_coupon", **COUPON | fields)
    assert answer["success"], answer
    return answer["response"]["coupon_codes"]


# --- The request ----------------------------------------------------------------------


def test_the_documented_example_is_answered_as_printed(sandbox):
    answer = ask(sandbox, "create_coupon", **EXAMPLE)

    assert set(answer) == {"success", "response"}
    assert answer["success"] is True
    codes = answer["response"]["coupon_codes"]
    assert len(set(codes)) == 5
    assert all(re.fullmatch(r"TEST-[0-9A-F]{13}", code) for code in codes)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
@pytest.mark.parametrize("json", [False, True])
def test_all_calls_take_both_versions_and_both_encodings(sandbox, version, json):
    def call(name, **fields):
        return ask(sandbox, name, version=version, json=json, **fields)

    made = call("create_coupon", **COUPON)
    listed = call("list_coupons", coupon="A-CODE")
    updated = call("update_coupon", coupon_code="A-CODE", allowed_uses=3)
    deleted = call("delete_coupon", coupon_code="A-CODE")

    assert made["response"] == {"coupon_codes": ["A-CODE"]}
    assert (listed["count"], listed["total"]) == (1, 1)
    assert updated == {"success": True, "response": {"updated": 1}}
    assert deleted == {"success": True}


def test_another_verb_is_a_real_405(sandbox):
    url = f"{sandbox.paddle_url}/api/2.0/product/list_coupons"

    assert requests.get(url, timeout=5).status_code == 405


def test_a_path_paddle_does_not_have_is_its_error_101(sandbox):
    assert code_of(ask(sandbox, "explode_coupon")) == 101


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({}, 116),
        ({"vendor_id": 12345}, 116),
        (AUTH | {"vendor_auth_code": "bad"}, 102),
        (AUTH | {"vendor_id": 99}, 107),
        (AUTH | {"vendor_id": "x"}, 107),
    ],
)
def test_who_asks_has_to_say_so_in_the_body(sandbox, auth, code):
    assert code_of(ask(sandbox, "list_coupons", auth=auth)) == code


def test_half_an_emoji_is_refused(sandbox):
    answer = ask(sandbox, "create_coupon", json=True, **COUPON | {"group": "\ud83d"})

    assert code_of(answer) == 116


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"vendor_id": {}}', b"[" * 99999])
def test_a_body_that_is_no_json_object_is_refused(sandbox, body):
    answer = requests.post(
        f"{sandbox.paddle_url}/api/2.1/product/create_coupon",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=5,
    )

    assert code_of(answer.json()) == 116


# --- Create ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"coupon_type": ""}, 116),
        ({"coupon_type": "basket"}, 116),
        ({"coupon_type": "product"}, 116),
        ({"discount_type": ""}, 116),
        ({"discount_type": "cashback"}, 127),
        ({"discount_amount": ""}, 116),
        ({"discount_amount": "100"}, 128),
        ({"discount_amount": "-1"}, 128),
        ({"discount_amount": "NaN"}, 128),
        ({"discount_amount": "1e-400"}, 128),
        ({"discount_amount": "1e400"}, 128),
        ({"discount_amount": "ten"}, 128),
        (FLAT | {"discount_amount": "0.001"}, 129),
        (FLAT | {"currency": ""}, 134),
        (FLAT | {"currency": "EUR"}, 134),
        ({"currency": "EUR"}, 134),
        ({"product_ids": "1"}, 108),
        ({"product_ids": "510509,x"}, 108),
        ({"coupon_code": "four"}, 131),
        ({"coupon_code": "x" * 301}, 131),
        ({"coupon_prefix": "X-"}, 116),
        ({"num_coupons": "2"}, 116),
        ({"coupon_code": "", "num_coupons": "0"}, 116),
        ({"coupon_code": "", "num_coupons": "10001"}, 116),
        ({"allowed_uses": "many"}, 130),
        ({"allowed_uses": "-1"}, 137),
        ({"expires": "31.12.2099"}, 133),
        ({"expires": "2099-12-31 00:00:00"}, 133),
        ({"expires": "2099-02-30"}, 122),
        ({"expires": "2026-09-21"}, 138),
        ({"recurring": "yes"}, 116),
        ({"minimum_threshold": "a lot"}, 116),
        ({"description": "x" * 301}, 116),
    ],
)
def test_a_wrong_field_has_paddles_code_and_makes_nothing(sandbox, fields, code):
    assert code_of(ask(sandbox, "create_coupon", **COUPON | fields)) == code

    assert sandbox.paddle_coupons() == []


def test_a_code_can_be_used_once_and_again_after_it_was_deleted(sandbox):
    make(sandbox)

    assert code_of(ask(sandbox, "create_coupon", **COUPON)) == 132

    ask(sandbox, "delete_coupon", coupon_code="A-CODE")
    assert make(sandbox) == ["A-CODE"]


def test_uses_have_no_end_unless_they_are_given(sandbox):
    make(sandbox)

    assert sandbox.paddle_coupons()[0]["allowed_uses"] == 999999


def test_an_account_may_want_a_currency_for_a_percentage_too(sandbox):
    sandbox.add_paddle(needs_currency=True)

    assert code_of(ask(sandbox, "create_coupon", **COUPON)) == 134
    assert make(sandbox, currency="USD") == ["A-CODE"]


# --- List -----------------------------------------------------------------------------


def codes_in(answer):
    return [row["coupon"] for row in answer["response"]]


def test_the_list_has_pages_of_500_at_most(sandbox):
    codes = make(sandbox, coupon_code="", num_coupons="501")

    first = ask(sandbox, "list_coupons", limit=2000)
    second = ask(sandbox, "list_coupons", offset=500)
    small = ask(sandbox, "list_coupons", limit=2, offset=3)

    assert codes_in(first) + codes_in(second) == codes
    assert (first["count"], first["total"]) == (500, 501)
    assert (second["count"], second["total"]) == (1, 501)
    assert codes_in(small) == codes[3:5]


def test_the_list_is_of_a_product_or_of_a_code(sandbox):
    make(sandbox, coupon_code="FOR-ONE", coupon_type="product", product_ids="510509")
    make(sandbox, coupon_code="FOR-ALL")

    assert codes_in(ask(sandbox, "list_coupons", product_id=510509)) == ["FOR-ONE"]
    assert codes_in(ask(sandbox, "list_coupons", product_id=511520)) == []
    assert codes_in(ask(sandbox, "list_coupons", coupon="FOR-ALL")) == ["FOR-ALL"]
    assert codes_in(ask(sandbox, "list_coupons", coupon="NO-SUCH")) == []
    assert code_of(ask(sandbox, "list_coupons", product_id=1)) == 108


def test_an_account_may_want_a_product_for_its_list(sandbox):
    sandbox.add_paddle(list_needs_product=True)

    assert code_of(ask(sandbox, "list_coupons")) == 116


def test_is_valid_parts_the_living_from_the_over_and_the_used_up(sandbox):
    make(sandbox, coupon_code="LIVING")
    make(sandbox, coupon_code="ENDING", expires="2026-09-22")
    make(sandbox, coupon_code="USED-UP", allowed_uses="1")
    sandbox.pay("USED-UP")
    sandbox.advance(24 * 60 * 60)

    valid = ask(sandbox, "list_coupons", is_valid="true")
    invalid = ask(sandbox, "list_coupons", is_valid=0)

    assert codes_in(valid) == ["LIVING"]
    assert codes_in(invalid) == ["ENDING", "USED-UP"]


def test_amounts_are_fractions_of_one_or_money_and_the_currency_is_null(sandbox):
    make(sandbox, coupon_code="SHARE", discount_amount="12.5")
    make(sandbox, coupon_code="MONEY", **FLAT)

    share, money = ask(sandbox, "list_coupons")["response"]

    assert (share["discount_amount"], share["expires"]) == (0.125, None)
    assert (money["discount_amount"], money["discount_currency"]) == (5.0, None)
    sandbox.add_paddle(tells_currency=True)
    row = ask(sandbox, "list_coupons", coupon="MONEY")["response"][0]
    assert row["discount_currency"] == "USD"


@pytest.mark.parametrize(
    "fields", [{"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"is_valid": "maybe"}]
)
def test_a_wrong_way_to_page_is_refused(sandbox, fields):
    make(sandbox)

    assert code_of(ask(sandbox, "list_coupons", **fields)) == 116


# --- Update ---------------------------------------------------------------------------


def update(sandbox, **fields):
    return ask(sandbox, "update_coupon", **fields)


def test_an_update_changes_what_it_names_and_empty_removes(sandbox):
    make(
        sandbox,
        coupon_type="product",
        product_ids="510509",
        expires="2099-01-01",
        minimum_threshold="10",
        group="old",
        description="stays",
    )

    update(
        sandbox,
        coupon_code="A-CODE",
        new_coupon_code="B-CODE",
        new_group="new",
        product_ids="",
        expires="",
        minimum_threshold="0",
        allowed_uses="9",
        recurring="1",
    )

    assert sandbox.paddle_coupons() == [
        {
            "code": "B-CODE",
            "coupon_type": "product",
            "discount_type": "percentage",
            "discount_amount": "25",
            "currency": "USD",
            "allowed_uses": 9,
            "product_ids": [],
            "times_used": 0,
            "recurring": True,
            "expires": "",
            "minimum_threshold": "",
            "group": "new",
            "description": "stays",
        }
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 116),
        ({"coupon_code": "A-CODE", "group": "g"}, 116),
        ({"coupon_code": "NO-SUCH"}, 135),
        ({"group": "no such"}, 135),
        ({"group": "g", "new_coupon_code": "B-CODE"}, 116),
        ({"coupon_code": "A-CODE", "new_coupon_code": "FLAT-CODE"}, 132),
        ({"coupon_code": "A-CODE", "new_coupon_code": "four"}, 131),
        ({"coupon_code": "A-CODE", "discount_amount": "30"}, 134),
        ({"coupon_code": "A-CODE", "discount_amount": "100", "currency": "USD"}, 128),
        ({"coupon_code": "FLAT-CODE", "allowed_uses": "3"}, 134),
        ({"coupon_code": "A-CODE", "allowed_uses": "0"}, 136),
        ({"coupon_code": "A-CODE", "allowed_uses": "-1"}, 137),
        ({"coupon_code": "A-CODE", "expires": "2020-01-01"}, 138),
        ({"group": "g", "allowed_uses": "0"}, 136),
    ],
)
def test_a_wrong_update_changes_nothing_of_any_coupon(sandbox, fields, code):
    make(sandbox, coupon_code="EARLIER", group="g", allowed_uses="5")
    make(sandbox, group="g", allowed_uses="5")
    make(sandbox, coupon_code="FLAT-CODE", **FLAT)
    sandbox.pay("A-CODE")
    before = sandbox.paddle_coupons()

    assert code_of(update(sandbox, **fields)) == code

    assert sandbox.paddle_coupons() == before


def test_a_group_is_updated_whole(sandbox):
    for name in ("ONE-CODE", "TWO-CODE"):
        make(sandbox, coupon_code=name, group="g")
    make(sandbox, coupon_code="NOT-IN-IT")

    answer = update(sandbox, group="g", discount_amount="30", currency="USD")

    assert answer["response"] == {"updated": 2}
    amounts = [c["discount_amount"] for c in sandbox.paddle_coupons()]
    assert amounts == ["30", "30", "25"]


def test_a_renamed_coupon_keeps_its_place_and_its_uses(sandbox):
    make(sandbox, coupon_code="ONE-CODE")
    make(sandbox, coupon_code="TWO-CODE")
    sandbox.pay("ONE-CODE")

    update(sandbox, coupon_code="ONE-CODE", new_coupon_code="NEW-CODE")

    row = ask(sandbox, "list_coupons")["response"][0]
    assert (row["coupon"], row["times_used"]) == ("NEW-CODE", 1)


# --- Delete ---------------------------------------------------------------------------


def test_a_product_that_is_named_has_to_be_the_coupons_own(sandbox):
    make(sandbox, coupon_type="product", product_ids="510509")

    other = ask(sandbox, "delete_coupon", coupon_code="A-CODE", product_id=511520)
    unknown = ask(sandbox, "delete_coupon", coupon_code="A-CODE", product_id=1)
    own = ask(sandbox, "delete_coupon", coupon_code="A-CODE", product_id=510509)
    again = ask(sandbox, "delete_coupon", coupon_code="A-CODE")

    assert (code_of(other), code_of(unknown), code_of(again)) == (135, 108, 135)
    assert own == {"success": True}


def test_accounts_do_not_see_each_other(sandbox):
    sandbox.add_paddle("Second", vendor_id=777, auth_code="77")
    make(sandbox)

    other = {"vendor_id": 777, "vendor_auth_code": "77"}
    assert ask(sandbox, "list_coupons", auth=other)["total"] == 0
    with pytest.raises(ValueError, match="has the vendor id 777 already"):
        sandbox.add_paddle("Third", vendor_id=777)
