import codecs
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serials import reading, services
from serials.errors import ImportRefused
from serials.models import Batch, RefusedRow, Serial
from serials.tasks import work
from serials.tests.files import assert_exact, counts, upload
from testing.factories import make_campaign, make_serials

EXPORT = ",".join(reading.EXPORT_HEADER)
SEEDS = [
    b"serial\r\nAB-01\r\nAB-02\r\n",
    codecs.BOM_UTF8 + b'"serial"\n"AB,01"\n"A""B"\n',
    "序號\n春天-01\n春天-02\n".encode("cp950"),
    "シリアル\nサクラ\nｻｸﾗ\n".encode("cp932"),
    "serial\nAB-01\n".encode("utf-16"),
    codecs.BOM_UTF16_BE + "シリアル\nサクラ\n\U0001f338\n".encode("utf-16-be"),
    "s\n㍿㍿\nＡＢ０１\nab\u200b01\n\u202eC\n".encode(),
    b"serial;x\nA;1\n'=B\n1.2E+10\n",
    f"{EXPORT}\nAB-01,free,\nA2\n".encode(),
    f'"{EXPORT.replace(",", chr(34) + "," + chr(34))}"\r\n"A1","free"\r\n'.encode(),
]
PARTS = [
    *(b"\0", b'"', b"\r", b"\n", b"\r\n", b",", b";", b"\t", b"'", b"="),
    *(
        b"\xff",
        b"\xfe",
        b"\xe3\x80",
        b"\xed\xa0\x80",
        b"\x81",
        b"\xa4",
        b"\xef\xbb\xbf",
    ),
    *("春".encode(), "春".encode("cp950"), "春".encode("cp932"), "㍿".encode()),
    *(b"A" * 65, b" " * 1_100, b'"' * 999, b"A,B\n" * 30, b"A1\n" * 40),
]
MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
places = st.integers(0, 10_000)
edits = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            places,
            st.integers(0, 4),
            st.one_of(st.sampled_from(PARTS), st.binary(max_size=6)),
        ),
        st.tuples(st.just("swap"), places, places),
        st.tuples(st.just("repeat"), places, st.integers(1, 40), st.integers(2, 12)),
        st.tuples(st.just("cut"), places),
    ),
    max_size=6,
)
# Shown by its parts, which says what failed; the whole may be thousands of bytes.
files = st.tuples(st.sampled_from(SEEDS), edits)


def put(data, at, drop, what):
    return data[:at] + what + data[at + drop :]


def swap(data, one, other):
    taken = bytearray(data)
    taken[one], taken[other] = taken[other], taken[one]
    return bytes(taken)


def repeat(data, at, length, times):
    return data[:at] + data[at : at + length] * times + data[at + length :]


def cut(data, at):
    return data[:at]


EDITS: dict[str, Any] = {"put": put, "swap": swap, "repeat": repeat, "cut": cut}


def mutated(file):
    data, changes = file
    for kind, at, *rest in changes:
        if not data:
            break
        if kind == "swap":
            rest = [rest[0] % len(data)]
        data = EDITS[kind](data, at % len(data), *rest)
    return data


def stock():
    return set(Serial.objects.values_list("campaign_id", "code"))


def assert_counted(batch):
    assert sum(counts(batch)) == batch.lines
    listed = RefusedRow.objects.filter(batch=batch).count()
    assert listed == batch.duplicate + batch.refused


def worked_off(batch):
    work(batch.pk)
    batch.refresh_from_db()
    return batch


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=40
    if connection.vendor == "postgresql"
    else 100,  # it waits for the disk
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    file=files,
    barcode=st.sampled_from(["none", "qr", "code39", "code128"]),
    encoding=st.sampled_from(["", "utf-8", "cp950", "cp932", "utf-16"]),
    has_header=st.booleans(),
    block=st.sampled_from([5, 50_000]),
)
def test_no_file_raises_and_every_row_is_counted(
    file, barcode, encoding, has_header, block
):
    campaign = make_campaign(barcode=barcode)
    make_serials(campaign, ["AB-01"])
    before = stock()
    try:
        batch = upload(mutated(file), campaign)
    except ImportRefused:
        assert stock() == before
        return
    with override_settings(IMPORT_BLOCK=block):
        worked_off(batch)
        if encoding:
            services.recheck(batch, encoding=encoding, has_header=has_header)
            worked_off(batch)
    assert stock() == before
    if batch.state == Batch.State.REFUSED:
        assert batch.problem
        return
    assert batch.state == Batch.State.CHECKED
    assert_counted(batch)
    if batch.new:
        assert_imported_as_checked(batch, before)


def assert_imported_as_checked(batch, before):
    found = counts(batch)
    services.confirm(batch)
    worked_off(batch)
    assert counts(batch) == found
    assert_exact(batch)
    assert_counted(batch)
    brought = stock() - before
    assert len(brought) == batch.new
    for _, code in brought:
        assert code == code.strip()
        assert code.isprintable()
        assert len(code) <= 64


def judged(pieces, encoding, after=0):
    """What becomes of each row: its code, or that it is left out."""
    rules = reading.Rules(barcode="none", is_case_sensitive=False)
    found: dict[int, str | None] = {}
    for block in reading.blocks(pieces, encoding, rules, after=after):
        found |= {row: code for row, code, _ in block.good}
        found |= {row: None for row, _, _ in block.bad}
    return found


@settings(max_examples=150, deadline=None)
@given(
    file=files,
    encoding=st.sampled_from(list(reading.ENCODINGS)),
    size=st.integers(1, 40),
    after=st.integers(0, 12),
    block=st.integers(1, 7),
)
def test_pieces_blocks_and_checkpoints_change_nothing(
    file, encoding, size, after, block
):
    data = mutated(file)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    try:
        whole = judged([data], encoding)
    except ImportRefused:
        with pytest.raises(ImportRefused):
            judged(pieces, encoding)
        return

    with override_settings(IMPORT_BLOCK=block):
        assert judged(pieces, encoding) == whole
        rest = {row: code for row, code in whole.items() if row > after}
        assert judged(pieces, encoding, after) == rest


LONG = {
    "letters": lambda n: "A" * n,
    "blanks before a serial": lambda n: " " * (n - 2) + "A1",
    "a serial after which nothing shows": lambda n: "A1" + "\u200b" * (n - 2),
    "a quoted cell": lambda n: '"' + "A" * (n - 2) + '"',
    "quotes alone": lambda n: '"' * n,
    "a quote near the end": lambda n: "A" * (n - 3) + '"A1',
    "a quote at the start": lambda n: '"' + "A" * (n - 1),
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("size", [60, 977, 1_000, 1_006, 1_030])
def test_a_long_row_ends_the_same_wherever_a_piece_ends(kind, size):
    for length in (64, 65, 999, 1_000, 1_001, 1_002, 1_990, 2_055):
        data = f's\nB1\n{LONG[kind](length)}\nB2\nB"3\nB4\n'.encode()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]

        assert judged(pieces, "utf-8") == judged([data], "utf-8")


@settings(max_examples=150, deadline=None)
@given(file=files)
def test_the_encoding_that_is_found_reads_the_whole_file(file):
    data = mutated(file)
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    try:
        encoding = reading.detect(lambda: iter(pieces))
    except ImportRefused:
        return
    if not data.startswith(MARKS):  # whose word is taken
        judged(pieces, encoding)
