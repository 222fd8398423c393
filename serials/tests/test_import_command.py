"""`manage.py import_serials`: the same import as on the screen, from a terminal."""

import csv
import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import timedelta

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from run import ROOT
from serials import following, importing, services
from serials.models import Batch, Serial, UploadChunk
from serials.reading import MAX_BYTES
from serials.steps import LEASE
from serials.tasks import sweep
from serials.tests.files import assert_exact, codes, counts, upload
from testing.factories import make_campaign, make_serials

pytestmark = pytest.mark.django_db
State = Batch.State
GOOD = "serial\nA1\nA2\nA1\nA3,x\n"


class Terminal(io.StringIO):
    """Somebody who sits there and has typed this."""

    def isatty(self):
        return True


@pytest.fixture
def campaign():
    return make_campaign(barcode="none", name="Spring")


@pytest.fixture
def file(tmp_path):
    def write(data=GOOD, name="april.csv"):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(path)

    return write


@pytest.fixture
def typed(monkeypatch):
    def sit_down(text):
        screen = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys, "stdout", screen)
        return screen

    return sit_down


@pytest.fixture
def piped():
    """Data on standard input."""
    kept = os.dup(0)

    def feed(data):
        ours, theirs = os.pipe()
        os.write(theirs, data)
        os.close(theirs)
        os.dup2(ours, 0)
        os.close(ours)

    yield feed
    os.dup2(kept, 0)
    os.close(kept)


def command(*args):
    """What the command says on standard output."""
    out = io.StringIO()
    call_command("import_serials", *map(str, args), stdout=out, stderr=out)
    return out.getvalue()


def refusal(*args):
    with pytest.raises(CommandError) as problem:
        command(*args)
    assert problem.value.returncode == 1
    return str(problem.value)


def test_a_file_is_checked_told_of_and_imported(campaign, file):
    said = command(campaign.pk, file(), "--yes")

    batch = Batch.objects.get()
    assert_exact(batch)
    assert codes(batch) == ["A1", "A2"]
    assert (batch.name, batch.created_by, batch.is_any_size) == (
        "april.csv",
        None,
        True,
    )
    for words in (
        "Spring",
        "UTF-8",
        "“serial”",
        "2 new, 1 duplicate, 1 refused",
        "row 4: A1 (twice in the file)",
        "row 5: A3,x (more than one column)",
    ):
        assert words in said
    assert said.endswith("2 serials are ready.\n")


def test_the_same_file_again_is_a_success_that_adds_nothing(campaign, file):
    command("Spring", file(), "--yes")

    assert "Already imported: 0 new." in command("Spring", file(), "--yes")

    assert Serial.objects.count() == 2
    assert not UploadChunk.objects.exists()


def test_a_check_alone_imports_and_keeps_nothing(campaign, file):
    assert "2 new" in command(campaign.pk, file(), "--check")

    assert not Serial.objects.exists()
    assert not UploadChunk.objects.exists()


def test_without_a_terminal_and_without_yes_it_stops_after_the_check(campaign, file):
    assert "Add --yes" in refusal(campaign.pk, file())

    assert not Serial.objects.exists()
    assert not UploadChunk.objects.exists()


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_who_says_yes_gets_the_import(campaign, file, typed, answer):
    screen = typed(answer)

    assert "2 serials are ready" in command(campaign.pk, file())

    assert "Import 2 serials? [y/N]" in screen.getvalue()


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_any_other_answer_imports_nothing(campaign, file, typed, answer):
    typed(answer)

    assert "The stock is as it was" in refusal(campaign.pk, file())

    assert not Serial.objects.exists()
    assert not UploadChunk.objects.exists()


def test_standard_input_is_a_file_too(campaign, piped):
    piped(GOOD.encode())

    assert "2 serials are ready" in command(campaign.pk, "-", "--yes")

    assert Batch.objects.get().name == "standard input"


def test_an_empty_standard_input_is_an_empty_file(campaign, piped):
    piped(b"")

    assert "The file is empty" in refusal(campaign.pk, "-", "--yes")


def test_a_file_may_be_larger_than_on_the_screen(campaign, file, settings):
    settings.IMPORT_MOST_ROWS = 2
    data = b"serial\nA1\nA2\nA3\n" + b"X" * MAX_BYTES + b"\nA4\n"

    said = command(campaign.pk, file(data), "--yes")

    assert said.endswith("4 serials are ready.\n")


def test_how_the_file_is_read_can_be_said(campaign, file):
    data = "春天\n夏天\n".encode("cp950")

    command(
        *(campaign.pk, file(data), "--yes", "--row-1-is-serial"),
        *("--encoding", "big5", "--name", "Seasons"),
    )

    batch = Batch.objects.get()
    assert codes(batch) == ["春天", "夏天"]
    assert (batch.encoding, batch.name) == ("cp950", "Seasons")


def test_a_first_row_that_looks_like_a_serial_is_pointed_out(campaign, file):
    said = command(campaign.pk, file("AB-1\nCD-2\n"), "--check")

    assert "add --row-1-is-serial" in said


def test_the_report_is_written_whole_and_safe_for_a_spreadsheet(
    campaign, file, tmp_path
):
    out = tmp_path / "out.csv"
    rows = "".join(f"=x{n},\n" for n in range(20))

    said = command(
        campaign.pk, file("serial\nA1\n" + rows), "--yes", f"--refused={out}"
    )

    assert "and 15 more" in said
    written = list(csv.reader(io.StringIO(out.read_bytes().decode("utf-8-sig"))))
    assert written[0] == ["Row", "Value", "Reason"]
    assert written[1] == ["3", "'=x0,", "more than one column"]
    assert len(written) == 21


REFUSED = {
    "no campaign of that id": (["999999", "{file}"], "no campaign"),
    "no campaign of that name": (["Sprin", "{file}"], "no campaign"),
    "an id beyond all numbers": (["9" * 30, "{file}"], "no campaign"),
    "a name that is no text": (["\udcff", "{file}"], "no campaign"),
    "no file": (["Spring", "{folder}/nope.csv"], "There is no file"),
    "a folder": (["Spring", "{folder}"], "is a folder"),
    "below a file": (["Spring", "{file}/x"], "can't be read: Not a directory"),
    "the report in no folder": (
        ["Spring", "{file}", "--refused={folder}/x/out.csv"],
        "can't be written",
    ),
    "the report in a folder's place": (
        ["Spring", "{file}", "--refused={folder}"],
        "can't be written",
    ),
    "the report in the file's place": (
        ["Spring", "{file}", "--refused={file}"],
        "Choose another",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_word_gets_one_sentence(campaign, file, tmp_path, name):
    args, words = REFUSED[name]
    places = {"file": file(), "folder": str(tmp_path)}

    assert words in refusal(*(arg.format(**places) for arg in args), "--yes")

    assert not Batch.objects.exists()
    assert (tmp_path / "april.csv").read_text() == GOOD


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty"),
        (b"serial\n", "--row-1-is-serial"),
        (b"serial;x\nA;1\n", "Row 1 has more than one column"),
        (b"serial\nA,1\n\n", "Row 2 has more than one column"),
        (b"serial\n\n=A\n", "No row of this file can be imported"),
        (b"PK\x03\x04", "Excel workbook"),
        (b"serial\n\xff\xff\x81", "can't be read"),
    ],
)
def test_a_file_that_brings_nothing_is_refused(campaign, file, data, words):
    make_serials(campaign, ["KEPT-1"])

    assert words in refusal(campaign.pk, file(data), "--yes")

    assert list(Serial.objects.values_list("code", flat=True)) == ["KEPT-1"]


def test_campaigns_of_one_name_are_told_apart_by_their_ids(campaign, file):
    other = make_campaign(name="Spring")

    said = refusal("Spring", file(), "--yes")

    assert f"{campaign.pk}, {other.pk}" in said


@pytest.mark.parametrize(
    "over", [{"state": "ended"}, {"archived_at": "2026-01-01T00:00Z"}]
)
def test_a_campaign_that_is_over_takes_nothing(file, over):
    campaign = make_campaign(**over)

    assert "has ended" in refusal(campaign.pk, file(), "--yes")

    assert not Batch.objects.exists()


def test_work_that_another_process_has_is_waited_for():
    batch = upload("serial\nA1\n")
    held = timezone.now() + timedelta(seconds=0.5)
    Batch.objects.filter(pk=batch.pk).update(leased_until=held)

    following.work_off(batch)

    assert batch.state == State.CHECKED
    assert timezone.now() > held


@pytest.fixture
def wakes_at_once():
    """Whoever is woken works then and there, as if a worker stood by."""
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def left_at_its_check(file):
    """What a command leaves that is killed while it checks."""
    with open(file, "rb") as stream:
        batch = services.start_import(
            make_campaign(barcode="none"),
            file=following.ShownFile(stream, "april.csv", following.bar("", unit="B")),
            name="april.csv",
            by=None,
            is_any_size=True,
        )
    Batch.objects.filter(pk=batch.pk).update(leased_until=timezone.now() - LEASE)
    return batch


def test_a_check_whose_command_is_gone_is_left_alone_and_dropped_later(
    file, wakes_at_once
):
    batch = left_at_its_check(file())

    sweep()
    batch.refresh_from_db()
    assert batch.state == State.CHECKING
    for _ in range(2):
        importing.tidy(lambda: timezone.now() + timedelta(hours=2))

    batch.refresh_from_db()
    assert batch.state == State.CANCELLED
    assert "Run it again" in batch.problem
    assert not UploadChunk.objects.exists()


# --- In a process of its own ----------------------------------------------------------

SMALL_BLOCKS = """
import sys, manage
from django.conf import settings
settings.IMPORT_BLOCK = 100
manage.main()
"""


def start(*args, terminal=None):
    """The command as a process on the tests' database, a commit for each 100 rows."""
    database = connection.settings_dict
    server = "{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    return subprocess.Popen(
        [sys.executable, "-c", SMALL_BLOCKS, *map(str, args)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": f"postgres://{server}"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )


def wait_for(what, process):
    until = time.monotonic() + 60
    while not what():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def is_in_the_middle():
    return Batch.objects.filter(state=State.IMPORTING, done_to__gt=1_000).exists()


@pytest.fixture
def long_file(file):
    return file("serial\n" + "".join(f"N{n:06d}\n" for n in range(80_000)))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_ctrl_c_takes_back_what_the_import_brought(campaign, long_file):
    make_serials(campaign, ["N000001", "KEPT-1"])
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = start("import_serials", campaign.pk, long_file, terminal=theirs)
    said = b""

    def hears(words):
        nonlocal said
        while select.select([ours], [], [], 0)[0]:
            said += os.read(ours, 65_536)
        return words in said

    wait_for(lambda: hears(b"Import 79,999 serials? [y/N]"), process)
    os.write(ours, b"y\n")
    wait_for(lambda: hears(b"Importing:") and is_in_the_middle(), process)
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 130
    assert hears(b"")
    os.close(ours)
    os.close(theirs)
    assert b"Checking: 100%" in said
    assert b"The stock is as it was" in said
    batch = Batch.objects.get(name="april.csv")
    assert (batch.state, batch.done_to) == (State.CANCELLED, 0)
    assert set(Serial.objects.values_list("code", flat=True)) == {"N000001", "KEPT-1"}
    assert not UploadChunk.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_command_that_is_killed_is_gone_on_with_by_the_workers(campaign, long_file):
    process = start("import_serials", campaign.pk, long_file, "--yes")
    wait_for(is_in_the_middle, process)
    process.kill()
    process.wait(60)
    batch = Batch.objects.get()
    assert batch.state == State.IMPORTING

    due = Batch.objects.due(timezone.now() + LEASE)
    assert list(due) == [batch]
    importing.run(batch.pk, clock=lambda: timezone.now() + LEASE)

    batch.refresh_from_db()
    assert_exact(batch)
    assert counts(batch) == (80_000, 0, 0)
