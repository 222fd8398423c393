"""The upload page in a real browser: dropping a file, and what is wrong with one."""

from contextlib import ExitStack

import pytest
from django.urls import reverse
from playwright.sync_api import FileChooser, expect

from serials.models import Batch
from serials.reading import MAX_BYTES
from testing.browsing import let_in, visiting
from testing.factories import make_campaign, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# As the browser does it when somebody drags files (name, text) over the zone.
DRAG = """(zone, [kind, files]) => {
  const given = new DataTransfer();
  for (const [name, text] of files) given.items.add(new File([text], name));
  const how = { dataTransfer: given, bubbles: true, cancelable: true };
  zone.dispatchEvent(new DragEvent(kind, how));
}"""
APRIL = ["april.csv", "serial\nA1\nA2\n"]


@pytest.fixture
def visit(browser, live_server, client):
    client.force_login(make_user("Editor"))
    campaign = make_campaign(barcode="none")
    path = reverse("admin:serials_batch_upload")

    with ExitStack() as pages:

        def open_upload(**options):
            page = pages.enter_context(visiting(browser, **options))
            let_in(page, live_server.url, client)
            page.goto(f"{live_server.url}{path}?campaign={campaign.pk}")
            return page

        yield open_upload


def file(name, data):
    return {"name": name, "mimeType": "text/csv", "buffer": data}


def send(page):
    page.get_by_role("button", name="Check the file").click()


def test_a_dropped_file_is_named_and_sent(visit):
    page = visit()
    zone = page.locator("#drop")

    zone.evaluate(DRAG, ["dragover", [APRIL]])
    expect(zone).to_have_class("serials-drop is-live is-over")
    zone.evaluate(DRAG, ["drop", [APRIL]])
    expect(zone).to_contain_text("april.csv")
    expect(zone).to_contain_text("0.1 kB")
    expect(page.get_by_label("Name of the batch")).to_have_value("")
    send(page)

    page.wait_for_url("**/progress/")
    assert Batch.objects.get().name == "april.csv"


def test_what_is_no_single_file_is_not_taken(visit):
    page = visit()
    zone, said = page.locator("#drop"), page.locator("#drop-said")

    zone.evaluate(DRAG, ["drop", [APRIL, ["may.csv", "x"]]])
    expect(said).to_contain_text("One file at a time")
    zone.evaluate(DRAG, ["drop", []])
    page.locator("h1, main, body").first.evaluate(DRAG, ["drop", [APRIL]])

    assert page.locator("#id_file").input_value() == ""


def test_a_file_that_cannot_be_taken_is_told_at_once_and_not_sent(visit, tmp_path):
    page = visit()
    chooser, said = page.locator("#id_file"), page.locator("#drop-said")
    big = tmp_path / "big.csv"
    with big.open("wb") as hollow:
        hollow.truncate(MAX_BYTES + 1)

    chooser.set_input_files(big)
    expect(said).to_contain_text("larger than 10 MB")
    expect(page.locator("#drop")).to_contain_text("10.1 MB")
    expect(chooser).to_have_attribute("aria-invalid", "true")
    send(page)
    chooser.set_input_files(file("none.csv", b""))
    expect(said).to_contain_text("The file is empty")
    send(page)
    expect(page.locator("#drop")).to_contain_text("none.csv")

    chooser.set_input_files(file("book.xlsx", b"PK\x03\x04"))
    expect(said).to_contain_text("does not end in .csv or .txt")
    send(page)
    expect(said).to_contain_text("This is an Excel workbook")
    chooser.set_input_files(file("may.csv", b"serial\nA1\n"))
    expect(said).to_be_empty()
    assert not Batch.objects.exists()


def test_the_file_is_chosen_by_keyboard(visit):
    page = visit()
    # Long before the press: the browser is told to leave its own dialog shut, and a
    # press that comes sooner than that opens one that nobody sees.
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    # unfold shows its pages late; what isn't shown can't have the focus.
    expect(page.get_by_label("Campaign")).to_be_visible()
    page.get_by_label("Campaign").focus()

    page.keyboard.press("Tab")
    expect(page.locator("#id_file")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(200):
        if choosers:
            break
        page.wait_for_timeout(100)
    choosers[0].set_files(file("may.csv", b"serial\nA1\n"))

    expect(page.locator("#drop")).to_contain_text("may.csv")


def test_without_script_it_is_a_plain_file_field(visit):
    page = visit(java_script_enabled=False, phone=True)

    page.locator("#id_file").set_input_files(file("book.csv", b"PK\x03\x04"))
    send(page)
    expect(page.get_by_text("This is an Excel workbook")).to_be_visible()
    page.locator("#id_file").set_input_files(file("may.csv", b"serial\nA1\n"))
    send(page)

    page.wait_for_url("**/progress/")
