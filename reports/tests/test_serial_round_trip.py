"""An exported file uploaded again: nothing new where it came from, everything elsewhere."""

import pytest
from django.contrib.auth.models import User

from coupons.models import Coupon
from reports.serials_out import csv_of
from reports.tests.export_helpers import make
from serials.models import Batch, Serial
from serials.tests.files import checked, counts, imported, report
from testing.factories import (
    make_campaign,
    make_coupon,
    make_fixed_batch,
    make_serials,
)

pytestmark = pytest.mark.django_db

# What a spreadsheet would change, and what CSV has a meaning for.
USUAL = ["SPRING-0001", "00123", "1234567890123456", "123E45", "1-2", "DEC25", "TRUE"]
AWKWARD = ["A,B", 'C"D', "E;F", "G H", "it's", "'quoted'", "'0", "春-1", "x" * 64]
# A file without the guard can't say these: they are taken for formulas, for what a
# spreadsheet has rounded, or for guarded ones.
ONLY_GUARDED = ["=1+1", "＝A1", "1.2E+11", "'007", "''1-2"]


@pytest.fixture
def owner():
    return User.objects.create(username="owner")


def stocked(codes):
    """A campaign with these serials, two of them taken, and a fixed one."""
    campaign = make_campaign(barcode="none")
    make_serials(campaign, codes, name="First, =second")
    make_fixed_batch(campaign, code="FNA@5841")
    for _ in range(2):
        make_coupon(campaign, status="redeemed")
    assert Coupon.objects.filter(status="redeemed").count() == 2
    return campaign


def codes_of(campaign):
    found = Serial.objects.filter(campaign=campaign).values_list("code", flat=True)
    return set(found)


@pytest.mark.parametrize(
    ("choices", "codes"),
    [
        ({"format": "excel", "columns": "all"}, USUAL + AWKWARD + ONLY_GUARDED),
        ({"format": "excel", "columns": "serials"}, USUAL + AWKWARD + ONLY_GUARDED),
        ({"format": "plain", "columns": "all"}, USUAL + AWKWARD),
        ({"format": "plain", "columns": "serials"}, USUAL + AWKWARD),
    ],
    ids=["excel", "excel-one-column", "plain", "plain-one-column"],
)
def test_an_export_uploaded_again_is_nothing_new_here_and_everything_elsewhere(
    owner, choices, codes
):
    campaign, other = stocked(codes), make_campaign(barcode="none")
    file = "".join(csv_of(make(owner, campaign, **choices)))

    again = checked(file, campaign)
    elsewhere = imported(file, other)

    assert again.state == Batch.State.CHECKED
    assert counts(again) == (0, len(codes) + 1, 0)  # the fixed one too
    assert {reason for _, reason in report(again)} == {"in_campaign"}
    assert counts(elsewhere) == (len(codes) + 1, 0, 0)
    assert codes_of(other) == {*codes, "FNA@5841"}


def test_what_a_plain_file_can_not_say_is_refused_or_read_as_guarded(owner):
    campaign, other = stocked(ONLY_GUARDED), make_campaign(barcode="none")
    export = make(owner, campaign, format="plain", columns="serials")

    elsewhere = imported("".join(csv_of(export)), other)

    reasons = sorted(reason for _, reason in report(elsewhere))
    assert reasons == ["formula", "formula", "scientific"]
    assert codes_of(other) == {"FNA@5841", "007", "'1-2"}
