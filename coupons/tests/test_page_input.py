"""Whatever a marketer wrote: the page shows it as text, and never breaks."""

import re

import pytest

from campaigns.models import Campaign, CampaignText, Group, Template
from coupons.services import verify
from coupons.tests.page_helpers import body, see, state_of, text_of
from testing.factories import (
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

EVIL = [
    "<script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "{{ page }}{% now 'Y' %}",
    "</script><script>alert(1)",
    "%s %(name)s {0}",
]
COLOURS = ("background_colour", "text_colour", "button_colour", "button_text_colour")
WEIRD = [
    "",
    "red",
    "#12345",
    "red;}bo{",
    "url(//x)",
    "</style>",
    "#1234567",
    "expressio",
    "１２３",
]
BAD_LINKS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "//elsewhere.example",
    "/admin/",
    "http://[::1",
    "file:///etc/passwd",
    "x",
]


def make_stocked(*stores, **fields):
    campaign = make_campaign(*stores, **fields)
    make_serials(campaign, ["CODE-1", "CODE-2", "CODE-3"])
    return campaign


@pytest.mark.parametrize("evil", EVIL)
def test_every_text_of_people_is_shown_as_text(client, settings, evil):
    settings.SHOP_NAME = evil
    store = make_store(name=evil[:60], address=evil)
    campaign = make_stocked(
        store,
        name=evil[:60],
        instructions=evil,
        usage_condition=evil,
        button_label=evil[:40],
        button_url="https://shop.example/?q=" + evil,
        benefit="amount",
        benefit_value=1,
        currency="<b>",
    )
    CampaignText.objects.create(
        campaign=campaign, language="ja", name=evil[:60], instructions=evil
    )
    coupons = [make_coupon(campaign), make_coupon(campaign, status="redeemed")]
    used = make_coupon(campaign, status="redeemed")
    verify(used.pk, store=store, staff=make_user())

    for coupon in (*coupons, used):
        for query in ("", "?lang=ja"):
            html = body(see(client, coupon, query))
            tags = re.findall(r"<(script|img|svg|style)\b[^>]*>", html)
            assert "img" not in tags
            assert tags.count("style") == 1
            assert tags.count("script") == 2
            assert "<svg onload" not in html
            assert "<b>" not in html


def test_a_serial_that_is_markup_is_shown_as_text(client):
    campaign = make_campaign(barcode="qr")
    make_serials(campaign, ["<script>alert(1)</script>"])

    html = body(see(client, make_coupon(campaign, status="redeemed")))

    assert "&lt;script&gt;alert(1)&lt;/script&gt;</code>" in html
    assert "<script>alert" not in html


@pytest.mark.parametrize("link", BAD_LINKS)
def test_only_a_link_to_the_web_is_a_link(client, settings, link):
    settings.SHOP_CONTACT_URL = settings.SHOP_PRIVACY_URL = link
    campaign = make_stocked(image="campaigns/x.png")
    Campaign.objects.update(button_url=link)

    response = see(client, make_coupon(campaign))

    assert response.status_code == 200
    assert state_of(response) == "ready"
    hrefs = re.findall(r'<a [^>]*href="([^"]*)"', body(response))
    assert all(href.startswith("/c/") for href in hrefs)


def test_links_to_the_web_mail_and_phone_are_links(client, settings):
    settings.SHOP_CONTACT_URL = "tel:+81312345678"
    settings.SHOP_PRIVACY_URL = "https://shop.example/privacy"
    campaign = make_stocked(button_url="http://shop.example/?a=1&b=2")

    html = body(see(client, make_coupon(campaign)))

    assert 'href="tel:+81312345678"' in html
    assert 'href="https://shop.example/privacy"' in html
    assert 'href="http://shop.example/?a=1&amp;b=2"' in html


@pytest.mark.parametrize("weird", WEIRD)
@pytest.mark.parametrize("field", COLOURS)
def test_what_is_no_colour_gets_the_default_look(client, field, weird):
    campaign = make_stocked()
    Campaign.objects.update(**{field: weird})

    response = see(client, make_coupon(campaign))

    assert response.status_code == 200
    style = body(response).partition("<style")[2].partition("</style>")[0]
    assert re.fullmatch(
        r' nonce="[^"]+">:root\{(--coupon-[a-z-]+:#[0-9A-Fa-f]{6,8};)+\}', style
    )
    default = getattr(Campaign(), field)
    assert f":{default};" in style


def test_the_groups_colours_and_button_win(client):
    group = Group.objects.create(
        name="Spring",
        background_colour="#ABCDEF80",
        button_url="https://group.example/",
        button_label="Group shop",
    )
    campaign = make_stocked(group=group, button_url="https://own.example/")

    response = see(client, make_coupon(campaign))

    assert "--coupon-bg:#ABCDEF80;" in body(response)
    assert "Group shop" in text_of(response)
    assert "own.example" not in body(response)


def test_a_template_gives_what_the_campaign_leaves_open(client):
    template = Template.objects.create(
        name="Usual", instructions="As always.", usage_condition="Dine-in"
    )
    campaign = make_stocked(template=template, usage_condition="Take-away")

    text = text_of(see(client, make_coupon(campaign)))

    assert "As always." in text
    assert "Take-away" in text
    assert "Dine-in" not in text


@pytest.mark.parametrize(
    "zone",
    [
        "Asia/Kolkata",
        "America/Argentina/Buenos_Aires",
        "UTC",
        "Pacific/Chatham",
        "Etc/GMT+12",
        "America/St_Johns",
    ],
)
def test_every_zone_has_a_name(client, zone):
    campaign = make_stocked(time_zone=zone)

    response = see(client, make_coupon(campaign, status="redeemed"))

    assert response.status_code == 200
    assert re.search(r"\([^)]*UTC[^)]*\)", text_of(response))


def test_long_texts_emoji_and_right_to_left_are_whole(client):
    campaign = make_stocked(
        name="咖" * 58 + "🎉🎉",
        instructions="\n".join(["קפה חינם 🎉"] * 80),
        usage_condition="W" * 100,
        button_label="前" * 40,
        button_url="https://shop.example/" + "x" * 470,
    )

    html = body(see(client, make_coupon(campaign)))

    for text in (campaign.name, campaign.instructions, "W" * 100, "前" * 40):
        assert text in html


def test_a_draft_or_a_benefit_without_a_value_is_still_a_page(client):
    campaign = make_stocked(benefit="cash_back")
    coupon = make_coupon(campaign)
    Campaign.objects.update(state="draft")

    response = see(client, coupon)

    assert state_of(response) == "not_started"
    assert "Time until" not in text_of(response)


def test_a_serial_that_the_barcode_cannot_draw_is_text_and_the_number_is_a_qr(client):
    campaign = make_campaign(barcode="code39")
    make_serials(campaign, ["lower-case@1"])
    coupon = make_coupon(campaign, status="redeemed")

    response = see(client, coupon)

    assert "lower-case@1" in text_of(response)
    assert "Barcode of" not in body(response)
    assert f"QR code of coupon number {coupon.shown_number}" in body(response)
