"""Codes of several products, of which some were deleted at Paddle."""

from typing import Any

import pytest

from providers.errors import Refused, TooMany, Unauthorised, Unclear, Unreachable
from providers.paddle import PaddlePage
from sync.models import RemoteCoupon
from sync.ports.choosing import port_of
from sync.ports.paddle import PaddlePort
from sync.ports.port import Kind, Order
from sync.ports.products import Asking, look_for
from sync.services.publishing import close, retry
from sync.tests.looks import Clock, Watch
from sync.tests.publishing import (
    an_offer,
    later,
    numbers,
    running_accounts,
)

FIRST, SECOND, THIRD = 510509, 511520, 508649
ALL = f"{FIRST},{SECOND},{THIRD}"


class Scripted:
    """A client whose answers are given by product; others have nothing."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def page(self, *, product_id, code):
        self.asked.append(product_id)
        answer = self.answers.get(product_id, PaddlePage((), 0))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def delete(self, code, *, product_id):
        self.page(product_id=product_id, code=code)


@pytest.fixture
def accounts(db, settings):
    with running_accounts(settings) as found:
        yield found


def published(accounts, products=ALL, count=3):
    campaign = an_offer("paddle", count, product_ids=products)
    return accounts.done("paddle", campaign)


def taken_back(accounts, publication):
    close(publication.pk, by=accounts.editor)
    accounts.settle("paddle", turns=2)
    publication.refresh_from_db()
    return publication


@pytest.mark.parametrize("gone", [[FIRST], [FIRST, SECOND], [FIRST, SECOND, THIRD]])
def test_codes_of_deleted_products_are_taken_back(accounts, gone):
    publication = published(accounts)
    for product_id in gone:
        accounts.sandbox.delete_paddle_product(product_id)

    taken_back(accounts, publication)

    assert numbers(publication) == (3, 0, 3, 0, 0)
    assert (publication.state, accounts.there("paddle")) == ("closed", [])


def test_a_deleted_product_is_not_asked_for_by_each_code(accounts, settings):
    settings.SYNC_THREADS = 1
    publication = published(accounts, count=20)
    accounts.sandbox.delete_paddle_product(FIRST)

    taken_back(accounts, publication)

    assert len(accounts.sandbox.requests("paddle_delete")) == 21
    assert publication.state == "closed"


def test_not_found_for_one_product_does_not_mean_that_it_is_gone(accounts):
    """Somebody has taken the first product off the coupons in Paddle's dashboard."""
    publication = published(accounts)
    for code in accounts.there("paddle"):
        accounts.sandbox.change_paddle_coupon(code, product_ids=f"{SECOND}")

    taken_back(accounts, publication)

    assert accounts.there("paddle") == []
    assert publication.state == "closed"


def test_what_is_gone_from_all_products_is_taken_back_at_once(accounts):
    publication = published(accounts)
    accounts.sandbox.delete_paddle_coupon(accounts.there("paddle")[0])
    accounts.sandbox.add_paddle(delete_needs_product=True)

    taken_back(accounts, publication)

    assert publication.state == "closed"


def test_where_nobody_can_be_asked_a_person_looks_once(accounts):
    accounts.sandbox.add_paddle(delete_needs_product=True)
    publication = published(accounts, products=str(FIRST), count=1)
    accounts.sandbox.delete_paddle_product(FIRST)
    taken_back(accounts, publication)
    stuck = RemoteCoupon.objects.get()
    assert (stuck.status, stuck.errand, publication.state) == ("live", "", "closing")
    assert "dashboard" in stuck.detail

    retry(publication.pk, by=accounts.editor)
    accounts.settle("paddle", turns=2)

    publication.refresh_from_db()
    assert publication.state == "closed"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unclear("cut off"), Kind.UNCLEAR),
        (Unreachable("no connection"), Kind.UNREACHABLE),
        (TooMany("slow down", 429), Kind.SLOW),
        (Unauthorised("bad key", 200, 102), Kind.UNAUTHORISED),
        (Refused("not allowed", 403), Kind.FORBIDDEN),
        (Refused("bad arguments", 200, 116), Kind.REFUSED),
    ],
    ids=str,
)
def test_no_proper_answer_for_a_later_product_leaves_it_there(error, kind):
    client: Any = Scripted({FIRST: Refused("no such product", 200, 108), SECOND: error})
    port = PaddlePort(client, rate=1.0)
    order = Order("CODE1", {"product_ids": ALL})

    deleted, found = port.delete(order), PaddlePort(client, rate=1.0).find(order)

    assert (deleted.kind, deleted.calls) == (kind, 2)
    assert found.kind == (Kind.UNCLEAR if kind == Kind.REFUSED else kind)
    assert found.calls == 2
    assert client.asked == [FIRST, SECOND, FIRST, SECOND]


def test_a_creation_in_doubt_is_found_by_its_second_product(accounts):
    campaign = an_offer("paddle", 1, product_ids=ALL)
    publication = accounts.published("paddle", campaign)
    accounts.sandbox.fault("paddle_create", "accept_then_drop", times=1)
    accounts.turn("paddle")
    accounts.sandbox.delete_paddle_product(FIRST)

    accounts.turn("paddle", clock=later(minutes=5))

    assert numbers(publication) == (1, 1, 0, 0, 0)


def test_a_creation_in_doubt_that_no_list_can_show_is_left_to_a_person(accounts):
    accounts.sandbox.add_paddle(list_needs_product=True)
    campaign = an_offer("paddle", 1, product_ids=str(FIRST))
    publication = accounts.published("paddle", campaign)
    accounts.sandbox.fault("paddle_create", "accept_then_drop", times=1)
    accounts.turn("paddle")
    accounts.sandbox.delete_paddle_product(FIRST)

    accounts.turn("paddle", clock=later(minutes=5))

    assert numbers(publication) == (1, 0, 0, 0, 1)
    assert "dashboard" in RemoteCoupon.objects.get().detail


def test_no_call_is_begun_after_the_order_ends(accounts):
    publication = published(accounts, count=1)
    accounts.sandbox.delete_paddle_product(FIRST)
    [code] = accounts.there("paddle")
    order = Order(code, publication.terms, ends=0.0)

    outcome = port_of(accounts.paddle).delete(order)

    assert (outcome.kind, outcome.calls) == (Kind.UNREACHABLE, 1)
    assert accounts.there("paddle") == [code]


def test_a_look_lists_the_next_product_where_the_first_is_gone(accounts):
    published(accounts)
    accounts.sandbox.delete_paddle_product(FIRST)
    watch = Watch(accounts.paddle, Clock())
    before = len(accounts.sandbox.requests("paddle_list"))

    run = watch.look()

    assert (run.state, run.asked, watch.differences()) == ("done", 3, [])
    assert len(accounts.sandbox.requests("paddle_list")) - before == 2
    assert run.calls == 2


def test_a_single_look_asks_by_all_products_before_it_says_missing(accounts):
    """The list of the first product doesn't show what is of the second alone."""
    published(accounts)
    moved, lost, _here = accounts.there("paddle")
    accounts.sandbox.change_paddle_coupon(moved, product_ids=f"{THIRD}")
    accounts.sandbox.delete_paddle_coupon(lost)
    watch = Watch(accounts.paddle, Clock())

    run = watch.look()

    rows = watch.coupons()
    assert rows[moved].missing_since is None
    assert rows[lost].missing_since is not None
    assert run.calls == 1 + 3 + 3  # the list, and three products for each of two codes
    assert watch.differences() == [("missing", "live", "missing")]


def test_of_all_products_deleted_a_look_says_that_it_can_not_tell(accounts):
    accounts.sandbox.add_paddle(list_needs_product=True)
    published(accounts, products=str(FIRST), count=1)
    accounts.sandbox.delete_paddle_product(FIRST)
    watch = Watch(accounts.paddle, Clock())

    run = watch.look()

    [row] = watch.coupons().values()
    assert (run.state, row.missing_since) == ("done", None)
    assert "doesn't tell" in row.problem


def test_an_odd_list_of_one_product_proves_nothing(accounts):
    """The second product's answer can't be read: the code may be among it."""
    odd = PaddlePage((), 0, oddities=("response[0] is not an object",))
    client: Any = Scripted({SECOND: odd})

    page = look_for(client, "CODE1", Asking([FIRST, SECOND]))

    assert page is not None
    assert page.oddities


@pytest.mark.parametrize("products", [str(SECOND), ""], ids=["product", "checkout"])
def test_a_code_of_somebody_elses_stays_where_ours_is_gone(accounts, products):
    """A code is one of a product's (132): of another one it may be another's."""
    publication = published(accounts, count=1)
    [code] = accounts.there("paddle")
    accounts.sandbox.delete_paddle_coupon(code)
    accounts.sandbox.make_paddle_coupon(
        coupon_code=code,
        coupon_type="product" if products else "checkout",
        product_ids=products,
        discount_type="percentage",
        discount_amount="50",
    )

    taken_back(accounts, publication)
    row = RemoteCoupon.objects.get()
    assert (row.status, row.errand) == ("live", "")
    assert "Another coupon" in row.detail
    retry(publication.pk, by=accounts.editor)
    accounts.settle("paddle", turns=2)

    assert accounts.there("paddle") == [code]
    assert numbers(publication) == (1, 0, 1, 0, 0)


def test_an_odd_list_of_another_product_deletes_nothing():
    odd = PaddlePage((), 0, oddities=("response[0] is not an object",))
    client: Any = Scripted({FIRST: Refused("no", 200, 108), SECOND: odd})

    outcome = PaddlePort(client, rate=1.0).delete(Order("CODE1", {"product_ids": ALL}))

    assert (outcome.kind, outcome.calls) == (Kind.UNCLEAR, 2)
    assert client.asked == [FIRST, SECOND]
