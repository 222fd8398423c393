"""The campaign's numbers and its redemption records, as staff see them."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from coupons.models import Verification
from coupons.services import verify
from reports.forms import CampaignOverviewForm
from reports.numbers import numbers_for
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

RECORDS = "admin:reports_redemptionrecord_changelist"


@pytest.fixture
def viewer(client):
    client.force_login(make_user("Viewer"))
    return client


@pytest.fixture
def campaign():
    campaign = make_campaign(name="Spring", time_zone="Asia/Tokyo")
    make_serials(campaign, ["AAA-1", "AAA-2", "AAA-3"])
    return campaign


@pytest.fixture
def verified(campaign):
    clerk = make_user("Store staff", username="aki")
    contact = make_contact(make_connection(), name="=Hana")
    coupon = make_coupon(campaign, contact, status="redeemed")
    verify(coupon.pk, store=make_store(clerk, name="Clover Street"), staff=clerk)
    coupon.refresh_from_db()
    return coupon


def test_numbers_follow_the_coupons_steps(campaign, verified):
    make_coupon(campaign, status="sent")
    make_coupon(campaign, status="redeemed")

    numbers = numbers_for(campaign)

    assert (numbers.issued, numbers.sent, numbers.opened) == (3, 3, 2)
    assert (numbers.redeemed, numbers.verified) == (2, 1)
    assert (numbers.left, numbers.stock) == (1, 3)


def test_an_unlimited_batch_shows_as_unlimited():
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=None)

    assert numbers_for(campaign).is_unlimited


def test_the_campaign_list_shows_numbers_in_a_fixed_count_of_queries(viewer):
    url = reverse("admin:campaigns_campaign_changelist")
    make_coupon(make_campaign())

    with CaptureQueriesContext(connection) as few:
        viewer.get(url)
    for _ in range(10):
        make_serials(make_campaign(), 2)
    with CaptureQueriesContext(connection) as many:
        response = viewer.get(url)

    assert response.status_code == 200
    assert len(many) == len(few)


def test_records_show_the_times_contact_serial_store_and_staff(
    viewer, campaign, verified
):
    response = viewer.get(reverse(RECORDS), {"campaign__id__exact": campaign.pk})

    text = response.content.decode()
    for shown in (verified.shown_number, "=Hana", "AAA-1", "Clover Street", "aki"):
        assert shown in text
    assert verified.token not in text


def test_records_tell_the_way_where_nobody_has_a_name(viewer, campaign):
    coupon = make_coupon(campaign, status="redeemed")
    Verification.objects.create(
        coupon=coupon,
        store=make_store(name="Clover Street"),
        way=Verification.Way.PASSWORD,
        at=timezone.now(),
    )

    shown = viewer.get(reverse(RECORDS), {"campaign__id__exact": campaign.pk})
    url = reverse("admin:reports_redemptionrecord_export")
    exported = viewer.get(url, {"campaign": campaign.pk})

    words = "store password on the coupon page"
    assert words in shown.content.decode()
    raw = b"".join(exported.streaming_content).decode()
    assert raw.rstrip().endswith(f'"Clover Street","","{words}"')


def test_records_are_filtered_by_status(viewer, campaign, verified):
    other = make_coupon(campaign, status="sent")

    response = viewer.get(
        reverse(RECORDS),
        {"campaign__id__exact": campaign.pk, "status__exact": "sent"},
    )

    text = response.content.decode()
    assert other.shown_number in text
    assert verified.shown_number not in text


@pytest.mark.parametrize("spell", [str.lower, lambda n: n.replace("-", ""), str])
def test_a_record_is_found_by_its_number_however_typed(viewer, verified, spell):
    response = viewer.get(reverse(RECORDS), {"q": spell(verified.shown_number)})

    assert verified.shown_number in response.content.decode()


def test_a_record_tells_its_story(viewer, verified):
    response = viewer.get(
        reverse("admin:reports_redemptionrecord_change", args=[verified.pk])
    )

    days = response.context["story"].days
    kinds = [step.kind for day in days for step in day.steps]
    assert kinds == ["issued", "sent", "opened", "redeemed", "verified"]
    assert verified.token not in response.content.decode()


def test_export_is_a_csv_that_a_spreadsheet_opens_and_runs_nothing_of(
    viewer, campaign, verified
):
    url = reverse("admin:reports_redemptionrecord_export")

    response = viewer.get(url, {"campaign": campaign.pk})

    raw = b"".join(response.streaming_content).decode()
    assert raw.startswith("\ufeff")
    head, row = csv.reader(io.StringIO(raw[1:]))
    assert "sent (Asia/Tokyo)" in head
    assert row[:3] == [verified.shown_number, "verified", "'=Hana"]
    assert row[-4:] == ["AAA-1", "Clover Street", "aki", "by scan"]
    local = verified.redeemed_at.astimezone(campaign.zone)
    assert row[5] == local.strftime("%Y-%m-%d %H:%M:%S")
    assert verified.token not in raw


@pytest.mark.parametrize("given", ["", "x", "0", "9" * 40, "1 OR 1=1"])
def test_export_of_no_campaign_is_not_found(viewer, given):
    url = reverse("admin:reports_redemptionrecord_export")

    assert viewer.get(url, {"campaign": given}).status_code == 404


@pytest.mark.parametrize("page", ["x", "-1", "99999999999999999999", "\x00"])
def test_a_strange_page_number_is_no_error(viewer, campaign, page):
    assert viewer.get(reverse(RECORDS), {"p": page}).status_code in (200, 302, 400)


def test_a_campaign_is_moved_by_its_buttons_and_a_late_press_is_told(client):
    client.force_login(make_user("Editor"))
    campaign = make_campaign(state="draft")
    make_serials(campaign, 1)

    def press(action):
        url = reverse("admin:campaigns_campaign_move", args=[campaign.pk, action])
        response = client.post(url, follow=True)
        campaign.refresh_from_db()
        return [str(m) for m in response.context["messages"]]

    press("activate")
    assert campaign.state == "active"
    said = press("activate")
    assert campaign.state == "active"
    assert "another state" in said[0]
    press("pause")
    press("resume")
    press("end")
    assert campaign.state == "ended"
    press("activate")
    assert campaign.state == "ended"


def test_moving_a_campaign_takes_a_post(client):
    client.force_login(make_user("Editor"))
    campaign = make_campaign(state="draft")

    url = reverse("admin:campaigns_campaign_move", args=[campaign.pk, "activate"])
    assert client.get(url).status_code == 405


def test_the_dashboard_greets_an_empty_house_and_a_running_one(client, campaign):
    client.force_login(make_user("Manager"))
    empty = client.get(reverse("admin:index"))
    make_coupon(campaign, status="redeemed")

    full = client.get(reverse("admin:index"))

    assert b"First steps" in empty.content
    assert b"Spring" in full.content


def test_the_version_stands_on_staff_pages(viewer):
    assert b"0.1.0" in viewer.get(reverse("admin:index")).content


def test_a_coupon_that_ends_is_counted_where_it_was(campaign):
    coupon = make_coupon(campaign, status="redeemed")

    assert coupon.is_expired(coupon.ends_at)
    assert not coupon.is_expired(coupon.ends_at - timedelta(seconds=1))
    assert numbers_for(campaign).redeemed == 1


def test_a_barcode_that_an_import_under_way_does_not_fit_is_refused():
    campaign = make_campaign(barcode="qr")
    make_serials(campaign, ["lower"], state="importing", fits_code39=False)
    form = CampaignOverviewForm(instance=campaign)
    form.cleaned_data = {"barcode": "code39"}

    with pytest.raises(ValidationError):
        form.clean_barcode()
