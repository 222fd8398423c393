"""The customer's page in each language: whole, and as its readers write it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from types import SimpleNamespace

import pytest
from django.test import override_settings
from django.urls import reverse
from django.utils import translation

from campaigns.benefit import benefit_words, condition_words, money
from campaigns.models import Campaign
from coupons.errors import MESSAGES, CouponError
from coupons.moments import interval_words, left_words
from coupons.showing import Place
from coupons.tests.page_helpers import body, see, text_of
from coupons.views.drawing import Links, draw
from coupons.views.shown import use_problem
from coupons.views.specimen import STATES, specimen
from testing.factories import make_campaign, make_coupon, make_serials

LANGUAGES = ["en", "ja", "zh-hant", "th", "ko"]
OTHERS = LANGUAGES[1:]
NOW = datetime(2026, 12, 18, 5, 3, tzinfo=UTC)
LINKS = Links(page="/c/1", redeem="/c/2", verify="/c/3", form_token="4")  # noqa: S106
STORES = [Place("甲", "乙", 1, True), Place("丙", "丁", 2, True)]
# What no translator may touch, and what Japanese writes in our letters.
NOT_WORDS = r"SPECIMEN-2345|TEST-TEST-TEST|OFF|QR|UTC|NT\$"


def make_unsaved(**fields):
    """A campaign whose own texts are no words of any language."""
    return Campaign(
        **{
            "name": "甲乙",
            "language": "ja",
            "benefit": "percentage",
            "benefit_value": Decimal(20),
            "currency": "TWD",
            "minimum_spend": Decimal(1200),
            "instructions": "丙",
            "usage_condition": "丁",
            "button_url": "https://shop.example",
            "time_zone": "Asia/Tokyo",
            "use_starts_at": NOW - timedelta(days=9),
            "use_ends_at": NOW + timedelta(days=9),
            "verifying": "password_scan",
            "password": "x",
            "limit_per_contact": 3,
        }
        | fields
    )


def drawn(page, language, **options):
    with translation.override(language):
        request = SimpleNamespace(csp_nonce="n")
        return draw(request, page, links=LINKS, **options)  # type: ignore[arg-type]


def shown(state, language, *, entered=None, stores=STORES, **fields):
    with translation.override(language):
        page = specimen(
            make_unsaved(**fields), state, now=NOW, language=language, stores=stores
        )
        if entered:
            page = replace(page, entered=entered())
        # Its words are made when they are drawn.
        return drawn(page, language)


def words_in_our_letters(html):
    """What is left of English on a page, screen readers' words and the script's too."""
    html = re.sub(r"<nav.*?</nav>", "", html, flags=re.DOTALL)
    [data] = re.findall(r'<script id="page-data"[^>]*>(.*?)</script>', html)
    data = data.encode().decode("unicode_escape")
    said = re.findall(r'"(?:copied|\d+)": "([^"]*)"', data)
    said += re.findall(r'(?:aria-label|alt|placeholder)="([^"]*)"', html)
    text = re.sub(r"<[^>]+>", " ", html.partition("<body>")[2].partition("<script")[0])
    text = unescape(" ".join([text, *said])).replace("Test shop", "")
    return re.findall(r"[A-Za-z]{2,}", re.sub(NOT_WORDS, "", text))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("state", STATES)
def test_no_english_is_left_in_any_state(state, language):
    for fields in (
        {},
        {"expiry": "from_redemption", "expiry_amount": 3, "expiry_unit": "days"},
        {"verifying": "button", "benefit": "cash_back", "barcode": "code39"},
        {"verifying": "none", "benefit": "free"},
        {"verifying": "scan", "benefit": "gift"},
        {"benefit": "price", "price_before": Decimal(9), "price_after": Decimal(8)},
    ):
        html = shown(state, language, **fields)

        assert words_in_our_letters(html) == [], fields
        assert f'<html lang="{language}">' in html


def test_english_would_be_noticed():
    assert "Redeem" in words_in_our_letters(shown("ready", "en"))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("state", ["ready", "redeemed", "verified"])
@pytest.mark.parametrize(
    ("code", "facts"),
    [
        *((code, {}) for code in MESSAGES if code != "wrong_password"),
        ("wrong_password", {"left": 0}),
        ("wrong_password", {"left": 1}),
        ("wrong_password", {"left": 4}),
        ("too_many_tries", {"paused_until": NOW}),
        ("wrong_store", {"has_no_password": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value) or "-",
)
def test_no_english_is_left_of_what_a_press_came_to(state, language, code, facts):
    html = shown(
        state, language, entered=lambda: use_problem(CouponError(code, **facts))
    )

    assert words_in_our_letters(html) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_long_list_of_stores_is_told_in_the_language(language):
    html = shown("ready", language, stores=STORES * 60)

    assert words_in_our_letters(html) == []


# --- as its readers write it -----------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "redeem", "used"),
    [
        ("en", "Redeem", "Used"),
        ("ja", "引き換える", "使用済み"),
        ("zh-hant", "兌換", "已使用"),
        ("th", "รับสิทธิ์", "ใช้แล้ว"),
        ("ko", "코드 받기", "사용 완료"),
    ],
)
def test_to_redeem_and_to_be_used_are_two_words(language, redeem, used):
    assert f'<span class="shut">{redeem}</span>' in shown("ready", language)
    assert f"<h2>{used}</h2>" in shown("verified", language)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "Tue, Dec 1, 2026, 12:00 AM – Thu, Dec 31, 2026, 11:59 PM (Japan time)"),
        ("ja", "2026年12月1日(火) 0:00 〜 2026年12月31日(木) 23:59（日本時間）"),
        (
            "zh-hant",
            "2026年12月1日（二）00:00 ～ 2026年12月31日（四）23:59（日本時間）",
        ),
        ("th", "อ. 1 ธ.ค. 2569 00:00 น. – พฤ. 31 ธ.ค. 2569 23:59 น. (เวลาญี่ปุ่น)"),
        ("ko", "2026년 12월 1일(화) 00:00 ~ 2026년 12월 31일(목) 23:59(일본 시간)"),
    ],
)
def test_the_period_is_written_as_its_readers_do(language, told):
    tokyo = {"use_starts_at": datetime(2026, 11, 30, 15, tzinfo=UTC)}
    tokyo["use_ends_at"] = datetime(2026, 12, 31, 15, tzinfo=UTC)

    html = shown("ready", language, **tokyo)

    text = re.sub(r"<[^>]+>", " ", html.partition("details")[2])
    assert told in " ".join(unescape(text).split())


PERCENT = {"benefit": "percentage", "benefit_value": Decimal(20)}
AMOUNT = {"benefit": "amount", "benefit_value": Decimal(1200)}


@pytest.mark.parametrize(
    ("language", "fields", "told"),
    [
        ("en", PERCENT, "20% off"),
        ("ja", PERCENT, "20% OFF"),
        ("th", PERCENT, "ลด 20%"),
        ("ko", PERCENT, "20% 할인"),
        ("zh-hant", PERCENT, "8 折"),
        ("zh-hant", PERCENT | {"benefit_value": Decimal(15)}, "85 折"),
        ("zh-hant", PERCENT | {"benefit_value": Decimal(50)}, "5 折"),
        ("zh-hant", PERCENT | {"benefit_value": Decimal(95)}, "0.5 折"),
        ("zh-hant", PERCENT | {"benefit_value": Decimal("12.50")}, "8.75 折"),
        ("zh-hant", PERCENT | {"benefit_value": Decimal(100)}, "免費"),
        ("ja", AMOUNT | {"currency": "JPY"}, "1,200円 OFF"),
        ("zh-hant", AMOUNT | {"currency": "TWD"}, "現折 NT$1,200"),
        ("th", AMOUNT | {"currency": "THB"}, "ลด ฿1,200"),
        ("ko", AMOUNT | {"currency": "KRW"}, "1,200원 할인"),
        ("en", AMOUNT | {"currency": "USD"}, "US$1,200 off"),
        ("ja", AMOUNT | {"currency": "JPY", "benefit": "cash_back"}, None),
    ],
)
def test_the_benefit_is_told_as_shops_there_do(language, fields, told):
    with translation.override(language):
        words = benefit_words(Campaign(**fields))

    assert words == (told or "1,200円キャッシュバック")


@pytest.mark.parametrize(
    ("language", "currency", "amount", "told"),
    [
        ("en", "JPY", "1200.00", "¥1,200"),
        ("ja", "JPY", "1200.00", "1,200円"),
        ("ko", "JPY", "1200.00", "¥1,200"),
        ("zh-hant", "TWD", "1200", "NT$1,200"),
        ("th", "THB", "12.50", "฿12.50"),
        ("ko", "KRW", "12000", "12,000원"),
        ("en", "USD", "12.50", "US$12.50"),
        ("en", "USD", "12.00", "US$12"),
        ("en", "KWD", "1.25", "KWD\xa01.250"),
        ("en", "KWD", "1.00", "KWD\xa01"),
        ("en", "CHF", "1234567.05", "CHF\xa01,234,567.05"),
        ("en", "JPY", "0.50", "¥0.5"),  # never rounded away
        ("en", "", "5", "5"),
    ],
)
def test_money_has_its_sign_and_its_own_decimals(language, currency, amount, told):
    with translation.override(language):
        assert money(Campaign(currency=currency), Decimal(amount)) == told


@pytest.mark.parametrize(
    ("language", "spans", "spend"),
    [
        ("en", ["1 day", "3 days", "1 minute", "2 hours"], "Spend ¥500 or more"),
        ("ja", ["1日", "3日", "1分", "2時間"], "500円以上のお買い上げで利用可"),
        ("zh-hant", ["1 天", "3 天", "1 分鐘", "2 小時"], "消費滿 ¥500 可使用"),
        ("th", ["1 วัน", "3 วัน", "1 นาที", "2 ชั่วโมง"], "เมื่อซื้อครบ ¥500 ขึ้นไป"),
        ("ko", ["1일", "3일", "1분", "2시간"], "¥500 이상 구매 시"),
    ],
)
def test_spans_and_plurals_are_the_languages_own(language, spans, spend):
    with translation.override(language):
        given = [("days", 1), ("days", 3), ("minutes", 1), ("hours", 2)]
        assert [interval_words(*span) for span in given] == spans
        assert left_words(timedelta(days=3)) == spans[1]
        campaign = Campaign(currency="JPY", minimum_spend=Decimal(500))
        assert condition_words(campaign) == spend


# --- who chooses -----------------------------------------------------------------------


@pytest.fixture
def coupon():
    campaign = make_campaign(name="Summer latte")
    make_serials(campaign, ["LATTE-0001"])
    return make_coupon(campaign, status="sent")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("browser", "address", "given"),
    [
        ("ja-JP,ja;q=0.9,en;q=0.5", "", "ja"),
        ("zh-TW,zh;q=0.9", "", "zh-hant"),
        ("zh-HK", "", "zh-hant"),
        ("th-TH", "", "th"),
        ("ko-KR,en;q=0.1", "", "ko"),
        ("fr-FR,ko;q=0.4", "", "ko"),
        ("fr-FR", "", "en"),
        ("*", "", "en"),
        ("ja", "ko", "ko"),
        ("ja", "zh-Hant", "zh-hant"),
        ("ja", "klingon", "ja"),
        ("ja", "", "ja"),
    ],
)
def test_browser_and_address_choose(client, coupon, browser, address, given):
    query = f"?lang={address}" if address else ""

    response = see(client, coupon, query, headers={"Accept-Language": browser})

    assert f'<html lang="{given}">' in body(response)
    assert response["Content-Language"] == given


@pytest.mark.django_db
def test_the_foot_offers_each_language_in_its_own_name(client, coupon):
    html = body(see(client, coupon, "?lang=ko"))

    [nav] = re.findall(r"<nav.*?</nav>", html, flags=re.DOTALL)
    page = reverse("coupon:page", args=[coupon.token])
    links = dict(re.findall(r'<a href="([^"]+)" lang="([^"]+)"', nav))
    assert links == {f"{page}?lang={code}": code for code in LANGUAGES if code != "ko"}
    assert '<span lang="ko" aria-current="true">한국어</span>' in nav
    for name in ("English", "日本語", "繁體中文", "ภาษาไทย"):
        assert f">{name}</a>" in nav


def test_a_page_without_an_address_offers_no_languages():
    page = specimen(make_unsaved(), "ready", now=NOW, language="en")
    request = SimpleNamespace(csp_nonce="n")

    html = draw(request, page, links=Links())  # type: ignore[arg-type]

    assert "<nav" not in html


@pytest.mark.parametrize(
    ("language", "heading"),
    [
        ("ja", "クーポンが見つかりません"),
        ("zh-hant", "找不到這張優惠券"),
        ("th", "ไม่พบคูปองนี้"),
        ("ko", "쿠폰을 찾을 수 없습니다"),
    ],
)
@pytest.mark.django_db
def test_an_unknown_link_is_told_in_the_language(client, language, heading):
    response = client.get("/c/nothing", headers={"Accept-Language": language})

    assert response.status_code == 404
    assert heading in text_of(response)
    assert re.findall("[A-Za-z]{2,}", text_of(response)) == []


# --- a link's preview ------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_a_preview_tells_the_campaigns_name_and_nothing_of_the_coupon(state, language):
    html = shown(state, language)

    head = html.partition("<body>")[0]
    assert re.findall(r'property="og:(\w+)" content="([^"]*)"', head) == [
        ("title", "甲乙")
    ]
    assert "<title>甲乙 · Test shop</title>" in head
    assert 'name="description"' not in head
    for secret in ("SPECIMEN", "TEST", "折", "20%", "2026", state):
        assert secret not in re.sub(r"<title>.*?</title>|<link.*?>", "", head)


# --- staff -----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/login/", "/store/sign-in"])
@pytest.mark.parametrize("language", ["th", "ko"])
def test_staff_pages_are_english_where_they_are_not_translated(
    client, address, language
):
    response = client.get(address, headers={"Accept-Language": language})

    assert response["Content-Language"] == "en"
    assert re.search(r'<html[^>]* lang="en', body(response))
    assert re.search("[ก-๛가-힣]", body(response)) is None


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/login/", "/store/sign-in"])
def test_staff_pages_are_in_a_language_once_it_is_named(client, address):
    with override_settings(STAFF_LANGUAGES=["en", "ja"]):
        response = client.get(address, headers={"Accept-Language": "ja"})

    assert response["Content-Language"] == "ja"
