"""The customer's page: each state, its words, and what it never does."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign, CampaignText
from campaigns.services import move
from coupons.limiting import set_total_limit
from coupons.models import Coupon
from coupons.services import revoke, undo, verify
from coupons.showing import coupon_sql, find_shown
from coupons.tests.page_helpers import (
    body,
    press,
    rows,
    see,
    state_of,
    text_of,
    url_of,
)
from serials.models import Serial
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


def make_stocked(*stores, codes=("LATTE-0001",), **fields) -> Campaign:
    campaign = make_campaign(*stores, **fields)
    make_serials(campaign, list(codes))
    return campaign


def make_verified(campaign, store) -> Coupon:
    coupon = make_coupon(campaign, status="redeemed")
    verify(coupon.pk, store=store, staff=make_user())
    coupon.refresh_from_db()
    return coupon


# --- each state ----------------------------------------------------------------------


def test_ready_shows_the_offer_its_end_and_where_it_is_taken(client):
    store = make_store(name="Shibuya", address="1-2-3 Dogenzaka")
    make_store(name="Elsewhere")
    campaign = make_stocked(
        store,
        name="Summer latte",
        benefit="percentage",
        benefit_value=20,
        currency="JPY",
        minimum_spend=500,
        instructions="Show it at the till.\nOne per person.",
        usage_condition="Any size",
        button_url="https://shop.example/menu",
        button_label="See the menu",
        use_ends_at=timezone.now() + timedelta(days=12, minutes=5),
    )

    response = see(client, make_coupon(campaign))

    assert response.status_code == 200
    assert state_of(response) == "ready"
    text = text_of(response)
    for words in (
        "Test shop",
        "Summer latte",
        "20% off",
        "Spend ¥500 or more",
        "Time left 12 days",
        "Any size",
        "Show it at the till.",
        "Shibuya 1-2-3 Dogenzaka",
        "See the menu",
        "Yes, redeem now",
        "(Japan time)",
    ):
        assert words in text
    assert "Elsewhere" not in text
    assert "LATTE-0001" not in body(response)


def test_a_campaign_without_stores_of_its_own_lists_all_open_ones(client):
    make_store(name="Shibuya")
    make_store(name="Closed for good", is_active=False)

    text = text_of(see(client, make_coupon(make_stocked())))

    assert "Shibuya" in text
    assert "Closed for good" not in text


def test_a_campaign_whose_only_store_closed_names_no_other(client):
    closed = make_store(name="Closed for good", is_active=False)
    make_store(name="Shibuya")

    text = text_of(see(client, make_coupon(make_stocked(closed))))

    assert "Shibuya" not in text


def test_more_than_a_hundred_stores_are_said_to_be_more(client):
    for n in range(101):
        make_store(name=f"Store no {n:03}")

    text = text_of(see(client, make_coupon(make_stocked())))

    assert "100 stores" in text
    assert "Store no 099" in text
    assert "Store no 100" not in text
    assert "And in more stores" in text


def test_not_started_says_from_when(client):
    starts = timezone.now() + timedelta(hours=5)
    campaign = make_stocked(use_starts_at=starts)

    response = see(client, make_coupon(campaign))

    assert state_of(response) == "not_started"
    text = text_of(response)
    assert "This coupon can't be used yet. You can use it from " in text
    assert "Time until then: 4:59:" in text
    assert "form_token" not in text
    assert "<form" not in body(response)


def test_expired_says_until_when(client):
    coupon = make_coupon(make_stocked(time_zone="Asia/Bangkok"))
    Coupon.objects.update(ends_at=instant("2026-01-31 17:00"))

    response = see(client, coupon)

    assert state_of(response) == "expired"
    assert (
        "You could use it until Sat, Jan 31, 2026, 11:59 PM (Thailand time)."
        in text_of(response)
    )
    assert "<form" not in body(response)


def test_an_expired_coupon_no_longer_shows_the_serial_it_got(client):
    coupon = make_coupon(make_stocked(), status="redeemed")
    Coupon.objects.update(ends_at=timezone.now())

    response = see(client, coupon)

    assert state_of(response) == "expired"
    assert "LATTE-0001" not in body(response)
    assert "<svg xmlns" not in body(response)


@pytest.mark.parametrize(
    ("action", "state", "words"),
    [
        ("pause", "campaign_paused", "not available right now"),
        ("end", "campaign_ended", "This offer has ended. The shop has ended it early"),
    ],
)
def test_paused_and_ended_show_on_the_very_next_get(client, action, state, words):
    campaign = make_stocked()
    coupon = make_coupon(campaign)
    assert state_of(see(client, coupon)) == "ready"

    move(campaign.pk, action)

    response = see(client, coupon)
    assert state_of(response) == state
    assert words in text_of(response)
    assert "(Japan time)" in text_of(response)
    assert "<form" not in body(response)


def test_a_redeemed_coupon_keeps_its_serial_while_the_campaign_is_paused(client):
    campaign = make_stocked()
    coupon = make_coupon(campaign, status="redeemed")

    move(campaign.pk, "pause")

    assert state_of(see(client, coupon)) == "redeemed"
    assert "LATTE-0001" in text_of(see(client, coupon))


def test_out_of_stock_says_so_before_the_press(client):
    campaign = make_stocked(codes=["ONLY-ONE"])
    coupon = make_coupon(campaign)
    assert state_of(see(client, coupon)) == "ready"

    make_coupon(campaign, status="redeemed")

    response = see(client, coupon)
    assert state_of(response) == "out_of_stock"
    assert "All coupons have been given out. None is left as of " in text_of(response)


@pytest.mark.parametrize(
    ("quantity", "state"), [(1, "out_of_stock"), (2, "ready"), (None, "ready")]
)
def test_a_fixed_batch_gives_until_its_quantity_is_gone(client, quantity, state):
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=quantity)
    make_coupon(campaign, status="redeemed")

    assert state_of(see(client, make_coupon(campaign))) == state


def test_a_batch_that_is_not_whole_is_no_stock(client):
    campaign = make_campaign()
    make_serials(campaign, 3, state="importing")

    assert state_of(see(client, make_coupon(campaign))) == "out_of_stock"


def test_the_limit_in_total_reads_as_given_out(client):
    campaign = make_stocked(codes=["A", "B"])
    set_total_limit(campaign, 1)
    make_coupon(campaign, status="redeemed")

    assert state_of(see(client, make_coupon(campaign))) == "out_of_stock"


def test_the_limit_per_person_says_how_many(client):
    campaign = make_stocked(codes=["A", "B", "C"], limit_per_contact=2)
    contact = make_contact()
    for _ in range(2):
        make_coupon(campaign, contact, status="redeemed")

    mine = see(client, make_coupon(campaign, contact))
    others = see(client, make_coupon(campaign, make_contact()))

    assert state_of(mine) == "limit_reached"
    assert "The limit is 2 per person." in text_of(mine)
    assert state_of(others) == "ready"


def test_no_limit_per_person_is_never_reached(client):
    campaign = make_stocked(codes=["A", "B"], limit_per_contact=0)
    contact = make_contact()
    make_coupon(campaign, contact, status="redeemed")

    assert state_of(see(client, make_coupon(campaign, contact))) == "ready"


def test_revoked_shows_the_name_and_no_code(client):
    campaign = make_stocked(name="Summer latte")
    coupon = make_coupon(campaign, status="redeemed")

    revoke(coupon.pk, source=TEST, reason="lost phone")

    response = see(client, coupon)
    assert response.status_code == 200
    assert state_of(response) == "revoked"
    assert "Summer latte" in text_of(response)
    assert "This coupon has been withdrawn. The shop withdrew it on" in text_of(
        response
    )
    assert "LATTE-0001" not in body(response)
    assert "lost phone" not in body(response)


def test_redeemed_shows_serial_number_clock_and_end(client):
    coupon = make_coupon(make_stocked(barcode="code128"), status="redeemed")

    response = see(client, coupon)

    assert state_of(response) == "redeemed"
    text = text_of(response)
    assert "Show this to the staff LATTE-0001" in text
    assert f"Coupon number {coupon.shown_number}" in text
    assert "Time now" in text
    assert "Use it until" in text
    assert 'aria-label="Barcode of LATTE-0001"' in body(response)
    assert "<form" not in body(response)


def test_without_verification_nobody_is_told_to_show_it(client):
    coupon = make_coupon(make_stocked(verifying="none"), status="redeemed")

    text = text_of(see(client, coupon))

    assert "Your code LATTE-0001" in text
    assert "staff" not in text


def test_verified_shows_when_and_where_and_no_serial(client):
    store = make_store(name="Shibuya")
    coupon = make_verified(make_stocked(time_zone="Asia/Taipei"), store)

    response = see(client, coupon)

    assert state_of(response) == "verified"
    assert "Used Shibuya" in text_of(response)
    assert "(Taiwan time)" in text_of(response)
    assert "LATTE-0001" not in body(response)
    assert "<svg xmlns" not in body(response)


def test_a_verification_taken_back_shows_the_serial_again(client):
    clerk = make_user()
    coupon = make_coupon(make_stocked(), status="redeemed")
    verification = verify(coupon.pk, store=make_store(), staff=clerk)

    undo(verification.pk, by=clerk, reason="slip", is_manager=False)

    assert state_of(see(client, coupon)) == "redeemed"


# --- what starts with Redeem ---------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "unit", "words"),
    [
        (30, "minutes", "you have 30 minutes to use it."),
        (1, "hours", "you have 1 hour to use it."),
        (2, "days", "you have 2 days to use it."),
        (90, "days", "you have until "),  # the use period ends before that
    ],
)
def test_the_question_says_what_redeeming_starts(client, amount, unit, words):
    campaign = make_stocked(
        expiry="from_redemption", expiry_amount=amount, expiry_unit=unit
    )
    coupon = make_coupon(campaign)

    assert f"From that moment {words}" in text_of(see(client, coupon))


def test_the_time_left_after_redeeming_runs_to_the_nearer_end(client):
    campaign = make_stocked(
        expiry="from_redemption", expiry_amount=30, expiry_unit="minutes"
    )

    text = text_of(see(client, make_coupon(campaign, status="redeemed")))

    assert "Time left 0:29:" in text


# --- languages -----------------------------------------------------------------------


@pytest.fixture
def translated():
    campaign = make_stocked(
        name="Summer latte", instructions="Show it.", usage_condition="Any size"
    )
    CampaignText.objects.create(campaign=campaign, language="ja", name="夏のラテ")
    return make_coupon(campaign)


def test_the_browsers_language_chooses_the_texts_and_falls_back(client, translated):
    response = see(client, translated, headers={"Accept-Language": "ja-JP,en;q=0.5"})

    assert '<html lang="ja">' in body(response)
    assert response["Content-Language"] == "ja"
    assert '<h1 lang="ja" dir="auto">夏のラテ</h1>' in body(response)
    assert '<p class="prose" lang="en" dir="auto">Show it.</p>' in body(response)


def test_the_address_beats_the_browser_and_sets_no_cookie(client, translated):
    response = see(client, translated, "?lang=ja", headers={"Accept-Language": "th"})

    assert '<html lang="ja">' in body(response)
    assert "夏のラテ" in body(response)
    assert not response.cookies
    assert '<html lang="en">' in body(see(client, translated))


def test_the_address_keeps_its_language_over_redeeming(client, translated):
    page = see(client, translated, "?lang=ja")
    assert f"{url_of(translated, 'redeem')}?lang=ja" in body(page)

    token = body(page).partition('name="form_token" value="')[2].partition('"')[0]
    answer = client.post(
        url_of(translated, "redeem") + "?lang=ja", {"form_token": token}
    )

    assert answer["Location"] == f"{url_of(translated)}?lang=ja"


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("zh-TW", "zh-hant"),
        ("ja-JP", "ja"),
        ("xx", "en"),
        ("", "en"),
        ("../en", "en"),
        ("%00", "en"),
        ("j" * 5000, "en"),
        ("fr", "en"),
        ("%F0%9F%92%A5", "en"),
    ],
)
def test_any_language_may_be_asked_for(client, translated, asked, given):
    response = see(client, translated, f"?lang={asked}")

    assert response.status_code == 200
    assert f'<html lang="{given}">' in body(response)


# --- what it never does --------------------------------------------------------------


@pytest.fixture
def one_of_each():
    """A coupon in each state."""
    store = make_store()
    campaign = make_stocked(codes=[f"CODE-{n}" for n in range(9)])
    contact = make_contact()
    full = make_coupon(campaign, contact, status="redeemed")
    revoked = make_coupon(campaign, status="redeemed")
    revoke(revoked.pk, source=TEST, reason="test")
    expired = make_coupon(campaign)
    Coupon.objects.filter(pk=expired.pk).update(ends_at=timezone.now())
    later = make_stocked(use_starts_at=timezone.now() + timedelta(days=1))
    coupons = [
        make_coupon(campaign, status="issued"),
        make_coupon(campaign, status="sent"),
        full,
        make_verified(campaign, store),
        revoked,
        expired,
        make_coupon(later),
        make_coupon(make_campaign()),
        make_coupon(campaign, contact),
    ]
    for action in ("pause", "end"):
        other = make_stocked()
        coupons.append(make_coupon(other))
        move(other.pk, action)
    return coupons


def test_there_is_one_of_each_state(client, one_of_each):
    assert {state_of(see(client, coupon)) for coupon in one_of_each} == {
        "ready",
        "redeemed",
        "verified",
        "revoked",
        "expired",
        "not_started",
        "out_of_stock",
        "limit_reached",
        "campaign_paused",
        "campaign_ended",
    }


def test_get_and_head_change_nothing_even_as_a_bot_or_ahead_of_time(
    client, one_of_each
):
    before = rows()

    for coupon in one_of_each:
        for name in ("page", "redeem", "opened"):
            for method in (client.get, client.head):
                method(url_of(coupon, name), headers={"Sec-Purpose": "prefetch"})
                method(url_of(coupon, name), headers={"User-Agent": "Line-preview"})

    assert rows() == before


def test_a_get_takes_at_most_two_statements(client, one_of_each):
    for coupon in one_of_each:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            see(client, coupon)
        assert len(queries) <= 2, state_of(see(client, coupon))


def test_no_cookie_is_set_and_none_is_read(one_of_each):
    client = Client()
    client.cookies.load({"session": "z" * 32, "csrf": "y" * 32})

    for coupon in one_of_each:
        with CaptureQueriesContext(connection) as queries:
            response = see(client, coupon)
        assert not response.cookies
        assert "Cookie" not in response["Vary"]
        assert "session" not in str(queries.captured_queries)


POLICY = {
    "default-src 'none'",
    "img-src 'self' data:",
    "script-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


def check_headers(response):
    assert response["Cache-Control"] == "no-store, private"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert not response.cookies
    policy = set(response["Content-Security-Policy"].split("; "))
    [style] = policy - POLICY
    assert policy > POLICY
    assert style.startswith("style-src 'self'")
    assert "unsafe" not in style


def test_every_answer_carries_the_headers(client, one_of_each):
    for coupon in one_of_each:
        check_headers(see(client, coupon))
        check_headers(client.head(url_of(coupon)))
    coupon = one_of_each[0]
    stale = {"form_token": "no"}
    check_headers(client.post(url_of(coupon, "redeem"), stale))
    check_headers(client.post(url_of(coupon, "opened"), stale))
    check_headers(press(client, coupon, headers={"Sec-Fetch-Site": "cross-site"}))
    check_headers(client.put(url_of(coupon)))
    check_headers(press(client, coupon))
    for address in (
        "/c/",
        "/c/x",
        "/c/x/y/z",
        "/c/" + "x" * 24,
        "/c/" + "x" * 24 + "/",
    ):
        check_headers(client.get(address))


def test_the_style_carries_the_nonce_of_its_answer_only(client, one_of_each):
    first, second = (see(client, one_of_each[0]) for _ in range(2))

    nonce = body(first).partition('<style nonce="')[2].partition('"')[0]
    assert len(nonce) > 20
    assert f"'nonce-{nonce}'" in first["Content-Security-Policy"]
    assert nonce not in body(second)


def test_nothing_comes_from_elsewhere(client, one_of_each):
    for coupon in one_of_each:
        html = body(see(client, coupon))
        assert "http://" not in html.replace("http://www.w3.org/2000/svg", "").replace(
            settings.SITE_URL, ""
        )
        assert "https://" not in html
        assert " style=" not in html
        assert "onclick" not in html


def test_the_preview_tells_the_campaigns_name_and_picture_only(client):
    campaign = make_stocked(name="Summer latte", image="campaigns/latte.png")
    coupon = make_coupon(campaign, status="redeemed")

    html = body(see(client, coupon))

    previews = [line for line in html.splitlines() if "og:" in line]
    assert previews == [
        '<meta property="og:title" content="Summer latte">',
        '<meta property="og:image" '
        'content="http://testserver/media/campaigns/latte.png">',
    ]
    head = html.partition("</head>")[0]
    assert coupon.number not in head
    assert coupon.token not in head
    assert "LATTE-0001" not in head


def test_the_page_never_shows_the_memo(client):
    coupon = make_coupon(make_stocked(memo="Budget 12 million"))

    assert "Budget" not in body(see(client, coupon))


# --- no coupon here ------------------------------------------------------------------

MALFORMED = [
    "/c/" + "y" * 24,
    "/c/",
    "/c/short",
    "/c/" + "x" * 200,
    "/c/" + "x" * 23 + "%00",
    "/c/" + "x" * 23 + "%F0%9F%92%A5",
    "/c/%ff%fe",
    "/c/../../etc/passwd",
    "/c/" + "x" * 24 + "/",
    "/c/" + "x" * 24 + "/redeem",
    "/c/" + "x" * 24 + "/verify",
    "/c/<script>",
    "/c/' OR 1=1 --",
]


@pytest.mark.parametrize("address", MALFORMED)
def test_unknown_and_malformed_tokens_get_the_same_answer(client, address):
    unknown = client.get("/c/" + "x" * 24)

    response = client.get(address, follow=True)

    assert response.status_code == unknown.status_code == 404
    assert response.content == unknown.content
    for name, value in unknown.items():
        if name != "X-Request-Id":
            assert response[name] == value, name


def test_a_press_on_no_coupon_gets_that_answer_too(client):
    unknown = client.get("/c/" + "x" * 24)

    response = client.post("/c/" + "x" * 24 + "/redeem", {"form_token": "x"})

    assert response.status_code == 404
    assert response.content == unknown.content


def test_a_malformed_token_asks_the_database_nothing(client):
    with CaptureQueriesContext(connection) as queries:
        client.get("/c/nope")

    assert len(queries) == 0


# --- every serial of the stock stays where it is -------------------------------------


def test_looking_takes_no_serial(client):
    campaign = make_stocked(codes=["A"])
    coupon = make_coupon(campaign)

    for _ in range(3):
        see(client, coupon)

    assert Serial.objects.get().state == Serial.State.FREE


# --- a period over a change of the clock ---------------------------------------------


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (
            "2036-02-01 05:00",
            "Thu, Jan 10, 2036, 7:00 AM – Thu, Jan 31, 2036, 11:59 PM (New",
        ),
        (
            "2036-06-01 04:00",
            "Thu, Jan 10, 2036, 7:00 AM (New York, UTC-5) – Sat, May 31, 2036,",
        ),
    ],
)
def test_the_zone_is_named_once_unless_its_offset_changes(client, ends, told):
    campaign = make_stocked(
        time_zone="America/New_York",
        use_starts_at=instant("2036-01-10 12:00"),
        use_ends_at=instant(ends),
    )

    assert f"When {told}" in text_of(see(client, make_coupon(campaign)))


# --- the plan of the page's statement --------------------------------------------------


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_looking_for_stock_walks_the_index_of_free_serials_only(mode):
    campaigns = [make_campaign() for _ in range(3)]
    for campaign in campaigns:
        make_serials(campaign, 3000)
        make_serials(campaign, 3000)
    Serial.objects.filter(pos__lt=2999).update(state=1, taken_at=timezone.now())
    token = make_coupon(campaigns[1]).token
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
        cursor.execute("PREPARE shown AS " + coupon_sql() % ("$1", "$2"))
        cursor.execute("EXPLAIN EXECUTE shown(%s, %s)", ["ja", token])
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE shown")

    assert "serial_free" in plan
    assert "Seq Scan on serials_serial" not in plan
    assert "hashed SubPlan" not in plan


@pytest.mark.postgres
def test_a_statement_that_is_planned_once_still_reads_what_is_true_now():
    campaign = make_stocked()
    coupon = make_coupon(campaign)
    seen = []
    for action in (None, "pause", "resume") * 4:
        if action:
            move(campaign.pk, action)
        found = find_shown(coupon.token, language="en")
        seen.append(found[0].campaign.state)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        prepared = cursor.fetchone()[0]

    assert seen == ["active", "paused", "active"] * 4
    assert prepared > 0
