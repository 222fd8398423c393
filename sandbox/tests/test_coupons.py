"""LINE's native coupons over the API: what is taken, told, refused and counted."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.line.pictures import MAX_PICTURE
from sandbox.pace import Bucket
from sandbox.tests.client import (
    COUPON,
    KEY,
    LOTTERY,
    call,
    close,
    create,
    created,
    get,
)
from sandbox.tests.conftest import HANA, KEN
from sandbox.tests.pictures import JPEG, PNG

DAY = 24 * 60 * 60
PRICE = {"type": "fixed", "fixedAmount": 100}


def problems(answer):
    """The details of a refusal as (property, message)."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body["message"] == f"The request body has {len(body['details'])} error(s)"
    return [(row["property"], row["message"]) for row in body["details"]]


def reward(kind, **price):
    return {"type": kind, "priceInfo": price} if price else {"type": kind}


# Making and looking


def test_a_coupon_is_told_with_its_fields_and_without_those_unset(line):
    answer = create(line, without=("description", "imageUrl"))

    told = get(line, f"coupon/{answer.json()['couponId']}").json()

    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", told.pop("couponId"))
    assert isinstance(told.pop("createdTimestamp"), int)
    assert told == {
        "title": "Friends-only coupon",
        "acquisitionCondition": {"type": "normal"},
        "startTimestamp": 0,
        "endTimestamp": 1924959599,
        "timezone": "ASIA_TOKYO",
        "maxUseCountPerTicket": 1,
        "maxTicketPerUser": 1,
        "visibility": "UNLISTED",
        "reward": {
            "type": "discount",
            "priceInfo": {"type": "fixed", "fixedAmount": 100, "currency": "JPY"},
        },
        "status": "RUNNING",
    }


@pytest.mark.parametrize(
    "kind",
    [
        reward("discount", type="fixed", fixedAmount=1),
        reward("discount", type="percentage", percentage=99),
        reward("discount", type="explicit", originalPrice=5, priceAfterDiscount=4),
        reward("cashBack", type="fixed", fixedAmount=2**63 - 1),
        reward("cashBack", type="percentage", percentage=1),
        reward("free"),
        reward("gift"),
        reward("others"),
    ],
)
def test_each_reward_is_told_as_it_was_sent(line, kind):
    told = get(line, f"coupon/{created(line, reward=kind)}").json()["reward"]

    told.get("priceInfo", {}).pop("currency", None)
    assert told == kind


@pytest.mark.parametrize(
    ("country", "currency"),
    [("JP", "JPY"), ("TW", "TWD"), ("TH", "THB"), ("KR", "JPY")],
)
def test_the_account_s_country_decides_the_currency(line, country, currency):
    line.add_channel(country=country)

    fixed = get(line, f"coupon/{created(line)}").json()["reward"]["priceInfo"]
    share = reward("discount", type="percentage", percentage=5)
    percentage = get(line, f"coupon/{created(line, reward=share)}").json()["reward"]

    assert fixed["currency"] == currency
    assert percentage == share


def test_a_lottery_and_unlimited_uses_are_told(line):
    coupon_id = created(line, acquisitionCondition=LOTTERY, maxUseCountPerTicket=-1)

    told = get(line, f"coupon/{coupon_id}").json()

    assert told["acquisitionCondition"] == LOTTERY
    assert told["maxUseCountPerTicket"] == -1


# Refusing


def test_line_s_four_examples_of_a_refusal_are_answered_word_for_word(line):
    price = {"type": "percentage", "percentage": 5, "fixedAmount": 100}

    answers = [
        problems(create(line, title="x" * 61)),
        problems(create(line, reward={"type": "coupon"})),
        problems(create(line, reward=reward("discount", **price))),
    ]

    assert answers == [
        [("title", "Size must be between 1 and 60")],
        [
            (
                "reward.type",
                "Must be one of the following values: "
                "[discount,free,gift,cashBack,others]",
            )
        ],
        [("reward.priceInfo.fixedAmount", "Must not be specified")],
    ]


def lottery(**changes):
    return {"acquisitionCondition": LOTTERY | changes}


def price(**changes):
    return {"reward": {"type": "discount", "priceInfo": PRICE | changes}}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"title": ""}, "title"),
        ({"title": 5}, "title"),
        ({"title": None}, "title"),
        ({"title": "😀" * 31}, "title"),
        ({"description": "x" * 1001}, "description"),
        ({"usageCondition": "x" * 101}, "usageCondition"),
        ({"couponCode": "x" * 17}, "couponCode"),
        ({"acquisitionCondition": None}, "acquisitionCondition"),
        ({"acquisitionCondition": {"type": "referral"}}, "acquisitionCondition.type"),
        (lottery(lotteryProbability=0), "acquisitionCondition.lotteryProbability"),
        (lottery(lotteryProbability=100), "acquisitionCondition.lotteryProbability"),
        (lottery(lotteryProbability=True), "acquisitionCondition.lotteryProbability"),
        (lottery(maxAcquireCount=0), "acquisitionCondition.maxAcquireCount"),
        (lottery(maxAcquireCount=1_000_000), "acquisitionCondition.maxAcquireCount"),
        (lottery(maxAcquireCount=-2), "acquisitionCondition.maxAcquireCount"),
        ({"maxUseCountPerTicket": 0}, "maxUseCountPerTicket"),
        ({"maxUseCountPerTicket": 2}, "maxUseCountPerTicket"),
        ({"maxUseCountPerTicket": 1.0}, "maxUseCountPerTicket"),
        ({"startTimestamp": -1}, "startTimestamp"),
        ({"startTimestamp": "0"}, "startTimestamp"),
        ({"endTimestamp": 2**63}, "endTimestamp"),
        ({"endTimestamp": 1}, "endTimestamp"),
        ({"startTimestamp": 1924959600}, "endTimestamp"),
        ({"timezone": "Asia/Tokyo"}, "timezone"),
        ({"timezone": "ASIA_SEOUL"}, "timezone"),
        ({"visibility": "PRIVATE"}, "visibility"),
        ({"reward": None}, "reward"),
        ({"reward": reward("discount")}, "reward.priceInfo"),
        ({"reward": reward("free", **PRICE)}, "reward.priceInfo"),
        (price(type="explicit"), "reward.priceInfo.originalPrice"),
        (price(fixedAmount=0), "reward.priceInfo.fixedAmount"),
        (price(fixedAmount="100"), "reward.priceInfo.fixedAmount"),
        (
            {"reward": {"type": "cashBack", "priceInfo": {"type": "explicit"}}},
            "reward.priceInfo.type",
        ),
        ({"imageUrl": "http://shop.example/a.jpg"}, "imageUrl"),
        ({"imageUrl": "https://shop.example/" + "x" * 2000}, "imageUrl"),
        ({"imageUrl": "https://shop.example/é.jpg"}, "imageUrl"),
        ({"barcodeImageUrl": 7}, "barcodeImageUrl"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_made(line, changes, where):
    refused = problems(create(line, **changes))

    assert where in [place for place, _ in refused]
    assert line.coupons() == []


@pytest.mark.parametrize(
    "name", [n for n in COUPON if n not in ("description", "imageUrl")]
)
def test_a_missing_field_is_named(line, name):
    assert [place for place, _ in problems(create(line, without=(name,)))] == [name]


def test_a_title_of_sixty_counts_an_emoji_twice(line):
    assert create(line, title="😀" * 30).status_code == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("coupon", "POST"),
        ("coupon", "GET"),
        ("coupon/{}", "GET"),
        ("coupon/{}/close", "PUT"),
    ],
)
def test_no_coupon_call_takes_a_retry_key(line, path, method):
    coupon_id = created(line)

    answer = call(line, path.format(coupon_id), COUPON, key=KEY, method=method)

    assert answer.status_code == 400
    assert line.coupons()[0]["status"] == "RUNNING"
    assert len(line.coupons()) == 1


# Pictures


def test_pictures_are_fetched_once_and_kept_on_a_host_of_the_sandbox(line, gallery):
    coupon_id = created(
        line,
        imageUrl=f"{gallery.url}/a.png",
        barcodeImageUrl=f"{gallery.url}/b.jpg",
    )
    gallery.pictures.clear()

    told = get(line, f"coupon/{coupon_id}").json()
    shown = [requests.get(told[n], timeout=5) for n in ("imageUrl", "barcodeImageUrl")]

    assert told["imageUrl"].startswith(line.url)
    assert [picture.content for picture in shown] == [PNG, JPEG]
    assert [picture.headers["Content-Type"] for picture in shown] == [
        "image/png",
        "image/jpeg",
    ]
    assert gallery.asked == ["/a.png", "/b.jpg"]


def test_a_picture_of_many_coupons_is_kept_once(line, gallery):
    told = [
        get(line, f"coupon/{created(line, imageUrl=f'{gallery.url}/{name}')}").json()
        for name in ("a.png", "a.png", "b.jpg")
    ]

    first, again, other = (row["imageUrl"] for row in told)
    assert first == again != other


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (404, "could not be fetched: 404"),
        (302, "could not be fetched: 302"),
        (b"GIF89a", "must be a JPEG or a PNG"),
        (b"", "must be a JPEG or a PNG"),
        (PNG + b"x" * MAX_PICTURE, "must not be larger than 10 MB"),
    ],
)
def test_a_picture_that_cannot_be_had_is_a_400_and_no_coupon(
    line, gallery, content, words
):
    gallery.pictures["/a.png"] = content

    [(where, message)] = problems(create(line, imageUrl=f"{gallery.url}/a.png"))

    assert where == "imageUrl"
    assert words in message
    assert line.coupons() == []


def test_a_picture_of_a_shop_that_is_down_is_a_400(line, gallery):
    gallery.close()

    [(where, _)] = problems(create(line, barcodeImageUrl=f"{gallery.url}/a.png"))

    assert where == "barcodeImageUrl"


def test_a_picture_on_the_internet_gets_a_stand_in(line):
    told = get(line, f"coupon/{created(line)}").json()

    shown = requests.get(told["imageUrl"], timeout=5)

    assert told["imageUrl"].startswith(line.url)
    assert shown.headers["Content-Type"] == "image/svg+xml"


# Listing


def ids(answer):
    return [item["couponId"] for item in answer.json()["items"]]


def test_the_list_holds_those_of_the_manager_too_newest_first(line):
    made = created(line)
    draft = line.make_coupon(is_draft=True, title="A draft")
    referral = line.make_coupon(acquisitionCondition={"type": "referral"})

    answer = get(line, "coupon")

    assert ids(answer) == [referral, draft, made]
    assert answer.json()["items"][1] == {"couponId": draft, "title": "A draft"}
    assert "next" not in answer.json()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("status=DRAFT,RUNNING", ["running", "draft"]),
        ("status=DRAFT&status=RUNNING", ["running", "draft"]),
        ("status=CLOSED", ["closed"]),
        ("status=CLOSED,CLOSED&status=DRAFT", ["draft", "closed"]),
        ("", ["running", "draft", "closed"]),
    ],
)
def test_both_spellings_of_several_statuses_are_understood(line, query, wanted):
    made = {"closed": created(line)}
    close(line, made["closed"])
    made["draft"] = line.make_coupon(is_draft=True)
    made["running"] = created(line)

    assert ids(get(line, f"coupon?{query}")) == [made[name] for name in wanted]


def test_pages_follow_each_other_and_the_last_has_no_next(line):
    made = [line.make_coupon() for _ in range(45)][::-1]

    first = get(line, "coupon")
    second = get(line, f"coupon?start={first.json()['next']}")
    line.make_coupon()
    third = get(line, f"coupon?start={second.json()['next']}&limit=100")
    exact = get(line, "coupon?limit=46")

    assert ids(first) + ids(second) + ids(third) == made
    assert [len(ids(page)) for page in (first, second, third)] == [20, 20, 5]
    assert "next" not in third.json()
    assert "next" not in exact.json()


def test_a_page_token_is_good_for_a_day(line):
    for _ in range(3):
        line.make_coupon()
    token = get(line, "coupon?limit=1").json()["next"]

    line.advance(DAY - 5)
    in_time = get(line, f"coupon?limit=1&start={token}")
    line.advance(6)

    assert in_time.status_code == 200
    assert problems(get(line, f"coupon?start={token}"))[0][0] == "start"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (
            "status=OVER",
            (
                "status",
                "Must be one of the following values: [DRAFT,RUNNING,CLOSED]",
            ),
        ),
        ("status=", None),
        ("status=RUNNING,", None),
        ("limit=101", ("limit", "Must be less than or equal to 100")),
        ("limit=0", ("limit", "Must be greater than or equal to 1")),
        ("limit=x", ("limit", "Must be an integer")),
        ("start=x", ("start", "Invalid value")),
        ("start=%ff", ("start", "Invalid value")),
        ("start=", ("start", "Invalid value")),
    ],
)
def test_a_wrong_question_is_refused(line, query, problem):
    [found] = problems(get(line, f"coupon?{query}"))

    assert problem in (None, found)


# Life and end


def test_running_covers_what_is_to_come_and_closed_what_is_over(line):
    now = line.now()
    coming = created(line, startTimestamp=now + DAY, endTimestamp=now + 2 * DAY)
    line.make_coupon(endTimestamp=now + DAY)
    before = [row["status"] for row in line.coupons()]

    line.advance(DAY + 1)

    assert before == ["RUNNING", "RUNNING"]
    assert [row["status"] for row in line.coupons()] == ["CLOSED", "RUNNING"]
    assert close(line, coming).status_code == 200


def test_closing_twice_is_a_410_and_an_expired_one_is_closed_already(line):
    coupon_id = created(line)
    expired = created(line, endTimestamp=line.now() + DAY)

    first, second = close(line, coupon_id), close(line, coupon_id)
    line.advance(DAY + 1)
    over = close(line, expired)

    assert (first.status_code, first.json()) == (200, {})
    assert second.status_code == over.status_code == 410
    assert second.json() == {
        "message": "The request body has 1 error(s)",
        "details": [{"message": "The coupon has already been closed.", "property": ""}],
    }
    assert get(line, f"coupon/{coupon_id}").json()["status"] == "CLOSED"


def test_a_draft_is_not_closed(line):
    draft = line.make_coupon(is_draft=True)

    assert problems(close(line, draft)) == [("", "The coupon is a draft.")]


def test_unknown_coupons_and_those_of_another_channel_are_404(line):
    line.add_channel("Other", token="other")
    elsewhere = line.make_coupon(channel="Other")

    answers = [
        get(line, "coupon/01JYNW8JMQVFBNWF1APF8Z3FS7"),
        get(line, f"coupon/{elsewhere}"),
        close(line, elsewhere),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert answers[1].json() == {
        "message": "The request body has 1 error(s)",
        "details": [{"message": "coupon not found", "property": ""}],
    }
    assert get(line, f"coupon/{elsewhere}", token="other").status_code == 200
    assert ids(get(line, "coupon")) == []


# Trouble


@pytest.mark.parametrize(
    ("fault", "path", "method"),
    [
        ("coupon_create", "coupon", "POST"),
        ("coupon_list", "coupon", "GET"),
        ("coupon_detail", "coupon/{}", "GET"),
        ("coupon_close", "coupon/{}/close", "PUT"),
    ],
)
def test_each_call_has_faults_of_its_own(line, fault, path, method):
    path = path.format(created(line))
    line.fault(fault, "500", times=1)

    answers = [call(line, path, COUPON, method=method) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [500, 200]


def test_a_create_that_is_accepted_and_dropped_made_a_coupon(line):
    line.fault("coupon_create", "accept_then_drop", times=1)

    with pytest.raises(requests.ConnectionError):
        create(line)

    assert len(line.coupons()) == 1


def test_calls_beyond_the_rate_are_429_for_each_call_and_channel(line):
    line.add_channel("Other", token="other", coupon_rate=3)
    line.add_channel(coupon_rate=3)

    lists = [get(line, "coupon").status_code for _ in range(30)]
    others = [
        get(line, "coupon/x").status_code,
        get(line, "coupon", token="other").status_code,
    ]
    line.add_channel(coupon_rate=None)

    assert lists[:3] == [200, 200, 200]
    assert lists.count(429) > 20
    assert others == [404, 200]
    assert get(line, "coupon").status_code == 200


def test_a_bucket_fills_with_time_and_never_beyond_its_rate():
    now = [0.0]
    bucket = Bucket(5, clock=lambda: now[0])

    at_once = [bucket.take() for _ in range(7)]
    now[0] = 0.4
    after_a_while = [bucket.take() for _ in range(4)]
    now[0] = 1000.0
    after_a_rest = [bucket.take() for _ in range(7)]

    assert at_once.count(True) == after_a_rest.count(True) == 5
    assert after_a_while == [True, True, False, False]


# People


def test_an_ordinary_coupon_is_got_once_and_used_once(line):
    coupon_id = created(line)

    got = line.acquire(coupon_id, HANA)
    line.use(coupon_id, HANA)

    assert got
    with pytest.raises(ValueError, match="had a turn"):
        line.acquire(coupon_id, HANA)
    with pytest.raises(ValueError, match="used this coupon already"):
        line.use(coupon_id, HANA)
    with pytest.raises(ValueError, match="does not have"):
        line.use(coupon_id, KEN)


def test_one_without_limit_is_used_again_and_again(line):
    coupon_id = created(line, maxUseCountPerTicket=-1)
    line.acquire(coupon_id, HANA)

    for _ in range(3):
        line.use(coupon_id, HANA)


def test_a_lot_is_drawn_once_and_winners_are_capped(line):
    line.add_friend(None, "Mei")
    people = [HANA, KEN, line.add_friend(None, "Mei")]
    capped = LOTTERY | {"maxAcquireCount": 1}
    coupon_id = created(line, acquisitionCondition=capped)
    line.decide_draws(False, True)

    outcomes = [line.acquire(coupon_id, person) for person in people]

    assert outcomes == [False, True, False]
    with pytest.raises(ValueError, match="had a turn"):
        line.acquire(coupon_id, HANA)
    with pytest.raises(ValueError, match="does not have"):
        line.use(coupon_id, HANA)


@pytest.mark.parametrize("end", ["stopped", "expired", "not started"])
def test_nothing_is_got_or_used_outside_its_time(line, end):
    now = line.now()
    start = now + DAY if end == "not started" else 0
    coupon_id = created(line, startTimestamp=start, endTimestamp=now + 2 * DAY)
    if end != "not started":
        line.acquire(coupon_id, HANA)
    if end == "stopped":
        line.stop_coupon(coupon_id)
    if end == "expired":
        line.advance(3 * DAY)

    for does in (line.acquire, line.use):
        with pytest.raises(ValueError, match="discontinued|expired|not started"):
            does(coupon_id, HANA)


def test_only_a_draft_is_published_or_deleted(line):
    draft, other = line.make_coupon(is_draft=True), line.make_coupon(is_draft=True)

    line.publish_draft(draft)
    line.delete_draft(other)

    assert [row["status"] for row in line.coupons()] == ["RUNNING"]
    with pytest.raises(ValueError, match="Only a draft"):
        line.delete_draft(draft)
    with pytest.raises(ValueError, match="no such coupon"):
        line.acquire(other, HANA)


def test_a_person_s_page_tells_no_draft(line):
    draft = line.make_coupon(is_draft=True, title="Secret plan")

    shown = requests.get(f"{line.url}/phone/{HANA}/coupon/{draft}", timeout=5)

    assert "There is no such coupon." in shown.text
    assert "Secret plan" not in shown.text


def control(line, path, **data):
    answer = requests.post(f"{line.url}/_control/{path}", json=data, timeout=5)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_control_api_makes_gives_uses_and_stops(line):
    fields = {"title": "Cake", "reward": {"type": "free"}}

    made = control(line, "coupons", fields=fields, is_draft=True)["coupon_id"]
    gone = control(line, "coupons", is_draft=True)["coupon_id"]
    control(line, f"coupons/{made}/publish")
    control(line, f"coupons/{gone}/delete")
    got = control(line, f"coupons/{made}/acquire", user_id=HANA)
    used = control(line, f"coupons/{made}/use", user_id=HANA)
    control(line, f"coupons/{made}/stop")

    listed = requests.get(f"{line.url}/_control/coupons", timeout=5).json()
    assert (got, used) == ({"has_it": True}, {"uses": 1})
    assert listed == {"coupons": line.coupons()}
    assert [(row["title"], row["status"]) for row in line.coupons()] == [
        ("Cake", "CLOSED")
    ]


def test_of_5000_valid_coupons_the_last_place_is_given_once(line):
    for _ in range(4999):
        line.make_coupon()
    line.make_coupon(is_draft=True)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: create(line), range(8)))

    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [200] + [400] * 7
    refused = answers[statuses.index(400)]
    assert problems(refused) == [("", "You have too many coupons created.")]
    close(line, answers[statuses.index(200)].json()["couponId"])
    assert create(line).status_code == 200
