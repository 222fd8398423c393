"""Pictures of a serial's barcode: who may download them, and what is in the file."""

import io
import logging

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from PIL import Image

from campaigns.tests.test_look_pictures import read
from reports.tests.record_helpers import said_in_history, signed_in, words_of
from serials.models import Serial
from testing.factories import (
    make_campaign,
    make_fixed_batch,
    make_serials,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer():
    return signed_in(make_user("Viewer"))


def make_serial(code="SPRING-1234", **campaign):
    make_serials(make_campaign(**{"barcode": "code128"} | campaign), [code])
    return Serial.objects.get()


def make_fixed(code="FNA@5841", **campaign):
    return make_fixed_batch(
        make_campaign(**{"barcode": "code128"} | campaign), code=code
    )


def url_of(thing, use):
    model = type(thing)._meta.model_name
    return reverse(f"admin:serials_{model}_barcode_{use}", args=[thing.pk])


def page_of(client, thing):
    model = type(thing)._meta.model_name
    return client.get(reverse(f"admin:serials_{model}_change", args=[thing.pk]))


def opened(response):
    assert response.status_code == 200
    return Image.open(io.BytesIO(response.content))


def person_who_may(*permissions):
    person = User.objects.create(username="pat", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(person)


@pytest.mark.parametrize("use", ["print", "line"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("code39", "A+B/C$D 10%"),
        ("code128", "fna@5841<&>\"'"),
        ("code128", "9912"),
        ("qr", "夏のラテ"),
    ],
)
def test_a_serials_picture_is_read_back(viewer, kind, code, use):
    serial = make_serial(code, barcode=kind)

    picture = opened(viewer.get(url_of(serial, use)))

    assert picture.format == "PNG"
    assert read(picture, kind) == code


def test_a_fixed_text_is_had_as_its_barcode_and_as_qr_code(viewer):
    batch = make_fixed()

    for use, kind in (("print", "code128"), ("line", "code128"), ("qr", "qr")):
        assert read(opened(viewer.get(url_of(batch, use))), kind) == "FNA@5841"


def test_what_is_to_be_printed_has_300_dots_an_inch(viewer):
    for thing, use in ((make_serial(), "print"), (make_fixed(), "qr")):
        picture = opened(viewer.get(url_of(thing, use)))

        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("use", ["print", "line"])
def test_it_is_a_download_that_nobody_keeps(viewer, use):
    serial = make_serial()

    for method in (viewer.get, viewer.head):
        response = method(url_of(serial, use))

        assert response["Content-Type"] == "image/png"
        assert response["Content-Disposition"].startswith("attachment; filename=")
        assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
        assert response["X-Content-Type-Options"] == "nosniff"


def test_the_name_of_the_file_tells_its_size_and_not_the_serial(viewer):
    serial = make_serial()

    name = viewer.get(url_of(serial, "print"))["Content-Disposition"]

    width, height = opened(viewer.get(url_of(serial, "print"))).size
    sides = f"{round(width / 300 * 25.4)}x{round(height / 300 * 25.4)}mm"
    assert f'"barcode-print-serial-{serial.pk}-{sides}.png"' in name
    assert "SPRING" not in name


def test_the_page_offers_them_with_their_size(viewer):
    serial, batch = make_serial(), make_fixed()

    for thing, uses in ((serial, ("print", "line")), (batch, ("print", "line", "qr"))):
        page = page_of(viewer, thing)
        for use in uses:
            assert f'href="{url_of(thing, use)}"' in page.content.decode()
        assert "Barcode for print (" in words_of(page)
        assert " mm)" in words_of(page)


def test_a_qr_code_is_offered_once(viewer):
    batch = make_fixed(barcode="qr")

    assert url_of(batch, "qr") not in page_of(viewer, batch).content.decode()
    assert viewer.get(url_of(batch, "qr")).status_code == 404
    assert read(opened(viewer.get(url_of(batch, "print"))), "qr") == "FNA@5841"


def test_where_a_campaign_has_no_barcode_a_fixed_text_still_has_a_qr_code(viewer):
    serial, batch = make_serial(barcode="none"), make_fixed(barcode="none")

    assert viewer.get(url_of(serial, "print")).status_code == 404
    assert viewer.get(url_of(batch, "line")).status_code == 404
    assert "barcode-" not in page_of(viewer, serial).content.decode()
    assert read(opened(viewer.get(url_of(batch, "qr"))), "qr") == "FNA@5841"


def test_what_the_barcode_cannot_draw_is_not_offered(viewer):
    serial = make_serial("lower case", barcode="code39")

    assert viewer.get(url_of(serial, "print")).status_code == 404
    assert page_of(viewer, serial).status_code == 200


def test_a_batch_of_many_serials_has_no_barcode_of_its_own(viewer):
    batch = make_serials(make_campaign(), 2)

    assert viewer.get(url_of(batch, "print")).status_code == 404
    assert "barcode-print" not in page_of(viewer, batch).content.decode()


def test_only_who_may_see_the_text_gets_its_picture():
    serial, batch = make_serial(), make_fixed()
    only_serials = person_who_may("view_serial")
    clerk = signed_in(make_user("Store staff"))

    assert only_serials.get(url_of(serial, "print")).status_code == 200
    assert only_serials.get(url_of(batch, "print")).status_code == 403
    for thing in (serial, batch):
        assert clerk.get(url_of(thing, "print")).status_code == 302


def test_nothing_is_changed_through_it_and_no_other_is_found(viewer):
    serial = make_serial()

    assert viewer.post(url_of(serial, "print")).status_code == 405
    serial.pk += 1
    assert viewer.get(url_of(serial, "print")).status_code == 404


def test_each_download_is_recorded_without_the_serial(viewer, caplog):
    serial = make_serial()
    caplog.set_level(logging.INFO, "reports")

    viewer.head(url_of(serial, "print"))
    assert said_in_history() == []
    viewer.get(url_of(serial, "print"))

    assert len(said_in_history()) == 1
    [line] = [line for line in caplog.records if line.name.startswith("reports")]
    assert (line.getMessage(), line.serial, line.use) == (
        "barcode.downloaded",
        serial.pk,
        "print",
    )
    assert "SPRING" not in str(line.__dict__)
