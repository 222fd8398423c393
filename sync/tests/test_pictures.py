"""The public picture of a fixed code's barcode, as LINE fetches it."""

import io
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from PIL import Image

from campaigns.barcode_pictures import line_picture
from sync.pictures import barcode_of, barcode_url
from sync.preflight.facts import facts_of
from sync.preflight.line import check
from sync.tests.flights import line_of
from testing.factories import make_campaign, make_fixed_batch, make_serials

pytestmark = pytest.mark.django_db


def fixed(code="FNA-5841", barcode="code128"):
    campaign = make_campaign(barcode=barcode)
    return campaign, make_fixed_batch(campaign, code=code, quantity=None)


def fetch(client, url):
    return client.get(urlsplit(url).path)


@pytest.mark.parametrize("barcode", ["qr", "code39", "code128"])
def test_whoever_has_the_address_gets_the_barcode_as_a_png(client, settings, barcode):
    settings.SITE_URL = "https://shop.example"
    campaign, batch = fixed(barcode=barcode)

    url = barcode_url(campaign, batch)
    answer = fetch(client, url)

    assert url.startswith("https://shop.example/media/barcodes/")
    assert len(url) < 200
    assert answer.content == line_picture(barcode, "FNA-5841")
    assert answer.headers["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).format == "PNG"


def test_it_may_be_kept_runs_nothing_and_sets_no_cookie(client):
    answer = fetch(client, barcode_url(*fixed()))

    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_the_address_does_not_tell_the_code_and_stays_the_same():
    campaign, batch = fixed()

    assert barcode_url(campaign, batch) == barcode_url(campaign, batch)
    assert batch.code not in barcode_url(campaign, batch)


def test_nobody_can_make_an_address_up(client):
    campaign, batch = fixed()
    _other, second = fixed("OTHER-1")
    name = urlsplit(barcode_url(campaign, batch)).path.rpartition("/")[2]
    value, _dot, signature = name.removesuffix(".png").partition(".")

    for guess in (
        f"{second.pk}-code128.{signature}.png",
        f"{batch.pk}-qr.{signature}.png",
        f"{value}.{signature[:-1]}.png",
        f"{value}.png",
        f"{batch.pk}.png",
        "x" * 5_000,
        "\0",
        ".",
    ):
        assert barcode_of(guess) is None, guess
    assert fetch(client, "/media/barcodes/1-qr.png").status_code == 404
    assert client.get("/media/barcodes/%00").status_code == 404
    assert client.post(f"/media/barcodes/{name}").status_code == 405


def test_an_address_outlives_a_change_of_the_key(client, settings):
    settings.SECRET_KEY, url = "old", ""
    url = barcode_url(*fixed())

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]

    assert fetch(client, url).status_code == 200


def test_the_picture_of_a_deleted_batch_is_gone(client):
    campaign, batch = fixed()
    url = barcode_url(campaign, batch)
    batch.delete()

    assert fetch(client, url).status_code == 404


def test_without_a_barcode_or_a_fixed_code_there_is_no_address():
    none, batch = fixed(barcode="none")
    campaign = make_campaign(barcode="qr")
    imported = make_serials(campaign, 2)
    narrow, undrawable = fixed("ａ-1", barcode="code39")

    assert barcode_url(none, batch) == ""
    assert barcode_url(campaign, imported) == ""
    assert barcode_url(narrow, undrawable) == ""


def test_line_is_given_the_picture_of_the_code_that_it_shows(client, settings):
    settings.SITE_URL = "https://shop.example"
    campaign, batch = fixed()
    make_fixed_batch(campaign, code="LATER-1", quantity=None)

    lines = check(campaign, facts_of(campaign, at=timezone.now()))

    assert line_of(lines, "couponCode").value == "FNA-5841"
    assert line_of(lines, "barcodeImageUrl").value == barcode_url(campaign, batch)


@pytest.mark.parametrize("is_local", [True, False])
def test_a_plain_address_is_given_to_the_sandbox_alone(settings, is_local):
    settings.SITE_URL = "http://127.0.0.1:8000"
    settings.ALLOW_LOCAL_PROVIDERS = is_local
    campaign, _batch = fixed()

    lines = check(campaign, facts_of(campaign, at=timezone.now()))

    assert bool(line_of(lines, "barcodeImageUrl").value) is is_local
