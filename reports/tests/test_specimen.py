"""The page with the specimen link, and what becomes of replaced pictures."""

import io
import re
from html import unescape
from uuid import uuid4

import pytest
import zxingcpp
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from campaigns.images import clean_image
from campaigns.models import Campaign
from campaigns.services import duplicate
from campaigns.tests.test_campaign_form import ADD
from deliveries.models import Delivery
from testing.factories import (
    make_campaign,
    make_connection,
    make_list,
    make_user,
)
from testing.saving import filled

pytestmark = pytest.mark.django_db


def page_of(campaign):
    return reverse("admin:campaigns_campaign_specimen", args=[campaign.pk])


def link_on(response):
    return unescape(
        re.search(r'id="link"[^>]*value="([^"]+)"', response.content.decode())[1]
    )


# --- The link ---------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Manager", "Editor", "Viewer"])
def test_whoever_sees_the_campaign_gets_a_link_that_works(client, role):
    campaign = make_campaign(state="draft", name="Latte <b>")
    client.force_login(make_user(role))

    shown = client.get(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
    response = client.get(page_of(campaign))

    assert page_of(campaign) in shown.content.decode()
    assert response.status_code == 200
    assert "Latte &lt;b&gt;" in response.content.decode()
    path = link_on(response)[link_on(response).index("/c/") :]
    client.logout()
    assert b"Specimen: not a coupon" in client.get(path).content


def test_nobody_else_does(client):
    campaign = make_campaign()
    clerk = make_user("Store staff")

    assert client.get(page_of(campaign)).status_code == 302
    client.force_login(clerk)
    assert client.get(page_of(campaign)).status_code in (302, 403)


def test_a_campaign_that_there_is_not_is_a_404_and_nothing_is_posted(client):
    client.force_login(make_user("Manager"))

    assert client.get("/admin/campaigns/campaign/999999/specimen/").status_code == 404
    assert client.post(page_of(make_campaign())).status_code == 405


@pytest.mark.parametrize(
    "site", ["https://c.example", "https://" + "long." * 25 + "example"]
)
def test_its_qr_code_is_the_link_to_the_letter(client, settings, site):
    settings.SITE_URL = site
    client.force_login(make_user("Manager"))

    response = client.get(page_of(make_campaign()))

    figure = re.search(
        r'<figure class="bo-qr">(.+?)<figcaption', response.content.decode(), re.S
    )
    width = int(re.search(r'viewBox="0 0 (\d+)', figure[1])[1])
    modules = Image.new("L", (width, width), 255)
    drawing = re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)", figure[1])
    for x, y, wide, tall in (map(int, numbers) for numbers in drawing):
        modules.paste(0, (x, y, x + wide, y + tall))
    [found] = zxingcpp.read_barcodes(modules.resize((width * 4, width * 4), 0))
    assert found.text == link_on(response)


def test_a_machines_own_address_is_owned_up_to(client, settings):
    client.force_login(make_user("Manager"))
    campaign = make_campaign()

    settings.SITE_URL = "http://127.0.0.1:8000"
    here = client.get(page_of(campaign)).content
    settings.SITE_URL = "https://coupons.example"
    there = client.get(page_of(campaign)).content

    assert b"an address of this machine alone" in here
    assert b"an address of this machine alone" not in there


# --- Pictures that were replaced ----------------------------------------------------------


@pytest.fixture
def editor(client, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    client.force_login(make_user("Editor"))
    return client


def upload(colour="red", size=(700, 700)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return SimpleUploadedFile("a.png", out.getvalue())


def files(settings):
    return sorted(path.name for path in (settings.MEDIA_ROOT / "campaigns").iterdir())


def name_of(campaign):
    campaign.refresh_from_db()
    return campaign.image.name.removeprefix("campaigns/")


def make_pictured(**fields):
    campaign = make_campaign(state="draft", time_zone="Asia/Tokyo", **fields)
    campaign.image.save("x.png", clean_image(upload()))
    return campaign


def change(client, campaign, **fields):
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    response = client.post(url, filled(**fields), follow=True)
    assert response.redirect_chain, response.context["adminform"].form.errors
    return response


def test_a_replaced_picture_is_deleted(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()
    before = name_of(campaign)

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, campaign, image=upload("blue"))

    assert files(settings) == [name_of(campaign)] != [before]


def test_a_removed_picture_is_deleted(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, campaign, **{"image-clear": "on"})

    assert name_of(campaign) == ""
    assert files(settings) == []


def test_a_picture_that_a_copy_shows_stays(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()
    kept = name_of(campaign)
    copy, _is_new = duplicate(campaign.pk, nonce=uuid4())

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, campaign, **{"image-clear": "on"})
    assert files(settings) == [kept] == [name_of(copy)]

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, copy, **{"image-clear": "on"})
    assert files(settings) == []


def test_a_picture_that_a_sent_message_shows_stays(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()
    kept = name_of(campaign)
    Delivery.objects.create(
        campaign=campaign,
        connection=make_connection(),
        contact_list=make_list(),
        send_at=campaign.use_starts_at,
        nonce="6f1c39c5-9b5e-4f6e-8a55-3a1f1f3f7d11",
        template=f'{{"url": "https://c.example/media/campaigns/{kept}"}}',
    )

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, campaign, **{"image-clear": "on"})

    assert files(settings) == [kept]


def test_a_deleted_drafts_picture_goes_with_it(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()
    url = reverse("admin:campaigns_campaign_delete", args=[campaign.pk])

    with django_capture_on_commit_callbacks(execute=True):
        editor.post(url, {"post": "yes"})

    assert not Campaign.objects.exists()
    assert files(settings) == []


def test_saving_anything_else_keeps_the_picture(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()
    before = name_of(campaign)

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, campaign, name="Renamed")

    assert files(settings) == [before] == [name_of(campaign)]


def test_a_picture_whose_file_is_gone_can_be_replaced(
    editor, settings, django_capture_on_commit_callbacks
):
    campaign = make_pictured()
    (settings.MEDIA_ROOT / "campaigns" / name_of(campaign)).unlink()

    with django_capture_on_commit_callbacks(execute=True):
        change(editor, campaign, image=upload("blue"))

    assert files(settings) == [name_of(campaign)]


@pytest.mark.parametrize(("side", "is_told"), [(639, True), (640, False)])
def test_a_small_picture_is_taken_and_warned_of(editor, side, is_told):
    response = editor.post(
        reverse(ADD), filled(image=upload(size=(side, 900))), follow=True
    )

    assert Campaign.objects.get().image
    assert (b"has only 639 pixels" in response.content) == is_told


def test_the_form_shows_the_saved_picture_in_both_croppings(editor):
    campaign = make_pictured()

    page = editor.get(
        reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    ).content.decode()

    for part in ('class="crop-page"', 'class="crop-chat"'):
        assert re.search(rf"<img {part} src=\"{campaign.image.url}\"", page)
    assert 'name="image-clear"' in page
