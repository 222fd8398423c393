"""Sending LINE's own coupon through the pages: form, check, the press, progress."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from contacts.models import Contact
from deliveries.models import Delivery
from deliveries.services import cancel_native
from sync.models import RemoteCoupon
from testing.factories import (
    make_campaign,
    make_connection,
    make_contact,
    make_contacts,
    make_list,
    make_publication,
    make_remote_coupon,
    make_user,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
    }


@pytest.fixture
def publication():
    publication = make_publication(make_campaign(), make_connection(), live=1)
    make_remote_coupon(
        publication,
        title="Spring at the café",
        told="RUNNING",
        starts_at=timezone.now() - DAY,
        ends_at=timezone.now() + 20 * DAY,
    )
    return publication


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def url(publication):
    return reverse(
        "admin:campaigns_campaign_send_native",
        args=[publication.campaign_id, publication.pk],
    )


def filled(chosen=None, **fields):
    return {
        "step": "check",
        "contact_list": chosen.pk if chosen else "",
        "contact": "",
        "tag": "",
        "send_at_0": "",
        "send_at_1": "",
    } | fields


def press(page, data):
    nonce = page.context["press"].initial["nonce"]
    return data | {"step": "send", "nonce": str(nonce)}


def text_of(page):
    return " ".join(page.content.decode().split())


def test_from_the_publication_to_the_progress_page(editor, publication):
    fine, blocked, nameless = make_contacts(publication.connection, 3)
    Contact.objects.filter(pk=blocked.pk).update(is_reachable=False)
    Contact.objects.filter(pk=nameless.pk).update(line_user_id=None)
    other = make_contact(make_connection())
    data = filled(make_list(fine, blocked, nameless, other), tag="spring_26")

    form = editor.get(url(publication))
    check = editor.post(url(publication), data)
    assert not Delivery.objects.exists()
    done = editor.post(url(publication), press(check, data))
    progress = editor.get(done.headers["Location"])

    assert "doesn't tell" in text_of(form).replace("&#x27;", "'")
    shown = text_of(check)
    assert "1 contact gets this message" in shown
    for why in (
        "Blocked the account on LINE",
        "No LINE user id is known",
        "A friend of another LINE account",
    ):
        assert why in shown
    assert "Spring at the café" in shown
    assert "Serials free" not in shown
    delivery = Delivery.objects.get()
    assert (delivery.kind, delivery.delivery_tag) == ("native", "spring_26")
    told = text_of(progress).replace("&#x27;", "'")
    assert "LINE's own coupon" in told
    assert "LINE doesn't tell who got or used it" in told
    assert "under “spring_26”" in told


def test_the_same_press_twice_is_one_delivery(editor, publication):
    data = filled(make_list(make_contact(publication.connection)))
    data = press(editor.post(url(publication), data), data)

    first = editor.post(url(publication), data)
    second = editor.post(url(publication), data)

    assert first.headers["Location"] == second.headers["Location"]
    assert Delivery.objects.count() == 1


def test_it_says_what_it_costs_and_that_the_month_may_not_be_enough(
    editor, publication
):
    Connection.objects.update(quota=200, quota_used=199)
    chosen = make_list(*make_contacts(publication.connection, 2))

    shown = text_of(editor.post(url(publication), filled(chosen)))

    assert "<dt>Messages it costs</dt><dd>2</dd>" in shown
    assert "<dt>Messages left this month</dt><dd>1</dd>" in shown
    assert "more than LINE lets this account send this month" in shown


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Choose a list or one contact."),
        ({"contact": "nobody"}, "There is no such contact"),
        ({"contact": "Hana", "tag": "a b"}, "Use only letters A to Z"),
        ({"contact": "Hana", "tag": "a" * 31}, "at most 30 characters"),
        ({"contact": "Hana", "tag": "\0"}, "Null characters are not allowed"),
        ({"contact": "Hana", "send_at_0": "2099-01-01"}, "sending period ends"),
    ],
)
def test_what_cannot_be_sent_is_said_at_its_field(editor, publication, fields, words):
    make_contact(publication.connection, name="Hana")

    page = editor.post(url(publication), filled(**fields))

    assert page.status_code == 400
    assert words in text_of(page)
    assert not Delivery.objects.exists()


def test_after_the_coupon_ends_it_is_too_late_at_the_time_field(editor, publication):
    make_contact(publication.connection, name="Hana")
    publication.campaign.use_ends_at = timezone.now() + 90 * DAY
    publication.campaign.save(update_fields=["use_ends_at"])
    day = f"{timezone.now() + 25 * DAY:%Y-%m-%d}"

    page = editor.post(url(publication), filled(contact="Hana", send_at_0=day))

    assert "The coupon on LINE ends on" in text_of(page)
    assert page.context["form"].errors.keys() == {"send_at"}


@pytest.mark.parametrize("told", ["DRAFT", "CLOSED"])
def test_one_that_cannot_be_used_has_no_form_and_no_press(editor, publication, told):
    data = filled(make_list(make_contact(publication.connection)))
    pressed = press(editor.post(url(publication), data), data)
    RemoteCoupon.objects.update(told=told)

    form, refused = editor.get(url(publication)), editor.post(url(publication), pressed)

    for page in (form, refused):
        assert "The coupon can't be sent now" in text_of(page)
        assert 'id="send"' not in text_of(page)
    assert refused.status_code == 400
    assert not Delivery.objects.exists()


def test_a_closed_one_says_on_its_page_why_it_stopped(editor, publication):
    data = filled(make_list(make_contact(publication.connection)))
    done = editor.post(
        url(publication), press(editor.post(url(publication), data), data)
    )

    cancel_native(
        publication.coupons.get().remote_id, reason="The coupon was taken back."
    )

    assert "The coupon was taken back." in text_of(editor.get(done.headers["Location"]))


@pytest.mark.parametrize("role", ["Viewer", "Store staff", ""])
def test_who_may_not_send_cannot(client, publication, role):
    person = make_user(role)
    client.force_login(person)

    for answer in (client.get(url(publication)), client.post(url(publication))):
        assert answer.status_code in (302, 403)
    assert not Delivery.objects.exists()


def test_a_publication_of_another_campaign_is_not_found(editor, publication):
    other = make_campaign()
    wrong = reverse(
        "admin:campaigns_campaign_send_native", args=[other.pk, publication.pk]
    )

    assert editor.get(wrong).status_code == 404


def test_a_campaign_that_is_paused_is_not_sent(editor, publication):
    make_contact(publication.connection, name="Hana")
    publication.campaign.state = "paused"
    publication.campaign.save(update_fields=["state"])

    page = editor.post(url(publication), filled(contact="Hana"))

    assert "This campaign is paused" in text_of(page)
    assert page.status_code == 400


def test_back_from_the_check_the_form_is_as_it_was_typed(editor, publication):
    chosen = make_list(make_contact(publication.connection))

    page = editor.post(
        url(publication), filled(chosen, tag="spring") | {"step": "edit"}
    )

    assert page.status_code == 200
    assert 'value="spring"' in text_of(page)
