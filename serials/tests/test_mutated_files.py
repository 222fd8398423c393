import codecs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serials import services
from serials.errors import ImportRefused
from serials.models import Batch, RefusedRow, Serial
from serials.tasks import work
from serials.tests.files import assert_exact, counts, upload
from testing.factories import make_campaign

SEEDS = [
    b"serial\r\nAB-01\r\nAB-02\r\n",
    codecs.BOM_UTF8 + b'"serial"\n"AB,01"\n"A""B"\n',
    "序號\n春天-01\n春天-02\n".encode("cp950"),
    "シリアル\nサクラ\n".encode("cp932"),
    "serial\nAB-01\n".encode("utf-16"),
    b"serial;x\nA;1\n'=B\n1.2E+10\n",
]
PARTS = [b"\0", b'"', b"\r", b"\n", b",", b"\xff", b"\xfe", b"\xe3\x80", b"=", b"\t"]
edits = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(0, 4),
        st.one_of(st.sampled_from(PARTS), st.binary(max_size=6)),
    ),
    max_size=6,
)


def mutate(data, changes):
    for at, drop, put in changes:
        data = data[:at] + put + data[at + drop :]
    return data


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.sampled_from(SEEDS),
    changes=edits,
    barcode=st.sampled_from(["none", "qr", "code39", "code128"]),
    encoding=st.sampled_from(["", "utf-8", "cp950", "cp932", "utf-16"]),
    has_header=st.booleans(),
)
def test_no_file_raises_and_every_row_is_counted(
    seed, changes, barcode, encoding, has_header
):
    campaign = make_campaign(barcode=barcode)
    try:
        batch = upload(mutate(seed, changes), campaign)
    except ImportRefused:
        return
    work(batch.pk)
    batch.refresh_from_db()
    if encoding:
        services.recheck(batch, encoding=encoding, has_header=has_header)
        work(batch.pk)
        batch.refresh_from_db()
    if batch.state == Batch.State.REFUSED:
        assert batch.problem
        return
    assert batch.state == Batch.State.CHECKED
    assert sum(counts(batch)) == batch.lines
    listed = RefusedRow.objects.filter(batch=batch).count()
    assert listed == batch.duplicate + batch.refused
    if batch.new:
        found = counts(batch)
        services.confirm(batch)
        work(batch.pk)
        batch.refresh_from_db()
        assert counts(batch) == found
        assert_exact(batch)
        longest = Serial.objects.filter(batch=batch).values_list("code", flat=True)
        assert all(code == code.strip() and code.isprintable() for code in longest)
