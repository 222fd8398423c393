"""Exports of serials: who gets which file, how often and how long, and what stands in it."""

import gzip
import logging
from datetime import timedelta
from runpy import run_path
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reports.models import SerialExport
from reports.serial_exports import (
    A_DAY,
    AT_ONCE,
    DAY,
    LEASE,
    WORKS_FOR,
    DownloadTooLong,
    ExportRefused,
    held,
    start_download,
)
from reports.tests.export_helpers import make
from reports.tests.record_helpers import signed_in, words_of
from run import ROOT
from serials.models import Batch
from testing.factories import PASSWORD, make_campaign, make_serials, make_user
from testing.races import Racers

pytestmark = pytest.mark.django_db

ADD = reverse("admin:reports_serialexport_add")
LIST = reverse("admin:reports_serialexport_changelist")
ASKED = {
    "batch": "",
    "states": "all",
    "columns": "all",
    "format": "excel",
    "password": PASSWORD,
}
FREE = "AAA-1"


@pytest.fixture
def editor():
    return make_user("Editor")


@pytest.fixture
def client(editor):
    return signed_in(editor)


@pytest.fixture
def campaign():
    return make_campaign(name="Spring", time_zone="Asia/Tokyo")


@pytest.fixture
def owner():
    """Somebody who has no need to sign in: making a password takes a while."""
    return User.objects.create(username="owner")


@pytest.fixture
def batch(campaign):
    return make_serials(campaign, [FREE], name="Till rolls")


def file_url(export):
    return reverse("admin:reports_serialexport_file", args=[export.pk])


def page_url(export):
    return reverse("admin:reports_serialexport_change", args=[export.pk])


def add_url(**named):
    return f"{ADD}?" + "&".join(f"{name}={value}" for name, value in named.items())


def text_of(response):
    return b"".join(response.streaming_content).decode()


def used_up(owner, campaign, *, at):
    """As many exports as a person may make, from `at` on, a minute apart."""
    for minute in range(A_DAY):
        make(owner, campaign, clock=lambda m=minute: at + timedelta(minutes=m))


# --- asking for one -----------------------------------------------------------------------


def test_an_editor_asks_for_an_export_and_downloads_it(client, editor, campaign, batch):
    asked = client.post(add_url(campaign=campaign.pk), ASKED)
    export = SerialExport.objects.get()
    page = client.get(asked.url)
    response = client.get(file_url(export))

    assert asked.url == page_url(export)
    assert file_url(export) in page.content.decode()
    assert "Only you can use the link" in words_of(page)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Cache-Control"].startswith("no-store, private")
    assert f"serials-campaign-{campaign.pk}-all-" in response["Content-Disposition"]
    assert FREE in text_of(response)
    export.refresh_from_db()
    assert (export.owner, export.downloads) == (editor, 1)
    assert export.expires_at - export.created_at == timedelta(hours=1)


def test_the_batch_that_one_comes_from_is_chosen(client, campaign, batch):
    other = make_serials(campaign, 2)

    page = client.get(add_url(batch=batch.pk))
    client.post(add_url(batch=batch.pk), ASKED | {"batch": batch.pk})

    assert f'<option value="{batch.pk}" selected>' in page.content.decode()
    assert f'<option value="{other.pk}">' in page.content.decode()
    assert SerialExport.objects.get().batch == batch


def test_a_batch_of_another_campaign_is_not_taken(client, campaign, batch):
    other = make_serials(make_campaign(), 1)

    response = client.post(add_url(campaign=campaign.pk), ASKED | {"batch": other.pk})

    assert response.status_code == 400
    assert "That batch isn&#x27;t there any more" in response.content.decode()
    assert not SerialExport.objects.exists()


def test_a_batch_that_is_not_ready_is_spoken_of(client, campaign, batch):
    coming = make_serials(campaign, 2, state=Batch.State.IMPORTING, name="Coming")

    page = client.get(add_url(batch=coming.pk))

    assert "“Coming” isn't ready" in words_of(page).replace("&#x27;", "'")
    assert f'<option value="{coming.pk}"' not in page.content.decode()


def test_a_campaign_without_serials_says_what_to_do(client, campaign):
    response = client.get(add_url(campaign=campaign.pk))

    assert response.status_code == 200
    assert "has no serials yet" in words_of(response)
    assert 'type="password"' not in response.content.decode()


def test_without_a_campaign_one_is_asked_for(client, campaign, batch):
    make_campaign(name="Without serials")

    for named in ("", "campaign=abc", "campaign=0", "batch=" + 40 * "9"):
        response = client.get(f"{ADD}?{named}")

        assert response.status_code == 200
        offered = f'<option value="{campaign.pk}">Spring</option>'
        assert offered in response.content.decode()
        assert "Without serials" not in response.content.decode()


def test_a_wrong_answer_is_told_at_its_question(client, campaign, batch):
    wrong = [
        *(("states", "burnt"), ("columns", ""), ("format", "xlsx"), ("batch", "x")),
        *(("password", ""), ("password", "not it")),
    ]
    for field, value in wrong:
        response = client.post(add_url(campaign=campaign.pk), ASKED | {field: value})

        assert response.status_code == 400
        assert list(response.context["form"].errors) == [field]
    assert not SerialExport.objects.exists()


# --- who may ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "status"),
    [("Manager", 200), ("Editor", 200), ("Viewer", 403), ("Store staff", 302)],
)
def test_managers_and_editors_export_and_nobody_else(campaign, batch, role, status):
    client = signed_in(make_user(role))

    found = [client.get(url).status_code for url in (add_url(batch=batch.pk), LIST)]
    client.post(add_url(batch=batch.pk), ASKED)

    assert found == [status, status]
    assert SerialExport.objects.exists() == (status == 200)


def test_anothers_export_is_as_if_it_were_not_there(owner, campaign, batch):
    export = make(owner, campaign)
    superuser = make_user(is_staff=True, is_superuser=True)

    for other in (make_user("Manager"), superuser):
        client = signed_in(other)
        theirs = [client.get(file_url(export)), client.get(page_url(export))]
        none = [client.get(url(SerialExport(pk=10**6))) for url in (file_url, page_url)]

        assert [r.status_code for r in theirs + none] == [404] * 4
        assert [words_of(r) for r in theirs] == [words_of(r) for r in none]
        assert "Spring" not in client.get(LIST).content.decode()
    export.refresh_from_db()
    assert export.downloads == 0


def test_whoever_has_not_signed_in_is_asked_to(owner, campaign, batch):
    export = make(owner, campaign)

    response = Client().get(file_url(export))

    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))


def test_the_right_is_looked_at_again_at_the_download(client, editor, campaign, batch):
    export = make(editor, campaign)
    editor.groups.clear()

    assert client.get(file_url(export)).status_code == 403


def test_a_strange_number_is_not_found(client):
    for number in (0, 10**30):
        export = SerialExport(pk=number)

        assert client.get(file_url(export)).status_code == 404
        assert client.get(page_url(export)).status_code == 404


# --- how often and how long ----------------------------------------------------------------


def test_after_an_hour_the_link_is_gone_and_a_new_one_is_offered(
    client, editor, campaign, batch
):
    at = timezone.now() - WORKS_FOR
    export = make(editor, campaign, batch=batch, states="free", clock=lambda: at)

    response = client.get(file_url(export))
    again = client.get(response.context["again"])

    assert response.status_code == 410
    assert "This link has expired" in words_of(response)
    assert file_url(export) not in response.content.decode()
    form = again.context["form"]
    assert (form["batch"].value(), form["states"].value()) == (batch.pk, "free")
    export.refresh_from_db()
    assert export.downloads == 0


def test_one_second_before_its_end_the_link_works(client, editor, campaign, batch):
    at = timezone.now() - WORKS_FOR + timedelta(seconds=30)
    export = make(editor, campaign, clock=lambda: at)

    assert client.get(file_url(export)).status_code == 200


def test_the_list_labels_what_is_expired(client, editor, campaign, batch):
    make(editor, campaign, clock=lambda: timezone.now() - timedelta(hours=2))
    empty = signed_in(make_user("Editor")).get(LIST)
    full = client.get(LIST)

    assert "expired" in words_of(full)
    assert "Nothing here yet" in words_of(empty)


def test_each_download_is_counted_and_kept_in_the_history(
    client, editor, campaign, batch, caplog
):
    client.post(add_url(campaign=campaign.pk), ASKED)
    export = SerialExport.objects.get()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            text_of(client.get(file_url(export)))

    export.refresh_from_db()
    assert (export.downloads, export.running_until) == (2, None)
    assert export.downloaded_at is not None
    said = LogEntry.objects.filter(user=editor).order_by("pk")
    assert [entry.change_message for entry in said] == [
        "Export of serials made.",
        "Downloaded.",
        "Downloaded.",
    ]
    events = [r for r in caplog.records if r.message.startswith("export.")]
    assert [r.message for r in events] == [
        "export.made",
        *["export.downloaded", "export.ended"] * 2,
    ]
    assert all(r.is_whole for r in events if r.message == "export.ended")
    assert FREE not in "".join(str(vars(record)) for record in events)


def test_a_head_request_counts_nothing(client, editor, campaign, batch):
    export = make(editor, campaign)

    response = client.head(file_url(export))

    export.refresh_from_db()
    assert (response.status_code, export.downloads) == (200, 0)


def test_looking_at_ones_export_takes_no_post(client, editor, campaign, batch):
    export = make(editor, campaign)

    assert client.post(page_url(export)).status_code == 405
    assert client.post(file_url(export)).status_code == 405


def test_after_so_many_exports_a_day_the_next_one_has_to_wait(
    client, editor, campaign, batch
):
    first = timezone.now() - timedelta(hours=3)
    used_up(editor, campaign, at=first)

    response = client.post(add_url(campaign=campaign.pk), ASKED | {"states": "free"})

    assert response.status_code == 429
    again = (first + DAY).astimezone(campaign.zone)
    assert f"possible from {again:%Y-%m-%d %H:%M} (Asia/Tokyo)" in words_of(response)
    assert response.context["form"]["states"].value() == "free"
    assert SerialExport.objects.count() == A_DAY


def test_the_day_is_counted_for_each_person_and_ends_after_24_hours(owner, campaign):
    now = timezone.now()
    used_up(owner, campaign, at=now - DAY)

    make(owner, campaign, clock=lambda: now)  # the first one is a day old
    with pytest.raises(ExportRefused):
        make(owner, campaign, clock=lambda: now)
    make(User.objects.create(username="other"), campaign, clock=lambda: now)

    assert SerialExport.objects.count() == A_DAY + 2


def test_one_download_at_a_time_for_each_person(client, editor, campaign, batch):
    first, second = make(editor, campaign), make(editor, campaign)
    running = client.get(file_url(first))

    refused = client.get(file_url(second))
    text_of(running)
    after = client.get(file_url(second))

    assert (refused.status_code, after.status_code) == (429, 200)
    assert refused["Retry-After"] == "60"
    assert "Another download of yours is still running" in words_of(refused)
    second.refresh_from_db()
    assert second.downloads == 1


def test_downloads_of_a_few_people_leave_the_others_their_pages(
    client, editor, campaign, batch
):
    for n in range(AT_ONCE):
        colleague = User.objects.create(username=f"colleague-{n}")
        start_download(make(colleague, campaign))

    response = client.get(file_url(make(editor, campaign)))

    assert response.status_code == 429
    assert "Colleagues are downloading" in words_of(response)


def test_a_download_that_takes_far_too_long_is_broken_off(owner, campaign):
    export = make(owner, campaign)
    start_download(export)

    with pytest.raises(DownloadTooLong):
        list(held(export, iter(["a", "b"]), longest=-1))

    export.refresh_from_db()
    assert export.running_until is None


def test_a_browser_that_goes_away_ends_its_download(owner, campaign):
    export = make(owner, campaign)
    start_download(export)
    pieces = held(export, iter(["a", "b"]))
    next(pieces)

    pieces.close()

    export.refresh_from_db()
    assert export.running_until is None


def test_a_download_that_was_cut_off_is_over_when_its_lease_is(owner, campaign):
    export = make(owner, campaign)
    start_download(export)

    with pytest.raises(ExportRefused) as refusal:
        start_download(export)
    start_download(export, clock=lambda: timezone.now() + LEASE)

    assert refusal.value.code == "busy"


def test_whoever_lost_the_place_does_not_take_it_from_the_next(owner, campaign):
    export = make(owner, campaign)
    start_download(export)
    slow = held(export, iter(["a", "b"]))
    next(slow)
    again = SerialExport.objects.get(pk=export.pk)
    start_download(again, clock=lambda: timezone.now() + LEASE)

    slow.close()

    again.refresh_from_db()
    assert again.running_until is not None


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_exports_asked_for_at_once_are_no_more_than_a_day_has(owner, campaign):
    now = timezone.now()
    used_up(owner, campaign, at=now - timedelta(hours=1))
    SerialExport.objects.filter(created_at=now - timedelta(hours=1)).delete()
    racers = Racers(8)

    try:
        results = racers.race(lambda n: make(owner, campaign))
    finally:
        racers.stop()

    refused = [r.code for r in results if isinstance(r, ExportRefused)]
    assert refused == ["too_many"] * 7, results
    assert SerialExport.objects.count() == A_DAY


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_downloads_begun_at_once_are_one(owner, campaign):
    exports = [make(owner, campaign) for _ in range(8)]
    racers = Racers(8)

    try:
        results = racers.race(lambda n: start_download(exports[n]))
    finally:
        racers.stop()

    refused = [r.code for r in results if isinstance(r, ExportRefused)]
    assert refused == ["busy"] * 7, results


# --- the file on its way ----------------------------------------------------------------


def test_the_heading_is_never_translated(client, editor, campaign, batch):
    export = make(editor, campaign)

    response = client.get(file_url(export), headers={"accept-language": "ja"})

    assert text_of(response)[1:].startswith('"serial","state","batch",')


def test_a_browser_gets_it_gzipped_and_the_same(client, editor, campaign, batch):
    export = make(editor, campaign)
    plain = text_of(client.get(file_url(export)))

    response = client.get(file_url(export), headers={"accept-encoding": "gzip, br"})

    assert response["Content-Encoding"] == "gzip"
    assert gzip.decompress(b"".join(response.streaming_content)).decode() == plain


def test_a_long_download_tells_the_web_server_that_it_goes_on(
    client, editor, campaign, batch
):
    beats = []
    worker = SimpleNamespace(
        wsgi=lambda environ, start_response: environ, notify=lambda: beats.append(1)
    )
    run_path(str(ROOT / "gunicorn.conf.py"))["post_worker_init"](worker)
    environ = worker.wsgi({}, None)

    text_of(client.get(file_url(make(editor, campaign)), **environ))

    assert len(beats) == 2  # the heading, and the one page
