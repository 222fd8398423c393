import csv
import html
import io

import pytest
from django.contrib.admin import site
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from serials import services
from serials.admin import importing
from serials.models import Batch, Serial, UploadChunk
from serials.reading import MAX_BYTES
from serials.tasks import work
from serials.tests.files import assert_exact, checked, counts, imported
from testing.factories import make_campaign, make_fixed_batch, make_serials, make_user

pytestmark = pytest.mark.django_db
State = Batch.State


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def page(name, *args):
    return reverse(f"admin:serials_batch_{name}", args=args)


def send(client, data, campaign, name="april.csv", **fields):
    file = SimpleUploadedFile(name, data, content_type="text/csv")
    return client.post(
        page("upload"), {"campaign": campaign.pk, "file": file, **fields}
    )


def text_of(response):
    return response.content.decode()


def test_upload_check_confirm_ready(editor):
    campaign = make_campaign(barcode="none")
    make_serials(campaign, ["AB-03"])

    answer = send(editor, b"code\nAB-01\nAB-02\nAB-03\nx,y\n", campaign)
    batch = Batch.objects.get(name="april.csv")
    progress = page("progress", batch.pk)
    assert answer.url == progress
    assert "being checked" in text_of(editor.get(progress))

    work(batch.pk)
    shown = text_of(editor.get(progress))
    for words in ("Import 2 serials", "UTF-8", "“code”", "already in the campaign"):
        assert words in shown
    assert "more than one column" in shown

    editor.post(page("confirm", batch.pk))
    assert "being imported" in text_of(editor.get(progress))
    work(batch.pk)

    assert "2 serials are ready to be given out" in text_of(editor.get(progress))
    batch.refresh_from_db()
    assert_exact(batch)
    assert batch.created_by is not None


def test_the_campaign_one_comes_from_is_chosen(editor):
    campaign = make_campaign()
    ended = make_campaign(name="Over and done", state="ended")

    shown = text_of(editor.get(page("upload"), {"campaign": campaign.pk}))

    assert f'<option value="{campaign.pk}" selected>' in shown
    assert ended.name not in shown


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty"),
        (b"PK\x03\x04", "Excel workbook"),
    ],
)
def test_a_refused_upload_says_why_at_the_field_and_keeps_the_campaign(
    editor, data, words
):
    campaign = make_campaign()

    answer = send(editor, data, campaign)

    assert answer.status_code == 400
    assert words in text_of(answer)
    assert f'<option value="{campaign.pk}" selected>' in text_of(answer)
    assert not Batch.objects.exists()


def test_the_file_field_works_without_script_and_is_told_of_its_error(editor):
    campaign = make_campaign()

    fresh = text_of(editor.get(page("upload")))
    refused = text_of(send(editor, b"PK\x03\x04", campaign))

    field = '<input type="file" name="file" id="id_file" required'
    assert field in fresh
    assert field in refused
    assert f'data-most="{MAX_BYTES}"' in fresh
    assert 'aria-invalid="true"' not in fresh
    assert 'aria-invalid="true"' in refused


def test_several_files_go_into_one_campaign_one_after_the_other(editor):
    campaign = make_campaign(barcode="none")
    for data in (b"s\nA1\n", b"s\nA1\nA2\n"):
        send(editor, data, campaign)
        batch = Batch.objects.latest("pk")
        work(batch.pk)
        editor.post(page("confirm", batch.pk))
        work(batch.pk)
        shown = text_of(editor.get(page("progress", batch.pk)))

        again = f"{page('upload')}?campaign={campaign.pk}"
        assert f'href="{again}">Upload another file</a>' in shown

    codes = Serial.objects.order_by("code").values_list("code", flat=True)
    assert list(codes) == ["A1", "A2"]


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".csv", "..\\..\\x/y.csv", "春\u202e.csv"]
)
def test_a_file_may_have_any_name(editor, name):
    assert send(editor, b"s\nA1\n", make_campaign(), name=name).status_code == 302

    assert 1 <= len(Batch.objects.get().name) <= 100


def test_an_upload_without_a_file_asks_for_one(editor):
    answer = editor.post(page("upload"), {"campaign": make_campaign().pk})

    assert answer.status_code == 400
    assert "Choose the file" in text_of(answer)


def test_a_body_that_is_too_big_is_refused_unread(editor):
    class Unreadable(io.BytesIO):
        def read(self, *args):
            raise AssertionError("the body was read")

    answer = editor.generic(
        "POST",
        page("upload"),
        b"",
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(MAX_BYTES * 2),
        **{"wsgi.input": Unreadable()},
    )

    assert answer.status_code == 413
    assert "larger than 10 MB" in text_of(answer)
    assert not Batch.objects.exists()


def test_a_slow_upload_keeps_the_web_server_patient(editor):
    beats = []
    file = SimpleUploadedFile("a.csv", b"serial\n" + b"A\n" * 500_000)

    editor.post(
        page("upload"),
        {"campaign": make_campaign().pk, "file": file},
        **{"couponadmin.pulse": lambda: beats.append(1)},
    )

    assert len(beats) >= 10
    assert bytes(UploadChunk.objects.get().data).endswith(b"A\nA\n")


def test_an_upload_that_never_ends_is_left_to_the_web_server(rf):
    beats = []
    request = rf.post("/", **{"couponadmin.pulse": lambda: beats.append(1)})
    pulse = importing.Pulse(request)
    pulse.until = 0.0

    assert pulse.receive_data_chunk(b"A", 0) == b"A"

    assert not beats


def test_the_upload_still_wants_its_token():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("Editor"))

    assert send(client, b"s\nA\n", make_campaign()).status_code == 403
    assert not Batch.objects.exists()


def test_a_refused_file_shows_what_is_wrong_and_the_way_on(editor):
    campaign = make_campaign()
    batch = checked(b"code;name\nA;1\n", campaign)

    shown = text_of(editor.get(page("progress", batch.pk)))

    assert "more than one column" in shown
    assert f"{page('upload')}?campaign={campaign.pk}" in shown


def test_the_encoding_and_row_1_can_be_switched(editor):
    batch = checked("AB-01\nAB-02\n")
    shown = text_of(editor.get(page("progress", batch.pk)))
    assert "Row 1 looks like the serials below it" in shown

    editor.post(page("check", batch.pk), {"encoding": "utf-8", "is_serial": "on"})
    work(batch.pk)

    batch.refresh_from_db()
    assert (batch.has_header, counts(batch)) == (False, (2, 0, 0))
    shown = text_of(editor.get(page("progress", batch.pk)))
    assert "Row 1 is taken as a serial" in shown


def test_an_unknown_encoding_changes_nothing(editor):
    batch = checked("s\nA\n")

    answer = editor.post(page("check", batch.pk), {"encoding": "rot13"}, follow=True)

    assert "Choose an encoding" in text_of(answer)
    batch.refresh_from_db()
    assert batch.state == State.CHECKED


def test_the_same_file_again_is_said_to_be_imported_already(editor):
    campaign = make_campaign()
    imported("s\nA1\nA2\n", campaign)
    batch = checked("s\nA1\nA2\n", campaign)

    shown = text_of(editor.get(page("progress", batch.pk)))
    answer = editor.post(page("confirm", batch.pk), follow=True)

    assert "Already imported: 0 new" in shown
    assert "nothing to import" in text_of(answer)
    assert Serial.objects.count() == 2


def test_a_cancelled_import_says_that_nothing_came(editor):
    batch = checked("s\nA1\n")

    answer = editor.post(page("cancel", batch.pk), follow=True)

    assert "serials are as they were before" in text_of(answer)
    assert not Serial.objects.exists()


def test_the_state_tells_the_script_how_far_it_is(editor):
    batch = checked("s\nA1\nA2\n")
    services.confirm(batch)
    Batch.objects.filter(pk=batch.pk).update(done_to=1)

    answer = editor.get(page("state", batch.pk))

    assert answer.json() == {
        "state": "importing",
        "done": 1,
        "total": 2,
        "is_working": True,
    }


def test_refused_rows_download_whole_and_safe_for_a_spreadsheet(editor):
    batch = checked("s\nA1\n=cmd()\n+1.0E+10\nA1\n\n" + "x,y\n" * 60)

    answer = editor.get(page("refused", batch.pk))
    text = b"".join(answer.streaming_content).decode()

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    assert text.startswith('\ufeff"Row","Value","Reason"\r\n')
    rows = list(csv.reader(io.StringIO(text[1:])))[1:]
    assert len(rows) == batch.duplicate + batch.refused == 64
    assert rows[0][:2] == ["3", "'=cmd()"]
    assert rows[1][:2] == ["4", "'+1.0E+10"]
    assert rows[2] == ["5", "A1", "twice in the file"]


def test_the_sample_can_be_uploaded_as_it_is(editor):
    sample = editor.get(page("sample")).content

    assert counts(checked(sample)) == (3, 0, 0)


def test_a_fixed_serial_by_form(editor):
    campaign = make_campaign(barcode="code128")

    answer = editor.post(
        page("fixed"),
        {"campaign": campaign.pk, "code": "FNA@5841", "quantity": "500"},
    )

    batch = Batch.objects.get()
    assert answer.url == page("change", batch.pk)
    assert (batch.code, batch.stock.quantity) == ("FNA@5841", 500)
    assert "FNA@5841" in text_of(editor.get(answer.url))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"code": "サクラ", "quantity": "5"}, "CODE_128 cannot draw"),
        ({"code": "A" * 17, "quantity": "5"}, "at most 16 characters"),
        ({"code": "A1"}, "Write how many, or tick"),
        ({"code": "A1", "quantity": "5", "is_unlimited": "on"}, "Either a number"),
        ({"code": "A1", "quantity": "0"}, "greater than or equal to 1"),
        ({"code": "A1", "quantity": "1000001"}, "less than or equal to 1000000"),
        ({"code": "A1", "quantity": "NaN"}, "Enter a whole number"),
        ({"code": "A\0", "quantity": "5"}, "Null characters"),
    ],
)
def test_a_wrong_fixed_serial_gets_an_answer_at_its_field(editor, fields, words):
    campaign = make_campaign(barcode="code128")

    answer = editor.post(page("fixed"), {"campaign": campaign.pk, **fields})

    assert answer.status_code == 400
    assert words in text_of(answer)
    assert not Batch.objects.exists()


def test_a_viewer_sees_and_changes_nothing(client):
    client.force_login(make_user("Viewer"))
    batch = checked("s\nA1\nA1\n")

    for name in ("progress", "state", "refused"):
        assert client.get(page(name, batch.pk)).status_code == 200
    for name in ("confirm", "cancel", "check"):
        assert client.post(page(name, batch.pk)).status_code == 403
    for name in ("upload", "fixed"):
        assert client.get(page(name)).status_code == 403
    assert "Import 1 serial" not in text_of(client.get(page("progress", batch.pk)))
    batch.refresh_from_db()
    assert batch.state == State.CHECKED


@pytest.mark.parametrize("name", ["confirm", "cancel", "check"])
def test_get_changes_nothing(editor, name):
    batch = checked("s\nA1\n")

    assert editor.get(page(name, batch.pk)).status_code == 405

    batch.refresh_from_db()
    assert batch.state == State.CHECKED


def test_store_staff_and_strangers_are_sent_away(client):
    batch = checked("s\nA1\n")

    assert client.get(page("progress", batch.pk)).status_code == 302
    client.force_login(make_user("Store staff"))
    assert client.get(page("state", batch.pk)).status_code == 302


def test_the_list_shows_every_kind_of_batch(editor):
    campaign = make_campaign()
    make_fixed_batch(campaign, code="FNA@5841", quantity=5_000)
    make_fixed_batch(campaign, code="FREE", quantity=None)
    make_serials(campaign, 3)
    checked("s\nA1\n", campaign)

    shown = text_of(editor.get(page("changelist")))

    for words in ("5,000 of 5,000 free", "no limit", "1 new", "Upload a CSV"):
        assert words in shown


def test_editing_a_batch_leaves_what_a_worker_writes_alone(editor):
    batch = checked("s\nA1\n")

    answer = editor.post(
        page("change", batch.pk),
        {"name": "April", "position": "3", "memo": "for stores", "state": "ready"},
    )

    assert answer.status_code == 302
    batch.refresh_from_db()
    assert (batch.name, batch.position, batch.memo) == ("April", 3, "for stores")
    assert batch.state == State.CHECKED


def test_only_what_gave_nothing_out_can_be_deleted(editor):
    kept, dropped = imported("s\nA1\n"), checked("s\nA1\n")
    services.cancel(dropped)

    refused = editor.post(page("delete", kept.pk), {"post": "yes"}, follow=True)
    assert "serials of it may have been given out" in text_of(refused)
    assert editor.post(page("delete", dropped.pk), {"post": "yes"}).status_code == 302

    assert list(Batch.objects.all()) == [kept]


def test_a_batch_that_is_not_there_is_a_404(editor):
    assert editor.get(page("progress", 999)).status_code == 404


GONE = "That batch is gone: a colleague has deleted it."


@pytest.mark.parametrize("name", ["confirm", "cancel", "check"])
def test_pressing_a_button_of_a_deleted_batch_tells_so(editor, name):
    batch = checked("s\nA1\n")
    Batch.objects.get(pk=batch.pk).delete()

    answer = editor.post(page(name, batch.pk), {"encoding": "utf-8"}, follow=True)

    assert answer.redirect_chain == [(page("changelist"), 302)]
    assert GONE in text_of(answer)


@pytest.mark.parametrize("name", ["confirm", "cancel", "check_again"])
def test_a_batch_that_is_deleted_beside_a_press_tells_so(rf, name):
    batch = checked("s\nA1\n")
    Batch.objects.get(pk=batch.pk).delete()
    request = rf.post("/", {"encoding": "utf-8"})
    setattr(request, "_messages", CookieStorage(request))  # noqa: B010

    answer = getattr(site.get_model_admin(Batch), name)(request, batch)

    assert answer.url == page("changelist")
    assert [str(message) for message in get_messages(request)] == [GONE]


def test_the_check_page_names_the_barcode_that_cant_draw_a_row(editor):
    batch = checked("s\nA1\nサクラ\n", make_campaign(barcode="code39"))

    shown = html.unescape(text_of(editor.get(page("progress", batch.pk))))
    file = b"".join(editor.get(page("refused", batch.pk)).streaming_content).decode()

    # Once among the rows that are left out, once among the first rows.
    assert shown.count("can't be drawn in CODE_39") == 2
    assert "can't be drawn in CODE_39" in file
