"""The campaign form: what it takes, and what it says to what it does not."""

import io
from datetime import datetime, time
from html.parser import HTMLParser
from urllib.parse import urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from campaigns.clocks import end_of_next_month
from campaigns.models import Campaign, CampaignText, Group, Template, TotalLimit
from campaigns.services import move
from testing.factories import (
    instant,
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)
from testing.saving import filled, save

pytestmark = pytest.mark.django_db

ADD = "admin:campaigns_campaign_add"


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def errors_of(response):
    return response.context["adminform"].form.errors


def test_a_date_only_period_runs_from_midnight_to_the_midnight_after_its_last_day(
    editor,
):
    editor.post(reverse(ADD), filled())

    campaign = Campaign.objects.get()
    assert campaign.use_starts_at == instant("2026-04-30 15:00")
    assert campaign.use_ends_at == instant("2026-12-31 15:00")
    assert campaign.state == "draft"


def test_saving_leads_to_the_campaign_where_serials_are_the_next_step(editor):
    response = editor.post(reverse(ADD), filled(), follow=True)

    assert b"Next: give it serials" in response.content
    assert b"Upload a CSV" in response.content


def test_save_pressed_twice_makes_one_campaign(editor):
    press = {"_press": str(uuid4())}

    pages = [editor.post(reverse(ADD), filled(**press)) for _ in range(2)]

    campaign = Campaign.objects.get()
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    assert {page.url for page in pages} == {url}
    editor.post(reverse(ADD), filled(_press=str(uuid4())))
    assert Campaign.objects.count() == 2


def test_a_line_break_counts_as_one_character(editor):
    hundred = "\r\n".join(["123456789"] * 100)

    editor.post(reverse(ADD), filled(instructions=hundred))

    campaign = Campaign.objects.get()
    assert campaign.instructions == hundred.replace("\r\n", "\n")


def test_dates_are_shown_in_the_campaigns_own_zone(editor):
    editor.post(reverse(ADD), filled(use_starts_at_1="09:30"))
    campaign = Campaign.objects.get()

    response = editor.get(
        reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    )

    form = response.context["adminform"].form
    shown = form["use_starts_at"].value()
    assert f"{shown:%Y-%m-%d %H:%M}" == "2026-05-01 09:30"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"use_ends_at_0": "2026-04-30"}, "use_ends_at"),
        ({"use_ends_at_0": "9999-12-31"}, "use_ends_at"),
        ({"use_ends_at_0": "0001-01-01"}, "use_ends_at"),
        ({"use_ends_at_0": "31 December"}, "use_ends_at"),
        ({"send_ends_at_0": "", "send_ends_at_1": "12:00"}, "send_ends_at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"expiry": "from_sending", "expiry_amount": ""}, "expiry_amount"),
        ({"expiry": "from_sending", "expiry_amount": "-1"}, "expiry_amount"),
        ({"expiry": "from_sending", "expiry_amount": "99999999"}, "expiry_amount"),
        ({"benefit": "percentage", "benefit_value": "101"}, "benefit_value"),
        ({"benefit": "percentage", "benefit_value": "NaN"}, "benefit_value"),
        ({"benefit": "amount", "benefit_value": "5"}, "currency"),
        ({"benefit": "price", "currency": "JPY"}, "price_before"),
        ({"background_colour": "red;background:url(//x)"}, "background_colour"),
        ({"background_colour": "#FFFFFF\n"}, None),
        ({"background_colour": "#FFF"}, "background_colour"),
        ({"button_label": "Shop", "button_url": "javascript:alert(1)"}, "button_url"),
        ({"button_label": "Shop", "button_url": "http://shop.example"}, "button_url"),
        ({"button_label": "Shop"}, "button_url"),
        ({"limit_in_total": "0"}, "limit_in_total"),
        ({"limit_per_contact": "99999999999999999999"}, "limit_per_contact"),
    ],
)
def test_bad_values_are_told_at_their_field_and_nothing_is_saved(
    editor, changes, field
):
    response = editor.post(reverse(ADD), filled(**changes))

    if field is None:  # white space at the end is simply cut off
        assert Campaign.objects.get().background_colour == "#FFFFFF"
        return
    assert response.status_code == 200
    assert field in errors_of(response)
    assert not Campaign.objects.exists()


def picture(kind="PNG", size=(64, 64), **options):
    out = io.BytesIO()
    Image.new("RGB", size, "#8A3B12").save(out, kind, **options)
    return out.getvalue()


def animated():
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b""),
        ("a.png", b"not a picture"),
        ("a.gif", picture("GIF")),
        ("a.png", picture("GIF")),
        ("a.jpg", picture("PNG")),
        ("a.png", picture("PNG")[:100]),
        ("a.png", picture("PNG", (1, 5000))),
        ("a.png", picture("PNG", (5000, 1))),
        ("a.png", picture("PNG", (4000, 4000))),
        ("a.png", animated()),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("a.png", picture("PNG") + b"x" * 1_100_000),
    ],
)
def test_what_is_no_usable_picture_is_refused_at_its_field(editor, name, content):
    image = SimpleUploadedFile(name, content)

    response = editor.post(reverse(ADD), filled(image=image))

    assert "image" in errors_of(response)
    assert not Campaign.objects.exists()


def test_a_picture_is_drawn_anew_without_what_it_carried(editor):
    exif = Image.Exif()
    exif[0x010E] = "made by <script>"
    image = SimpleUploadedFile("../../<b>.JPG", picture("JPEG", exif=exif))

    editor.post(reverse(ADD), filled(image=image))

    campaign = Campaign.objects.get()
    assert campaign.image.name.startswith("campaigns/")
    with campaign.image.open() as file:
        stored = file.read()
    assert b"script" not in stored
    with Image.open(io.BytesIO(stored)) as kept:
        assert (kept.format, kept.size) == ("JPEG", (64, 64))
    response = editor.get(campaign.image.url)
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == stored
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_total_limit_comes_and_goes_at_any_time_but_not_below_its_use(editor):
    campaign = make_campaign(time_zone="Asia/Tokyo", limit_per_contact=0)
    make_serials(campaign, 5)
    for _ in range(2):
        make_coupon(campaign, status="redeemed")
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])

    too_low = editor.post(url, filled(limit_in_total="1"))
    save(editor, url, filled(limit_in_total="3"))
    late = TotalLimit.objects.get()
    make_coupon(campaign, status="redeemed")
    below = editor.post(url, filled(limit_in_total="2"))
    save(editor, url, filled(limit_in_total=""))

    assert "limit_in_total" in errors_of(too_low)
    assert (late.used, late.quota) == (2, 3)
    assert "3 coupons count against it" in str(errors_of(below)["limit_in_total"])
    assert not TotalLimit.objects.exists()


def test_saving_the_form_does_not_bring_back_a_state_that_changed_meanwhile(editor):
    campaign = make_campaign(time_zone="Asia/Tokyo")
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    editor.get(url)
    move(campaign.pk, "pause")

    save(editor, url, filled(name="Renamed"))

    campaign.refresh_from_db()
    assert (campaign.name, campaign.state) == ("Renamed", "paused")


def test_only_a_draft_can_be_deleted(editor):
    draft = make_campaign(state="draft")
    running = make_campaign()

    for campaign in (draft, running):
        url = reverse("admin:campaigns_campaign_delete", args=[campaign.pk])
        editor.post(url, {"post": "yes"})

    assert list(Campaign.objects.all()) == [running]


def test_a_viewer_reads_and_changes_nothing(client):
    client.force_login(make_user("Viewer"))
    campaign = make_campaign()

    page = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    added = client.post(reverse(ADD), filled())
    moved = client.post(
        reverse("admin:campaigns_campaign_move", args=[campaign.pk, "end"])
    )

    assert page.status_code == 200
    assert (added.status_code, moved.status_code) == (403, 403)
    campaign.refresh_from_db()
    assert campaign.state == "active"


# --- every field of the design, each where it is looked for ---------------------------

TABS = {
    "offer": {
        "name",
        "language",
        "benefit",
        "benefit_value",
        "price_before",
        "price_after",
        "minimum_spend",
        "currency",
        "instructions",
        "usage_condition",
        "template",
        "memo",
    },
    "dates": {
        "time_zone",
        "use_starts_at",
        "use_ends_at",
        "send_starts_at",
        "send_ends_at",
        "expiry",
        "expiry_amount",
        "expiry_unit",
    },
    "serials": {
        "barcode",
        "limit_per_contact",
        "limit_in_total",
        "stock_warning",
        "is_case_sensitive",
    },
    "look": {
        "group",
        "image",
        "background_colour",
        "text_colour",
        "button_colour",
        "button_text_colour",
        "button_label",
        "button_url",
    },
    "stores": {
        "verifying",
        "stores",
        "new_password",
        "new_password_again",
        "forget_password",
    },
    "paddle": {"product_ids", "applies_to_renewals"},
}


def tabs_of(response):
    return {tab.slug: tab for tab in response.context["form_tabs"]}


def test_every_setting_has_its_tab_in_the_order_of_work(editor):
    tabs = tabs_of(editor.get(reverse(ADD)))

    assert list(tabs) == [
        "offer",
        "dates",
        "serials",
        "look",
        "stores",
        "languages",
        "paddle",
    ]
    for slug, names in TABS.items():
        lines = tabs[slug].fieldset
        found = {field.field.name for line in lines for field in line}
        assert names <= found, slug


def test_each_other_language_has_a_block_to_write_in(editor):
    forms = editor.get(reverse(ADD)).context["text_forms"]

    assert [form.tongue for form in forms] == ["en", "ja", "zh-hant", "th", "ko"]


def test_a_new_campaign_begins_today_and_ends_with_next_month(editor):
    make_store(name="First", time_zone="Europe/Berlin")
    make_campaign(currency="TWD", language="ja")

    form = editor.get(reverse(ADD)).context["adminform"].form

    today = timezone.now().astimezone(ZoneInfo("Europe/Berlin")).date()
    assert form["time_zone"].value() == "Europe/Berlin"
    assert form["use_starts_at"].value() == datetime.combine(today, time())
    assert form["use_ends_at"].value() == [end_of_next_month(today), None]
    assert form["currency"].value() == "TWD"
    assert form["language"].value() == "ja"


def test_the_form_can_be_sent_as_it_was_found(editor):
    """Its defaults are valid: a name is all that is missing."""
    page = editor.get(reverse(ADD))
    sent = as_sent(page) | {"name": "Only a name"}

    editor.post(reverse(ADD), sent)

    assert Campaign.objects.get().name == "Only a name"


def as_sent(response):
    """What a browser would send of the form, untouched."""
    found: dict[str, str] = {}
    parser = Fields(found)
    parser.feed(response.content.decode())
    return found


class Fields(HTMLParser):
    def __init__(self, found):
        super().__init__()
        self.found, self.select, self.area = found, "", ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        name = given.get("name") or ""
        kind = given.get("type")
        if tag == "input" and name and kind not in ("checkbox", "radio", "file"):
            self.found[name] = given.get("value") or ""
        if tag == "select":
            self.select = name
        if tag == "option" and self.select and "selected" in given:
            self.found[self.select] = given.get("value") or ""
        if tag == "textarea":
            self.area, self.found[name] = name, ""

    def handle_data(self, data):
        if self.area:
            self.found[self.area] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.area = ""
        if tag == "select":
            self.select = ""


def test_an_end_of_day_comes_back_as_the_day_that_was_typed(editor):
    editor.post(reverse(ADD), filled())
    campaign = Campaign.objects.get()
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])

    sent = as_sent(editor.get(url))

    assert (sent["use_ends_at_0"], sent["use_ends_at_1"]) == ("2026-12-31", "")


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        ("2026-05-01 00:00:00.123456", "2026-06-01 12:34:56.789"),
        ("2026-10-25 00:30:00", "2026-10-25 01:30:00"),  # 02:30 in Berlin, twice
        ("2026-03-29 00:59:59.5", "2026-03-29 01:00:00"),
    ],
)
def test_dates_that_nobody_touched_stay_to_the_microsecond(editor, starts, ends):
    campaign = make_campaign(
        state="draft",
        time_zone="Europe/Berlin",
        use_starts_at=datetime.fromisoformat(f"{starts}+00:00"),
        use_ends_at=datetime.fromisoformat(f"{ends}+00:00"),
    )
    before = (campaign.use_starts_at, campaign.use_ends_at)
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])

    editor.post(url, as_sent(editor.get(url)) | {"memo": "touched"})

    campaign.refresh_from_db()
    assert campaign.memo == "touched"
    assert (campaign.use_starts_at, campaign.use_ends_at) == before


# --- texts in other languages ----------------------------------------------------------


def text_form(n, language, **values):
    return {f"texts-{n}-{name}": value for name, value in values.items()} | {
        f"texts-{n}-language": language
    }


def test_texts_are_saved_for_the_languages_that_have_some(editor):
    sent = filled(**text_form(0, "ja", name="春"), **text_form(1, "ko"))

    editor.post(reverse(ADD), sent | {"texts-TOTAL_FORMS": "2"})

    texts = Campaign.objects.get().texts
    assert list(texts.values_list("language", "name")) == [("ja", "春")]


def test_a_text_that_is_emptied_goes(editor):
    campaign = make_campaign(state="draft")
    text = CampaignText.objects.create(campaign=campaign, language="ja", name="春")
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    sent = as_sent(editor.get(url))
    prefix = "texts-0"
    assert sent[f"{prefix}-id"] == str(text.pk)

    editor.post(url, sent | {f"{prefix}-name": ""})

    assert not campaign.texts.exists()


def test_texts_in_the_campaigns_own_language_belong_to_its_first_tab(editor):
    sent = filled(language="ja", **text_form(0, "ja", name="春"))

    response = editor.post(reverse(ADD), sent | {"texts-TOTAL_FORMS": "1"})

    assert b"Write it there, and leave this empty" in response.content
    assert not Campaign.objects.exists()
    assert tabs_of(response)["languages"].errors == 1


def test_two_blocks_for_one_language_are_refused(editor):
    sent = filled(**text_form(0, "ja", name="a"), **text_form(1, "ja", name="b"))

    response = editor.post(reverse(ADD), sent | {"texts-TOTAL_FORMS": "2"})

    assert response.status_code == 200
    assert not Campaign.objects.exists()


# --- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"use_starts_at_0": "0000-01-01"}, "use_starts_at"),
        ({"use_starts_at_0": "2026-02-29"}, "use_starts_at"),
        ({"use_starts_at_0": "2101-01-01"}, "use_starts_at"),
        ({"use_ends_at_1": "25:00"}, "use_ends_at"),
        (
            {"use_starts_at_0": "2026-12-31", "use_ends_at_0": "2026-12-30"},
            "use_ends_at",
        ),
        (
            {
                "use_starts_at_0": "2026-12-31",
                "use_starts_at_1": "10:00",
                "use_ends_at_0": "2026-12-31",
                "use_ends_at_1": "10:00",
            },
            "use_ends_at",
        ),
        (
            {"send_starts_at_0": "2026-06-02", "send_ends_at_0": "2026-06-01"},
            "send_ends_at",
        ),
        ({"benefit": "percentage", "benefit_value": "1e400"}, "benefit_value"),
        ({"benefit": "percentage", "benefit_value": "-1"}, "benefit_value"),
        ({"minimum_spend": "-5", "currency": "JPY"}, "minimum_spend"),
        ({"minimum_spend": "9" * 300, "currency": "JPY"}, "minimum_spend"),
        ({"minimum_spend": "500"}, "currency"),
        ({"currency": "YEN¥"}, "currency"),
        ({"currency": "JP"}, "currency"),
        (
            {
                "benefit": "price",
                "currency": "JPY",
                "price_before": "5",
                "price_after": "5",
            },
            "price_after",
        ),
        ({"expiry": "from_sending", "expiry_amount": "1e400"}, "expiry_amount"),
        ({"limit_per_contact": "-1"}, "limit_per_contact"),
        ({"limit_in_total": "1e400"}, "limit_in_total"),
        ({"usage_condition": "x" * 101}, "usage_condition"),
        ({"instructions": "x" * 1001}, "instructions"),
        ({"instructions": "a\x00b"}, "instructions"),
        ({"button_label": "Go", "button_url": "data:text/html,x"}, "button_url"),
        ({"button_label": "Go", "button_url": "https://"}, "button_url"),
        ({"button_colour": "rgb(0,0,0)"}, "button_colour"),
        ({"text_colour": "#12345G"}, "text_colour"),
        ({"text_colour": "＃112233"}, "text_colour"),
        ({"group": "999"}, "group"),
        ({"stores": "999"}, "stores"),
    ],
)
def test_bad_input_is_told_in_its_tab_and_nothing_typed_is_lost(editor, changes, field):
    response = editor.post(reverse(ADD), filled(memo="Keep me", **changes))

    assert field in errors_of(response)
    assert not Campaign.objects.exists()
    slug = next(slug for slug, names in TABS.items() if field in names)
    assert tabs_of(response)[slug].errors == 1
    sent = as_sent(response)
    assert sent["memo"].strip() == "Keep me"
    for name in changes.keys() - {"group", "stores"}:  # lists hold what they offer
        assert sent[name].lstrip("\r\n") == changes[name]


def test_half_of_a_character_pair_becomes_the_mark_of_an_unknown_one(editor):
    body = urlencode(filled()).replace("name=Spring", "name=a%ED%A0%80b")

    editor.post(reverse(ADD), body, content_type="application/x-www-form-urlencoded")

    name = Campaign.objects.get().name
    assert name.startswith("a")
    assert "\ufffd" in name


def test_a_currency_in_small_letters_is_taken_for_the_capital_ones(editor):
    editor.post(
        reverse(ADD), filled(benefit="amount", benefit_value="5", currency="jpy")
    )

    assert Campaign.objects.get().currency == "JPY"


def test_a_script_in_a_text_comes_back_as_text(editor):
    bad = "</textarea><script>alert(1)</script>"

    response = editor.post(reverse(ADD), filled(instructions=bad, name=""))

    assert b"<script>alert(1)" not in response.content
    assert bad in as_sent(response)["instructions"]


def test_a_repeated_end_is_the_later_and_a_missing_start_moves_on(editor):
    editor.post(
        reverse(ADD),
        filled(
            time_zone="Europe/Berlin",
            use_starts_at_0="2026-03-29",
            use_starts_at_1="02:30",
            use_ends_at_0="2026-10-25",
            use_ends_at_1="02:30",
        ),
    )

    campaign = Campaign.objects.get()
    assert campaign.use_starts_at == instant("2026-03-29 01:30")
    assert campaign.use_ends_at == instant("2026-10-25 01:30")


def test_a_leap_day_is_a_last_day_like_any_other(editor):
    editor.post(reverse(ADD), filled(use_ends_at_0="2028-02-29"))

    assert Campaign.objects.get().use_ends_at == instant("2028-02-29 15:00")


# --- groups and templates --------------------------------------------------------------


def shared_url(kind, pk):
    return reverse(f"admin:campaigns_{kind}_change", args=[pk])


def group_form(**changes):
    names = [f.name for f in Group._meta.fields if f.name != "id"]
    return dict.fromkeys(names, "") | {"name": "Spring"} | changes


def test_a_group_tells_who_uses_it_and_how_many_changed(editor):
    group = Group.objects.create(name="Spring")
    make_campaign(name="First of it", group=group)
    make_campaign(name="Second of it", group=group, state="draft")
    make_campaign(name="A stranger")

    before = editor.get(shared_url("group", group.pk)).content.decode()
    after = editor.post(
        shared_url("group", group.pk),
        group_form(text_colour="#112233"),
        follow=True,
    ).content.decode()

    assert "2 campaigns show another page at once" in before
    assert "First of it" in before
    assert "A stranger" not in before
    assert "2 campaigns show this from now on" in after


def test_a_groups_faint_colours_are_told_and_saved(editor):
    group = Group.objects.create(name="Spring")
    sent = group_form(text_colour="#EEEEEE", background_colour="#FFFFFF")

    page = editor.post(shared_url("group", group.pk), sent, follow=True).content

    assert b"4.5:1 is needed" in page
    group.refresh_from_db()
    assert group.text_colour == "#EEEEEE"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"text_colour": "red;background:url(//x)"},
        {"button_url": "javascript:alert(1)"},
        {"button_label": "x" * 41},
    ],
)
def test_a_group_refuses_what_a_campaign_refuses(editor, changes):
    group = Group.objects.create(name="Spring")

    response = editor.post(shared_url("group", group.pk), group_form(**changes))

    assert list(errors_of(response)) == list(changes)


def test_a_template_changes_only_campaigns_without_texts_of_their_own(editor):
    usual = Template.objects.create(name="Usual", instructions="Before.")
    make_campaign(name="Uses it", template=usual)
    make_campaign(
        name="Has its own",
        template=usual,
        instructions="Mine.",
        usage_condition="Mine.",
    )

    page = editor.get(shared_url("template", usual.pk)).content.decode()

    assert "1 campaign shows another page at once" in page
    assert "Uses it" in page
    assert "Has its own" not in page


def test_a_template_says_something(editor):
    response = editor.post(
        reverse("admin:campaigns_template_add"), {"name": "Empty", "instructions": " "}
    )

    assert "instructions" in errors_of(response)
    assert not Template.objects.exists()


def test_a_viewer_reads_the_texts_in_other_languages(client):
    campaign = make_campaign()
    CampaignText.objects.create(campaign=campaign, language="ja", name="春のラテ")
    client.force_login(make_user("Viewer"))

    page = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))

    assert page.status_code == 200
    assert "春のラテ" in page.content.decode()
