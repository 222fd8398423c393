"""How much one person may bring, and in what order it is worked off."""

from datetime import timedelta

import pytest
from celery import current_app
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from serials import importing, services
from serials.errors import ImportRefused
from serials.models import Batch
from serials.steps import LEASE
from serials.tasks import sweep, work
from serials.tests.files import assert_exact, upload
from testing.factories import make_campaign, make_user

pytestmark = pytest.mark.django_db
State = Batch.State
FILE = b"serial\nA1\nA2\n"


@pytest.fixture
def person():
    return make_user("Editor")


@pytest.fixture
def wakes_at_once():
    """Whoever is woken works then and there, as if a worker stood by."""
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def send(client, campaign):
    file = SimpleUploadedFile("april.csv", FILE, content_type="text/csv")
    return client.post(
        reverse("admin:serials_batch_upload"), {"campaign": campaign.pk, "file": file}
    )


def checked_by(person):
    batch = upload(FILE, by=person)
    importing.run(batch.pk)
    batch.refresh_from_db()
    return batch


def held_by_a_worker(batch):
    held = importing._claim(batch.pk, timezone.now)
    assert held is not None
    return held


# --- In a day -------------------------------------------------------------------------


def test_one_batch_too_many_within_a_day_is_refused_in_words_at_the_form(
    client, person, settings
):
    assert settings.IMPORTS_A_DAY == 20
    settings.IMPORTS_A_DAY = 3
    campaign = make_campaign()
    client.force_login(person)
    for _ in range(3):
        assert send(client, campaign).status_code == 302

    answer = send(client, campaign)

    assert answer.status_code == 400
    assert "You have made 3 batches within 24 hours" in answer.content.decode()
    assert f'<option value="{campaign.pk}" selected>' in answer.content.decode()
    assert Batch.objects.count() == 3


def test_a_day_later_one_may_go_on(person, settings):
    settings.IMPORTS_A_DAY = 1
    upload(FILE, by=person)
    with pytest.raises(ImportRefused, match="try again later"):
        upload(FILE, by=person)

    day_ago = timezone.now() - timedelta(days=1, seconds=1)
    Batch.objects.update(created_at=day_ago)

    upload(FILE, by=person)


def test_generated_batches_count_and_fixed_ones_do_not(person, settings):
    settings.IMPORTS_A_DAY = 1
    campaign = make_campaign(barcode="none")

    def generate():
        services.generate(
            campaign,
            pattern="########-########",
            quantity=1,
            alphabet="clear",
            name="",
            by=person,
        )

    services.make_fixed(campaign, code="FNA", quantity=1, name="", by=person)
    generate()

    with pytest.raises(ImportRefused, match="within 24 hours"):
        generate()
    with pytest.raises(ImportRefused, match="within 24 hours"):
        upload(FILE, campaign, by=person)


def test_nobody_is_held_back_by_what_others_have_brought(person, settings):
    settings.IMPORTS_A_DAY = 1
    upload(FILE, by=person)

    upload(FILE, by=make_user("Editor"))
    for _ in range(2):
        upload(FILE, by=None)  # whoever sits at the server

    assert Batch.objects.count() == 4


# --- One after the other --------------------------------------------------------------


def test_two_files_confirmed_at_once_both_end_ready(person, wakes_at_once):
    first, second = checked_by(person), checked_by(person)
    for batch in (first, second):
        services.confirm(batch)
    at_work = held_by_a_worker(first)

    work(second.pk)
    second.refresh_from_db()
    assert (second.state, second.done_to) == (State.IMPORTING, 0)
    importing._work(at_work, float("inf"), timezone.now)
    work(first.pk)

    for batch in (first, second):
        batch.refresh_from_db()
        assert_exact(batch)


def test_who_waits_longest_comes_next(person):
    first, second, third = (upload(FILE, by=person) for _ in range(3))

    now = timezone.now()

    assert Batch.objects.waiting_behind(third.pk, now) == first.pk
    assert Batch.objects.waiting_behind(first.pk, now) == second.pk
    held_by_a_worker(second)
    assert Batch.objects.waiting_behind(first.pk, timezone.now()) is None


def test_a_lost_wake_up_is_made_good_by_the_sweep(person, wakes_at_once):
    first, second = upload(FILE, by=person), upload(FILE, by=person)
    held_by_a_worker(first)
    sweep()
    second.refresh_from_db()
    assert second.state == State.CHECKING

    Batch.objects.filter(pk=first.pk).update(leased_until=timezone.now() - LEASE)
    sweep()

    assert set(Batch.objects.values_list("state", flat=True)) == {State.CHECKED}


@pytest.mark.parametrize("is_at_the_terminal", [True, False])
def test_work_for_one_person_does_not_keep_another_waiting(person, is_at_the_terminal):
    held_by_a_worker(upload(FILE, by=person))
    other = None if is_at_the_terminal else make_user("Editor")
    theirs = upload(FILE, by=other)

    work(theirs.pk)

    theirs.refresh_from_db()
    assert theirs.state == State.CHECKED


def test_imports_at_the_terminal_do_not_wait_for_each_other():
    held_by_a_worker(upload(FILE, by=None))
    second = upload(FILE, by=None)

    work(second.pk)

    second.refresh_from_db()
    assert second.state == State.CHECKED


def test_a_file_that_waits_for_its_confirmation_holds_nothing_up(person):
    checked_by(person)

    assert checked_by(person).state == State.CHECKED
