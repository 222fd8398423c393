import bz2
import codecs
import gzip

import pytest

from serials import importing, services
from serials.errors import ImportRefused
from serials.importing import preview
from serials.models import Batch, Serial, UploadChunk
from serials.reading import EXPORT_HEADER, MAX_BYTES
from serials.tests.files import (
    assert_exact,
    checked,
    codes,
    counts,
    imported,
    report,
    upload,
)
from testing.factories import make_campaign, make_serials

pytestmark = pytest.mark.django_db

GOOD = "serial\nAB-01\nAB-02\n"

# What is left of a file: the codes it brings, and (row, reason) of what it doesn't.
ROWS = {
    "a plain file": (GOOD, ["AB-01", "AB-02"], []),
    "no line end at the end": ("serial\nAB-01\nAB-02", ["AB-01", "AB-02"], []),
    "CR LF": ("serial\r\nAB-01\r\nAB-02\r\n", ["AB-01", "AB-02"], []),
    "CR only": ("serial\rAB-01\rAB-02\r", ["AB-01", "AB-02"], []),
    "mixed line ends": ("serial\rAB-01\r\nAB-02\n", ["AB-01", "AB-02"], []),
    "leading zeros": ("serial\n00123\n0045", ["00123", "0045"], []),
    "blanks around": ("serial\n  AB-01  \n", ["AB-01"], []),
    "quotes": ('serial\n"AB-01"\n"A""B"\n', ["AB-01", 'A"B'], []),
    "a comma in quotes": ('serial\n"A,B"\n', ["A,B"], []),
    "an empty row": ("serial\nAB-01\n\nAB-02\n", ["AB-01", "AB-02"], [(3, "empty")]),
    "blanks only": ("serial\nA1\n   \n", ["A1"], [(3, "empty")]),
    "a second column": ("serial\nA1\nA2,x\nA3", ["A1", "A3"], [(3, "columns")]),
    "a semicolon": ("serial\nA1\nA2;x\n", ["A1"], [(3, "columns")]),
    "a tab": ("serial\nA1\nA2\tx\n", ["A1"], [(3, "columns")]),
    "columns in quotes": ('s\nA1\n"A2","x"\n', ["A1"], [(3, "columns")]),
    "a newline in a cell": ('s\n"A\nB"\nA2\n', ["A2"], [(2, "characters")]),
    "CR LF in a cell": ('s\n"A\r\nB"\nA2\n', ["A2"], [(2, "characters")]),
    "a quote not closed": ('s\n"A1\n' + "B\n" * 2 + "C\n", ["B", "C"], None),
    "a quote in the middle": ('s\n"A"B\nA2\n', ["A2"], [(2, "quotes")]),
    "NUL": ("s\nA\0B\nA2\n", ["A2"], [(2, "characters")]),
    "a control character": ("s\nA\x1fB\nA2\x1f\n", [], None),
    "a bell at the end": ("s\nA1\x07\n", [], [(2, "characters")]),
    "a direction mark": ("s\nA\u202eB\n", [], [(2, "characters")]),
    "an undecodable mark": ("s\nA\ufffdB\n", [], [(2, "characters")]),
    "zero width is dropped": ("s\nA\u200bB\n\u2060C\ufeff\n", ["AB", "C"], []),
    "zero width only": ("s\nA1\n\u200b\n", ["A1"], [(3, "empty")]),
    "a formula": ("s\nA1\n=SUM(A1)\n", ["A1"], [(3, "formula")]),
    "a wide formula": ("s\nA1\n＝A1\n", ["A1"], [(3, "formula")]),
    "a formula around text": ('s\nA1\n="00123"\n', ["A1"], [(3, "formula")]),
    "our own guard goes off": (
        "s\n'=A1\n'+B\n'-C\n'@D\n",
        ["=A1", "+B", "-C", "@D"],
        [],
    ),
    "another apostrophe stays": ("s\n'A1\n", ["'A1"], []),
    "signs at the start": ("s\n+A\n-B\n@C\n", ["+A", "-B", "@C"], []),
    "Excel's rounding": ("s\n1.23E+15\n4E+10\n", [], None),
    "an E in a code": ("s\n1E5\nE+15X\n", ["1E5", "E+15X"], []),
    "64 characters": ("s\n" + "X" * 64, ["X" * 64], []),
    "65 characters": ("s\n" + "X" * 65, [], [(2, "too_long")]),
    "one that grows": ("s\n" + "㍿" * 17, [], [(2, "too_long")]),
    "twice in the file": ("s\nA1\nA2\nA1\n", ["A1", "A2"], [(4, "in_file")]),
    "twice by case": ("s\nAb1\naB1\n", ["Ab1"], [(3, "in_file")]),
    "emoji": (
        "s\n\U0001f3ab-01\n\U0001f3ab-02\n",
        ["\U0001f3ab-01", "\U0001f3ab-02"],
        [],
    ),
    "accents": ("s\nCafé-1\nCafe\u0301-1\n", ["Café-1"], [(3, "in_file")]),
    "half-width kana": ("s\nｻｸﾗ-1\nサクラ-1\n", ["ｻｸﾗ-1"], [(3, "in_file")]),
    "a lone quote": ('s\n"\nA1\nA2\n', ["A1", "A2"], [(2, "quotes")]),
    "a quote alone at the end": ('s\nA1\n"', ["A1"], [(3, "quotes")]),
    "another line end": ("s\nA\u20281\nA\x0b2\nA\x0c3\nA\x854\n", [], None),
    "CR CR LF": ("s\r\r\nA1\r\r\n", ["A1"], [(2, "empty"), (4, "empty")]),
    "marks for both directions": ("s\nA\u200e1\nA\u200f2\nA\u20663\n", [], None),
    "a mark in the middle": ("s\nA1\n\ufeffA2\n", ["A1", "A2"], []),
    "a rounded number with a comma": ('s\n"1,23E+11"\n', [], [(2, "scientific")]),
    "a long run of blanks": ("s\n" + " " * 2_000 + "A1\n", [], [(2, "too_long")]),
    "a long quoted cell": ('s\n"' + "A" * 2_000 + '"\nA1\n', ["A1"], [(2, "too_long")]),
    "twice by width": ("s\nＡ１\nA1\n", ["Ａ１"], [(3, "in_file")]),
    "twice by zero width": ("s\nA1\nA\u200b1\n", ["A1"], [(3, "in_file")]),
    "three times": ("s\nA\na\nＡ\n", ["A"], [(3, "in_file"), (4, "in_file")]),
    "a backslash": ("s\nA\\nB\n\\.\n\\N\n", ["A\\nB", "\\.", "\\N"], []),
}


@pytest.mark.parametrize("name", ROWS)
def test_each_row_is_imported_or_listed_with_its_reason(name):
    text, expected, left_out = ROWS[name]

    batch = checked(text)
    assert batch.state == Batch.State.CHECKED
    assert batch.new == len(expected)
    assert sum(counts(batch)) == batch.lines
    if left_out is not None:
        assert report(batch) == left_out
    found = report(batch)
    assert not Serial.objects.exists()

    if expected:
        batch = imported(text, make_campaign(barcode="none"))
        assert codes(batch) == expected
        assert report(batch) == found
        assert_exact(batch)


def test_an_open_quote_costs_its_own_row_only():
    batch = checked('s\n"A1\n' + "".join(f"B{n}\n" for n in range(500)))

    assert report(batch) == [(2, "quotes")]
    assert counts(batch) == (500, 0, 1)


def test_control_characters_and_rounding_are_named():
    assert report(checked("s\nA\x1fB\nA2\x1f\n")) == [
        (2, "characters"),
        (3, "characters"),
    ]
    assert report(checked("s\n1.23E+15\n4E+10\n")) == [
        (2, "scientific"),
        (3, "scientific"),
    ]


def test_every_line_end_but_the_usual_and_every_direction_mark_is_named():
    assert {why for _, why in report(checked(ROWS["another line end"][0]))} == {
        "characters"
    }
    text = ROWS["marks for both directions"][0]
    assert [why for _, why in report(checked(text))] == ["characters"] * 3


REFUSED = {
    "a heading alone": (b"serial\n", "no serials below"),
    "two columns": (b"serial,name\nA1,x\n", "Row 1 has more than one column"),
    "semicolons": (b"serial;name\nA1;x\n", "Row 1 has more than one column"),
    "tabs": (b"serial\tname\nA1\tx\n", "Row 1 has more than one column"),
    "columns below the heading": (b"serial\nA1,x\n", "Row 2 has more than one"),
    "no encoding fits": (b"serial\n\xff\xff\xfe\xff\n\x81\n", "can't be read"),
    "encodings mixed": (
        "serial\n春".encode() + b"\n" + "春の券".encode("cp932") + b"\n\x81\n",
        "can't be read",
    ),
    "a delimiter at the end": (b"serial;\nA1;\n", "Row 1 has more than one column"),
    "UTF-16 without its mark": ("serial\nA1\n".encode("utf-16-le"), "UTF-16"),
    "UTF-16, the other way round": ("serial\nA1\n".encode("utf-16-be"), "UTF-16"),
    "half a surrogate": (
        codecs.BOM_UTF16_LE + "serial\nA".encode("utf-16-le") + b"\x00\xd8\n\0",
        "Row 2 can't be read as UTF-16",
    ),
    "NUL alone": (b"\0" * 5_000, "no text at all"),
    "UTF-16 cut in half": (
        codecs.BOM_UTF16_LE + "serial\nA1".encode("utf-16-le")[:-1],
        "can't be read as UTF-16",
    ),
    "UTF-8 with its mark and more": (
        codecs.BOM_UTF8 + b"serial\nA1\nA\xff\n",
        "Row 3 can't be read as UTF-8",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_says_why_and_leaves_the_stock_as_it_was(name):
    data, words = REFUSED[name]
    campaign = make_campaign(barcode="none")
    make_serials(campaign, ["KEPT-1"])

    batch = checked(data, campaign)

    assert batch.state == Batch.State.REFUSED
    assert words in batch.problem
    assert report(batch) == []
    assert list(Serial.objects.values_list("code", flat=True)) == ["KEPT-1"]


NOT_TAKEN = {
    "nothing": (b"", "empty"),
    "xlsx": (b"PK\x03\x04rest", "Excel workbook"),
    "xls": (b"\xd0\xcf\x11\xe0rest", "old Excel"),
    "gzip": (gzip.compress(b"serial\nA1\n"), "compressed"),
    "bzip2": (bz2.compress(b"serial\nA1\n"), "compressed"),
    "7z": (b"7z\xbc\xaf\x27\x1crest", "compressed"),
    "PDF": (b"%PDF-1.7\nserial\n", "a PDF"),
    "PNG": (b"\x89PNG\r\n\x1a\nrest", "a picture"),
    "JPEG": (b"\xff\xd8\xff\xe0rest", "a picture"),
    "RTF": (b"{\\rtf1\\ansi serial}", "a text document"),
    "a web page": (b"<!DOCTYPE html>\n<table>", "a web page"),
    "a web page that is called xls": (codecs.BOM_UTF8 + b"<html><table>", "a web page"),
    "XML": (b'<?xml version="1.0"?>\n<Workbook>', "an XML file"),
    "a byte too many": (b"serial\n" + b"A" * (MAX_BYTES - 6), "larger than 10 MB"),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_is_no_csv_file_is_refused_at_once_and_not_kept(name):
    data, words = NOT_TAKEN[name]

    with pytest.raises(ImportRefused, match=words) as refusal:
        upload(data)

    assert refusal.value.field == "file"
    assert not Batch.objects.exists()
    assert not UploadChunk.objects.exists()


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("cp950", b""),
    ],
)
def test_the_encoding_is_found_by_its_mark_or_its_bytes(encoding, mark):
    batch = imported(mark + "序號\n春天-01\n".encode(encoding))

    assert codes(batch) == ["春天-01"]
    assert batch.encoding == encoding.removesuffix("-le").removesuffix("-be")


def test_a_wrong_guess_is_mended_by_choosing_another_encoding():
    data = "シリアル\nサクラ-01\n".encode("cp932")

    batch = checked(data)
    assert batch.state in (Batch.State.CHECKED, Batch.State.REFUSED)
    batch = checked(data, encoding="cp932", has_header=True)

    assert batch.encoding == "cp932"
    assert counts(batch) == (1, 0, 0)


def test_half_width_kana_is_read_once_its_encoding_is_chosen():
    data = "ｼﾘｱﾙ\nｻｸﾗ-01\n".encode("cp932")

    batch = checked(data, encoding="cp932", has_header=True)

    assert preview(batch) == [(1, "ｼﾘｱﾙ", ""), (2, "ｻｸﾗ-01", "")]
    assert counts(batch) == (1, 0, 0)


def test_utf_16_without_its_mark_stays_refused_when_somebody_says_so():
    data = "serial\nA1\n".encode("utf-16-le")

    batch = checked(data, encoding="utf-16", has_header=True)

    assert batch.state == Batch.State.REFUSED
    assert "can't be read as UTF-16" in batch.problem


def test_an_encoding_that_does_not_fit_can_be_changed_back():
    batch = checked("序號\n春天\n", encoding="utf-16", has_header=True)
    if batch.state == Batch.State.REFUSED:
        assert "UTF-16" in batch.problem

    batch = checked("序號\n春天\n", encoding="utf-8", has_header=True)
    assert counts(batch) == (1, 0, 0)


def test_a_file_without_a_heading_is_imported_whole_once_someone_says_so():
    text = "AB-01\nAB-02\n"
    assert counts(checked(text)) == (1, 0, 0)

    batch = checked(text, encoding="utf-8", has_header=False)

    assert counts(batch) == (2, 0, 0)
    assert batch.lines == 2


def test_one_serial_without_a_heading_can_still_be_imported():
    batch = checked("AB-01")
    assert batch.state == Batch.State.REFUSED

    batch = checked("AB-01", encoding="utf-8", has_header=False)

    assert counts(batch) == (1, 0, 0)


def test_one_line_of_exactly_ten_megabytes_is_one_row_of_the_report():
    data = b"serial\n" + b"A" * (MAX_BYTES - 11) + b"\nB1\n"
    assert len(data) == MAX_BYTES

    batch = checked(data)

    assert report(batch) == [(2, "too_long")]
    assert batch.refused_rows.get().value == "A" * 200
    assert counts(batch) == (1, 0, 1)


def test_as_many_rows_as_a_file_may_have_are_taken_and_one_more_refused(settings):
    assert settings.IMPORT_MOST_ROWS == 1_000_000
    settings.IMPORT_MOST_ROWS = 1_000
    rows = [f"N{n}" for n in range(1_001)]

    assert counts(checked("\n".join(["serial", *rows[:1_000]]))) == (1_000, 0, 0)
    batch = checked("\n".join(["serial", *rows, "x,y"]))

    assert batch.state == Batch.State.REFUSED
    assert "1,000 serials" in batch.problem
    assert report(batch) == []


def test_what_the_barcode_cannot_draw_is_refused_with_its_row():
    text = "s\nAB-01\nab-02\nAB 03\n春\n" + "A" * 30

    batch = imported(text, make_campaign(barcode="code39"))

    assert codes(batch) == ["AB-01", "AB 03"]
    assert report(batch) == [(3, "barcode"), (5, "barcode"), (6, "barcode")]
    assert batch.fits_code39
    assert batch.fits_code128


def test_a_batch_knows_which_barcodes_can_draw_all_of_it():
    assert not imported("s\nab\nCD\n").fits_code39
    assert imported("s\nab\nCD\n").fits_code128
    assert not imported("s\n春\n").fits_code128


def test_a_duplicate_that_cannot_be_drawn_takes_no_barcode_away():
    campaign = make_campaign(barcode="none")
    make_serials(campaign, ["ab-01"])

    batch = imported("s\nab-01\nCD-02\n", campaign)

    assert codes(batch) == ["CD-02"]
    assert batch.fits_code39


def test_capital_and_small_letters_differ_where_the_campaign_says_so():
    campaign = make_campaign(barcode="none", is_case_sensitive=True)

    assert counts(imported("s\nAB\nab\nAB\n", campaign)) == (2, 1, 0)


def test_a_value_is_listed_with_what_cannot_be_seen_written_out():
    batch = checked("s\nA\0\x1b[2J\u202e" + "x" * 300)

    value = batch.refused_rows.get().value
    assert value.startswith("A\\x00\\x1b[2J\\u202ex")
    assert len(value) == 200


# --- Our own export -------------------------------------------------------------------

HEADER = ",".join(EXPORT_HEADER)
EXPORTS = {
    "quoted": (
        codecs.BOM_UTF8
        + b'"serial","state","batch","taken_at","coupon","verified_at"\r\n'
        + b'"AB-01","free","April, and ""May""","","",""\r\n'
        + b'"\'=C2","taken","April","2026-05-01 13:00:00","K7",""\r\n'
        + b'"D""3,4","void","line one\nline two","","",""\r\n'
    ),
    "as a spreadsheet saves it": (
        f'{HEADER}\nAB-01,free,April,,,\n\'=C2,taken,x,,,\n"D""3,4",void,,,,\n'
    ),
    "with the first column alone from row 2 on": (
        f'{HEADER}\nAB-01\n\'=C2\n"D""3,4"\n'
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_our_own_export_is_read_by_its_first_column(name):
    batch = imported(EXPORTS[name])

    assert codes(batch) == ["AB-01", "=C2", 'D"3,4']
    assert_exact(batch)


def test_bad_rows_of_an_export_are_reported_by_their_first_cell():
    rows = ["AB-01,free", ",free", "ab-01,free", '"A"B,free', "X" * 65 + ",free", "A2"]
    batch = checked("\n".join([HEADER, *rows]))

    assert report(batch) == [
        (3, "empty"),
        (4, "in_file"),
        (5, "quotes"),
        (6, "too_long"),
    ]
    assert counts(batch) == (2, 1, 3)
    assert preview(batch)[0] == (1, "serial", "")


@pytest.mark.parametrize("block", [1, 2, 50])
def test_an_export_is_still_one_when_its_import_goes_on_later(settings, block):
    settings.IMPORT_BLOCK = block
    batch = checked(HEADER + "\nA1,free\nA2,free\nA3,free\n")
    services.confirm(batch)

    while importing.run(batch.pk, seconds=0):
        pass

    batch.refresh_from_db()
    assert codes(batch) == ["A1", "A2", "A3"]


@pytest.mark.parametrize(
    "header",
    [
        HEADER + ",more",
        HEADER.removesuffix(",verified_at"),
        HEADER.replace(",", ";"),
        HEADER.upper(),
        "serial,state",
        "x," + HEADER,
    ],
)
def test_no_other_table_is_read(header):
    batch = checked(header + "\nA1,free,April,,,\n")

    assert batch.state == Batch.State.REFUSED
    assert "Row 1 has more than one column" in batch.problem
