"""The campaign form: what it takes, and what it says to what it does not."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from campaigns.models import Campaign, TotalLimit
from campaigns.services import move
from testing.factories import (
    instant,
    make_campaign,
    make_coupon,
    make_serials,
    make_user,
)

pytestmark = pytest.mark.django_db

ADD = "admin:campaigns_campaign_add"


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def filled(**changes):
    """The form as a marketer sends it, with these changes."""
    values = {
        "name": "Spring",
        "language": "en",
        "benefit": "free",
        "time_zone": "Asia/Tokyo",
        "use_starts_at_0": "2026-05-01",
        "use_starts_at_1": "",
        "use_ends_at_0": "2026-12-31",
        "use_ends_at_1": "",
        "expiry": "use_end",
        "expiry_unit": "hours",
        "barcode": "qr",
        "limit_per_contact": "1",
        "background_colour": "#FFFFFF",
        "text_colour": "#000000",
        "button_colour": "#067647",
        "button_text_colour": "#FFFFFF",
        "verifying": "scan",
        "texts-TOTAL_FORMS": "0",
        "texts-INITIAL_FORMS": "0",
    }
    return values | changes


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


def odd_exif(**changes):
    """A JPEG whose EXIF makes Pillow stumble; `changes` are b<offset>=value."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A], exif[0x0100] = 6, "a", 72.0, 5
    raw = bytearray(picture("JPEG", (2, 2), exif=exif, quality=10))
    for offset, value in changes.items():
        raw[int(offset[1:])] = value
    return bytes(raw)


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
        ("a.jpg", odd_exif(b77=49)),
        ("a.jpg", odd_exif(b42=252, b53=66, b88=8)),
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
    editor.post(url, filled(limit_in_total="3"))
    late = TotalLimit.objects.get()
    make_coupon(campaign, status="redeemed")
    below = editor.post(url, filled(limit_in_total="2"))
    editor.post(url, filled(limit_in_total=""))

    assert "limit_in_total" in errors_of(too_low)
    assert (late.used, late.quota) == (2, 3)
    assert "3 coupons count against it" in str(errors_of(below)["limit_in_total"])
    assert not TotalLimit.objects.exists()


def test_saving_the_form_does_not_bring_back_a_state_that_changed_meanwhile(editor):
    campaign = make_campaign(time_zone="Asia/Tokyo")
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    editor.get(url)
    move(campaign.pk, "pause")

    editor.post(url, filled(name="Renamed"))

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
