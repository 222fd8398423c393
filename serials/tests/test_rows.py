"""Statements that PostgreSQL has planned, when the world changes under them."""

import pytest
from django.db import connection, transaction

from coupons.services import redeem
from coupons.showing import find_shown
from testing.factories import TEST, make_campaign, make_coupon, make_serials

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def coupons():
    campaign = make_campaign()
    make_serials(campaign, 20)
    return [make_coupon(campaign) for _ in range(12)]


def ask(sql):
    """By another session, as a migration does it: psycopg would notice our own."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(sql)
    other.close()


@pytest.fixture
def memo_is_longer():
    yield "ALTER TABLE coupons_coupon ALTER memo TYPE varchar(600)"
    ask("ALTER TABLE coupons_coupon ALTER memo TYPE varchar(500)")


def test_a_column_that_became_longer_is_read_by_a_page_that_was_open(
    coupons, memo_is_longer
):
    for coupon in coupons:
        find_shown(coupon.token, language="en")
    ask(memo_is_longer)

    for _ in range(2):
        shown, _facts = find_shown(coupons[0].token, language="en")

    assert shown == coupons[0]


def test_a_redeem_goes_on_after_a_column_became_longer(coupons, memo_is_longer):
    for coupon in coupons[:10]:
        redeem(coupon.token, source=TEST)
    ask(memo_is_longer)

    redeemed = [redeem(coupon.token, source=TEST) for coupon in coupons[10:]]

    assert {coupon.status for coupon in redeemed} == {"redeemed"}
    assert len({coupon.serial_id for coupon in redeemed}) == 2


def test_statements_that_somebody_else_dropped_are_planned_again(coupons):
    for coupon in coupons:
        find_shown(coupon.token, language="en")
    connection.connection.pgconn.exec_(b"DEALLOCATE ALL")  # psycopg doesn't see it

    assert find_shown(coupons[0].token, language="en")


def test_in_a_transaction_the_error_reaches_its_owner(coupons, memo_is_longer):
    for coupon in coupons:
        find_shown(coupon.token, language="en")
    ask(memo_is_longer)

    def read():
        with transaction.atomic():
            return find_shown(coupons[0].token, language="en")

    with pytest.raises(Exception, match="cached plan"):
        read()
    assert read()
