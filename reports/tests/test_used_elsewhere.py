"""What people read of a coupon or a serial that was used at a provider."""

from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.urls import reverse

from coupons.services import verify
from reports.tests.record_helpers import Desk, words_of
from sync.models import Use
from sync.tests.uses_helpers import make_paddle
from sync.uses import Refund, Told, note_refund, note_use
from testing.factories import instant, make_publication, make_remote_coupon

pytestmark = pytest.mark.django_db
NOON = instant("2026-05-01 12:00")


@pytest.fixture
def desk():
    return Desk()


def use(desk, serial):
    account = make_paddle()
    publication = make_publication(desk.campaign, account, live=1)
    make_remote_coupon(publication, serial=serial, remote_id=serial.code)
    note_use(Told(account.pk, serial.code, "order:1", NOON))
    return account


@pytest.fixture
def coupon(desk):
    coupon = desk.coupon("redeemed")
    use(desk, coupon.serial)
    coupon.refresh_from_db()
    return coupon


def test_a_record_says_where_it_was_used_and_by_whose_clock(desk, coupon):
    words = unescape(words_of(desk.record(coupon)))

    assert "at Paddle's checkout" in words
    assert "By the provider's clock it was 2026-05-01 21:00:00." in words
    assert "till's own clock" not in words


def test_the_list_of_records_says_how_it_was_taken(desk, coupon):
    page = desk.client.get(reverse("admin:reports_redemptionrecord_changelist"))

    assert "at Paddle's checkout" in unescape(words_of(page))


def test_a_use_after_a_store_has_taken_it_stands_in_both_stories(desk):
    coupon = desk.coupon("redeemed")
    verify(coupon.pk, store=desk.store, staff=desk.clerk)
    account = use(desk, coupon.serial)

    record = unescape(words_of(desk.record(coupon)))
    serial = desk.client.get(
        reverse("admin:serials_serial_change", args=[coupon.serial_id])
    )

    for words in (record, unescape(words_of(serial))):
        assert f"Used at {account.name} as well" in words
        assert "Its coupon was verified already." in words
        assert "By the provider's clock it was 2026-05-01 21:00:00." in words


def test_a_use_that_we_told_the_provider_of_is_no_second_one(desk):
    coupon = desk.coupon("redeemed")
    taken = verify(coupon.pk, store=desk.store, staff=desk.clerk)
    account = make_paddle()
    publication = make_publication(desk.campaign, account, live=1)
    there = make_remote_coupon(
        publication, serial=coupon.serial, remote_id=coupon.serial.code
    )
    Use.objects.create(
        connection=account,
        coupon=there,
        code=coupon.serial.code,
        source="mirror",
        outcome="known",
        verification=taken,
        seen_at=NOON,
    )

    assert account.name not in unescape(words_of(desk.record(coupon)))


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_refund_stands_in_the_record_of_its_use(desk, is_whole):
    coupon = desk.coupon("redeemed")
    account = use(desk, coupon.serial)
    at = NOON + timedelta(hours=3)
    note_refund(Refund(account.pk, "1", "alert:9", at, is_whole=is_whole))

    words = unescape(words_of(desk.record(coupon)))

    assert f"Refunded at {account.name}" in words
    assert ("order 1, in part" in words) is not is_whole
    assert (
        "Nothing was taken back here because of it: that is for you to decide." in words
    )


def test_its_customer_sees_that_it_is_used(client, coupon):
    page = client.get(f"/c/{coupon.token}")

    assert page.status_code == 200
    assert coupon.code not in page.content.decode()


def test_a_store_that_scans_it_is_told_so(client, desk, coupon):
    client.force_login(desk.clerk)

    page = client.post(
        reverse("store:check", args=[desk.store.pk]),
        {"text": coupon.code, "nonce": uuid4()},
        follow=True,
    )

    assert 'data-reason="already_verified"' in page.content.decode()
    assert "(Paddle)" in words_of(page)


def test_a_serial_that_nobody_had_says_why_it_is_void(desk):
    serial = desk.batch.serials.get(pos=1)
    account = use(desk, serial)

    page = desk.client.get(reverse("admin:serials_serial_change", args=[serial.pk]))

    words = unescape(words_of(page))
    assert f"Used at {account.name} before anybody got it: made void" in words
    assert "It was used at a provider before anybody had it" in words
    assert "By the provider's clock it was 2026-05-01 21:00:00." in words


def test_a_verification_elsewhere_can_be_taken_back(desk, coupon):
    desk.take_back(coupon, reason="Paid back")

    coupon.refresh_from_db()
    assert coupon.status == "redeemed"
