"""Telling Vivoldi of a use: once, whatever becomes of the answer."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sync.models import RemoteCoupon
from sync.publishing.telling import put_redeems
from sync.services.publishing import decide, retry
from sync.tests.publishing import an_offer, numbers, only, running_accounts
from testing.factories import make_fixed_batch


@pytest.fixture
def accounts(db, settings):
    with running_accounts(settings) as found:
        yield found


def tell(accounts, publication):
    row = only(publication)
    assert put_redeems([row.pk], at=timezone.now()) == 1
    return row


def uses(accounts):
    [coupon] = accounts.sandbox.vivoldi_coupons()
    return coupon["useCnt"]


@pytest.mark.parametrize(
    "trouble",
    ["", "500", "drop", "accept_then_drop", "accept_then_500", "html", "429_rate"],
)
def test_a_use_is_told_once(accounts, trouble):
    publication = accounts.done("vivoldi", an_offer("vivoldi", 1))
    row = tell(accounts, publication)
    if trouble:
        accounts.sandbox.fault("vivoldi_redeem", trouble, times=1)

    accounts.settle("vivoldi")

    row.refresh_from_db()
    assert uses(accounts) == 1
    assert (row.status, row.errand, row.own.get("redeem")) == ("live", "", None)
    assert numbers(publication) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize("was_told", [True, False])
def test_a_worker_that_died_while_it_told_a_use_leaves_it_to_a_look(accounts, was_told):
    publication = accounts.done("vivoldi", an_offer("vivoldi", 1))
    row = tell(accounts, publication)
    accounts.turn("vivoldi")
    if was_told:
        accounts.sandbox.vivoldi_use(row.remote_id, way="api")
    [held] = RemoteCoupon.objects.claim(
        1,
        connection_id=row.connection_id,
        of=[publication.pk],
        now=timezone.now(),
        lease=timedelta(seconds=45),
        settle=timedelta(seconds=20),
    )

    accounts.settle("vivoldi")

    row.refresh_from_db()
    assert held.own["redeem"] == {"uses_before": 0}
    assert (uses(accounts), row.errand) == (1, "")


def test_a_number_that_was_used_there_before_is_said_to_be(accounts):
    publication = accounts.done("vivoldi", an_offer("vivoldi", 1))
    accounts.sandbox.vivoldi_use(only(publication).remote_id)
    row = tell(accounts, publication)

    accounts.settle("vivoldi")

    row.refresh_from_db()
    assert uses(accounts) == 1
    assert (row.status, row.errand) == ("live", "")
    assert row.detail


def test_a_use_that_was_refused_is_told_when_somebody_tries_again(accounts):
    publication = accounts.done("vivoldi", an_offer("vivoldi", 1))
    accounts.sandbox.advance(-3 * 86_400)  # too early there
    row = tell(accounts, publication)
    accounts.turn("vivoldi")
    row.refresh_from_db()
    assert (row.errand, uses(accounts), bool(row.detail)) == ("", 0, True)
    accounts.sandbox.advance(3 * 86_400)

    retry(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    row.refresh_from_db()
    assert (row.status, row.errand, row.detail) == ("live", "", "")
    assert uses(accounts) == 1
    assert accounts.sandbox.requests("vivoldi_update") == []


def unclear_use(accounts):
    """A use whose answer was lost while others used the same number."""
    campaign = an_offer("vivoldi", 0, limit_per_contact=0)
    make_fixed_batch(campaign, code="EVERYBODY1", quantity=None)
    publication = accounts.done("vivoldi", campaign)
    row = tell(accounts, publication)
    accounts.turn("vivoldi")
    row.refresh_from_db()
    assert row.own["redeem"] == {"uses_before": 0}
    accounts.sandbox.fault("vivoldi_redeem", "accept_then_drop", times=1)
    accounts.turn("vivoldi")
    for _use in range(2):
        accounts.sandbox.vivoldi_use("EVERYBODY1")
    accounts.settle("vivoldi")
    row.refresh_from_db()
    return publication, row


def test_what_cannot_be_told_apart_is_left_to_a_person(accounts):
    publication, row = unclear_use(accounts)

    assert row.status == "unknown"
    assert "several uses" in row.detail
    assert numbers(publication) == (1, 0, 0, 0, 1)
    assert uses(accounts) == 3


@pytest.mark.parametrize(("was_counted", "expected"), [(True, 3), (False, 4)])
def test_a_person_says_whether_the_use_was_counted(accounts, was_counted, expected):
    publication, row = unclear_use(accounts)

    decide(row.pk, is_there=was_counted, by=accounts.editor)
    accounts.settle("vivoldi")

    row.refresh_from_db()
    assert (row.status, row.errand, uses(accounts)) == ("live", "", expected)
    assert numbers(publication) == (1, 1, 0, 0, 0)


def test_trying_an_unclear_use_again_looks_first(accounts):
    publication, row = unclear_use(accounts)

    retry(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    row.refresh_from_db()
    assert (row.status, uses(accounts)) == ("unknown", 3)
