"""The campaign form in a real browser: tabs, colours, and the phone that follows it."""

import io
from contextlib import contextmanager

import pytest
from PIL import Image
from playwright.sync_api import expect

from campaigns.models import Campaign, CampaignText, Group
from testing.browsing import let_in, visiting
from testing.factories import make_campaign, make_store, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TABS = ["offer", "dates", "serials", "look", "stores", "languages", "paddle"]


@pytest.fixture
def signed_in(client):
    """An editor's session, for any browser."""
    client.force_login(make_user("Editor"))
    return client


@contextmanager
def opened(browser, live_server, client, **options):
    with visiting(browser, **options) as page:
        let_in(page, live_server.url, client)
        yield page


@pytest.fixture
def office(browser, live_server, signed_in):
    with opened(browser, live_server, signed_in) as page:
        yield page


@pytest.fixture
def campaign():
    make_store(name="Shibuya")
    return make_campaign(name="Summer latte", state="draft", time_zone="Asia/Tokyo")


def change_url(live_server, campaign):
    return f"{live_server.url}/admin/campaigns/campaign/{campaign.pk}/change/"


def visit(page, live_server, campaign=None):
    add = f"{live_server.url}/admin/campaigns/campaign/add/"
    page.goto(change_url(live_server, campaign) if campaign else add)
    page.wait_for_selector("[data-drawn]", state="attached")


def phone(page):
    """What the phone shows, whichever frame is in front."""
    return page.frame_locator("[data-phone] iframe:not(.is-coming)")


def press_tab(page, slug):
    page.click(f"#to-{slug}")
    expect(page.locator(f"#tab-{slug}")).to_be_visible()


def test_the_phone_follows_typing_and_nothing_is_saved(office, live_server, campaign):
    visit(office, live_server, campaign)
    expect(phone(office).locator("h1")).to_have_text("Summer latte")

    office.fill("#id_name", "Winter <b>latte</b>")

    expect(phone(office).locator("h1")).to_have_text("Winter <b>latte</b>")
    campaign.refresh_from_db()
    assert campaign.name == "Summer latte"
    expect(office.locator("[data-phone] iframe")).to_have_count(1)


def test_the_phone_reads_in_the_language_that_is_written(office, live_server):
    visit(office, live_server)
    expect(phone(office).locator("html")).to_have_attribute("lang", "en")

    office.select_option("#id_language", "ja")

    expect(phone(office).locator("html")).to_have_attribute("lang", "ja")


def test_a_viewer_sees_the_saved_page_and_no_script_fails(
    browser, live_server, client, campaign
):
    client.force_login(make_user("Viewer"))
    with opened(browser, live_server, client) as page:
        page.goto(change_url(live_server, campaign))

        saved = page.frame_locator("[data-phone] iframe")
        expect(saved.locator("h1")).to_have_text("Summer latte")
        page.wait_for_load_state("networkidle")


def test_it_adds_nothing_to_the_browsers_history(office, live_server, campaign):
    visit(office, live_server, campaign)
    length = office.evaluate("history.length")

    for name in ("a", "b", "c"):
        office.fill("#id_name", name)
        expect(phone(office).locator("h1")).to_have_text(name)

    assert office.evaluate("history.length") == length


def test_each_state_and_language_is_a_press_away(office, live_server, campaign):
    CampaignText.objects.create(campaign=campaign, language="ja", name="夏のラテ")
    visit(office, live_server, campaign)
    card = phone(office).locator(".card")

    for label, state in [
        ("Before", "not_started"),
        ("Redeemed", "redeemed"),
        ("Verified", "verified"),
        ("Expired", "expired"),
        ("Paused", "campaign_paused"),
        ("Ready", "ready"),
    ]:
        office.get_by_role("radio", name=label, exact=True).check()
        expect(card).to_have_attribute("data-state", state)
    office.get_by_text("More states").click()
    office.get_by_role("radio", name="Revoked", exact=True).check()
    expect(card).to_have_attribute("data-state", "revoked")
    office.select_option("#pv-lang", "ja")
    expect(phone(office).locator("h1")).to_have_text("夏のラテ")


def test_a_text_in_another_language_is_followed(office, live_server, campaign):
    visit(office, live_server, campaign)
    office.select_option("#pv-lang", "ko")
    press_tab(office, "languages")

    office.locator('[data-language="ko"] summary').click()
    office.locator('[data-language="ko"] input[name$="-name"]').fill("여름 라떼")

    expect(phone(office).locator("h1")).to_have_text("여름 라떼")
    expect(office.locator('[data-language="en"]')).to_be_hidden()


def test_a_picked_colour_keeps_its_opacity(office, live_server, campaign):
    visit(office, live_server, campaign)
    press_tab(office, "look")
    field = office.locator("#id_background_colour")
    field.fill("#11223380")
    box = office.locator("[data-field=background_colour]")
    expect(box.locator("output")).to_have_text("50 %")

    box.locator("[data-pick]").fill("#ffeecc")
    expect(field).to_have_value("#FFEECC80")
    box.locator("[data-opacity]").focus()
    office.keyboard.press("End")

    expect(field).to_have_value("#FFEECC")
    card = phone(office).locator(".card")
    expect(card).to_have_css(
        "background-image", "linear-gradient(rgb(255, 238, 204), rgb(255, 238, 204))"
    )


def test_faint_colours_warn_at_once_and_one_press_mends_them(
    office, live_server, campaign
):
    visit(office, live_server, campaign)
    press_tab(office, "look")
    note = office.locator("[data-note=text_colour]")

    office.fill("#id_text_colour", "#CCCCCC")
    expect(note).to_contain_text("1.6:1, and 4.5:1 is needed")
    note.get_by_role("button").click()

    expect(note).to_be_empty()
    expect(office.locator("#id_text_colour")).not_to_have_value("#CCCCCC")


def test_a_chosen_picture_is_shown_and_sent_once(office, live_server, campaign):
    visit(office, live_server, campaign)
    press_tab(office, "look")
    out = io.BytesIO()
    Image.new("RGB", (80, 80), "#8A3B12").save(out, "PNG")
    office.evaluate(
        """() => {
            window.sent = [];
            const ask = window.fetch;
            window.fetch = (url, options) => {
                sent.push(options.body.has("image"));
                return ask(url, options);
            };
        }"""
    )
    file = {"name": "a.png", "mimeType": "image/png", "buffer": out.getvalue()}

    office.set_input_files("#id_image", file)
    picture = phone(office).locator("img.picture, .picture img")
    expect(picture).to_be_visible()
    office.fill("#id_button_label", "To the shop")
    office.fill("#id_button_url", "https://shop.example/")
    expect(phone(office).get_by_text("To the shop")).to_be_visible()

    assert picture.get_attribute("src").startswith("data:image/")
    assert picture.evaluate("image => image.naturalWidth") == 80
    sent = office.evaluate("window.sent")
    assert sent.count(True) == 1
    assert sent[-1] is False
    assert not Campaign.objects.exclude(image="").exists()


def test_a_group_shows_what_it_beats(office, live_server, campaign):
    group = Group.objects.create(name="Spring", background_colour="#112233")
    campaign.group = group
    campaign.save()
    visit(office, live_server, campaign)
    press_tab(office, "look")
    note = office.locator("[data-note=background_colour]")
    expect(note).to_contain_text("From group “Spring”: #112233")

    # What select2 does when the cross is pressed.
    office.evaluate("django.jQuery('#id_group').val(null).trigger('change')")

    expect(note).to_be_empty()


def test_the_timeline_follows_the_dates(office, live_server, campaign):
    visit(office, live_server, campaign)
    press_tab(office, "dates")
    expect(office.locator("[data-field=expiry_amount]")).to_be_hidden()

    office.select_option("#id_expiry", "from_redemption")
    office.fill("#id_expiry_amount", "30")
    office.select_option("#id_expiry_unit", "minutes")

    timeline = office.locator("[data-timeline]")
    expect(timeline).to_contain_text("30 minutes from pressing Redeem")
    expect(timeline.locator(".tl-example")).to_have_count(2)


def test_the_tabs_are_walked_by_keyboard(office, live_server, campaign):
    visit(office, live_server, campaign)
    office.locator("#to-offer").focus()

    for slug in [*TABS[1:], TABS[0]]:
        office.keyboard.press("ArrowRight")
        expect(office.locator(f"#to-{slug}")).to_be_focused()
        expect(office.locator(".cf-tab:visible")).to_have_count(1)
        expect(office.locator(f"#tab-{slug}")).to_be_visible()
    office.keyboard.press("End")
    expect(office.locator("#to-paddle")).to_have_attribute("aria-selected", "true")
    office.keyboard.press("Tab")
    expect(office.locator("#id_product_ids")).to_be_focused()


def test_the_tab_with_the_error_opens_and_its_field_has_the_focus(
    office, live_server, campaign
):
    visit(office, live_server, campaign)
    press_tab(office, "look")
    office.fill("#id_button_url", "http://shop.example/")
    office.fill("#id_button_label", "Shop")
    press_tab(office, "offer")

    office.get_by_role("button", name="Save", exact=True).click()

    expect(office.locator("#tab-look")).to_be_visible()
    expect(office.locator("#to-look .cf-count")).to_contain_text("1")
    expect(office.locator("#id_button_url")).to_be_focused()
    expect(office.locator("#id_button_url")).to_have_value("http://shop.example/")


def test_what_is_left_out_leads_to_its_field(office, live_server, campaign):
    visit(office, live_server, campaign)
    press_tab(office, "look")
    office.fill("#id_background_colour", "red")
    press_tab(office, "offer")

    office.locator("[data-ignored] a").click()

    expect(office.locator("#id_background_colour")).to_be_focused()


def test_the_same_tab_is_open_after_saving(office, live_server, campaign):
    visit(office, live_server, campaign)
    press_tab(office, "look")
    office.fill("#id_button_label", "Shop")
    office.fill("#id_button_url", "https://shop.example/")

    office.get_by_role("button", name="Save and continue editing").click()

    expect(office.get_by_text("was changed successfully")).to_be_visible()
    expect(office.locator("#tab-look")).to_be_visible()


def test_links_and_forms_in_the_phone_lead_nowhere(office, live_server, campaign):
    campaign.button_label, campaign.button_url = "Shop", "https://shop.example/"
    campaign.save()
    visit(office, live_server, campaign)

    phone(office).get_by_text("Shop", exact=True).click()
    phone(office).locator("summary.button").click()
    phone(office).get_by_role("button", name="Yes, redeem now").click()

    expect(phone(office).locator("h1")).to_have_text("Summer latte")
    assert office.url.startswith(change_url(live_server, campaign))


def test_without_script_every_field_and_the_saved_page_are_there(
    browser, live_server, signed_in, campaign
):
    with opened(browser, live_server, signed_in, java_script_enabled=False) as page:
        page.goto(change_url(live_server, campaign))

        for slug in TABS:
            expect(page.locator(f"#tab-{slug}")).to_be_visible()
        for name in (
            "name",
            "use_starts_at_0",
            "barcode",
            "text_colour",
            "product_ids",
        ):
            expect(page.locator(f"#id_{name}")).to_be_visible()
        frame = page.frame_locator("iframe[name=pv-phone]")
        expect(frame.locator("h1")).to_have_text("Summer latte")
        page.get_by_role("radio", name="Verified", exact=True).check()
        page.get_by_role("button", name="Show").click()
        expect(frame.locator(".card")).to_have_attribute("data-state", "verified")
        page.fill("#id_name", "Without script")
        page.get_by_role("button", name="Save", exact=True).click()
        campaign.refresh_from_db()
        assert campaign.name == "Without script"


def test_on_a_phone_the_preview_waits_at_the_foot(
    browser, live_server, signed_in, campaign
):
    with opened(browser, live_server, signed_in, phone=True) as page:
        visit(page, live_server, campaign)
        for slug in TABS:
            press_tab(page, slug)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 390, slug

        expect(page.locator("[data-phone]")).to_be_hidden()
        page.locator(".pv-box > summary").click()

        expect(phone(page).locator("h1")).to_be_visible()
