"""LINE's own Python client makes coupons, sends them and issues tokens, unchanged."""

import json

import pytest
from linebot.v3 import oauth
from linebot.v3.messaging import (
    ApiClient,
    ApiException,
    CashBackPercentagePriceInfoRequest,
    Configuration,
    CouponCashBackRewardRequest,
    CouponCreateRequest,
    CouponDiscountRewardRequest,
    CouponFreeRewardRequest,
    CouponMessage,
    DiscountExplicitPriceInfoRequest,
    DiscountFixedPriceInfoRequest,
    LotteryAcquisitionConditionRequest,
    MessagingApi,
    MulticastRequest,
    NormalAcquisitionConditionRequest,
    PushMessageRequest,
)

from sandbox.tests.assertions import JWT_BEARER, assertion, jwk_of, new_key
from sandbox.tests.client import COUPON, KEY, get
from sandbox.tests.conftest import HANA, KEN, SECRET
from sandbox.tests.test_official_sdk import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CHANNEL_ID = "1655000001"


@pytest.fixture
def api(line):
    with connect(line) as client:
        yield MessagingApi(client)


@pytest.fixture
def tokens(line):
    line.add_channel(channel_id=CHANNEL_ID)
    configuration = oauth.Configuration(host=line.url)
    configuration.retries = False
    with oauth.ApiClient(configuration) as client:
        yield oauth.ChannelAccessToken(client)


def request(**changes):
    """LINE's example, by the client's own classes."""
    price = DiscountFixedPriceInfoRequest(type="fixed", fixedAmount=100)
    fields = {
        "title": COUPON["title"],
        "description": COUPON["description"],
        "reward": CouponDiscountRewardRequest(type="discount", priceInfo=price),
        "acquisitionCondition": NormalAcquisitionConditionRequest(type="normal"),
        "startTimestamp": 0,
        "endTimestamp": 1924959599,
        "imageUrl": COUPON["imageUrl"],
        "timezone": "ASIA_TOKYO",
        "visibility": "UNLISTED",
        "maxUseCountPerTicket": 1,
    }
    return CouponCreateRequest(**(fields | changes))


def test_a_coupon_is_made_listed_read_and_discontinued(line, api):
    made = api.create_coupon(request())

    listed = api.list_coupon(status=["RUNNING", "DRAFT"])
    told = api.get_coupon_detail(made.coupon_id)
    api.close_coupon(made.coupon_id)
    closed = api.get_coupon_detail(made.coupon_id)

    assert [(item.coupon_id, item.title) for item in listed.items] == [
        (made.coupon_id, "Friends-only coupon")
    ]
    assert listed.next is None
    assert told.status == "RUNNING"
    assert told.reward.price_info.fixed_amount == 100
    assert told.reward.price_info.currency == "JPY"
    assert told.acquisition_condition.type == "normal"
    assert told.image_url.startswith(line.url)
    assert told.barcode_image_url is told.coupon_code is told.usage_condition is None
    assert (told.max_ticket_per_user, told.max_use_count_per_ticket) == (1, 1)
    assert closed.status == "CLOSED"


def test_every_field_and_form_of_a_coupon_is_read_back(line, api, gallery):
    condition = LotteryAcquisitionConditionRequest(
        type="lottery", lotteryProbability=50, maxAcquireCount=-1
    )
    explicit = DiscountExplicitPriceInfoRequest(
        type="explicit", originalPrice=500, priceAfterDiscount=380
    )
    share = CashBackPercentagePriceInfoRequest(type="percentage", percentage=10)
    full = api.create_coupon(
        request(
            acquisitionCondition=condition,
            reward=CouponDiscountRewardRequest(type="discount", priceInfo=explicit),
            couponCode="COUPONCODE123456",
            barcodeImageUrl=f"{gallery.url}/a.png",
            usageCondition="Usable for payments of 1,000 yen or more",
            maxUseCountPerTicket=-1,
            visibility="PUBLIC",
        )
    )
    cash = api.create_coupon(
        request(reward=CouponCashBackRewardRequest(type="cashBack", priceInfo=share))
    )
    free = api.create_coupon(request(reward=CouponFreeRewardRequest(type="free")))

    told = api.get_coupon_detail(full.coupon_id)
    cash_told = api.get_coupon_detail(cash.coupon_id)

    assert told.acquisition_condition.lottery_probability == 50
    assert told.acquisition_condition.max_acquire_count == -1
    assert told.reward.price_info.price_after_discount == 380
    assert told.coupon_code == "COUPONCODE123456"
    assert told.barcode_image_url.startswith(line.url)
    assert told.usage_condition == "Usable for payments of 1,000 yen or more"
    assert told.visibility == "PUBLIC"
    assert cash_told.reward.price_info.percentage == 10
    assert api.get_coupon_detail(free.coupon_id).reward.type == "free"


def test_the_client_reads_drafts_and_referrals_of_the_manager(line, api):
    draft = line.make_coupon(
        is_draft=True, acquisitionCondition={"type": "referral"}, maxTicketPerUser=30
    )

    told = api.get_coupon_detail(draft)

    assert told.status == "DRAFT"
    assert told.acquisition_condition.type == "referral"
    assert told.max_ticket_per_user == 30


def test_pages_are_walked_to_the_end(line, api):
    made = {line.make_coupon() for _ in range(25)}

    first = api.list_coupon(limit=15)
    second = api.list_coupon(limit=15, start=first.next)

    assert {item.coupon_id for item in first.items + second.items} == made
    assert second.next is None


def test_refusals_come_as_the_client_s_exceptions(api):
    coupon_id = api.create_coupon(request()).coupon_id
    api.close_coupon(coupon_id)

    with pytest.raises(ApiException) as gone:
        api.close_coupon(coupon_id)
    with pytest.raises(ApiException) as unknown:
        api.get_coupon_detail("01JYNW8JMQVFBNWF1APF8Z3FS7")
    with pytest.raises(ApiException) as bad:
        api.create_coupon(request(endTimestamp=1))

    assert [found.value.status for found in (gone, unknown, bad)] == [410, 404, 400]
    detail = json.loads(bad.value.body)["details"][0]
    assert detail["property"] == "endTimestamp"


def test_coupon_messages_go_out_with_their_delivery_tag(line, api):
    coupon_id = api.create_coupon(request()).coupon_id
    message = CouponMessage(couponId=coupon_id, deliveryTag="spring_1")

    pushed = api.push_message(
        PushMessageRequest(to=HANA, messages=[message]), x_line_retry_key=KEY
    )
    api.multicast(MulticastRequest(to=[HANA, KEN], messages=[message]))

    shown = {"type": "coupon", "couponId": coupon_id, "deliveryTag": "spring_1"}
    assert len(pushed.sent_messages) == 1
    assert line.messages(HANA) == [shown, shown]
    assert line.messages(KEN) == [shown]


def test_a_bad_delivery_tag_is_a_400(line, api):
    message = CouponMessage(couponId="01JYNW8JMQVFBNWF1APF8Z3FS7", deliveryTag="a tag")

    with pytest.raises(ApiException) as refusal:
        api.push_message(PushMessageRequest(to=HANA, messages=[message]))

    assert refusal.value.status == 400
    assert "deliveryTag" in refusal.value.body


# What LINE's manual "Create coupons and send them to users" prints


def test_the_manual_s_requests_are_answered_as_it_prints(line):
    with connect(line) as client:
        raw = MessagingApi(client).create_coupon_with_http_info(request())
    made = json.loads(raw.raw_data)
    line.make_coupon(title="Year-end and New Year coupon")

    listed = get(line, "coupon").json()

    assert set(made) == {"couponId"}
    assert len(made["couponId"]) == len("01JYNW8JMQVFBNWF1APF8Z3FS7")
    assert [set(item) for item in listed["items"]] == [{"couponId", "title"}] * 2
    assert [item["title"] for item in listed["items"]] == [
        "Year-end and New Year coupon",
        "Friends-only coupon",
    ]


def test_the_manual_s_detail_is_told_field_by_field(line):
    printed = {
        "title": "Friends-only coupon",
        "description": "- To redeem your coupon, present this screen at checkout.\n"
        "- Redeemable once only, even if previously redeemed only unintentionally by "
        "the customer.\n- The validity period of this coupon may change or it may be "
        "canceled without notice.",
        "acquisitionCondition": {
            "type": "lottery",
            "lotteryProbability": 50,
            "maxAcquireCount": -1,
        },
        "startTimestamp": 1752678000,
        "endTimestamp": 1924959540,
        "timezone": "ASIA_TOKYO",
        "couponCode": "COUPONCODE123456",
        "maxUseCountPerTicket": 1,
        "maxTicketPerUser": 1,
        "visibility": "UNLISTED",
        "reward": {
            "type": "discount",
            "priceInfo": {"type": "fixed", "fixedAmount": 100},
        },
        "usageCondition": "Usable for payments of 1,000 yen or more",
    }
    coupon_id = line.make_coupon(**printed)

    told = get(line, f"coupon/{coupon_id}").json()

    expected = json.loads(json.dumps(printed))
    expected["reward"]["priceInfo"]["currency"] = "JPY"
    assert told.pop("couponId") == coupon_id
    assert told.pop("createdTimestamp") > 0
    assert told == expected | {"status": "RUNNING"}


# Tokens


def test_the_client_issues_checks_and_revokes_tokens(line, tokens):
    key = new_key()
    signed = assertion(key, line.register_key(jwk_of(key)), CHANNEL_ID)

    plain = tokens.issue_stateless_channel_token_by_client_secret(
        client_id=CHANNEL_ID, client_secret=SECRET
    )
    by_assertion = tokens.issue_stateless_channel_token_by_jwt_assertion(signed)
    issued = tokens.issue_channel_token_by_jwt(
        grant_type="client_credentials",
        client_assertion_type=JWT_BEARER,
        client_assertion=signed,
    )
    known = tokens.gets_all_valid_channel_access_token_key_ids(
        client_assertion_type=JWT_BEARER, client_assertion=signed
    )
    told = tokens.verify_channel_token_by_jwt(issued.access_token)
    names = [
        name_by(line, token.access_token) for token in (plain, by_assertion, issued)
    ]
    tokens.revoke_channel_token_by_jwt(
        client_id=CHANNEL_ID, client_secret=SECRET, access_token=issued.access_token
    )

    assert names == ["Sandbox"] * 3
    assert (plain.expires_in, issued.expires_in) == (899, 60 * 60 * 24 * 30)
    assert known.kids == [issued.key_id]
    assert told.client_id == CHANNEL_ID
    with pytest.raises(ApiException) as refusal:
        name_by(line, issued.access_token)
    assert refusal.value.status == 401


def name_by(line, token):
    """Whom the token belongs to."""
    configuration = Configuration(host=line.url, access_token=token)
    configuration.retries = False
    with ApiClient(configuration) as client:
        return MessagingApi(client).get_bot_info().display_name


def test_the_client_s_refusals_of_tokens_carry_oauth_s_words(tokens):
    with pytest.raises(oauth.ApiException) as refusal:
        tokens.issue_stateless_channel_token(
            grant_type="client_credentials", client_id=CHANNEL_ID, client_secret="no"
        )

    assert refusal.value.status == 400
    assert json.loads(refusal.value.body)["error"] == "invalid_client"
