"""A number whose creation got no answer, and whose second try Vivoldi refuses."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sync.models import RemoteCoupon
from sync.tests.publishing import an_offer, later, numbers, running_accounts

pytestmark = pytest.mark.django_db


@pytest.fixture
def accounts(settings):
    with running_accounts(settings) as found:
        yield found


def in_doubt(accounts, trouble, *, is_early=True, count=4):
    """One of so many numbers, whose creation ended in this trouble; the rest is there."""
    now = timezone.now()
    starts = now + timedelta(days=5) if is_early else now - timedelta(days=1)
    campaign = an_offer(
        "vivoldi",
        count,
        use_starts_at=starts,
        use_ends_at=now + timedelta(days=30),
    )
    publication = accounts.published("vivoldi", campaign)
    accounts.sandbox.fault("vivoldi_create", trouble, times=1)
    accounts.turn("vivoldi")
    assert numbers(publication) == (count, count - 1, 0, 0, 0)
    return publication


def turn(accounts):
    accounts.turn("vivoldi", clock=later(minutes=5))


def left(publication):
    return publication.coupons.exclude(status="live").get()


@pytest.mark.parametrize("is_early", [True, False])
def test_a_true_no_to_the_second_try_is_not_taken_for_there(accounts, is_early):
    publication = in_doubt(accounts, "drop", is_early=is_early)
    accounts.sandbox.fault("vivoldi_create", "inner", times=1)

    turn(accounts)

    assert numbers(publication) == (4, 3, 0, 1, 0)
    assert len(accounts.there("vivoldi")) == 3
    assert left(publication).detail == "Internal server error."


def test_one_that_was_made_and_has_not_begun_is_there(accounts):
    publication = in_doubt(accounts, "accept_then_drop")

    turn(accounts)

    assert numbers(publication) == (4, 4, 0, 0, 0)
    assert len(accounts.there("vivoldi")) == 4


def test_where_vivoldis_words_are_all_the_same_a_person_decides(accounts):
    publication = in_doubt(accounts, "accept_then_drop")
    accounts.sandbox.add_vivoldi(tells_why=False)

    turn(accounts)

    assert numbers(publication) == (4, 3, 0, 0, 1)
    assert "dashboard" in left(publication).detail


def test_without_another_number_to_compare_with_a_person_decides(accounts):
    publication = in_doubt(accounts, "drop", count=1)
    accounts.sandbox.fault("vivoldi_create", "inner", times=1)

    turn(accounts)

    assert numbers(publication) == (1, 0, 0, 0, 1)


@pytest.mark.parametrize("trouble", ["500", "drop", "html", "429_rate"])
def test_no_answer_to_the_comparison_leaves_it_in_doubt(accounts, trouble):
    publication = in_doubt(accounts, "drop")
    accounts.sandbox.fault("vivoldi_create", "inner", times=1)
    seen = len(accounts.sandbox.requests("vivoldi_validate"))
    accounts.sandbox.fault("vivoldi_validate", trouble, times=None, share=0.5, seed=2)

    for number in range(12):
        accounts.turn("vivoldi", clock=later(hours=1 + number))
        row = publication.coupons.exclude(status="live").first()
        if row is None or row.status != "waiting":
            break

    assert len(accounts.sandbox.requests("vivoldi_validate")) > seen
    # Refused by the true no, or made by a try after it: never there without being there.
    live = RemoteCoupon.objects.filter(status="live").values_list(
        "remote_id", flat=True
    )
    assert set(live) == set(accounts.there("vivoldi"))


def test_what_is_compared_with_is_asked_for_once(accounts):
    """Two calls for a whole block, however many are in doubt."""
    publication = in_doubt(accounts, "accept_then_drop", count=1 + 3)
    del publication
    before = len(accounts.sandbox.requests("vivoldi_validate"))

    turn(accounts)

    assert len(accounts.sandbox.requests("vivoldi_validate")) - before == 4
