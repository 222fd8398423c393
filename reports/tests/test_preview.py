"""The preview of the campaign form: it shows what is typed and writes nothing."""

import base64
import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image

from campaigns.models import Campaign, CampaignText, Group, Template
from coupons.models import Coupon
from testing.factories import (
    make_campaign,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)
from testing.saving import filled

pytestmark = pytest.mark.django_db

NEW = "admin:campaigns_campaign_draw_new"
STATES = {
    "not_started": "You can use it from",
    "ready": "Yes, redeem now",
    "redeemed": "Show this to the staff",
    "verified": "Used",
    "expired": "You could use it until",
    "campaign_paused": "you can use it until",
    "out_of_stock": "None is left",
    "limit_reached": "per person",
    "campaign_ended": "ended it early",
    "revoked": "withdrew it",
}


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


@pytest.fixture
def campaign():
    return make_campaign(make_store(name="Shibuya"), name="Saved name")


def draw(client, campaign=None, **changes):
    """The answer for the form with these changes, as the script reads it."""
    response = ask(client, campaign, **changes)
    assert response.status_code == 200
    return response.json()


def ask(client, campaign=None, **changes):
    url = reverse(NEW)
    if campaign is not None:
        url = reverse("admin:campaigns_campaign_draw", args=[campaign.pk])
    return client.post(url, filled(**changes))


def page_url(campaign):
    return reverse("admin:campaigns_campaign_preview", args=[campaign.pk])


def text(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def texts_in(language, n=0, **values):
    return {
        "texts-TOTAL_FORMS": str(n + 1),
        f"texts-{n}-language": language,
        **{f"texts-{n}-{name}": value for name, value in values.items()},
    }


def picture(colour="#8A3B12", size=(64, 64)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return SimpleUploadedFile("a.png", out.getvalue())


# --- it follows the form ---------------------------------------------------------------


def test_what_is_typed_is_shown_over_what_is_saved(editor, campaign):
    answer = draw(editor, campaign, name="Typed name", instructions="Ask for it.")

    assert "Typed name" in answer["page"]
    assert "Ask for it." in answer["page"]
    assert "Saved name" not in answer["page"]


def test_a_new_campaign_is_shown_before_anything_is_typed(editor):
    answer = draw(editor, name="", use_starts_at_0="", use_ends_at_0="", benefit="")

    assert "Name of the offer" in answer["page"]
    assert "Yes, redeem now" in answer["page"]


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_drawn(editor, campaign, state):
    answer = draw(editor, campaign, preview_state=state)

    assert f'data-state="{state}"' in answer["page"]
    assert STATES[state] in text(answer["page"])


@pytest.mark.parametrize(
    ("language", "name"), [("ja", "春のラテ"), ("th", "ลาเต้"), ("ko", "봄 라떼")]
)
def test_texts_of_another_language_are_shown_in_it(editor, campaign, language, name):
    given = texts_in(language, name=name)

    shown = draw(editor, campaign, preview_lang=language, **given)
    otherwise = draw(editor, campaign, preview_lang="en", **given)

    assert name in shown["page"]
    assert f'<html lang="{language}">' in shown["page"]
    assert name not in otherwise["page"]


def test_a_language_without_texts_shows_the_campaigns_own(editor, campaign):
    answer = draw(editor, campaign, name="Typed name", preview_lang="ja")

    assert '<h1 lang="en" dir="auto">Typed name</h1>' in answer["page"]


def test_a_text_that_was_emptied_falls_back_at_once(editor, campaign):
    saved = CampaignText.objects.create(campaign=campaign, language="ja", name="春")

    answer = draw(
        editor,
        campaign,
        preview_lang="ja",
        **texts_in("ja", name=""),
        **{
            "texts-INITIAL_FORMS": "1",
            "texts-0-id": str(saved.pk),
            "texts-0-campaign": str(campaign.pk),
        },
    )

    assert "春" not in answer["page"]


def test_stores_are_those_chosen_in_the_form(editor, campaign):
    other = make_store(name="Umeda")

    chosen = draw(editor, campaign, stores=[other.pk])["page"]
    none = draw(editor, campaign)["page"]

    assert "Umeda" in chosen
    assert "Shibuya" not in chosen
    assert "Umeda" in none
    assert "Shibuya" in none


def test_a_closed_store_is_not_shown(editor, campaign):
    closed = make_store(name="Closed one", is_active=False)

    assert "Closed one" not in draw(editor, campaign, stores=[closed.pk])["page"]


def test_the_fixed_serial_is_shown_as_customers_get_it(editor, campaign):
    make_fixed_batch(campaign, code="FNA@5841")

    assert "FNA@5841" in draw(editor, campaign, preview_state="redeemed")["page"]


def test_another_barcode_is_drawn_at_once(editor, campaign):
    drawn = {
        kind: draw(editor, campaign, barcode=kind, preview_state="redeemed")["page"]
        for kind in ("none", "qr", "code39", "code128")
    }

    assert len(set(map(symbol, drawn.values()))) == 4


def symbol(page):
    found = re.search(r'<path fill="#000" d="([^"]+)"', page)
    return found and found[1]


def test_colours_and_their_opacity_reach_the_page(editor, campaign):
    page = draw(editor, campaign, background_colour="#11223344")["page"]

    assert "--coupon-bg:#11223344;" in page


def test_a_picture_just_chosen_is_shown_without_being_saved(
    editor, campaign, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    answer = draw(editor, campaign, image=picture())

    kind, _, content = answer["image"].partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (64, 64)
    assert 'src="data:,unsaved-image"' in answer["page"]
    assert list(tmp_path.rglob("*.*")) == []


def test_a_picture_that_the_script_has_keeps_its_place(editor, campaign):
    answer = draw(editor, campaign, preview_image="kept")

    assert answer["image"] == ""
    assert 'src="data:,unsaved-image"' in answer["page"]


def test_what_is_no_picture_is_named_and_left_out(editor, campaign):
    bad = SimpleUploadedFile("a.png", b"<svg onload=alert(1)>")

    answer = draw(editor, campaign, image=bad)

    assert "id_image" in answer["wrong"]
    assert "<img" not in answer["page"]


# --- what is wrong is left out ---------------------------------------------------------


def test_a_wrong_field_is_named_and_the_others_are_followed(editor, campaign):
    answer = draw(
        editor, campaign, name="Typed name", background_colour="red;background:url(//x)"
    )

    assert "--coupon-bg:#FFFFFF;" in answer["page"]
    assert "Typed name" in answer["page"]
    assert "url(//x)" not in answer["page"]
    assert list(answer["wrong"]) == ["id_background_colour"]
    assert "Background colour" in answer["ignored"]


def test_an_empty_field_is_no_mistake_while_somebody_writes(editor):
    answer = draw(editor, name="")

    assert "id_name" in answer["wrong"]
    assert answer["ignored"] == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"use_ends_at_0": "2026-04-01"},
        {"use_starts_at_0": "9999-12-31", "use_ends_at_0": "9999-12-31"},
        {"use_starts_at_0": "0001-01-01"},
        {"use_starts_at_0": "0000-00-00"},
        {"send_starts_at_0": "2026-06-01", "send_ends_at_0": "2026-05-01"},
        {"expiry": "from_sending", "expiry_amount": "1e400"},
        {"expiry": "from_sending", "expiry_amount": "99999999999999999999"},
        {"expiry": "from_redemption", "expiry_amount": "0"},
        {"benefit": "percentage", "benefit_value": "1e400"},
        {"benefit": "percentage", "benefit_value": "NaN"},
        {"benefit": "price", "price_before": "-Infinity", "price_after": "1"},
        {"limit_per_contact": "9" * 400},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "\x00"},
        {"name": "a\x00b"},
        {"language": "xx"},
        {"barcode": "aztec"},
        {"verifying": ["scan", "button"]},
        {"stores": ["0", "x", "-1"]},
        {"group": "99999999999999999999"},
        {"preview_state": "\x00", "preview_lang": "../../etc"},
        {"texts-TOTAL_FORMS": "99999999999"},
        {"texts-TOTAL_FORMS": ""},
        {"texts-TOTAL_FORMS": "2", "texts-0-language": "xx", "texts-1-name": "y" * 99},
    ],
    ids=str,
)
def test_bad_input_is_drawn_all_the_same(editor, campaign, changes):
    for asked in (campaign, None):
        answer = draw(editor, asked, **changes)
        assert "Yes, redeem now" in answer["page"]
        assert "How the clocks run" in answer["timeline"]


@pytest.mark.parametrize(
    "field", ["name", "instructions", "usage_condition", "button_label", "memo"]
)
def test_a_script_in_a_text_is_text(editor, campaign, field):
    bad = "<script>alert(1)</script>"[:40]
    group = Group.objects.create(name=bad, button_label=bad, text_colour="#eeeeee")

    answer = draw(
        editor,
        campaign,
        group=group.pk,
        **{field: bad, "button_url": "https://shop.example/"},
        **texts_in("en", instructions="<img src=x onerror=alert(1)>"),
    )

    everything = "".join(
        [
            answer["page"],
            answer["timeline"],
            answer["ignored"],
            *answer["notes"].values(),
        ]
    )
    assert "<script>alert" not in everything
    assert "<img src=x" not in everything


def test_a_link_that_runs_a_script_is_no_link(editor, campaign):
    answer = draw(
        editor, campaign, button_label="Go", button_url="javascript:alert(document.URL)"
    )

    assert "javascript:" not in answer["page"]
    assert "id_button_url" in answer["wrong"]


def test_the_page_runs_no_script(editor, campaign):
    for state in STATES:
        page = draw(editor, campaign, preview_state=state)["page"]
        scripts = re.findall(r"<script[^>]*>", page)
        assert scripts == ['<script id="page-data" type="application/json">']


# --- effective values and contrast -----------------------------------------------------


def test_a_groups_value_beats_the_campaigns_and_says_whose_it_is(editor, campaign):
    group = Group.objects.create(name="Spring", background_colour="#112233")

    answer = draw(editor, campaign, group=group.pk, background_colour="#FFFFFF")

    note = text(answer["notes"]["background_colour"])
    assert note == "From group “Spring”: #112233"
    assert "--coupon-bg:#112233;" in answer["page"]


def test_a_template_speaks_where_the_campaign_does_not(editor, campaign):
    usual = Template.objects.create(
        name="Usual", instructions="At the counter.", usage_condition="Once."
    )

    answer = draw(editor, campaign, template=usual.pk, usage_condition="My own.")

    note = text(answer["notes"]["instructions"])
    assert note == "From template “Usual”: At the counter."
    assert "usage_condition" not in answer["notes"]
    assert "At the counter." in answer["page"]
    assert "My own." in answer["page"]


@pytest.mark.parametrize(
    ("colours", "is_faint"),
    [
        ({"text_colour": "#767676"}, False),  # 4.54:1 on white
        ({"text_colour": "#777777"}, True),  # 4.48:1
        ({"text_colour": "#000000", "background_colour": "#00000000"}, False),
        ({"text_colour": "#FFFFFF", "background_colour": "#00000010"}, True),
        ({"text_colour": "#00000080"}, True),
        ({"text_colour": "#00000090"}, False),
        ({"text_colour": "#nonsense"}, False),
    ],
)
def test_faint_text_is_told_with_what_would_be_enough(editor, colours, is_faint):
    answer = draw(editor, **colours)

    note = answer["notes"].get("text_colour", "")
    assert ("4.5:1 is needed" in note) == is_faint
    if is_faint:
        enough = re.search(r'data-use="(#[0-9A-F]{6})"', note)[1]
        again = draw(editor, **colours | {"text_colour": enough})
        assert "text_colour" not in again["notes"]


def test_a_faint_button_is_told_at_its_text(editor):
    answer = draw(editor, button_colour="#FFFF00", button_text_colour="#FFFFFF")

    assert "1.0:1" in answer["notes"]["button_text_colour"]


def test_a_groups_faint_colour_is_mended_in_the_group(editor):
    group = Group.objects.create(name="Pale", text_colour="#EEEEEE")

    note = draw(editor, group=group.pk)["notes"]["text_colour"]

    assert "change it there" in note
    assert "data-use" not in note


def test_the_timeline_follows_and_names_the_zone_beside_each_date(editor):
    answer = draw(
        editor,
        time_zone="Europe/Berlin",
        use_starts_at_0="2030-03-30",
        use_ends_at_0="2030-04-30",
        expiry="from_sending",
        expiry_amount="1",
        expiry_unit="days",
    )

    said = text(answer["timeline"])
    assert "1 day from sending: the earliest clock wins" in said
    assert "The clocks go forward by 60 minutes" in said
    assert "The clocks go forward in between" in said
    times = re.findall(r"<time[^>]*>([^<]+)</time>", answer["timeline"])
    assert times
    assert all("(Berlin," in words for words in times)


# --- it changes nothing, for nobody but who may ----------------------------------------


def test_nothing_is_ever_written(editor, campaign, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    make_serials(campaign, 2)
    url = reverse("admin:campaigns_campaign_draw", args=[campaign.pk])
    given = filled(
        name="Typed",
        new_password="secret-1",
        new_password_again="secret-1",
        limit_in_total="5",
        stock_warning="7",
        is_case_sensitive="on",
        stores=[make_store().pk],
        **texts_in("ja", name="春"),
    )

    with CaptureQueriesContext(connection) as asked:
        for state in STATES:
            for address in (url, reverse(NEW)):
                sent = given | {"preview_state": state, "image": picture()}
                assert editor.post(address, sent).status_code == 200
            assert editor.get(page_url(campaign), {"state": state}).status_code == 200

    first_words = {query["sql"].split()[0].upper() for query in asked.captured_queries}
    assert first_words <= {"SELECT", "SAVEPOINT", "RELEASE"}
    campaign.refresh_from_db()
    assert (campaign.name, campaign.password) == ("Saved name", "")
    assert Campaign.objects.count() == 1
    assert not Coupon.objects.exists()
    assert list(tmp_path.rglob("*.*")) == []


def test_no_row_is_locked(editor, campaign):
    with CaptureQueriesContext(connection) as asked:
        draw(editor, campaign, barcode="code39")

    assert not any("FOR UPDATE" in query["sql"] for query in asked.captured_queries)


@pytest.mark.parametrize("role", ["Viewer", "Store staff", ""])
def test_only_who_may_change_draws_a_form(client, campaign, role):
    client.force_login(make_user(role))

    for asked in (campaign, None):
        response = ask(client, asked)
        assert response.status_code in (302, 403)
        assert b"--coupon-bg" not in response.content


def test_a_viewer_sees_the_saved_page(client, campaign):
    client.force_login(make_user("Viewer"))

    assert b"Saved name" in client.get(page_url(campaign)).content


def test_nobody_else_sees_it(client, campaign):
    assert client.get(page_url(campaign)).status_code == 302
    client.force_login(make_user("Store staff"))
    assert client.get(page_url(campaign)).status_code == 302


def test_it_needs_the_forms_token(campaign):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("Editor"))

    assert ask(strict, campaign).status_code == 403


def test_a_get_draws_no_form(editor, campaign):
    url = reverse("admin:campaigns_campaign_draw", args=[campaign.pk])

    assert editor.get(url).status_code == 405
    assert editor.post(page_url(campaign)).status_code == 405


def test_an_unknown_campaign_is_not_found(editor):
    assert editor.get("/admin/campaigns/campaign/999/preview/").status_code == 404
    assert editor.post("/admin/campaigns/campaign/999/preview/draw/").status_code == 404


# --- the saved page at its own address -------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_the_saved_page_has_each_state_and_language(editor, campaign, state):
    page = editor.get(page_url(campaign), {"state": state, "lang": "ja"}).content

    assert f'data-state="{state}"'.encode() in page
    assert b'<html lang="ja">' in page


def test_the_saved_page_is_strict_and_framed_by_us_alone(editor, campaign):
    response = editor.get(page_url(campaign))

    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "form-action 'none'" in policy
    assert "unsafe" not in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert f'<style nonce="{nonce}">'.encode() in response.content
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert "no-store" in response["Cache-Control"]


def test_an_unknown_state_or_language_shows_the_usual_one(editor, campaign):
    page = editor.get(page_url(campaign), {"state": "x", "lang": "xx"}).content

    assert b'data-state="ready"' in page
    assert b'<html lang="en">' in page


def test_the_form_itself_shows_what_is_in_force(editor, campaign):
    campaign.group = Group.objects.create(name="Spring", text_colour="#EEEEEE")
    campaign.save()
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])

    page = editor.get(url).content.decode()
    page = text(page[page.index('class="cf"') :])

    assert "From group “Spring”: #EEEEEE" in page
    assert "4.5:1 is needed" in page
    assert "How the clocks run" in page
