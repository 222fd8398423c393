"""Managers hear of passwords being tried out on customers' pages."""

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from coupons.models import PasswordPace
from reports import guessing, telling
from reports.tasks import sweep, warn_of_guessing
from testing.factories import make_campaign, make_store, make_user

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def manager():
    return make_user("Manager", email="mika@example.com")


def make_pace(**fields):
    """A store's password that was guessed at, an hour ago unless told otherwise."""
    if "campaign" not in fields:
        fields.setdefault("store", make_store(name="Clover\nStreet"))
    fields.setdefault("wrong", 30)
    fields.setdefault("day_ends_at", NOW + timedelta(hours=5))
    fields.setdefault("alerted_at", NOW - timedelta(hours=1))
    return PasswordPace.objects.create(**fields)


def look(at=NOW):
    """What a sweep does, and the worker that it wakes."""
    for pace_id in guessing.due(at):
        guessing.warn(pace_id, at)


def test_managers_are_mailed_once_with_the_page_to_change_it(settings):
    settings.SITE_URL = "https://shop.example"
    make_user("Editor", email="editor@example.com")
    pace = make_pace()

    look()
    look(NOW + timedelta(hours=1))

    [message] = mail.outbox
    assert message.to == ["mika@example.com"]
    assert message.subject == "Wrong passwords on coupon pages: Clover Street"
    page = reverse("admin:stores_store_change", args=[pace.store_id])
    assert f"https://shop.example{page}" in message.body
    assert "It still works" in message.body


def test_a_pause_is_told_as_long_as_it_holds():
    make_pace(campaign=make_campaign(name="Spring"), wrong=200)
    make_pace(wrong=200, day_ends_at=NOW - timedelta(minutes=1))

    look()

    first, second = (message.body for message in mail.outbox)
    assert "“Spring”" in first
    assert "until midnight. Staff can scan" in first
    assert "It still works" in second


def test_guessing_that_goes_on_later_is_told_again():
    pace = make_pace()
    look()

    PasswordPace.objects.filter(pk=pace.pk).update(alerted_at=NOW + timedelta(days=1))
    look(NOW + timedelta(days=1, minutes=1))

    assert len(mail.outbox) == 2


def test_wrong_passwords_that_were_few_are_no_news():
    make_pace(alerted_at=None)

    look()

    assert not mail.outbox


def test_what_could_not_be_mailed_is_mailed_once_the_lease_is_over(settings):
    make_pace()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    look()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    look(NOW + timedelta(minutes=1))
    assert not mail.outbox
    look(NOW + telling.LEASE)

    assert len(mail.outbox) == 1


def test_the_sweep_wakes_a_worker_which_tells_it_once():
    pace = make_pace()

    sweep()
    assert not mail.outbox
    warn_of_guessing(pace.pk)
    warn_of_guessing(pace.pk)

    assert len(mail.outbox) == 1
