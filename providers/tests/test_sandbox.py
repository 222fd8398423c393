"""Our clients against what stands for the providers: whole calls and every fault."""

import json
from decimal import Decimal

import pytest

from providers.errors import ProviderError, Refused, Unauthorised, Unclear
from providers.line_coupons import LineCoupons
from providers.paddle import PaddleClient
from providers.vivoldi import VivoldiClient
from sandbox.testing import start_sandbox

TOKEN, CODE, KEY = "token", "cafe01", "key-1"
LINE = {
    "title": "Ten off",
    "acquisitionCondition": {"type": "normal"},
    "maxUseCountPerTicket": 1,
    "startTimestamp": 1_700_000_000,
    "endTimestamp": 4_000_000_000,
    "timezone": "ASIA_TOKYO",
    "visibility": "UNLISTED",
    "reward": {
        "type": "discount",
        "priceInfo": {"type": "percentage", "percentage": 10},
    },
}
PADDLE = {
    "coupon_code": "SPRING-1",
    "coupon_type": "product",
    "product_ids": "5,6",
    "discount_type": "percentage",
    "discount_amount": Decimal("12.5"),
    "currency": "USD",
    "allowed_uses": 3,
    "expires": "2030-01-02",
    "recurring": False,
    "group": "campaign-1",
}
VIVOLDI = {
    "cpnNo": "ABCD-EF12",
    "nm": "Ten off",
    "discTypeIdx": 457,
    "disc": Decimal(10),
    "strtYmd": "2020-01-01",
    "endYmd": "2030-01-01",
    "useLimit": 1,
    "onsiteYn": "Y",
    "onsitePwd": "913377",
}
KINDS = ("500", "html", "half_json", "drop")


@pytest.fixture
def box(tmp_path):
    with start_sandbox(data=str(tmp_path / "box.sqlite3"), token=TOKEN) as box:
        box.add_paddle(vendor_id=7, auth_code=CODE, products=[5, 6], currency="USD")
        box.add_vivoldi(api_key=KEY)
        yield box


@pytest.fixture
def line(box):
    return LineCoupons(box.url, TOKEN, allow_local=True)


@pytest.fixture
def paddle(box):
    return PaddleClient(box.paddle_url, 7, CODE, allow_local=True)


@pytest.fixture
def vivoldi(box):
    return VivoldiClient(box.vivoldi_url, KEY, allow_local=True)


def test_a_line_coupon_lives_and_is_closed(box, line):
    coupon_id = line.create(json.dumps(LINE).encode())

    found = line.detail(coupon_id)
    assert (found.title, found.status, found.oddities) == ("Ten off", "RUNNING", ())
    assert found.ends_at.timestamp() == 4_000_000_000
    assert [line.close(coupon_id), line.close(coupon_id)] == [True, False]
    assert line.detail(coupon_id).status == "CLOSED"
    with pytest.raises(Refused) as refusal:
        line.detail("01NOSUCHCOUPON")
    assert refusal.value.status == 404


def test_all_pages_and_statuses_of_lines_list(box, line):
    made = {line.create(json.dumps(LINE).encode()) for _ in range(5)}
    line.close(min(made))
    draft = box.make_coupon(is_draft=True)

    found, start = [], ""
    while page := line.page(limit=2, start=start):
        found += [item.coupon_id for item in page.items]
        if not (start := page.next):
            break

    assert sorted(found) == sorted(made | {draft})
    listed = line.page(statuses=["DRAFT", "CLOSED"]).items
    assert {item.coupon_id for item in listed} == {draft, min(made)}


def test_a_paddle_code_lives_and_is_deleted(box, paddle):
    assert paddle.create(PADDLE) == ("SPRING-1",)

    [coupon] = paddle.page(product_id=5).coupons
    assert (coupon.code, coupon.amount) == ("SPRING-1", Decimal("12.5"))
    assert (coupon.allowed_uses, coupon.times_used) == (3, 0)
    assert coupon.expires_at.date().isoformat() == "2030-01-02"
    assert coupon.oddities == ()
    changed = {"allowed_uses": 9, "expires": "", "currency": "USD"}
    assert paddle.update(group="campaign-1", fields=changed) == 1
    [coupon] = paddle.page(product_id=5, code="SPRING-1").coupons
    assert (coupon.allowed_uses, coupon.expires_at) == (9, None)
    box.pay("SPRING-1")
    assert paddle.page(product_id=5).coupons[0].times_used == 1
    paddle.delete("SPRING-1", product_id=5)
    assert paddle.page(product_id=5).coupons == ()


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda paddle: paddle.create(PADDLE), 132),
        (lambda paddle: paddle.create(PADDLE | {"coupon_code": "ABC"}), 131),
        (lambda paddle: paddle.delete("WHICH-ONE"), 135),
        (lambda paddle: paddle.page(product_id=99), 108),
    ],
)
def test_paddles_noes_have_its_codes(paddle, ask, code):
    paddle.create(PADDLE)

    with pytest.raises(Refused) as refusal:
        ask(paddle)

    assert (refusal.value.status, refusal.value.code) == (200, code)


def test_who_we_are_not_is_unauthorised(box):
    for client, ask in (
        (LineCoupons(box.url, "other", allow_local=True), lambda c: c.page()),
        (
            PaddleClient(box.paddle_url, 7, "beef", allow_local=True),
            lambda c: c.page(product_id=5),
        ),
    ):
        with pytest.raises(Unauthorised):
            ask(client)


def test_paddle_pages_go_on_where_the_last_one_ended(paddle):
    for number in range(5):
        paddle.create(PADDLE | {"coupon_code": f"SPRING-{number}"})

    pages = [paddle.page(product_id=5, limit=2, offset=offset) for offset in (0, 2, 4)]

    assert [page.count for page in pages] == [2, 2, 1]
    assert {page.total for page in pages} == {5}
    assert len({coupon.code for page in pages for coupon in page.coupons}) == 5


def test_a_vivoldi_coupon_lives_and_is_used_up(box, vivoldi):
    assert vivoldi.create(VIVOLDI) == "ABCDEF12"

    coupon = vivoldi.validate("ABCD-EF12")
    assert (coupon.number, coupon.kind, coupon.amount) == ("ABCDEF12", 457, 10)
    assert (coupon.use_count, coupon.is_onsite, coupon.oddities) == (0, True, ())
    assert "913377" not in json.dumps(coupon.raw)
    vivoldi.update(VIVOLDI | {"nm": "Twelve off"})
    assert vivoldi.validate("ABCDEF12").name == "Twelve off"
    with pytest.raises(Refused):
        vivoldi.redeem("ABCDEF12", password="000000")
    vivoldi.redeem("ABCDEF12", password="913377", memo="till 3")
    for ask in (vivoldi.validate, vivoldi.redeem):
        with pytest.raises(Refused):
            ask("ABCDEF12")
    assert box.vivoldi_coupons()[0]["useCnt"] == 1


def test_a_vivoldi_coupon_that_is_deleted_is_gone(vivoldi):
    vivoldi.create(VIVOLDI)
    vivoldi.delete("ABCDEF12")

    with pytest.raises(Refused):
        vivoldi.validate("ABCDEF12")


CALLS = {
    "coupon_create": lambda box: line_of(box).create(json.dumps(LINE).encode()),
    "coupon_list": lambda box: line_of(box).page(),
    "paddle_create": lambda box: paddle_of(box).create(PADDLE),
    "paddle_list": lambda box: paddle_of(box).page(product_id=5),
    "vivoldi_create": lambda box: vivoldi_of(box).create(VIVOLDI),
}
MADE_BY = ("coupon_create", "paddle_create", "vivoldi_create")


def line_of(box):
    return LineCoupons(box.url, TOKEN, allow_local=True, deadline=5)


def paddle_of(box):
    return PaddleClient(box.paddle_url, 7, CODE, allow_local=True, deadline=5)


def vivoldi_of(box):
    return VivoldiClient(box.vivoldi_url, KEY, allow_local=True, deadline=5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_is_an_error_of_ours_and_the_next_call_is_well(box, call, kind):
    box.fault(call, kind, times=1)

    with pytest.raises(ProviderError) as raised:
        CALLS[call](box)

    # What may have been made is never said to be refused.
    assert isinstance(raised.value, Unclear) or call not in MADE_BY
    if call not in MADE_BY:
        CALLS[call](box)
