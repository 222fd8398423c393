"""The way through the pages: form, check, one press of Send, progress."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from contacts.models import Contact
from deliveries.models import Delivery
from deliveries.services import pause
from deliveries.tests.helpers import fresh, send
from testing.factories import (
    make_campaign,
    make_contact,
    make_contacts,
    make_coupon,
    make_fixed_batch,
    make_list,
    make_serials,
    make_user,
)

pytestmark = pytest.mark.django_db
SEND = "/admin/deliveries/delivery/send/"


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
    }


@pytest.fixture
def editor(client, shop):
    client.force_login(shop.editor)
    return client


def filled(shop, chosen=None, **fields):
    return {
        "step": "check",
        "campaign": shop.campaign.pk,
        "contact_list": chosen.pk if chosen else "",
        "contact": "",
        "connection": shop.connection.pk,
        "kind": "card",
        "text": "",
        "send_at_0": "",
        "send_at_1": "",
    } | fields


def press(page, data):
    """The data of the check page's own Send button."""
    nonce = page.context["press"].initial["nonce"]
    return data | {"step": "send", "nonce": str(nonce)}


def page_of(delivery, name):
    return reverse(f"admin:deliveries_delivery_{name}", args=[delivery.pk])


def test_from_the_campaign_to_the_progress_page(editor, shop):
    fine, blocked = make_contacts(shop.connection, 2)
    Contact.objects.filter(pk=blocked.pk).update(is_reachable=False)
    data = filled(shop, make_list(fine, blocked))

    form = editor.get(SEND, {"campaign": shop.campaign.pk})
    check = editor.post(SEND, data)
    done = editor.post(SEND, press(check, data))

    assert f'value="{shop.campaign.pk}" selected' in form.content.decode()
    text = check.content.decode()
    assert "1 contact gets this message" in text
    assert "Blocked the account on LINE" in text
    assert shop.campaign.name in text
    delivery = Delivery.objects.get()
    assert done.headers["Location"] == page_of(delivery, "progress")
    assert delivery.created_by == shop.editor
    assert editor.get(done.headers["Location"]).status_code == 200


def test_nothing_is_made_before_the_press(editor, shop):
    data = filled(shop, make_list(*make_contacts(shop.connection, 1)))

    editor.get(SEND)
    editor.post(SEND, data)
    editor.post(SEND, data | {"step": "edit"})
    editor.post(SEND, data | {"step": "send"})  # without the nonce it is a check

    assert Delivery.objects.count() == 0


def test_the_same_press_twice_leads_to_the_same_delivery(editor, shop):
    data = filled(shop, make_list(*make_contacts(shop.connection, 1)))
    data = press(editor.post(SEND, data), data)

    first = editor.post(SEND, data)
    second = editor.post(SEND, data)

    assert first.headers["Location"] == second.headers["Location"]
    assert Delivery.objects.count() == 1


def test_one_contact_is_found_by_its_id_or_its_name(editor, shop):
    contact = make_contact(shop.connection, name="Hana", external_id="S-1")

    for words in (contact.line_user_id, "S-1", " hana "):
        page = editor.post(SEND, filled(shop, contact=words))
        assert page.context["given"]["contact"] == contact

    make_contact(shop.connection, name="Hana")
    page = editor.post(SEND, filled(shop, contact="Hana"))
    assert "Several contacts" in page.content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Choose a list or one contact."),
        ({"contact": "nobody"}, "There is no such contact"),
        ({"contact": "Hana", "kind": "text"}, "Write the words"),
        ({"contact": "Hana", "campaign": "99999"}, "This campaign is not active"),
        ({"contact": "Hana", "campaign": "9" * 40}, "This campaign is not active"),
        ({"contact": "Hana", "campaign": "\0"}, "Null characters are not allowed"),
        ({"contact": "\0"}, "Null characters are not allowed"),
        ({"contact": "Hana", "send_at_0": "0001-01-01"}, "between 2000 and 2100"),
        ({"contact": "Hana", "send_at_0": "2099-01-01"}, "sending period ends"),
    ],
)
def test_what_cannot_be_sent_is_said_at_its_field(editor, shop, fields, words):
    make_contact(shop.connection, name="Hana")

    page = editor.post(SEND, filled(shop, **fields))

    assert page.status_code == 400
    assert words in page.content.decode()
    assert Delivery.objects.count() == 0


def test_a_list_and_a_contact_are_one_too_many(editor, shop):
    contact = make_contact(shop.connection, name="Hana")

    page = editor.post(SEND, filled(shop, make_list(contact), contact="Hana"))

    assert "Choose a list or one contact, not both." in page.content.decode()


def test_an_address_with_an_unreadable_time_opens_the_form(editor, shop):
    for text in ("abc", "2026-05-01"):
        assert editor.get(SEND, {"send_at": text}).status_code == 200


def test_too_few_serials_need_a_tick(editor, shop):
    campaign = make_campaign()
    make_serials(campaign, 2)
    make_coupon(campaign, status="sent")
    chosen = make_list(*make_contacts(shop.connection, 2))
    data = filled(shop, chosen, campaign=campaign.pk)

    check = editor.post(SEND, data)
    pressed = press(check, data)
    refused = editor.post(SEND, pressed)

    for page in (check, refused):
        assert "The serials may run short" in page.content.decode()
        assert 'id="id_is_short_ok"' in page.content.decode()
    assert refused.status_code == 400
    assert "Tick this to send anyway" in refused.content.decode()
    assert Delivery.objects.count() == 0

    ticked = {"is_short_ok": "on", "nonce": refused.context["press"]["nonce"].value()}
    done = editor.post(SEND, pressed | ticked)
    again = editor.post(SEND, pressed)

    assert done.headers["Location"] == page_of(Delivery.objects.get(), "progress")
    assert again.headers["Location"] == done.headers["Location"]


def test_who_has_a_coupon_already_is_counted_before_sending(editor, shop):
    holds, redeemed, late, new = make_contacts(shop.connection, 4)
    for _ in range(2):
        make_coupon(shop.campaign, contact=holds, status="sent")
    make_coupon(shop.campaign, contact=redeemed, status="redeemed")
    expired = make_coupon(shop.campaign, contact=late, status="sent")
    over = timezone.now() - timedelta(minutes=1)
    type(expired).objects.filter(pk=expired.pk).update(ends_at=over)
    type(shop.campaign).objects.update(limit_per_contact=2)

    check = editor.post(SEND, filled(shop, make_list(holds, redeemed, late, new)))
    others = editor.post(SEND, filled(shop, make_list(redeemed, late, new)))

    words = "1 of them has a coupon of this campaign already"
    assert "4 contacts get this message" in check.content.decode()
    assert words in check.content.decode()
    assert "of this campaign already" not in others.content.decode()


def test_a_campaign_without_serials_is_warned_of_and_enough_is_not(editor, shop):
    campaign = make_campaign()
    chosen = make_list(*make_contacts(shop.connection, 2))
    data = filled(shop, chosen, campaign=campaign.pk)

    without = editor.post(SEND, data).content.decode()
    make_fixed_batch(campaign, quantity=2)
    enough = editor.post(SEND, data).content.decode()

    assert "This campaign has no serials: nobody could redeem." in without
    assert "id_is_short_ok" in without
    assert "no serials" not in enough
    assert "id_is_short_ok" not in enough


def test_times_are_in_the_campaigns_zone(editor, shop):
    campaign = make_campaign(time_zone="Asia/Tokyo")
    make_fixed_batch(campaign, quantity=None)
    [contact] = make_contacts(shop.connection, 1)
    day = (timezone.now() + timedelta(days=5)).date()
    data = filled(
        shop,
        make_list(contact),
        campaign=campaign.pk,
        send_at_0=day.isoformat(),
        send_at_1="09:00",
    )

    check = editor.post(SEND, data)
    editor.post(SEND, press(check, data))

    assert "(Asia/Tokyo)" in check.content.decode()
    assert Delivery.objects.get().send_at.isoformat() == f"{day}T00:00:00+00:00"


def test_empty_shop_says_what_is_missing(client):
    client.force_login(make_user("Editor"))

    text = client.get(SEND).content.decode()

    assert "No LINE account is connected." in text
    assert "No campaign is active." in text


def test_without_lists_one_contact_is_offered(editor):
    assert "No list yet" in editor.get(SEND).content.decode()


def test_the_progress_page_and_its_numbers(editor, shop):
    shop.line.add_channel(refuse_unknown=True)
    delivery = shop.ready(contact_list=make_list(*make_contacts(shop.connection, 2)))

    waiting = editor.get(page_of(delivery, "state")).json()
    send()
    numbers = editor.get(page_of(delivery, "state")).json()
    page = editor.get(page_of(delivery, "progress")).content.decode()

    assert (waiting["state"], waiting["waiting"]) == ("ready", 2)
    assert waiting["is_working"] is True
    assert (numbers["state"], numbers["refused"]) == ("done", 2)
    assert numbers["is_working"] is False
    assert "Failed to send messages" in page
    pk = delivery.campaign_id
    assert reverse("admin:campaigns_campaign_change", args=[pk]) in page
    records = reverse("admin:reports_redemptionrecord_changelist")
    assert f"{records}?campaign__id__exact={pk}" in page


def test_pause_resume_and_cancel_are_buttons(editor, shop):
    delivery = shop.ready(1)

    for name, state in (
        ("pause", "paused"),
        ("resume", "ready"),
        ("cancel", "cancelled"),
    ):
        answer = editor.post(page_of(delivery, name))
        assert answer.headers["Location"] == page_of(delivery, "progress")
        assert fresh(delivery).state == state

    again = editor.post(page_of(delivery, "resume"), follow=True)
    assert "in another state by now" in again.content.decode()


def test_reading_changes_nothing(editor, shop):
    delivery = shop.ready(1)

    for name in ("pause", "resume", "cancel"):
        assert editor.get(page_of(delivery, name)).status_code == 405

    assert fresh(delivery).state == "ready"


@pytest.mark.parametrize(("role", "status"), [("Viewer", 403), ("Store staff", 302)])
def test_who_may_not_send_cannot(client, shop, role, status):
    delivery = shop.ready(1)
    client.force_login(make_user(role))

    assert client.get(SEND).status_code == status
    assert client.post(SEND, filled(shop)).status_code == status
    assert client.post(page_of(delivery, "cancel")).status_code == status
    assert fresh(delivery).state == "ready"


def test_a_viewer_sees_progress_without_buttons(client, shop):
    delivery = shop.ready(1)
    client.force_login(make_user("Viewer"))

    page = client.get(page_of(delivery, "progress"))

    assert page.status_code == 200
    assert page_of(delivery, "cancel") not in page.content.decode()


def test_the_list_names_each_state(editor, shop):
    planned = shop.ready(1, send_at=timezone.now() + timedelta(hours=1))
    stopped = shop.ready(1)
    pause(stopped.pk, by=shop.editor)

    text = editor.get("/admin/deliveries/delivery/").content.decode()

    assert str(planned.contact_list) in text
    assert "planned" in text
    assert "paused" in text
    changed = editor.get(f"/admin/deliveries/delivery/{stopped.pk}/change/")
    assert changed.headers["Location"] == page_of(stopped, "progress")


def test_a_paused_one_says_why_and_how_to_go_on(editor, shop):
    delivery = shop.ready(1)
    pause(delivery.pk, by=shop.editor)

    text = editor.get(page_of(delivery, "progress")).content.decode()

    assert "Paused by" in text
    assert page_of(delivery, "resume") in text
